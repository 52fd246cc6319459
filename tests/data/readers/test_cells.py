"""Cells: words, numbers and unknowns.

Tasks read off a table's own words.

Tags in one column: each form of a cell, and what is none.
"""

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kerastl.data.readers.cells import (
    Words,
    distinct_tags,
    distinct_words,
    expected,
    has_tags,
    in_tags,
    infer,
    label_columns,
    read_label,
    read_tags,
    share,
    yes_no_classes,
)
from kerastl.data.tasks import Task
from kerastl.errors import InputError

COLOUR = Task("colour", ["red", "-1", "None"])
DEFECT = Task("defect", ["fine", "broken"], kind="binary")
SCENE = Task("scene", ["sea", "hill"], kind="multilabel")


NOTHING = Words(unsure=frozenset())


@pytest.mark.parametrize("cell", ["", "nan", "NaN", "-1.0"])
@pytest.mark.parametrize("task", [COLOUR, DEFECT, SCENE], ids=lambda t: t.name)
def test_unknown(task, cell):
    assert read_label(task, cell, Words()) == -1
    assert read_label(task, "?", Words()) == -2


def test_a_class_goes_before_what_the_word_means_otherwise():
    assert [read_label(COLOUR, c, Words()) for c in ("-1", "None", "NA", "Red")] == [
        1,
        2,
        None,
        None,
    ]
    reverse = Task("t", ["1", "0"], kind="binary")
    assert [read_label(reverse, c, Words()) for c in ("1", "0", "0.5")] == [0, 1, 0.5]


def test_words_of_the_users_own_for_unknown():
    words = Words.given(["NA ", "fine"], "doubt", ";")
    cells = ("NA", "doubt", "", "fine", "?")
    assert [read_label(DEFECT, c, words) for c in cells] == [-1, -2, -1, 0, None]


def test_a_persons_words_go_before_what_is_always_unannotated():
    chexpert = Words.given((), ("-1", "-1.0"), ";")
    assert [read_label(SCENE, c, chexpert) for c in ("-1.0", "-1", "", "1.0")] == [-2, -2, -1, 1]
    both = Words.given("?", "?", ";")
    assert read_label(SCENE, "?", both) == -1
    half = Words.given((), "0.5", ";")
    assert read_label(SCENE, "0.5", half) == -2
    assert read_label(Task("t", ["-1", "1"]), "-1", chexpert) == 0


@pytest.mark.parametrize("tags", ["", "  ", None])
def test_tags_need_something_between_them(tags):
    with pytest.raises(InputError, match="Expected tags= as what stands between tags"):
        Words.given((), "?", tags)


def test_numbers_and_yes_or_no():
    assert [read_label(SCENE, c, NOTHING) for c in ("1", "0.0", "1/3", ".25", "Yes", "FALSE")] == [
        1,
        0,
        None,
        0.25,
        1,
        0,
    ]
    for cell in ("1.01", "-0.5", "inf", "1e999", "sea", "2"):
        assert read_label(SCENE, cell, NOTHING) is None
        assert read_label(DEFECT, cell, NOTHING) is None
    assert read_label(COLOUR, "0", NOTHING) is None


def test_what_was_expected():
    assert expected(COLOUR, "rad") == "expected one of red, -1, None. Did you mean red?"
    assert expected(DEFECT, "x") == "expected one of fine, broken, or a number from 0 to 1."
    assert expected(DEFECT, "2").startswith("outside 0 to 1, expected one of fine")
    assert expected(SCENE, "-.5") == "outside 0 to 1, expected yes, no, or a number from 0 to 1"
    assert expected(SCENE, "sea") == "expected yes, no, or a number from 0 to 1"
    assert expected(COLOUR, "2").startswith("expected one of")
    many = Task("t", [f"class{i}" for i in range(30)])
    assert "class9, ... and 20 more." in expected(many, "zzz")


def test_words_are_sorted_as_numbers_only_where_all_are():
    assert distinct_words(["10", "9", "-1"], NOTHING) == ["9", "10"]
    assert distinct_words(["10", "9", "x"], NOTHING) == ["10", "9", "x"]
    assert distinct_words(["007", "7"], NOTHING) == ["007", "7"]


