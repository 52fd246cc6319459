"""Words that mean one thing become one word; those that may mean two are told."""

import pytest

from kerastl.data.readers.cells import Words
from kerastl.data.readers.spelling import Findings, one_spelling, spell


def spelt(*cells, **words):
    findings = Findings()
    found = spell("kind", cells, Words(**words), findings)
    return found.cells, found.written, findings.lines()


@pytest.mark.parametrize("odd", ["Disc", "DISC", " disc ", "disc\xa0", "di\u200bsc", "\ufeffdisc"])
def test_case_blanks_and_what_cannot_be_seen(odd):
    cells, _, told = spelt("disc", "disc", odd, "bars")
    assert cells == ["disc"] * 3 + ["bars"]
    assert told == (
        [f"kind ({odd} as disc): spellings of one class were joined"] if "D" in odd else []
    )


def test_the_most_frequent_spelling_stays():
    assert one_spelling({"A b": 1, "a B": 3}, "kind", Findings()) == {"A b": "a B"}


def test_letters_in_two_cases_are_two_classes():
    cells, _, told = spelt("a", "A", "b", "B")
    assert cells == ["a", "A", "b", "B"]
    assert told == ["kind (A, a; B, b): letters in two cases are different classes"]


def test_a_known_word_in_doubt_is_unsure():
    cells, _, told = spelt("disc", "Disc?", "disc ?", "bars")
    assert cells == ["disc", "?", "?", "bars"]
    assert told == ["kind ('Disc?', 'disc ?'): read as unsure, '?'"]
    cells, _, told = spelt("disc", "rust?", "bars")
    assert cells == ["disc", "rust?", "bars"]
    assert told == [
        "kind ('rust?'): a class as it is: its word never stands without the '?'; --unsure WORD "
        "(unsure=) has it as unsure"
    ]
    assert spelt("disc", "disc?", "bars", unsure=frozenset())[0] == ["disc", "disc?", "bars"]
    assert spelt("disc", "maybe", "bars")[2] == [
        "kind ('maybe'): read as a class; --unsure WORD (unsure=) where the annotator was unsure"
    ]


@pytest.mark.parametrize("word", ["N/A", "NA", "NULL", "null", "unknown", "n/a", "NAN", "#N/A"])
def test_words_for_unknown_beside_two_classes(word):
    cells, _, told = spelt("disc", "bars", word)
    assert cells == ["disc", "bars", ""]
    assert told == [f"kind ({word!r}): read as unknown; rename what is a class"]
    assert spelt("disc", word)[0] == ["disc", word], "it may be the other class"


def test_none_is_a_class_but_not_beside_yes_and_no():
    cells, _, told = spelt("disc", "bars", "none")
    assert cells == ["disc", "bars", "none"]
    assert told == [
        "kind ('none'): read as a class; --unknown WORD (unknown=) where nobody gave a label"
    ]
    assert spelt("Yes", "No", "None")[0] == ["Yes", "No", ""]


def test_na_is_a_code_among_codes():
    assert spelt("NA", "EU", "SA")[0] == ["NA", "EU", "SA"]
    assert spelt("Na", "EU", "SA")[0] == ["", "EU", "SA"]


def test_a_persons_words_stay():
    cells, _, told = spelt("disc", "bars", "NA", "hm", unknown=frozenset({"NA"}))
    assert (cells, told) == (["disc", "bars", "NA", "hm"], [])


def test_one_number_one_class_but_leading_zeros_are_said():
    assert spelt("1", "1.0", "2", "2.00", "0")[0] == ["1", "1", "2", "2", "0"]
    assert spelt("0.0", "1.0", "2.0")[0] == ["0.0", "1.0", "2.0"]
    cells, _, told = spelt("007", "07", "7", "8")
    assert cells == ["007", "07", "7", "8"]
    assert told == [
        "kind (007, 07, 7): different classes, though one number; write them alike to have one "
        "class"
    ]


def test_decimal_commas():
    cells, _, told = spelt("0,5", "1", "0", "N/A")
    assert cells == ["0.5", "1", "0", ""]
    assert "kind: decimal commas were read as points" in told
    assert spelt("1,234", "2,345", "3")[0] == ["1,234", "2,345", "3"], "perhaps thousands"


@pytest.mark.parametrize("mark", ["|", ", ", " | ", ","])
def test_tags_between_known_words(mark):
    cells, written, told = spelt(f"cat{mark}dog", "cat", "dog", "cow", f"cow?{mark}cat")
    assert cells == ["cat;dog", "cat", "dog", "cow", "cow?;cat"]
    assert (written, told) == (repr(mark.strip()), [])


def test_tags_in_several_combinations_need_not_stand_alone():
    assert spelt("a|x", "a|y", "x|y")[0] == ["a;x", "a;y", "x;y"]


def test_blanks_are_tags_only_where_more_and_fewer_words_are_all_known():
    cells, written, _ = spelt("sea hill", "sea hill fog", "sea", "hill", "fog sea")
    assert (cells[1], written) == ("sea;hill;fog", "a blank")
    for names in (
        ["golden retriever", "labrador retriever", "german shepherd", "poodle"],
        ["red apple", "green apple", "red pear", "green pear"],
        ["New York", "York"],
    ):
        assert spelt(*names) == (names, "", [])


def test_tags_that_are_not_clear_are_told_with_the_option():
    cells, _, told = spelt("a|b", "c|d", "e")
    assert cells == ["a|b", "c|d", "e"]
    assert told == [
        "kind ('a|b'): '|' stands in words that are classes as a whole; --tags '|' (tags=) reads "
        "them as tags"
    ]
    planet = ["clear primary", "agriculture clear primary", "haze primary", "clear primary water"]
    cells, _, told = spelt(*planet)
    assert cells == planet
    assert "--tags ' ' (tags=) reads them as tags" in told[0]
    assert spelt("melanoma, in situ", "naevus")[2] == []


def test_lists():
    cells, written, _ = spelt("['Comedy', 'Drama']", "['Drama']", '["Comedy"]', "[]", "")
    assert cells == ["Comedy;Drama", "Drama", "Comedy", "none", ""]
    assert written == "lists"
    assert spelt("[Comedy, Drama]", "[Drama]")[0] == ["Comedy;Drama", "Drama"]
    assert spelt("[a]", "b")[0] == ["[a]", "b"], "not all of them"
    assert spelt("[{'a': 1}]", "[]")[0] == ["[{'a': 1}]", "[]"], "no tags"


def test_tags_in_two_cases_and_no_finding():
    cells, _, told = spelt("Mass|Node", "mass", "Mass", "Node", "No Finding")
    assert cells == ["Mass;Node", "Mass", "Mass", "Node", "none"]
    assert told == [
        "kind (mass as Mass): spellings of one class were joined",
        "kind: 'No Finding' was read as: looked at, none of the tags",
    ]


def test_a_line_a_finding():
    findings = Findings()
    for n in range(12):
        findings.add("read", f"c{n}")
    assert findings.lines() == ["c0, c1, c2, c3, c4, c5, c6, c7, c8, c9, ... and 2 more: read"]
