import pickle

import keras
import numpy as np
import pytest

from kerastl.errors import InputError
from kerastl.training.augmentation import augmenter


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (6, 8, 8, 3), dtype=np.uint8)


def test_the_same_seed_draws_the_same(images):
    layers = [keras.layers.RandomFlip(), keras.layers.RandomBrightness(0.3, value_range=(0, 255))]
    one, other = augmenter(layers, 3)(images), augmenter(layers, 3)(images)
    np.testing.assert_array_equal(one, other)
    assert np.abs(np.asarray(one, int) - augmenter(layers, 4)(images)).max() > 0


def test_each_call_draws_anew(images):
    change = augmenter(keras.layers.RandomFlip(), 0)
    assert len({change(images).numpy().tobytes() for _ in range(5)}) > 1


def test_results_are_rounded_and_clipped(images):
    shift = keras.layers.Rescaling(1.0, offset=100.6)
    expected = np.minimum(images.astype(int) + 101, 255)
    np.testing.assert_array_equal(augmenter(shift)(images), expected)


def test_only_keras_layers():
    with pytest.raises(InputError, match="augment= as Keras layers. Received: <function"):
        augmenter(lambda x: x)


def test_draws_at_a_position_do_not_depend_on_what_went_before(images):
    layers = [keras.layers.RandomFlip(), keras.layers.RandomRotation(0.2)]
    change = augmenter(layers, 3)

    def at(position):
        change.begin(position)
        return [change(images).numpy() for _ in range(2)]

    first = at(32)
    change(images)
    np.testing.assert_array_equal(at(32), first)
    assert np.abs(first[0].astype(int) - first[1]).max() > 0, "views within a batch differ"
    assert np.abs(first[0].astype(int) - at(64)[0]).max() > 0
    other = augmenter(layers, 4)
    other.begin(32)
    assert np.abs(first[0].astype(int) - other(images)).max() > 0


def test_it_travels_to_another_process(images):
    change = augmenter([keras.layers.RandomFlip(), keras.layers.RandomContrast(0.5)], 3)
    there = pickle.loads(pickle.dumps(change))
    assert there.key == change.key
    drawn = []
    for each in (change, there):
        each.begin(7)
        drawn.append(each(images))
    np.testing.assert_array_equal(*drawn)


def test_a_layer_that_cannot_be_made_again_elsewhere_is_told():
    class Own(keras.layers.Layer):
        def call(self, x):
            return x

    with pytest.raises(InputError, match="Keras cannot make one of the layers RandomFlip, Own"):
        pickle.dumps(augmenter([keras.layers.RandomFlip(), Own()]))


def test_the_key_knows_no_names(images):
    """Keras counts names up, also those of layers within a layer."""

    def built(factor):
        return keras.Sequential([keras.layers.RandomFlip(), keras.layers.RandomZoom(factor)])

    one, two = built(0.1), built(0.1)
    before = augmenter(one, 1)
    before(images)  # a Sequential notes the shape it is called with
    assert augmenter(one, 1).key == before.key == augmenter(two, 1).key
    assert augmenter(built(0.2), 1).key != before.key
