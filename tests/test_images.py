"""The tf.data.Dataset of pictures."""

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from PIL import Image

from kerastl.errors import InputError
from kerastl.images import image_dataset
from kerastl.manifest import Manifest
from kerastl.tasks import Task

KIND = Task("kind", ["x", "y"])
SCENE = Task("scene", ["sea", "hill"], kind="multilabel")
IMAGES = np.random.default_rng(0).integers(0, 256, (7, 8, 9, 3), dtype="uint8")


@pytest.fixture
def manifest(tmp_path):
    """Seven good pictures with two tasks."""
    paths = [str(tmp_path / f"{i}.png") for i in range(7)]
    for path, image in zip(paths, IMAGES, strict=True):
        Image.fromarray(image).save(path)
    labels = {"kind": [0, 1, 0, 1, -1, 0, 1], "scene.sea": [0.5] * 7, "scene.hill": [-1] * 7}
    return Manifest(pd.DataFrame({"image": paths, **labels}), (KIND, SCENE))


def gather(data):
    images, labels = zip(*data.as_numpy_iterator(), strict=True)
    return np.concatenate(images), np.concatenate([y["kind"] for y in labels])


def test_pictures_and_labels_in_order(manifest):
    data = image_dataset(manifest, (8, 9), 3)
    images, kinds = gather(data)
    np.testing.assert_array_equal(images, IMAGES)
    np.testing.assert_array_equal(kinds, manifest.frame["kind"])
    assert data.element_spec == (
        tf.TensorSpec((None, 8, 9, 3), tf.uint8),
        {
            "kind": tf.TensorSpec((None,), tf.int32),
            "scene": tf.TensorSpec((None, 2), tf.float32),
        },
    )


def test_one_task_gives_an_array_and_labels_can_be_left_out(manifest):
    single = Manifest(manifest.frame, (KIND,))
    _, labels = next(iter(image_dataset(single, 8)))
    assert labels.numpy().tolist() == [0, 1, 0, 1, -1, 0, 1]
    images = next(iter(image_dataset(single, 8, labels=False)))
    assert images.shape == (7, 8, 8, 3)


def test_plain_fit_takes_it(manifest):
    model = keras.Sequential([keras.Input((8, 9, 3)), keras.layers.Flatten()])
    model.add(keras.layers.Dense(2))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=-1)
    model.compile("sgd", loss)
    data = image_dataset(Manifest(manifest.frame, (KIND,)), (8, 9), 4)
    assert len(model.fit(data, epochs=2, verbose=0, shuffle=False).history["loss"]) == 2


def test_shuffling_is_seeded_and_differs_between_epochs(manifest):
    data = image_dataset(manifest, 8, 2, shuffle=True, seed=1)
    first, second = gather(data)[0], gather(data)[0]
    assert not np.array_equal(first, second)
    again = image_dataset(manifest, 8, 2, shuffle=True, seed=1)
    np.testing.assert_array_equal(gather(again)[0], first)
    np.testing.assert_array_equal(gather(again)[0], second)
    other = image_dataset(manifest, 8, 2, shuffle=True, seed=2)
    assert not np.array_equal(gather(other)[0], first)


def test_images_and_labels_stay_together_under_shuffling_and_skipping(manifest, tmp_path):
    (tmp_path / "3.png").write_bytes(b"")
    images, kinds = gather(image_dataset(manifest, (8, 9), 2, shuffle=True))
    rows = [int(np.flatnonzero((x == IMAGES).all(axis=(1, 2, 3)))[0]) for x in images]
    assert sorted(rows) == [0, 1, 2, 4, 5, 6]
    np.testing.assert_array_equal(kinds, manifest.frame["kind"][rows])
    assert manifest.skipped == {str(tmp_path / "3.png"): "empty file"}


def test_the_number_of_batches_stays_known_where_a_whole_batch_is_bad(manifest, tmp_path):
    for i in (0, 2, 3):
        (tmp_path / f"{i}.png").write_bytes(b"")
    data = image_dataset(manifest, (8, 9), 2)
    assert data.cardinality() == 4
    batches = [x for x, _ in data.as_numpy_iterator()]
    for batch, rows in zip(batches, ([1], [1], [4, 5], [6]), strict=True):
        np.testing.assert_array_equal(batch, IMAGES[rows])
    np.testing.assert_array_equal(gather(data)[1], manifest.frame["kind"][[1, 1, 4, 5, 6]])


def test_nothing_but_bad_pictures(manifest, tmp_path):
    for i in range(7):
        (tmp_path / f"{i}.png").write_bytes(b"")
    with pytest.raises(InputError) as caught:
        image_dataset(manifest, 8)
    assert caught.value.message == "The manifest has no picture that can be used."
    assert caught.value.faults[6] == f"{tmp_path}/6.png: empty file"


def test_bad_pictures_raise_before_anything_runs(manifest, tmp_path):
    (tmp_path / "3.png").write_bytes(b"")
    (tmp_path / "5.png").write_text("text")
    with pytest.raises(InputError) as caught:
        image_dataset(manifest, 8, on_bad="raise")
    assert str(caught.value) == (
        "2 of 7 pictures cannot be used.\n"
        f"  {tmp_path}/3.png: empty file\n"
        f"  {tmp_path}/5.png: not a picture"
    )
    assert manifest.skipped == {}


def test_good_pictures_pass_under_raise(manifest):
    data = image_dataset(manifest, 8, 2, on_bad="raise")
    np.testing.assert_array_equal(gather(data)[1], manifest.frame["kind"])


def augmented(manifest, seed, *layers):
    data = image_dataset(manifest, (8, 9), 3, augment=list(layers), seed=seed)
    return gather(data)[0], gather(data)[0]


def test_augmentation_is_seeded_and_differs_between_epochs(manifest):
    def layers():
        return keras.layers.RandomFlip(), keras.layers.RandomRotation(0.2)

    first = augmented(manifest, 1, *layers())
    np.testing.assert_array_equal(augmented(manifest, 1, *layers()), first)
    assert not np.array_equal(first[0], first[1])
    assert not np.array_equal(augmented(manifest, 2, *layers())[0], first[0])
    assert first[0].dtype == np.uint8


def test_augmentation_is_rounded_and_clipped(manifest):
    class Add(keras.layers.Layer):
        def call(self, x, training=False):
            return x + (60.6 if training else 0)

    data = image_dataset(manifest, (8, 9), 3, augment=Add())
    expected = np.clip(np.rint(IMAGES.astype("float32") + np.float32(60.6)), 0, 255)
    np.testing.assert_array_equal(gather(data)[0], expected)


def test_bad_arguments(manifest):
    with pytest.raises(InputError, match=r"Expected augment= as Keras layers\. Received: 'flip'"):
        image_dataset(manifest, 8, augment="flip")
    with pytest.raises(InputError, match=r"Expected on_bad='skip' or 'raise'"):
        image_dataset(manifest, 8, on_bad="stop")
    with pytest.raises(InputError, match="Expected an image_size"):
        image_dataset(manifest, 0)
    with pytest.raises(InputError, match="has no picture that can be used"):
        image_dataset(manifest.take([]), 8)
