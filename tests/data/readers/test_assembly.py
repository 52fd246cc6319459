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
    assert notes(frame) == ("leakage, counted for train: 02.png is in train and test as 30.png",)


def test_leakage_counts_what_it_does_not_show(frame):
    frame["split"] = ["train"] * 20 + ["val"] * 10 + ["test"] * 10
    for i in range(5):
        copy(frame, 2 * i, 20 + 2 * i)
    copy(frame, 1, 31)
    assert notes(frame) == (
        "leakage, counted for train: 00.png is in train and val as 20.png; 02.png is in train "
        "and val as 22.png; 04.png is in train and val as 24.png; and 2 more",
        "leakage, counted for train: 01.png is in train and test as 31.png",
    )


def test_copies_stay_together_where_the_split_is_ours(frame):
    for target in (2, 4, 6, 8):
        copy(frame, 0, target)
    for seed in range(5):
        manifest = assemble(frame, [TASK], seed=seed)
        assert "leakage" not in str(manifest.notes)
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


def test_a_copy_or_a_group_of_what_is_trained_on_is_not_held_out(frame):
    frame["split"] = ["train"] * 20 + ["val"] * 10 + ["test"] * 10
    copy(frame, 2, 30)
    frame["group"] = [""] * 25 + ["p7"] + [""] * 9 + ["p7"] + [""] * 4
    manifest = assemble(frame, [TASK])
    assert manifest.frame["split"][30] == "train"
    assert manifest.frame["split"][35] == "val"
    assert len(manifest.split("test")) == 8


@pytest.mark.parametrize("stable", [True, False])
def test_a_file_of_nothing_is_nobodys_copy(frame, stable):
    for row in (0, 1):
        open(frame["image"][row], "wb").close()
    frame.loc[1, "image"] = frame["image"][1]
    assert assemble(frame, [TASK], stable=stable).notes == ()


def test_a_difference_behind_the_first_block_is_seen(frame):
    for row, end in ((0, b"x"), (1, b"y"), (2, b"x"), (3, b"y")):
        with open(frame["image"][row], "wb") as file:
            file.write(bytes(1 << 20) + end)
    assert notes(frame) == ()  # 0 and 1 have other labels, as 2 and 3 have
    copy(frame, 0, 1)
    assert notes(frame) == ("the same picture has contradictory labels: 00.png and 01.png",)


def test_files_that_cannot_be_read_are_nobodys_copy(unprivileged):
    paths = [unprivileged / n for n in "ab"]
    for path in paths:
        path.write_bytes(b"same")
    frame = pd.DataFrame({"image": list(map(str, paths)), "label": [0, 1]})
    assert "contradictory" in str(notes(frame))
    for path in paths:
        path.chmod(0)
    assert "contradictory" not in str(notes(frame))


def test_a_picture_keeps_its_part_when_others_come(frame):
    few = assemble(frame.iloc[10:30].reset_index(drop=True), [TASK]).frame
    many = assemble(frame, [TASK]).frame.set_index("image").loc[few["image"]]
    moved = many["split"].to_numpy() != few["split"].to_numpy()
    assert not (many["split"].to_numpy()[moved] == "test").any()
    assert moved.sum() <= 2  # a class brought into a part goes back when others come


def test_what_was_drawn_is_said_where_it_is_far_from_what_was_asked_for(frame):
    few = frame.iloc[:6].reset_index(drop=True)
    assert assemble(few, [TASK]).splits == ("train",)
    assert notes(few) == (
        "nothing is held out: 6 pictures are too few; about five of a class, of several groups "
        "where there are groups, would allow a score",
    )
    ten = frame.iloc[:10].reset_index(drop=True)
    assert notes(ten, fractions=(0.9, 0.05, 0.05)) == (
        "train, val and test are 60%, 20%, 20% of the pictures, not 90%, 5%, 5%",
    )


def test_val_is_taken_from_train(frame):
    frame["split"] = ["train"] * 32 + ["test"] * 8
    manifest = assemble(frame, [TASK], fractions=(0.6, 0.2, 0.2), stable=False)
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
