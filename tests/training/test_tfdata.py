"""The tf.data.Dataset of pictures."""

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from PIL import Image

from kerastl.data.manifest import Manifest
from kerastl.data.tasks import Task
from kerastl.errors import InputError
from kerastl.models.factories import classifier, multitask_classifier
from kerastl.models.spec import spec_of
from kerastl.training.tfdata import (
    changes,
    check_dataset,
    check_storable,
    formed,
    held,
    image_dataset,
    most_examples,
)


@pytest.fixture(scope="module")
def spec():
    image = keras.Input((16, 16, 3))
    network = keras.Model(image, keras.layers.Conv2D(2, 3, name="conv")(image), name="tiny")
    return spec_of(classifier(network, ["across", "down"]))


def batched(images, labels, size=4):
    return tf.data.Dataset.from_tensor_slices((images, labels)).batch(size)


def plain(striped, count=10):
    return batched(*striped(count))


def refusal(call, *args):
    with pytest.raises(InputError) as caught:
        call(*args)
    assert "Traceback" not in str(caught.value)
    return str(caught.value)


def test_a_dataset_of_another_form_is_refused_in_one_sentence(striped, spec):
    images, codes = striped(8)
    good = plain(striped)
    one = "Expected a batched dataset of (images, labels). Received: "
    cases = [
        (good.unbatch(), one + "single images of [16, 16, 3]. Add .batch(32)."),
        (good.map(lambda x, y: x), one + "images without labels."),
        (good.map(lambda x, y: (x,)), one + "images without labels."),
        (good.map(lambda x, y: (x, y, y, y)), one + "4 parts."),
        (good.map(lambda x, y: ({"a": x}, y)), one + "images as dict."),
        (good.map(lambda x, y: {"image": x, "label": y}),
         one + "a dict of image, label. Make pairs of it with map, such as "
         "data.map(lambda x: (x['image'], x['label']))."),
        (good.take(0), "The dataset is empty. Expected at least one batch."),
        (good.repeat(), "The dataset is endless. Give a finite one, without repeat()."),
        (good.map(lambda x, y: (x[:, :8], y)),
         "Expected images of 16x16 pixels. Received: 8x16."),
        (good.map(lambda x, y: (x, {"other": y})), "The labels lack label. There are: other."),
        (batched(images, codes + 5), "Expected labels of label from 0 to 1, or -1. Received: "),
        (batched(images / 255, codes), "Received: fractions from 0 to 1. Multiply them by 255."),
        (batched(images, np.eye(2)[codes]), "Expected labels of label (across, down) as [4]"),
    ]  # fmt: skip
    for data, words in cases:
        assert words in refusal(check_dataset, data, spec)
    assert check_dataset(good, spec) is good


def test_a_dataset_that_cannot_be_read_is_refused(striped, spec):
    broken = plain(striped).map(lambda x, y: (x, tf.debugging.check_numerics(y / 0, "bad") * 0))
    broken = broken.map(lambda x, y: (x, tf.cast(y, tf.int32)))
    assert "The dataset cannot be read: " in refusal(check_dataset, broken, spec)


def test_what_changes_from_one_reading_to_the_next_is_found(striped):
    data = plain(striped, 40)
    flip = keras.layers.RandomFlip()
    for changing in (
        data.shuffle(40, seed=3),
        data.unbatch().shuffle(40).batch(8).prefetch(2),
        data.batch(2).unbatch().shuffle(2).map(lambda x, y: (x, y)),
        data.map(lambda x, y: (flip(x, training=True), y)),
    ):
        assert changes(changing)
    once = {"reshuffle_each_iteration": False}
    for same in (data, data.shuffle(40, seed=3, **once), data.map(lambda x, y: (x, -y)).cache()):
        assert not changes(same)
    missing = tf.data.Dataset.from_tensors(np.array([np.nan, 1.0]))
    assert not changes(missing)


def test_a_shuffled_dataset_is_not_stored_and_the_ways_out_are_named(striped):
    words = refusal(check_storable, plain(striped).shuffle(4), "train")
    assert "is shuffled, or changed at random, anew each time it is read" in words
    assert "Leave shuffle out: fit shuffles by itself" in words
    assert "give shuffle=False" in words
    assert "kerastl.read_folder" in words
    assert words.endswith("Or give cache=False: every epoch then runs the whole network.")
    check_storable(plain(striped), "train")
    check_storable(plain(striped).shuffle(4), "validation")


def test_a_folder_read_by_keras_is_shuffled_by_default(stripes_folder, spec, capfd):
    read = keras.utils.image_dataset_from_directory
    options = {"image_size": (16, 16), "batch_size": 8}
    assert changes(check_dataset(read(stripes_folder, **options), spec))
    assert not changes(check_dataset(read(stripes_folder, shuffle=False, **options), spec))
    capfd.readouterr()  # what Keras says of it


def test_weights_are_not_stored(striped):
    weighted = plain(striped).map(lambda x, y: (x, y, tf.ones(tf.shape(y))))
    assert "without the weights" in refusal(check_storable, weighted, "train")


def test_held_is_the_dataset_as_arrays_where_it_fits(striped, spec):
    images, codes = striped(10)
    data = batched(images - np.float32(0.2) * (images > 0), codes)
    found, labels = held(data, spec, most=10 * 16 * 16 * 3)
    np.testing.assert_array_equal(found, images)
    np.testing.assert_array_equal(labels["label"], codes)
    assert held(data, spec, most=10 * 16 * 16 * 3 - 1) is data
    shuffled = data.shuffle(10)
    assert held(shuffled, spec, most=10**9) is shuffled


def test_examples_are_counted_from_above(striped):
    data = plain(striped, 10)
    assert most_examples(data) == 12
    assert most_examples(data.filter(lambda x, y: True)) == 12


@pytest.mark.parametrize("devices", [1, 4])
def test_formed_labels_are_those_of_arrays_and_fillers_are_no_examples(striped, devices):
    images, _ = striped(3)
    tasks = [
        Task("a", ["x", "y"], "binary"), Task("b", ["u", "v"]), Task("c", ["p", "q"], "multilabel"),
    ]  # fmt: skip
    labels = {
        "a": [0.5, np.nan, -2.0],
        "b": np.array([1, -2, 0]),
        "c": [[1.0, -1.0], [np.nan, 0.0], [1, 1]],
    }
    data = batched(images.astype("float32") - 0.2 * (images > 0), labels, size=3)
    found, given = next(formed(data, tasks, devices).as_numpy_iterator())
    rows = 3 if devices == 1 else 4
    np.testing.assert_array_equal(found[:3], images)
    assert [len(x) for x in (found, *given.values())] == [rows] * 4
    assert given["a"][:3].tolist() == [[0.5], [-1.0], [-1.0]]
    assert given["b"][:3].tolist() == [1, -1, 0]
    assert given["c"][:3].tolist() == [[1.0, -1.0], [-1.0, 0.0], [1.0, 1.0]]
    assert all((x[3:] == -3).all() for x in given.values())
    assert {name: x.dtype.name for name, x in given.items()} == {
        "a": "float32", "b": "int32", "c": "float32",
    }  # fmt: skip


def test_several_tasks_need_a_dict(striped, network):
    spec = spec_of(multitask_classifier(network(), [Task("a", ["x", "y"]), Task("b", ["u", "v"])]))
    words = refusal(check_dataset, plain(striped), spec)
    assert "Expected labels as a dict with a, b. Received: an array." in words


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
