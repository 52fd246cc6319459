"""What names say, and names that only look as if they did."""

import pytest

from kerastl.data.readers.naming import (
    group_rank,
    names_labels,
    names_pictures,
    numbers_rows,
    split_column,
    split_of,
    splits_of,
)


@pytest.mark.parametrize(
    ("split", "names"),
    [
        ("train", ["train", "Training", "TRAIN", "train_set", "trainset", "TrainImages", "trains"]),
        ("val", ["valid", "Validation", "dev", "eval", "val-images", "evaluation set"]),
        ("test", ["Testing", "test set", "holdout", "hold_out", "Hold-Out", "tests"]),
        (None, ["train_station", "untrained", "trained", "contest", "attest", "train_test", "7"]),
    ],
)
def test_names_of_splits(split, names):
    assert {split_of(name) for name in names} == {split}


def test_what_stands_around_the_words_has_to_be_the_same():
    assert splits_of(["seg_train", "seg_test"]) == {"seg_train": "train", "seg_test": "test"}
    assert splits_of(["train_toy", "test_tube", "ball"]) == {}
    assert splits_of(["train", "bus"]) == {"train": "train"}
    assert splits_of(["bus", "car"]) == {}


def test_a_column_of_splits():
    assert split_column({"fold": {"train", "val"}, "kind": {"x"}}) == "fold"
    assert split_column({"fold": {"train"}}) is None
    assert split_column({"fold": {"train", "bus"}}) is None
    assert split_column({"a": {"train", "val"}, "b": {"train", "test"}}) is None


def test_columns_of_pictures():
    yes = ["image", "Image", "Path", "filename", "file_name", "image_name", "Image Index", "images"]
    yes += ["image_id", "id_code", "ImageID", "img_path", "file path"]
    assert [name for name in yes if not names_pictures(name)] == []
    no = ["label", "id", "name", "image_label", "patient", "pathology", "profile", "image width"]
    assert [name for name in no if names_pictures(name)] == []


def test_columns_of_groups_the_widest_first():
    named = ["Patient ID", "subject", "case", "lesion_id", "slide", "video", "plate", "site"]
    ranks = [group_rank(name) for name in named]
    assert None not in ranks
    assert ranks[0] == min(ranks)
    assert ranks[-1] == max(ranks)
    for name in ("Patient Age", "Patient Gender", "bedside", "suitcase", "anatomical site"):
        assert group_rank(name) is None


def test_columns_of_numbers_and_of_labels():
    numbers = ["id", "Unnamed: 0", "index", "Follow-up #", "row", "uuid", "image_id"]
    assert [name for name in numbers if not numbers_rows(name)] == []
    labels = ["class_id", "label", "category id", "species", "Diagnosis", "findings", "tags"]
    assert [name for name in labels if numbers_rows(name) or not names_labels(name)] == []
