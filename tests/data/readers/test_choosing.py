"""Columns that are no labels by their content and names, and labels that only look like these."""

import pytest

from kerastl.data.readers.cells import Words
from kerastl.data.readers.choosing import left_out_note, numbered_alike, why_no_labels

N = range(40)


def why(name, cells):
    return why_no_labels(name, [str(c) for c in cells], Words())


@pytest.mark.parametrize(
    ("reason", "name", "cells"),
    [
        ("hardly a value occurs twice", "id", [1000 + i for i in N]),
        ("hardly a value occurs twice", "Unnamed: 0", N),
        ("hardly a value occurs twice", "who knows", [f"x{i}y{i}" for i in N]),
        ("hardly a value occurs twice", "note", [f"taken by day {i}" for i in N]),
        ("running numbers", "Follow-up #", [i % 5 for i in N]),
        ("dates", "taken", [f"2024-01-{i % 28 + 1:02} 10:00:00+02:00" for i in N]),
        ("dates", "day", [f"{i % 28 + 1}.3.2024" for i in N]),
        ("dates", "exif", [f"2024:01:{i % 28 + 1:02} 10:00:{i:02}" for i in N]),
        ("dates", "time", [f"{i % 24}:30" for i in N]),
        ("ages", "Patient Age", [f"0{20 + i % 30}Y" for i in N]),
        ("ages", "age", [20 + i % 15 for i in N]),
        ("names of files", "mask", [f"m{i % 9}.png" for i in N]),
        ("measured numbers, no classes", "weight", [i * 1.5 + 0.25 for i in N] * 3),
        ("measured numbers, no classes", "months", [*range(100), *range(100)]),
        ("groups of pictures", "Patient ID", [i // 3 for i in N]),
        ("groups of pictures", "site", ["ABCD"[i % 4] for i in N]),
        ("groups of pictures", "who", [f"op{i // 4:02}" for i in N]),
        ("groups of pictures", "box_id", [i // 8 for i in N]),
        ("only 'nikon'", "camera", ["nikon"] * 40),
        ("no known label", "label", ["", "?"] * 20),
        ("a part of a name with a comma in it", "OriginalImage[Width", N),
        ("'/' cannot be in a task's name: rename the column", "AP/PA", ["a", "b"] * 20),
    ],
)
def test_no_labels(reason, name, cells):
    assert why(name, cells) == reason


@pytest.mark.parametrize(
    ("name", "cells"),
    [
        ("breed", [f"b{i % 40}" for i in range(400)]),
        ("thing", [i % 40 for i in range(400)]),
        ("flower", [f"{'rose' if i % 2 else 'lily'} {i % 102}" for i in range(306)]),
        ("label", [f"n{i % 30:04}" for i in range(90)]),
        ("class_id", [i % 20 for i in range(60)]),
        ("label", range(40)),
        ("grade", [i % 5 for i in N]),
        ("size", [0.5, 1.0, 1.5, 2.0] * 10),
        ("soft", [i / 40 for i in N]),
        ("case", ["case", "control"] * 20),
        ("edema", ["1.0", "0.0", "-1.0", ""] * 10),
        ("sick", ["yes", ""] * 20),
        ("stage", ["stage 1", "stage 2"] * 20),
        ("pets", ["cat;dog", "dog", "cow;cat", "cow"] * 10),
        ("kind", "abc"),
    ],
)
def test_labels(name, cells):
    assert why(name, cells) == ""


def test_many_combinations_of_few_tags_are_labels():
    tags = [[t for j, t in enumerate("abcdef") if i >> j & 1] for i in range(1, 41)]
    assert why("tags", [";".join(of) for of in tags]) == ""


def test_numbers_behind_one_word():
    assert numbered_alike([f"patient{i:05}" for i in range(9)]) == "patient"
    assert numbered_alike([f"b{i}" for i in range(8)]) == "", "one digit may be a class"
    assert numbered_alike(["A12", "B34", "C56", "D78", "E90"]) == ""
    assert numbered_alike(["p01", "p02"]) == ""


def test_one_line_for_all():
    reasons = {
        "id": "hardly a value occurs twice",
        "day": "dates",
        "no": "hardly a value occurs twice",
    }
    assert left_out_note(reasons) == (
        "columns that are no labels were left out: id, no (hardly a value occurs twice); day "
        "(dates). Name a column (tasks=[...], --task) to take it all the same"
    )
