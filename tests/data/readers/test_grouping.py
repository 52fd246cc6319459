"""Groups: those proposed, how many of them splits divide, and those of folders."""

import pandas as pd
import pytest

from kerastl.data.readers.grouping import Proposal, check_groups, groups_of_paths, propose
from kerastl.errors import InputError

PATHS = [f"train/patient{i // 3:05}/study1/view{i % 3}.jpg" for i in range(30)]


def test_a_note_counts_the_groups_that_are_divided():
    found = Proposal("Patient ID", ["a", "a", "b", "b", "c", "c", "", ""])
    split = ["train", "test", "val", "val", "train", "val", "train", "test"]
    assert found.note(split) == (
        "Patient ID groups pictures: 2 of its 3 groups lie in more than one split, which makes "
        "scores too good; --group 'Patient ID' (group=) keeps each in one"
    )
    assert found.note(["train"] * 8) == ""


def test_the_widest_column_is_proposed():
    columns = {"who": ["p01"], "lesion_id": ["1"], "patient": ["2"]}
    assert propose(columns, PATHS).name == "patient"
    assert propose({"who": ["p01"]}, PATHS).name == "who"


def test_folders_that_repeat_are_proposed():
    assert propose({}, PATHS).name == "patient*"
    assert propose({}, [p.replace("/", "\\") for p in PATHS]).name == "patient*"
    assert propose({}, PATHS).values[3] == "patient00001"


@pytest.mark.parametrize(
    "names",
    [
        ["a.png", "b.png"],
        [f"class{i // 3:02}/{i}.jpg" for i in range(30)],
        [f"p{i:02}/1.jpg" for i in range(30)],
        [f"p{i % 2:02}/{i}.jpg" for i in range(30)],
        [f"batch{i // 60:02}/{i}.jpg" for i in range(400)],
    ],
)
def test_other_folders_are_not(names):
    assert propose({}, names) is None


def test_folders_that_are_the_classes_are_no_groups():
    labels = [f"n{i // 3}" for i in range(30)]
    assert propose({}, [f"n{i // 3:04}/{i}.jpg" for i in range(30)], [labels]) is None


def test_groups_by_a_pattern():
    assert groups_of_paths("patient*", [PATHS[0], "x/y.png", "patient.png"]) == [
        "patient00000",
        "",
        "",
    ]


def test_groups_that_cannot_be():
    with pytest.raises(InputError, match=r"^No folder .* is as 'p\*' \(group=\)\.$"):
        check_groups(pd.DataFrame({"group": ["", ""]}), "p*")
    frame = pd.DataFrame({"group": ["p1", "p1", ""], "split": ["train", "val", "val"]})
    with pytest.raises(InputError, match="group 'p1' is in train and val"):
        check_groups(frame, "p*")
    check_groups(frame.drop(columns="split"), "p*")
