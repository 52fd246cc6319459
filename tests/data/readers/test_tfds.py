"""TensorFlow Datasets builders, offline."""

import json
import os
import sys
from typing import ClassVar

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from kerastl.data.pictures import load_picture
from kerastl.data.readers.tfds import read_tfds
from kerastl.data.tasks import Task
from kerastl.errors import InputError


def picture(i):
    return np.random.default_rng(i).integers(0, 256, (6, 7, 3), dtype="uint8")


class Tiny(tfds.core.GeneratorBasedBuilder):
    """Two label features over a few pictures."""

    VERSION = tfds.core.Version("1.0.0")
    counts: ClassVar = {"train": 40}

    def _info(self):
        features = {
            "image": tfds.features.Image(shape=(None, None, 3), encoding_format="png"),
            "label": tfds.features.ClassLabel(names=["x", "y"]),
            "count": tfds.features.ClassLabel(num_classes=2),
            "note": tfds.features.Text(),
        }
        return tfds.core.DatasetInfo(
            builder=self,
            features=tfds.features.FeaturesDict(features),
            supervised_keys=("image", "label"),
        )

    def _split_generators(self, dl_manager):
        return {name: self._generate_examples(name) for name in self.counts}

    def _generate_examples(self, name):
        for i in range(self.counts[name]):
            code, own = i % 2 if i else -1, i + 100 * (name != "train")
            yield i, {"image": picture(own), "label": code, "count": i // 2 % 2, "note": str(i)}


class Parted(Tiny):
    """The same with splits of its own."""

    counts: ClassVar = {"train": 20, "test": 8, "unsupervised": 4}


@pytest.fixture(scope="module", params=["tfrecord", "array_record"])
def tiny(request, tmp_path_factory):
    builder = Tiny(data_dir=tmp_path_factory.mktemp("data"), file_format=request.param)
    builder.download_and_prepare()
    return builder


@pytest.fixture(scope="module")
def parted(tmp_path_factory):
    builder = Parted(data_dir=tmp_path_factory.mktemp("data"))
    builder.download_and_prepare()
    return builder


def test_pictures_and_labels_come_through(tiny, tmp_path):
    manifest = read_tfds(tiny, folder=tmp_path)
    assert manifest.tasks == (Task("label", ["x", "y"]), Task("count", ["0", "1"]))
    assert manifest.frame["split"].value_counts().to_dict() == {"train": 28, "val": 6, "test": 6}
    wanted = {picture(i).tobytes(): (i % 2 if i else -1, i // 2 % 2) for i in range(40)}
    found = {
        load_picture(row.image).tobytes(): (row.label, row.count_)
        for row in manifest.frame.rename(columns={"count": "count_"}).itertuples()
    }
    assert found == wanted


def test_pictures_are_written_once(tiny, tmp_path):
    first = read_tfds(tiny, folder=tmp_path)
    written = {p: os.stat(p).st_mtime_ns for p in first.frame["image"]}
    again = read_tfds(tiny, folder=tmp_path)
    assert again.frame.equals(first.frame)
    assert {p: os.stat(p).st_mtime_ns for p in again.frame["image"]} == written
    assert len(list(tmp_path.iterdir())) == 1


def test_a_folder_that_was_not_finished_is_made_again(tiny, tmp_path, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(json, "dump", full)
        with pytest.raises(InputError, match="No space left on device"):
            read_tfds(tiny, folder=tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert len(read_tfds(tiny, folder=tmp_path)) == 40


def test_by_default_they_lie_beside_the_dataset(parted):
    manifest = read_tfds(parted, tasks="label")
    inside = os.path.join(parted.data_dir, "kerastl", "")
    assert len(manifest) == 28
    assert all(p.startswith(inside) for p in manifest.frame["image"])
    assert Parted(data_dir=parted.data_dir.removesuffix("/parted/1.0.0")).info.splits


def test_given_splits_are_kept_and_val_is_taken_from_train(parted, tmp_path):
    manifest = read_tfds(parted, folder=tmp_path, fractions=(0.6, 0.2, 0.2))
    assert manifest.frame["split"].value_counts().to_dict() == {"train": 15, "val": 5, "test": 8}


def test_one_split_is_divided(parted, tmp_path):
    manifest = read_tfds(parted, split="train[:50%]", folder=tmp_path)
    assert len(manifest) == 10
    assert manifest.splits == ("train", "val", "test")
    assert len(read_tfds(parted, split="unsupervised", tasks="label", folder=tmp_path)) == 4


def test_image_folder_stays_where_it_is(tmp_path):
    for split, n in (("train", 6), ("test", 2)):
        for label in ("cat", "dog"):
            folder = tmp_path / split / label
            folder.mkdir(parents=True)
            for i in range(n):
                seed = len(list(tmp_path.rglob("*.png")))
                Image.fromarray(picture(seed)).save(folder / f"{i}.png")
    manifest = read_tfds(tfds.ImageFolder(str(tmp_path)))
    assert sorted(manifest.frame["image"]) == sorted(map(str, tmp_path.rglob("*.png")))
    assert {p.name for p in tmp_path.iterdir()} == {"train", "test"}
    classes = [manifest.tasks[0].classes[c] for c in manifest.frame["label"]]
    assert classes == [os.path.basename(os.path.dirname(p)) for p in manifest.frame["image"]]
    assert manifest.frame["split"].value_counts().to_dict() == {"train": 10, "test": 4, "val": 2}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"tasks": "lable"}, "ClassLabel features: label, count. Received: lable."),
        ({"tasks": ["label", "note"]}, "ClassLabel features: label, count. Received: note."),
        ({"image": "note"}, "name a feature of pictures: image. Received: image='note'."),
        ({"split": "validation"}, "The dataset has no split 'validation'"),
        ({"split": ["train", "unsupervised"]}, "Received: train, unsupervised; the dataset has"),
        ({"split": ["test", "train", "nope"]}, "Received: test, train, nope; the dataset has"),
        ({"split": []}, "Received: none; the dataset has"),
        ({"fractions": (1, 1, 1)}, "Expected fractions="),
    ],
)
def test_bad_arguments(parted, tmp_path, options, words):
    with pytest.raises(InputError) as caught:
        read_tfds(parted, folder=tmp_path, **options)
    assert words in str(caught.value)


def test_a_dataset_without_labels(tmp_path):
    class Bare(Tiny):
        def _info(self):
            features = tfds.features.FeaturesDict({"image": tfds.features.Image()})
            return tfds.core.DatasetInfo(builder=self, features=features)

        def _generate_examples(self, name):
            yield 0, {"image": picture(0)}

    with pytest.raises(InputError, match="ClassLabel features: none"):
        read_tfds(Bare(data_dir=tmp_path))


def test_a_dataset_that_cannot_be_made(tmp_path):
    class Offline(Tiny):
        def _split_generators(self, dl_manager):
            raise ConnectionError("no route to host")

    with pytest.raises(InputError) as caught:
        read_tfds(Offline(data_dir=tmp_path))
    assert str(caught.value).startswith("The TFDS dataset offline/1.0.0 is not prepared in ")
    assert "ConnectionError: no route to host. Prepare it where there is" in str(caught.value)


def test_without_the_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    with pytest.raises(InputError, match=r"Try: pip install tensorflow-datasets"):
        read_tfds("mnist")
