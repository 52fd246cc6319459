"""Tasks read off a table's own words."""

import pandas as pd
import pytest

from kerastl.cells import Words
from kerastl.inferred import infer
from kerastl.tasks import Task


def look(together=True, words=None, **columns):
    return infer(pd.DataFrame(columns, dtype=object), words or Words(), together)


def test_a_single_column_of_yes_and_no_is_binary():
    found = look(sick=["yes", "no", "?", ""], kind=["x", "y", "x", "y"])
    assert found.tasks == {
        "sick": Task("sick", ("no", "yes"), "binary"),
        "kind": Task("kind", ("x", "y")),
    }
    assert found.notes == found.faults == []


@pytest.mark.parametrize("cells", [["0", "1", "2"], ["0", "-0.5"], ["y", "n"], ["1", "cat"]])
def test_other_words_are_classes(cells):
    assert look(t=cells).tasks["t"].kind == "multiclass"


def test_several_are_the_labels_of_one_task_in_the_tables_order():
    found = look(fog=["0", "1"], kind=["x", "y"], air=["true", "no"], dew=["0.5", "0.1"])
    assert found.of("fog") == [Task("labels", ("fog", "air", "dew"), "multilabel")]
    assert found.of("air") == found.of("dew") == []
    assert found.notes == [
        "the columns of yes and no are the labels of one task, 'labels': fog, air, dew. "
        "Name them (tasks=[...], --task) to have a task each"
    ]
    assert {t.kind for t in look(False, fog=["0", "1"], air=["1", "0"]).tasks.values()} == {
        "binary"
    }


def test_a_label_that_is_never_negative():
    found = look(fog=["0", "1", "1"], air=["1", "yes", ""])
    assert found.faults == ["air is never negative: each of its known cells is a yes"]
    assert look(fog=["0", "1", "1"], air=["1", "yes", "?"]).faults == []
    assert look(fog=["0", "1", "1"], air=["1", "0.9", ""]).faults == []


def test_tags_are_seen_by_what_stands_between_them():
    found = look(pets=["cat;dog", "cow", "?", ""])
    assert found.tasks == {"pets": Task("pets", ("cat", "cow", "dog"), "multilabel")}
    assert found.notes == [
        "pets: read as tags with ';' between them: cat, cow, dog. "
        "Give a Task in tasks=[...] to have it otherwise"
    ]
    assert look(pets=["cat|dog", "cow"]).tasks["pets"].kind == "multiclass"
    bar = Words(tags="|")
    assert look(words=bar, pets=["cat|dog", "cow"]).tasks["pets"].classes == ("cat", "cow", "dog")
    assert look(pets=[";", "?"]).faults == ["pets has no known label"]


def test_columns_that_are_no_task():
    found = look(a=["x", "x"], b=["?", ""])
    assert found.tasks == {}
    assert found.faults == [
        "a has only one class, 'x'; expected two or more",
        "b has no known label",
    ]


def test_a_typing_error_in_a_column_of_yes_and_no_does_not_make_it_another():
    assert look(a=["0", "1"] * 20 + ["yess", "1.5"]).tasks["a"].kind == "binary"
    assert look(a=["no", "yes"] * 20 + ["yess"]).tasks["a"].classes == ("no", "yes")
    assert look(a=["0", "1"] * 20 + ["2"]).tasks["a"].kind == "multiclass", "a count"
    assert look(a=["0", "1"] * 5 + ["yess"]).tasks["a"].kind == "multiclass", "not a few"
    assert look(a=["1"] * 40 + ["yess"]).tasks["a"].kind == "multiclass", "no yes and no"
