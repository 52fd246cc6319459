"""The manifest: its checks, its parts, its words and its CSV.

The policy for uncertain labels: from a person's words to numbers by column.
"""

import os

import numpy as np
import pandas as pd
import pytest

from kerastl.data.manifest import Manifest, column_faults, path_column, policy_values, standing
from kerastl.data.readers.tabular import read_csv
from kerastl.data.tasks import Task
from kerastl.errors import InputError

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
        "column 'colour', row 2: expected codes 0 to 2, -1 or -2, received 3.0",
        "column 'defect', row 2: expected numbers from 0 to 1, -1 or -2, received 2.0",
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
    assert words["colour"].tolist() == ["red", "green", "blue", ""]
    assert words["defect"].tolist() == ["broken", "", "0.25", "fine"]
    assert words["scene.sea"].tolist() == ["1", "0", "", "0.5"]
    unsure = frame().replace(-1, -2)
    assert Manifest(unsure, TASKS).decoded()["colour"].tolist() == ["red", "green", "blue", "?"]


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


def test_summary_has_pictures_tasks_notes_and_what_was_skipped():
    manifest = Manifest(frame(), TASKS, {"x.jpg": "truncated"}, ("leakage: a and b",))
    assert manifest.summary() == "\n".join(
        [
            "4 pictures: train 2, val 1, test 1",
            "colour (multiclass): red, green, blue",
            "defect (binary): fine, broken",
            "scene (multilabel): sea, hill",
            "note: leakage: a and b",
            "skipped: 1",
            "  x.jpg: truncated",
        ]
    )
    many = Task("t", [f"c{i}" for i in range(12)])
    whole = Manifest(pd.DataFrame({"image": ["a"], "t": [0]}), many).summary()
    assert whole.splitlines()[0] == "1 pictures"
    assert whole.endswith("c9, ... and 2 more")


def unsure_frame():
    """Every column uncertain in all rows but the last, which nobody labelled."""
    columns = ["colour", "defect", "scene.sea", "scene.hill"]
    return (
        frame()
        .assign(split=["train", "train", "val", "train"])
        .assign(**{c: [-2, -2, -2, -1] for c in columns})
    )


@pytest.mark.parametrize(
    ("policy", "values"),
    [
        ("ignore", {}),
        ("positive", {"defect": 1, "scene.sea": 1, "scene.hill": 1}),
        (0, {"defect": 0, "scene.sea": 0, "scene.hill": 0}),
        ({"scene": "negative"}, {"scene.sea": 0, "scene.hill": 0}),
        ({"hill": 0.25, "defect": "positive", "scene": 1}, {"defect": 1, "scene.sea": 1,
                                                            "scene.hill": 0.25}),
        ({"scene.hill": "ignore", "hill": 0.5, "scene": "negative"}, {"scene.sea": 0}),
        ({"colour": "ignore"}, {}),
    ],
)  # fmt: skip
def test_uncertain_labels_stand_for_the_policy_in_train_alone(policy, values):
    manifest = Manifest(unsure_frame(), TASKS).with_uncertain(policy)
    assert manifest.uncertain == values
    labels = manifest.labels()
    for task in TASKS:
        for i, column in enumerate(task.columns):
            value = values.get(column, -1)
            found = labels[task.name] if task.kind == "multiclass" else labels[task.name][:, i]
            assert found.tolist() == [value, value, -1, -1]
    assert {a.dtype.name for a in labels.values()} == {"int32", "float32"}
    for part in (manifest.split("val"), manifest.certain(), manifest.with_uncertain("ignore")):
        assert all((a == -1).all() for a in part.labels().values())


def test_without_splits_the_policy_holds_for_every_row():
    whole = Manifest(unsure_frame().drop(columns="split"), TASKS).with_uncertain("positive")
    assert whole.labels()["defect"].tolist() == [[1], [1], [1], [-1]]
    assert whole.take([2]).labels()["defect"].tolist() == [[1]]


