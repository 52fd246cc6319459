"""Tags in one column: each form of a cell, and what is none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kerastl.cells import Words
from kerastl.tags import distinct_tags, has_tags, in_tags, read_tags
from kerastl.tasks import Task

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
