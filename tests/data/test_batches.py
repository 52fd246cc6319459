"""Batches from manifests, arrays and datasets.

Arrays from outside, held to one form.
"""

import threading

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from PIL import Image

from kerastl.data.batches import check_pictures, image_array, iter_batches, label_array, ordered_map
from kerastl.data.manifest import Manifest
from kerastl.data.tasks import Task
from kerastl.errors import InputError

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


TASK = Task("kind", ["x", "y", "z"])
DEFECT = Task("defect", ["fine", "broken"], kind="binary")
SCENE = Task("scene", ["sea", "hill"], kind="multilabel")


@pytest.mark.parametrize("values", [[0, 2, -1], [[0], [2], [-1]], np.array([0.0, 2.0, np.nan])])
def test_multiclass_labels(values):
    found = label_array(TASK, values, 3)
    assert found.dtype == np.int32
    assert found.tolist() == [0, 2, -1]


@pytest.mark.parametrize("values", [[0, 0.5, -1], [[0], [0.5], [np.nan]]])
def test_binary_labels(values):
    found = label_array(DEFECT, values, 3)
    assert found.dtype == np.float32
    assert found.tolist() == [[0], [0.5], [-1]]


def test_multilabel_labels():
    assert label_array(SCENE, [[0, 1], [-1, 0.5]], 2).tolist() == [[0, 1], [-1, 0.5]]


@pytest.mark.parametrize("unknown", [-1, -2, np.nan])
def test_every_unknown_is_the_same(unknown):
    assert label_array(SCENE, [[0, unknown], [unknown, 1]], 2).tolist() == [[0, -1], [-1, 1]]
    assert label_array(TASK, [0, unknown], 2).tolist() == [0, -1]
    assert label_array(DEFECT, [0.5, unknown], 2).tolist() == [[0.5], [-1]]


def test_the_given_labels_are_left_alone():
    given = np.array([[0.0], [-2.0]])
    label_array(DEFECT, given, 2)
    assert given.tolist() == [[0], [-2]]


@pytest.mark.parametrize(
    ("task", "values", "words"),
    [
        (TASK, [0, 1], r"labels of kind \(x, y, z\) as \[3\] numbers. Received: int64 \[2\]."),
        (TASK, np.eye(3), r"Received: float64 \[3, 3\]"),
        (TASK, ["x", "y", "z"], r"Received: <U1 \[3\]"),
        (TASK, [0, 3, 7], r"from 0 to 2, or -1. Received: 3 \(row 1\), 2 such"),
        (TASK, [0, 0.5, 1], r"Received: 0.5 \(row 1\), 1 such"),
        (DEFECT, [0, 2, -0.5], r"of defect from 0 to 1, or -1. Received: 2 \(row 1\), 2 such"),
        (SCENE, [0, 1, 0], r"Expected labels of scene \(sea, hill\) as \[3, 2\] numbers"),
        (SCENE, [[0, 1], [0, 1.5], [-2, -3]], r"Received: 1.5 \(hill, row 1\), 2 such"),
        (SCENE, np.zeros((2, 3)), r"Received: float64 \[2, 3\]"),
    ],
)
def test_labels_of_another_form(task, values, words):
    with pytest.raises(InputError, match=words):
        label_array(task, values, 3)


def test_images_are_rounded():
    given = np.full((1, 2, 2, 3), 254.5, dtype="float32")
    given[0, 0] = 3.4
    assert image_array(given)[0, :, 0, 0].tolist() == [3, 254]
    assert image_array(given).dtype == np.uint8
    whole = np.ones((1, 2, 2, 3), "uint8")
    assert image_array(whole) is whole
    assert image_array(whole.astype("int64")).tolist() == whole.tolist()


@pytest.mark.parametrize(
    ("images", "words"),
    [
        (np.zeros((2, 8, 8)), r"Received: float64 \[2, 8, 8\]"),
        (np.zeros((2, 8, 8, 1), "uint8"), r"Received: uint8 \[2, 8, 8, 1\]"),
        (np.zeros((2, 3, 8, 8), "uint8"), r"Received: uint8 \[2, 3, 8, 8\]"),
        (np.full((1, 2, 2, 3), 256.0), "Received: numbers from 256 to 256"),
        (np.full((1, 2, 2, 3), -1), "Received: numbers from -1 to -1"),
        (np.full((1, 2, 2, 3), np.nan), "Received: numbers from nan to nan"),
        (np.full((1, 2, 2, 3), 0.5), "Received: fractions from 0 to 1. Multiply them by 255"),
        (np.ones((1, 2, 2, 3), "float32"), "Received: fractions from 0 to 1. Multiply them by 255"),
        (np.full((1, 2, 2, 3), "a"), r"Received: <U1"),
    ],
)
def test_images_of_another_form(images, words):
    with pytest.raises(InputError, match=words):
        image_array(images)


def test_images_of_another_size():
    with pytest.raises(InputError, match=r"Expected images of 8x9 pixels\. Received: 8x8\."):
        image_array(np.zeros((1, 8, 8, 3), "uint8"), (8, 9))


def test_a_jpeg_that_a_run_reads_at_a_lower_scale_is_no_bad_one(tmp_path, monkeypatch):
    monkeypatch.setenv("KERASTL_MAX_PIXELS", "9999")
    Image.new("RGB", (100, 100)).save(tmp_path / "a.jpg")
    Image.new("RGB", (100, 100)).save(tmp_path / "a.png")
    frame = pd.DataFrame({"image": [str(tmp_path / n) for n in ("a.jpg", "a.png")], "t": [0, 1]})
    manifest = Manifest(frame, Task("t", ["x", "y"]))
    assert check_pictures(manifest).frame["image"].tolist() == [str(tmp_path / "a.jpg")]
    assert list(manifest.skipped.values()) == [
        "too large: 0.01 megapixels, limit 0.009999 (--max-pixels raises it)"
    ]