def test_the_two_words_of_a_column_of_yes_and_no():
    assert yes_no_classes(["True", "FALSE"]) == ("false", "true")
    assert yes_no_classes(["1.0", "0"]) == ("0", "1")
    for cells in (["Yes"], ["no", "1"], ["0.5"], ["true", "no"]):
        assert yes_no_classes(cells) == ("no", "yes")
    assert [share(c) for c in ("nan", "inf", "1e-3")] == [None, None, 0.001]


def test_columns_of_a_task():
    assert label_columns(DEFECT, []) == ["defect"]
    assert label_columns(SCENE, ["scene.sea", "sea", "hill"]) == ["scene.sea", "hill"]
    assert label_columns(SCENE, []) == ["scene.sea", "scene.hill"]


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


PETS = Task("pets", ["cat", "dog", "cow"], kind="multilabel")


@pytest.mark.parametrize(
    ("cell", "codes"),
    [
        ("cat;dog", [1, 1, 0]),
        (" dog ; cat ;", [1, 1, 0]),
        ("cow", [0, 0, 1]),
        ("cat;cat", [1, 0, 0]),
        ("cat;dog?", [1, -2, 0]),
        ("dog ?", [0, -2, 0]),
        ("dog?;dog", [0, 1, 0]),
        ("", [-1] * 3),
        ("nan", [-1] * 3),
        ("?", [-2] * 3),
        ("none", [0] * 3),
        ("None", [0] * 3),
    ],
)
def test_cells(cell, codes):
    assert read_tags(PETS, cell, Words()) == codes


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        ("cat;dgo", "'dgo' is no label of pets. Did you mean dog?"),
        ("cot?", "'cot' is no label of pets. Did you mean cow or cat?"),
        ("cat;zzz;-1", "'zzz' is no label of pets.; '-1' stands alone in a cell, or not at all"),
        ("cat;?", "'?' stands alone in a cell, or not at all"),
        (";", "expected tags with ';' between them"),
    ],
)
def test_cells_that_are_none(cell, words):
    assert read_tags(PETS, cell, Words()) == words


def test_a_label_goes_before_every_other_meaning():
    odd = Task("t", ["none", "?", "a;b", "why?"], kind="multilabel")
    for i, label in enumerate(odd.classes):
        assert read_tags(odd, label, Words()) == [float(i == j) for j in range(4)]
    assert read_tags(odd, "why?;none", Words()) == [1, 0, 0, 1]


def test_words_and_separators_of_ones_own():
    words = Words.given("skip", "doubt", "|")
    assert read_tags(PETS, "cat|cow", words) == [1, 0, 1]
    assert read_tags(PETS, "skip", words) == [-1] * 3
    assert read_tags(PETS, "doubt", words) == [-2] * 3
    assert read_tags(PETS, "cat?", words) == "'cat?' is no label of pets. Did you mean cat?"
    assert has_tags(["a|b"], words)
    assert not has_tags(["a;b"], words)


@given(st.lists(st.sampled_from([0, 1, -2]), min_size=3, max_size=3), st.randoms())
def test_every_mixture_is_read_back(codes, random):
    tags = [name + "?" * (code == -2) for name, code in zip(PETS.classes, codes, strict=True)
            if code]  # fmt: skip
    random.shuffle(tags)
    assert read_tags(PETS, ";".join(tags) or "none", Words()) == codes


def test_distinct_tags_are_the_labels_alone():
    assert distinct_tags(["b; a?", "?", "", "none", "c;none;?", "a"], Words()) == ["a", "b", "c"]
    assert distinct_tags(["", "?"], Words()) == []


def test_where_tags_are_read():
    assert in_tags(PETS, ["image", "pets"])
    assert not in_tags(PETS, ["image", "pets", "cat"])
    assert not in_tags(PETS, ["image", "pets", "pets.cow"])
    assert not in_tags(PETS, ["image"])
    assert not in_tags(Task("pets", ["a", "b"]), ["pets"])
    assert not in_tags(Task("sea", ["sea"], kind="multilabel"), ["sea"])
    assert in_tags(Task("cat", ["cat", "dog"], kind="multilabel"), ["cat"])
