import keras
import numpy as np
import pytest

from kerastl.augmentation import augmenter
from kerastl.errors import InputError


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
