"""Class folders, split folders, and every way to get them wrong."""

import os

import pytest

from kerastl.data.readers.tabular import read_folder
from kerastl.errors import InputError


def lay(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    return root


def many(*folders, n=10):
    return [f"{folder}/{i}.png" for folder in folders for i in range(n)]


def error(root, **options):
    with pytest.raises(InputError) as caught:
        read_folder(root, **options)
    return str(caught.value).replace(str(root), "ROOT")


def test_class_folders(tmp_path):
    lay(tmp_path, *many("cat", "dog/old", "dog/young", n=20))
    manifest = read_folder(tmp_path, task="animal")
    assert manifest.tasks[0].to_dict() == {
        "name": "animal",
        "classes": ["cat", "dog"],
        "kind": "multiclass",
    }
    assert manifest.frame["animal"].value_counts().to_dict() == {0: 20, 1: 40}
    assert manifest.frame["split"].value_counts().to_dict() == {"train": 44, "val": 11, "test": 5}
    assert manifest.notes == ()
    assert all(os.path.isfile(p) for p in manifest.frame["image"])


def test_the_split_is_the_same_wherever_the_folder_lies(tmp_path):
    here = read_folder(lay(tmp_path / "here", *many("cat", "dog")))
    there = read_folder(lay(tmp_path / "there", *many("cat", "dog")))
    assert here.frame["split"].tolist() == there.frame["split"].tolist()


@pytest.mark.parametrize("val", ["val", "valid", "Validation"])
def test_split_folders(tmp_path, val):
    lay(tmp_path, *many("train/cat", "train/dog", f"{val}/cat", f"{val}/dog", n=2))
    lay(tmp_path, "test/cat/1.png")
    frame = read_folder(tmp_path).frame
    assert frame["split"].value_counts().to_dict() == {"train": 4, "val": 4, "test": 1}
    inside = frame["image"].str.contains(f"{os.sep}{val}{os.sep}")
    assert (inside == (frame["split"] == "val")).all()


def test_val_is_taken_from_train_and_test_is_not(tmp_path):
    lay(tmp_path, *many("train/cat", "train/dog", n=17))
    assert read_folder(tmp_path).frame["split"].value_counts().to_dict() == {"train": 28, "val": 6}


def test_a_class_may_be_called_test(tmp_path):
    lay(tmp_path, *many("test", "train", "control"), *many("other", n=1))
    (tmp_path / "train").rename(tmp_path / "exam")
    assert read_folder(tmp_path).tasks[0].classes == ("control", "exam", "other", "test")


def test_hidden_files_are_passed_over_and_others_are_skipped(tmp_path):
    lay(tmp_path, *many("cat", "dog"), ".DS_Store", "__MACOSX/cat/1.png", ".git/x", "README.md")
    lay(tmp_path, "cat/.DS_Store", "cat/Thumbs.db", "dog/desktop.ini", "dog/._0.png")
    lay(tmp_path, "cat/notes.TXT", "dog/LICENSE", "loose.jpg", "cat/UPPER.JPG")
    manifest = read_folder(tmp_path)
    assert {os.path.relpath(p, tmp_path): c for p, c in manifest.skipped.items()} == {
        os.path.join("cat", "notes.TXT"): "not a picture: suffix .txt",
        os.path.join("dog", "LICENSE"): "not a picture: no suffix",
        "loose.jpg": "not in a class folder",
    }
    assert len(manifest) == 21


def test_no_folder_names_the_nearest(tmp_path):
    (tmp_path / "flowers").mkdir()
    message = error(tmp_path / "flower")
    assert message == "There is no folder ROOT. Did you mean flowers?"


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "a.zip").write_bytes(b"")
    assert error(tmp_path / "a.zip") == "ROOT is a file, expected a folder of class folders."


LAYOUT = (
    "The folder ROOT cannot be used. Expected <folder>/<class>/<picture>, or "
    "<folder>/train/<class>/<picture>.\n  "
)


def test_empty_folder(tmp_path):
    assert error(tmp_path) == LAYOUT + "it is empty"


def test_pictures_without_class_folders(tmp_path):
    lay(tmp_path, "a.png", "b.png", "c.txt")
    assert error(tmp_path) == (
        LAYOUT + "2 pictures lie in it without a class folder, such as a.png"
    )


def test_one_class_only(tmp_path):
    lay(tmp_path, *many("cat"))
    assert error(tmp_path) == LAYOUT + "only one class, 'cat'; expected two or more."


