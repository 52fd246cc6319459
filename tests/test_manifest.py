"""The manifest: its checks, its parts, its words and its CSV."""

import numpy as np
import pandas as pd
import pytest

from kerastl.errors import InputError
from kerastl.manifest import Manifest, class_counts
from kerastl.readers import read_csv
from kerastl.tasks import Task

COLOUR = Task("colour", ["red", "green", "blue"])
DEFECT = Task("defect", ["fine", "broken"], kind="binary")
SCENE = Task("scene", ["sea", "hill"], kind="multilabel")
TASKS = (COLOUR, DEFECT, SCENE)


def frame(folder=""):
    return pd.DataFrame(
        {
            "image": [f"{folder}{n}.png" for n in "abcd"],
            "split": ["train", "train", "val", "test"],
            "group": ["g", "g", "", "h"],
            "colour": [0, 1, 2, -1],
            "defect": [1, -1, 0.25, 0],
            "scene.sea": [1, 0, -1, 0.5],
            "scene.hill": [0, 0, 1, -1],
        }
    )


def test_labels_have_the_conventional_shapes_and_types():
    labels = Manifest(frame(), TASKS).labels()
    assert labels["colour"].dtype == np.int32
    assert labels["colour"].tolist() == [0, 1, 2, -1]
    assert labels["defect"].dtype == np.float32
    assert labels["defect"].tolist() == [[1], [-1], [0.25], [0]]
    assert labels["scene"].dtype == np.float32
    assert labels["scene"].tolist() == [[1, 0], [0, 0], [-1, 1], [0.5, -1]]


def test_split_take_and_has():
    manifest = Manifest(frame(), TASKS)
    assert manifest.splits == ("train", "val", "test")
    assert manifest.split("train").frame["image"].tolist() == ["a.png", "b.png"]
    assert manifest.take([3, 0]).frame["image"].tolist() == ["d.png", "a.png"]
    assert len(manifest) == 4
    assert not manifest.split("val").has("train")
    assert not Manifest(frame().drop(columns="split"), TASKS).has("train")


def test_parts_share_skipped():
    manifest = Manifest(frame(), TASKS)
    manifest.split("train").take([0]).skipped["a.png"] = "truncated"
    assert manifest.skipped == {"a.png": "truncated"}


def test_a_split_that_is_none():
    with pytest.raises(InputError) as caught:
        Manifest(frame(), TASKS).split("tran")
    assert str(caught.value) == (
        "There is no split 'tran'. The splits are: train, val, test. Did you mean train?"
    )


def test_all_faults_of_a_frame_at_once():
    odd = frame().drop(columns="scene.hill")
    odd["colour"] = [0, 1, 3, 0.5]
    odd["defect"] = [0, 1, 2, np.nan]
    odd["split"] = "trian"
    with pytest.raises(InputError) as caught:
        Manifest(odd, TASKS)
    assert caught.value.faults == (
        "column 'scene.hill' is missing; the columns are "
        "image, split, group, colour, defect, scene.sea",
        "column 'split': expected train, val or test, received 'trian'",
        "column 'colour', row 2: expected codes 0 to 2 or -1, received 3.0",
        "column 'defect', row 2: expected numbers from 0 to 1 or -1, received 2.0",
    )


def test_a_task_cannot_take_the_manifests_own_column():
    with pytest.raises(InputError, match="a task cannot be called 'split'"):
        Manifest(frame(), Task("split", ["train", "val"]))


def test_the_given_frame_is_left_alone():
    given = frame()
    inner = Manifest(given, TASKS).frame
    inner["colour"] = 2
    pd.testing.assert_frame_equal(given, frame())


def test_decoded_has_the_users_words():
    words = Manifest(frame(), TASKS).decoded()
    assert words["colour"].tolist() == ["red", "green", "blue", "?"]
    assert words["defect"].tolist() == ["broken", "?", "0.25", "fine"]
    assert words["scene.sea"].tolist() == ["1", "0", "?", "0.5"]


def test_csv_round_trip(tmp_path):
    for name in "abcd":
        (tmp_path / f"{name}.png").write_bytes(name.encode())
    manifest = Manifest(frame(f"{tmp_path}/").assign(split="train"), TASKS)
    manifest.to_csv(tmp_path / "all.csv")
    back = read_csv(tmp_path / "all.csv", tasks=TASKS, fractions=(1, 0, 0))
    pd.testing.assert_frame_equal(back.frame[manifest.frame.columns], manifest.frame)
    assert back.tasks == TASKS
    assert (tmp_path / "all.csv").read_text().splitlines()[1] == "a.png,train,g,red,broken,1,0"
    assert {p.name for p in tmp_path.iterdir()} == {f"{n}.png" for n in "abcd"} | {"all.csv"}


def test_csv_elsewhere_has_absolute_paths(tmp_path):
    (tmp_path / "far").mkdir()
    manifest = Manifest(frame(f"{tmp_path}/"), TASKS)
    manifest.to_csv(tmp_path / "far" / "all.csv")
    written = pd.read_csv(tmp_path / "far" / "all.csv")["image"].tolist()
    assert written == manifest.frame["image"].tolist()


def test_summary_counts_each_class_in_each_split():
    manifest = Manifest(frame(), TASKS, {"x.jpg": "truncated"}, ("leakage: a and b",))
    assert manifest.summary() == "\n".join(
        [
            "4 pictures: train 2, val 1, test 1",
            "colour (multiclass)",
            "           train  val  test",
            "  red          1    0     0",
            "  green        1    0     0",
            "  blue         0    1     0",
            "  unknown      0    0     1",
            "defect (binary)",
            "           train  val  test",
            "  fine         0    1     1",
            "  broken       1    0     0",
            "  unknown      1    0     0",
            "scene (multilabel)",
            "           train  val  test",
            "  sea          1    0     1",
            "  hill         0    1     0",
            "  unknown      0    1     1",
            "note: leakage: a and b",
            "skipped: 1",
            "  x.jpg: truncated",
        ]
    )


def test_class_counts_of_soft_labels():
    labels = np.array([[0.5], [0.49], [-1], [1]], dtype="float32")
    assert class_counts(DEFECT, labels) == {"fine": 1, "broken": 2}
