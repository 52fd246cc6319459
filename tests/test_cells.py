"""Cells: words, numbers and unknowns."""

import pytest

from kerastl.cells import distinct_words, expected, label_columns, read_label
from kerastl.tasks import Task

COLOUR = Task("colour", ["red", "-1", "None"])
DEFECT = Task("defect", ["fine", "broken"], kind="binary")
SCENE = Task("scene", ["sea", "hill"], kind="multilabel")


@pytest.mark.parametrize("cell", ["", "?", "nan", "NaN", "-1.0"])
@pytest.mark.parametrize("task", [COLOUR, DEFECT, SCENE], ids=lambda t: t.name)
def test_unknown(task, cell):
    assert read_label(task, cell, {"?"}) == -1


def test_a_class_goes_before_what_the_word_means_otherwise():
    assert [read_label(COLOUR, c, {"?"}) for c in ("-1", "None", "NA", "Red")] == [1, 2, None, None]
    reverse = Task("t", ["1", "0"], kind="binary")
    assert [read_label(reverse, c, ()) for c in ("1", "0", "0.5")] == [0, 1, 0.5]


def test_words_of_the_users_own_for_unknown():
    assert read_label(DEFECT, "NA", {"NA"}) == -1
    assert read_label(DEFECT, "?", {"NA"}) is None


def test_numbers_and_yes_or_no():
    assert [read_label(SCENE, c, ()) for c in ("1", "0.0", "1/3", ".25", "Yes", "FALSE")] == [
        1,
        0,
        None,
        0.25,
        1,
        0,
    ]
    for cell in ("1.01", "-0.5", "inf", "1e999", "sea", "2"):
        assert read_label(SCENE, cell, ()) is None
        assert read_label(DEFECT, cell, ()) is None
    assert read_label(COLOUR, "0", ()) is None


def test_what_was_expected():
    assert expected(COLOUR, "rad") == "expected one of red, -1, None. Did you mean red?"
    assert expected(DEFECT, "2") == "expected one of fine, broken, or a number from 0 to 1."
    assert expected(SCENE, "2") == "expected yes, no, or a number from 0 to 1"
    many = Task("t", [f"class{i}" for i in range(30)])
    assert "class9, ... and 20 more." in expected(many, "zzz")


def test_words_are_sorted_as_numbers_only_where_all_are():
    assert distinct_words(["10", "9", "-1"], ()) == ["9", "10"]
    assert distinct_words(["10", "9", "x"], ()) == ["10", "9", "x"]
    assert distinct_words(["007", "7"], ()) == ["007", "7"]


def test_columns_of_a_task():
    assert label_columns(DEFECT, []) == ["defect"]
    assert label_columns(SCENE, ["scene.sea", "sea", "hill"]) == ["scene.sea", "hill"]
    assert label_columns(SCENE, []) == ["scene.sea", "scene.hill"]
