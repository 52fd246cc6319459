"""Notes that stop nothing, and val taken from train."""

import pandas as pd
import pytest

from kerastl.data.readers.assembly import assemble
from kerastl.data.tasks import Task

TASK = Task("label", ["cat", "dog"])


@pytest.fixture
def frame(tmp_path):
    """Forty pictures of different content, in two classes."""
    paths = [tmp_path / f"{i:02d}.png" for i in range(40)]
    for path in paths:
        path.write_bytes(path.name.encode())
    return pd.DataFrame({"image": [str(p) for p in paths], "label": [0, 1] * 20})


def notes(frame, **options):
    names = [p[-6:] for p in frame["image"]]
    return assemble(frame, [TASK], names=names, **options).notes


def copy(frame, source, target):
    with open(frame["image"][source], "rb") as a, open(frame["image"][target], "wb") as b:
        b.write(a.read())


def test_nothing_to_note(frame):
    assert notes(frame) == ()


def test_leakage_between_given_splits(frame):
    frame["split"] = ["train"] * 30 + ["test"] * 10
    copy(frame, 2, 30)
    assert notes(frame) == ("leakage: 02.png is in train and test as 30.png",)


def test_leakage_counts_what_it_does_not_show(frame):
    frame["split"] = ["train"] * 20 + ["val"] * 10 + ["test"] * 10
    for i in range(5):
        copy(frame, 2 * i, 20 + 2 * i)
    copy(frame, 1, 31)
    assert notes(frame) == (
        "leakage: 00.png is in train and val as 20.png; 02.png is in train and val as 22.png; "
        "04.png is in train and val as 24.png; and 2 more",
        "leakage: 01.png is in train and test as 31.png",
    )


def test_copies_stay_together_where_the_split_is_ours(frame):
    for target in (2, 4, 6, 8):
        copy(frame, 0, target)
    for seed in range(5):
        manifest = assemble(frame, [TASK], seed=seed)
        assert manifest.notes == ()
        assert manifest.frame["split"][[0, 2, 4, 6, 8]].nunique() == 1


def test_contradictory_copies(frame):
    copy(frame, 0, 1)
    assert notes(frame) == ("the same picture has contradictory labels: 00.png and 01.png",)
    frame.loc[1, "label"] = -1
    assert notes(frame) == ()


def test_the_policy_for_uncertain_labels_comes_through(frame):
    task = Task("label", ["cat", "dog"], kind="binary")
    assert assemble(frame, [task], uncertain={"label": 0.5}).uncertain == {"label": 0.5}
    assert assemble(frame, [task]).uncertain == {}


def test_val_is_taken_from_train(frame):
    frame["split"] = ["train"] * 32 + ["test"] * 8
    manifest = assemble(frame, [TASK], fractions=(0.6, 0.2, 0.2))
    assert manifest.frame["split"].value_counts().to_dict() == {"train": 24, "test": 8, "val": 8}
    assert (manifest.frame["split"][32:] == "test").all()
    assert manifest.split("val").frame["label"].value_counts().to_dict() == {0: 4, 1: 4}


def test_no_val_where_its_share_is_nothing(frame):
    frame["split"] = ["train"] * 30 + ["test"] * 10
    assert assemble(frame, [TASK], fractions=(0.8, 0, 0.2)).splits == ("train", "test")


def test_a_given_division_is_kept(frame):
    frame["split"] = ["train", "val"] * 20
    manifest = assemble(frame, [TASK])
    assert manifest.frame["split"].tolist() == ["train", "val"] * 20