def test_all_faults_of_a_policy_at_once():
    manifest = Manifest(frame(), TASKS)
    with pytest.raises(InputError) as caught:
        manifest.with_uncertain({"defct": "ignore", "scene": "postive", "sea": 1.5, "colour": 1})
    assert caught.value.faults == (
        "'defct' is no task or label; there are: colour, defect, scene, scene.sea, scene.hill, "
        "sea, hill. Did you mean defect?",
        "'scene': expected ignore, positive, negative or a number from 0 to 1, "
        "received 'postive'. Did you mean positive?",
        "'sea': expected ignore, positive, negative or a number from 0 to 1, received 1.5.",
        "'colour' is multiclass: its uncertain labels can only be ignored",
    )
    with pytest.raises(InputError, match="uncertain: expected ignore, .* received nan"):
        manifest.with_uncertain(float("nan"))
    only = Manifest(frame(), COLOUR)
    assert only.with_uncertain("ignore").uncertain == {}
    with pytest.raises(InputError, match="needs a binary or multilabel task; there is none"):
        only.with_uncertain("positive")


def test_values_of_columns_are_checked():
    with pytest.raises(InputError) as caught:
        Manifest(frame(), TASKS, uncertain={"colour": 1, "defect": 2})
    assert caught.value.faults == (
        "uncertain: 'colour' is no column of yes or no; those are: defect, scene.sea, scene.hill",
        "uncertain: 'defect' has 2, expected a number from 0 to 1",
    )


KIND = Task("kind", ["x", "y"])
DEFECT = Task("defect", ["fine", "broken"], kind="binary")
SCENE = Task("scene", ["sea", "hill"], kind="multilabel")
OTHER = Task("other", ["sea", "sand"], kind="multilabel")


def test_a_single_word_is_for_every_column_of_yes_or_no():
    assert policy_values([KIND, DEFECT, SCENE], "negative") == {
        "defect": 0,
        "scene.sea": 0,
        "scene.hill": 0,
    }
    assert policy_values([SCENE], np.float32(0.5)) == {"scene.sea": 0.5, "scene.hill": 0.5}


@pytest.mark.parametrize("turned", [False, True])
def test_the_closer_name_wins_whatever_the_order(turned):
    policy = {"scene.sea": 0.1, "sea": 0.2, "scene": 0.3, "other": "ignore"}
    policy = dict(reversed(policy.items())) if turned else policy
    found = policy_values([SCENE, OTHER], policy)
    assert found == {"scene.sea": 0.1, "scene.hill": 0.3, "other.sea": 0.2}


def test_a_closer_ignore_takes_a_value_back():
    assert policy_values([SCENE], {"scene": 1, "hill": "ignore"}) == {"scene.sea": 1}


def test_values_of_columns():
    assert list(column_faults([KIND, SCENE], {"scene.sea": 0, "scene.hill": 1})) == []
    assert list(column_faults([SCENE], {"scene.sea": -2})) == [
        "uncertain: 'scene.sea' has -2, expected a number from 0 to 1"
    ]


def test_only_uncertain_codes_change():
    codes = np.array([-2, -1, 0, 1, 0.5])
    assert standing("a", codes, {"a": 0.25}).tolist() == [0.25, -1, 0, 1, 0.5]
    assert standing("b", codes, {"a": 0.25}).tolist() == [-1, -1, 0, 1, 0.5]


def test_names_of_files_that_are_no_utf_8(tmp_path):
    name = os.fsdecode(b"caf\xe9.png")
    manifest = Manifest(
        pd.DataFrame({"image": path_column([name]), "t": [0]}), Task("t", ["x", "y"])
    )
    assert manifest.frame["image"].tolist() == [name]
    assert manifest.take([0]).decoded()["t"].tolist() == ["x"]
    with pytest.raises(InputError, match=r"names of files in UTF-8.*\n  caf\\xe9\.png"):
        manifest.to_csv(tmp_path / "a.csv")
    assert not (tmp_path / "a.csv").exists()