def test_a_folder_too_high(tmp_path):
    lay(tmp_path, *many("pets/cat", "pets/dog"))
    message = error(tmp_path)
    assert message.endswith("only one class, 'pets'; expected two or more. Did you mean ROOT/pets?")


def test_all_faults_at_once(tmp_path):
    lay(tmp_path, *many("train/cat", "test/bird", "test/cow"), "train/dog/a.txt")
    assert error(tmp_path) == LAYOUT + "\n  ".join(
        [
            "empty class: ROOT/train/dog has no picture",
            "class 'bird' is in test, but never in train",
            "class 'cow' is in test, but never in train",
        ]
    )


def test_split_folders_without_train_or_among_others(tmp_path):
    lay(tmp_path / "a", *many("val/cat", "test/cat"))
    assert error(tmp_path / "a").startswith(
        LAYOUT + "there is no train folder, only test, val. Rename one"
    )
    lay(tmp_path / "b", *many("train/cat", "train/dog", "val/cat", "extra/cat"))
    assert error(tmp_path / "b") == LAYOUT + (
        "train, val lie beside other folders: extra. Move these elsewhere; or rename the first, if "
        "they are classes"
    )
    lay(tmp_path / "c", *many("train/cat", "train/dog", "val/cat", "valid/cat"))
    assert error(tmp_path / "c") == LAYOUT + (
        "val and valid are both val. Join them, or move one elsewhere"
    )


def test_no_permission(unprivileged):
    lay(unprivileged, *many("cat", "dog"))
    (unprivileged / "dog").chmod(0)
    message = error(unprivileged)
    (unprivileged / "dog").chmod(0o700)
    assert message == "The folder ROOT/dog cannot be read: permission denied."


def test_a_link_that_leads_back_ends(tmp_path):
    lay(tmp_path, *many("cat", "dog"))
    (tmp_path / "cat" / "up").symlink_to(tmp_path)
    assert len(read_folder(tmp_path)) == 20


def test_linked_folders_are_read_and_broken_links_listed(tmp_path):
    lay(tmp_path, *many("toys/cat", "toys/dog", "more/cat", n=8), "bird/1.png")
    (tmp_path / "toys" / "cat" / "more").symlink_to(tmp_path / "more" / "cat")
    (tmp_path / "toys" / "bird").symlink_to(tmp_path / "bird")
    (tmp_path / "toys" / "dog" / "gone.png").symlink_to(tmp_path / "gone.png")
    (tmp_path / "toys" / "cow").symlink_to(tmp_path / "gone")
    (tmp_path / "toys" / "round").symlink_to(tmp_path)
    manifest = read_folder(tmp_path / "toys")
    assert manifest.tasks[0].classes == ("bird", "cat", "dog")
    assert manifest.frame["label"].value_counts().to_dict() == {0: 1, 1: 16, 2: 8}
    assert {os.path.relpath(p, tmp_path / "toys"): c for p, c in manifest.skipped.items()} == {
        "cow": "a link to nothing",
        "dog/gone.png": "a link to nothing",
        "round": "a link to a folder above",
    }


def test_pictures_of_a_kind_that_is_not_read_are_listed(tmp_path):
    lay(tmp_path, *many("cat", "dog"))
    (tmp_path / "cat" / "IMG_1.PSD").write_bytes(b"8BPS")
    told = "Photoshop: not read, convert it to JPEG or PNG"
    assert list(read_folder(tmp_path).skipped.values()) == [told]
    lay(tmp_path, "cow/a.txt")
    (tmp_path / "cow" / "1.psd").write_bytes(b"8BPS")
    assert error(tmp_path) == LAYOUT + (
        f"empty class: of 1 pictures in ROOT/cow none is read; ROOT/cow/1.psd: {told}"
    )


def test_a_task_of_a_name_that_is_taken(tmp_path):
    assert error(tmp_path, task="image") == (
        "Expected a task of another name than image, split, group."
    )


def splits(root, *names):
    lay(root, *many(*(f"{name}/{kind}" for name in names for kind in ("bars", "disc")), n=9))
    return read_folder(root)


@pytest.mark.parametrize(
    ("names", "parts"),
    [
        (("Training", "Testing"), {"train", "val", "test"}),
        (("seg_train", "seg_test"), {"train", "val", "test"}),
        (("training", "validation"), {"train", "val"}),
        (("train", "eval"), {"train", "val"}),
        (("TRAIN", "dev", "hold-out"), {"train", "val", "test"}),
        (("train_images", "test_images"), {"train", "val", "test"}),
        (("Train", "Valid"), {"train", "val"}),
        (("training set", "test set"), {"train", "val", "test"}),
        (("trains", "tests"), {"train", "val", "test"}),
        (("train2017", "val2017"), {"train", "val"}),
        (("Training",), {"train", "val"}),
    ],
)
def test_folders_that_are_splits_in_other_words(tmp_path, names, parts):
    found = splits(tmp_path, *names)
    assert found.tasks[0].classes == ("bars", "disc")
    assert set(found.splits) == parts
    other = [n for n in names if n.lower() not in ("train", "valid", "validation")]
    told = [note for note in found.notes if note.startswith("folders read as splits: ")]
    assert all(f"{name} as " in told[0] for name in other) if other else not told


