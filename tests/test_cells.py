"""Cells: words, numbers and unknowns."""

import pytest

from kerastl.cells import (
    Words,
    distinct_words,
    expected,
    label_columns,
    read_label,
    share,
    yes_no_classes,
)
from kerastl.errors import InputError
from kerastl.tasks import Task

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


@pytest.mark.parametrize("tags", ["", " ", None])
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
