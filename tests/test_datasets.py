import keras
import numpy as np
import pytest
import tensorflow as tf

from kerastl.datasets import changes, check_dataset, check_storable, formed, held, most_examples
from kerastl.errors import InputError
from kerastl.models import classifier, multitask_classifier
from kerastl.spec import spec_of
from kerastl.tasks import Task


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