def test_each_split_folder_is_its_split(tmp_path):
    frame = splits(tmp_path, "Training", "dev", "Testing").frame
    for folder, split in (("Training", "train"), ("dev", "val"), ("Testing", "test")):
        inside = frame["image"].str.contains(f"{os.sep}{folder}{os.sep}")
        assert (inside == (frame["split"] == split)).all()


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (("Training", "Testing"), "read as train by its name. Rename it if it is a class"),
        (("train", "test_2019", "test_2020"), "test_2019 and test_2020 are both test."),
        (("train_images", "test_images", "masks"), "lie beside other folders: masks. Move these"),
        (("Testing", "Validation"), "there is no train folder, only Testing, Validation. Rename"),
    ],
)
def test_what_may_be_splits_is_never_a_classifier_of_them(tmp_path, names, told):
    assert told in error(lay(tmp_path, *many(*names, n=4)))


@pytest.mark.parametrize(
    "names",
    [
        ("bus", "car", "train"),
        ("bus_station", "train_station"),
        ("ball", "test_tube", "train_toy"),
        ("test_negative", "test_positive"),
        ("trained", "untrained"),
        ("fail", "pass", "test"),
    ],
)
def test_classes_may_have_the_words_of_splits(tmp_path, names):
    found = read_folder(lay(tmp_path, *many(*names, n=20)))
    assert found.tasks[0].classes == names
    lone = [n for n in names if n in ("train", "test")]
    said = "read as a class like the others, and not as a split: "
    assert found.notes == tuple(f"{said}{name!r}" for name in lone)


def test_a_split_with_classes_beside_the_same_classes(tmp_path):
    lay(tmp_path, *many("bars", "disc", "test/bars", "test/disc", n=3))
    assert error(tmp_path) == LAYOUT + (
        "test lies beside bars, disc, and holds folders of the same names. Move those beside it "
        "into a folder train"
    )


def test_pictures_of_a_split_without_classes_are_said(tmp_path):
    lay(tmp_path, *many("train/bars", "train/disc", n=6), *many("test", n=5))
    found = read_folder(tmp_path)
    assert found.splits == ("train", "val")
    assert found.notes == (
        "test has no class folders: its 5 pictures have no labels and were left out",
    )
    assert set(found.skipped.values()) == {"not in a class folder"}


def test_classes_of_one_name_in_two_spellings_are_one(tmp_path):
    lay(tmp_path, *many("train/Disc", "train/bars", "val/disc", "val/Bars", n=2))
    found = read_folder(tmp_path)
    assert found.tasks[0].classes == ("bars", "disc")
    assert found.notes == (
        "class folders (Disc as disc, Bars as bars): spellings of one class were joined",
    )


def test_numbers_are_in_their_order(tmp_path):
    found = read_folder(lay(tmp_path, *many("0", "2", "10", n=3)))
    assert found.tasks[0].classes == ("0", "2", "10")


def test_folders_that_repeat_like_patients(tmp_path):
    folders = [f"{kind}/patient{i:02}" for i in range(10) for kind in ("bars", "disc")]
    lay(tmp_path, *many(*folders, n=2))
    told = read_folder(tmp_path).notes[-1]
    assert told.startswith("patient* groups pictures: ")
    assert "of its 10 groups" in told
    assert "--group 'patient*' (group=)" in told
    found = read_folder(tmp_path, group="patient*")
    assert found.notes == ()
    assert found.frame.groupby("group")["split"].nunique().tolist() == [1] * 10
    assert error(tmp_path, group="case*") == (
        "No folder in the paths of the pictures is as 'case*' (group=)."
    )


def test_a_group_in_two_given_splits(tmp_path):
    lay(tmp_path, *many(*(f"{s}/{c}/p{i}" for s in ("train", "val") for c in "ab" for i in (1, 2))))
    assert error(tmp_path, group="p*").splitlines() == [
        "No split may divide a group. Move its pictures into one.",
        "  group 'p1' is in train and val",
        "  group 'p2' is in train and val",
    ]
