"""Batches from manifests, arrays and datasets."""

import threading

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from PIL import Image

from kerastl.batches import check_pictures, iter_batches, ordered_map
from kerastl.errors import InputError
from kerastl.manifest import Manifest
from kerastl.tasks import Task

KIND = Task("kind", ["x", "y"])
DEFECT = Task("defect", ["fine", "broken"], kind="binary")
IMAGES = np.random.default_rng(0).integers(0, 256, (7, 8, 9, 3), dtype="uint8")
LABELS = {"kind": np.array([0, 1, 0, 1, -1, 0, 1]), "defect": np.linspace(0, 1, 7)}


@pytest.fixture
def manifest(tmp_path):
    """Seven pictures, of which the third is text and the sixth empty."""
    paths = [str(tmp_path / f"{i}.png") for i in range(7)]
    for path, image in zip(paths, IMAGES, strict=True):
        Image.fromarray(image).save(path)
    (tmp_path / "2.png").write_text("text")
    (tmp_path / "5.png").write_text("")
    return Manifest(pd.DataFrame({"image": paths, **LABELS}), (KIND, DEFECT))


BAD = {"2.png": "not a picture", "5.png": "empty file"}


def skipped(manifest):
    return {path[-5:]: cause for path, cause in manifest.skipped.items()}


@pytest.mark.parametrize("threads", [None, 1, 5])
def test_a_manifest_in_its_order_without_its_bad_pictures(manifest, threads):
    batches = list(iter_batches(manifest, [KIND, DEFECT], (8, 9), 2, threads=threads))
    assert [b.rows.tolist() for b in batches] == [[0, 1], [3, 4], [6]]
    rows = np.concatenate([b.rows for b in batches])
    np.testing.assert_array_equal(np.concatenate([b.images for b in batches]), IMAGES[rows])
    kinds = np.concatenate([b.labels["kind"] for b in batches])
    np.testing.assert_array_equal(kinds, LABELS["kind"][rows])
    assert batches[0].labels["defect"].shape == (2, 1)
    assert batches[0].labels["kind"].dtype == np.int32
    assert skipped(manifest) == BAD


def test_a_bad_picture_raises_when_asked_to(manifest):
    batches = iter_batches(manifest, KIND, (8, 9), 2, on_bad="raise")
    assert next(batches).rows.tolist() == [0, 1]
    with pytest.raises(InputError, match=r"2\.png: not a picture"):
        next(batches)


def test_check_pictures_keeps_the_good_ones(manifest):
    good = check_pictures(manifest)
    assert [p[-5:] for p in good.frame["image"]] == ["0.png", "1.png", "3.png", "4.png", "6.png"]
    assert skipped(manifest) == BAD
    assert good.skipped is manifest.skipped


def test_a_manifest_needs_a_size_and_the_tasks(manifest):
    with pytest.raises(InputError, match="Expected an image_size"):
        next(iter_batches(manifest, KIND, None))
    with pytest.raises(InputError, match=r"has no task other\. Its tasks are: kind, defect"):
        next(iter_batches(manifest, Task("other", ["x", "y"]), 8))
    with pytest.raises(InputError, match=r"Expected on_bad='skip' or 'raise'"):
        iter_batches(manifest, KIND, 8, on_bad="ignore")


def datasets():
    data = tf.data.Dataset.from_tensor_slices((IMAGES, LABELS)).batch(3)

    class Pieces(keras.utils.PyDataset):
        def __len__(self):
            return 3

        def __getitem__(self, i):
            part = slice(3 * i, 3 * i + 3)
            return IMAGES[part], {n: v[part] for n, v in LABELS.items()}

    return {
        "arrays": (IMAGES, LABELS),
        "floats": (IMAGES.astype("float32"), LABELS),
        "tf.data": data,
        "weights": data.map(lambda x, y: (x, y, tf.ones(tf.shape(x)[0]))),
        "PyDataset": Pieces(),
    }


@pytest.mark.parametrize("name", datasets())
def test_arrays_and_datasets_pass_through(name):
    batches = list(iter_batches(datasets()[name], [KIND, DEFECT], (8, 9), 3))
    assert [b.rows.tolist() for b in batches] == [[0, 1, 2], [3, 4, 5], [6]]
    np.testing.assert_array_equal(np.concatenate([b.images for b in batches]), IMAGES)
    kinds = np.concatenate([b.labels["kind"] for b in batches])
    np.testing.assert_array_equal(kinds, LABELS["kind"])
    assert batches[0].images.dtype == np.uint8
    assert batches[2].labels["defect"].tolist() == [[1]]


@pytest.mark.parametrize(
    "data", [IMAGES, (IMAGES,), (IMAGES, None), tf.data.Dataset.from_tensors(IMAGES)]
)
def test_images_alone_have_no_labels(data):
    batches = list(iter_batches(data, KIND, None))
    assert len(batches) == 1
    assert batches[0].labels is None


def test_one_task_takes_its_labels_as_an_array():
    (batch,) = iter_batches((IMAGES, LABELS["kind"]), KIND, None)
    np.testing.assert_array_equal(batch.labels["kind"], LABELS["kind"])


def test_data_of_another_form():
    endless = tf.data.Dataset.from_tensors((IMAGES, LABELS["kind"])).repeat()
    with pytest.raises(InputError, match=r"a dataset that ends; this one repeats for ever"):
        iter_batches(endless, KIND, None)
    one = tf.data.Dataset.from_tensor_slices(IMAGES)
    with pytest.raises(InputError, match=r"Received: uint8 \[8, 9, 3\]"):
        next(iter_batches(one, KIND, None))
    with pytest.raises(InputError, match=r"Expected labels as a dict with kind, defect"):
        next(iter_batches((IMAGES, LABELS["kind"]), [KIND, DEFECT], None))
    with pytest.raises(InputError, match=r"The labels lack kind\. There are: defect\."):
        next(iter_batches((IMAGES, {"defect": LABELS["defect"]}), KIND, None))
    with pytest.raises(InputError, match=r"Received: 4 parts"):
        iter_batches((IMAGES,) * 4, KIND, None)
    with pytest.raises(InputError, match=r"Expected images of 4x4 pixels\. Received: 8x9"):
        next(iter_batches(IMAGES, KIND, 4))
    for text in ("pictures/", [], None):
        with pytest.raises(InputError, match="Expected images"):
            next(iter_batches(text, KIND, None))


def test_as_many_labels_as_images():
    with pytest.raises(InputError, match=r"Expected 7 labels, one an image\. Received: 6"):
        list(iter_batches((IMAGES, LABELS["kind"][:6]), KIND, None, 3))
    with pytest.raises(InputError, match=r"Expected 7 labels of kind, one an image\. Received: 8"):
        list(iter_batches((IMAGES, {"kind": np.zeros(8)}), KIND, None, 3))


def test_threads_keep_the_order_and_do_not_run_ahead():
    started, lock = [], threading.Lock()

    def call(i):
        with lock:
            started.append(i)
        return i * i

    results = ordered_map(call, range(100), threads=3, ahead=5)
    assert [next(results) for _ in range(10)] == [i * i for i in range(10)]
    assert len(started) <= 16
    results.close()
    assert len(started) <= 16


def test_an_error_in_a_thread_reaches_the_caller():
    with pytest.raises(ZeroDivisionError):
        list(ordered_map(lambda i: 1 // i, [1, 0, 1], threads=2))
