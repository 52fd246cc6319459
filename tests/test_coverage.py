"""Whether every class is where it has to be."""

import pandas as pd

from kerastl.coverage import class_rows, coverage_faults
from kerastl.tasks import Task

KIND = Task("kind", ["x", "y"])
DEFECT = Task("defect", ["fine", "broken"], kind="binary")
SCENE = Task("scene", ["sea", "hill"], kind="multilabel")
PLACES = [f"line {i + 2}" for i in range(4)]


def faults(task, uncertain=None, **columns):
    return list(coverage_faults(pd.DataFrame(columns), [task], PLACES, uncertain or {}))


def test_rows_of_each_class():
    frame = pd.DataFrame({"defect": [0.5, 0.49, -1, 1], "kind": [1, -1, 0, 1]})
    rows = {name: r.tolist() for name, r in class_rows(frame, DEFECT).items()}
    assert rows == {"fine": [1], "broken": [0, 3]}
    rows = {name: r.tolist() for name, r in class_rows(frame, KIND).items()}
    assert rows == {"x": [2], "y": [0, 3]}
    frame = pd.DataFrame({"scene.sea": [1, 0, -1], "scene.hill": [0.7, 0, 0.2]})
    rows = {name: r.tolist() for name, r in class_rows(frame, SCENE).items()}
    assert rows == {"sea": [0], "hill": [0]}


def test_nothing_at_fault():
    split = ["train", "train", "val", "test"]
    assert faults(KIND, kind=[0, 1, 0, -1], split=split, group=["a", "a", "b", ""]) == []


def test_a_class_without_a_picture_is_a_fault_of_the_whole_table():
    assert faults(KIND, kind=[0, 0, -1, 0]) == [(-1, "class 'y' of kind has no picture")]
    assert faults(KIND, kind=[-1, -2, -1, -1]) == [(-1, "kind has no known label")]


def test_labels_never_positive_and_never_known_have_their_own_words():
    never = "defect is never {}: none of its 3 known labels is '{}'"
    codes = {"split": ["train"] * 4}
    assert faults(DEFECT, defect=[0, 0.4, -1, 0], **codes) == [
        (-1, never.format("positive", "broken"))
    ]
    assert faults(DEFECT, defect=[1, 0.5, -2, 1]) == [(-1, never.format("negative", "fine"))]
    columns = {"scene.sea": [-1, -2, -1, -1], "scene.hill": [0, 0, 0.2, -2]}
    assert faults(SCENE, **columns) == [
        (-1, "sea of scene is never known: each of its labels is blank or uncertain"),
        (-1, "hill of scene is never positive: none of its 3 known labels is a yes"),
    ]
    assert faults(SCENE, {"scene.sea": 0.6, "scene.hill": 1.0}, **columns) == []


def test_a_policy_is_of_train_alone():
    split = ["train", "train", "val", "test"]
    assert faults(DEFECT, {"defect": 1.0}, defect=[0, 0, -2, -2], split=split) == [
        (-1, "defect is never positive: none of its 2 known labels is 'broken'")
    ]
    assert faults(DEFECT, {"defect": 1.0}, defect=[0, -2, 1, -2], split=split) == []


def test_a_class_that_train_lacks_is_placed_where_it_is_first_seen():
    words = "class 'y' of kind is in test, but never in train"
    assert faults(KIND, kind=[0, 0, 0, 1], split=["train", "train", "val", "test"]) == [(3, words)]


def test_a_class_in_a_split_that_is_at_fault_is_not_blamed_as_well():
    assert faults(KIND, kind=[0, 0, 0, 1], split=["train", "train", "val", None]) == []


def test_a_group_in_two_splits_is_told_once():
    columns = {"kind": [0, 1, 0, 1], "split": ["train", "train", "val", "val"]}
    words = "group 'g' is in val, but in train at line 2"
    assert faults(KIND, **columns, group=["g", "", "g", "g"]) == [(2, words)]
