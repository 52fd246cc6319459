"""Floats given to a model by plain Keras calls: the answers are those of the same pixels."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerastl.models.floats import take_floats
from kerastl.models.saving import load_model, save_model
from tests.support.tiny_models import TASKS, patches, tiny

IMAGES = patches(12)
CODES = np.arange(12) % 3


@pytest.fixture(scope="module")
def model():
    return tiny(TASKS[:1])


def dataset(images):
    return tf.data.Dataset.from_tensor_slices(images).batch(5)


@pytest.mark.parametrize("scale", [1, 255])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_plain_call_takes_fractions_and_whole_numbers(model, scale, dtype):
    given, expected = (IMAGES / scale).astype(dtype), model.predict(IMAGES, verbose=0)
    assert np.ptp(expected, axis=0).min() > 0.01, "black pictures would all be the same"
    for found in (
        model(given),
        model(tf.constant(given), training=False),
        model.predict(given, verbose=0),
        model.predict(dataset(given), verbose=0),
        model.predict_on_batch(given),
    ):
        np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("scale", [1, 255])
def test_plain_fit_learns_from_the_same_pixels(scale):
    expected, found = tiny(TASKS[:1]), tiny(TASKS[:1])
    expected.fit(IMAGES, CODES, batch_size=4, shuffle=False, verbose=0)
    found.fit(IMAGES / scale, CODES, batch_size=4, shuffle=False, verbose=0)
    for ours, theirs in zip(found.get_weights(), expected.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)
    assert found.evaluate(IMAGES / scale, CODES, verbose=0)[0] == pytest.approx(
        expected.evaluate(IMAGES, CODES, verbose=0)[0], abs=1e-5
    )


def test_an_image_is_judged_by_itself(model):
    """A dark picture beside bright ones; one whose values are all 0 or 1."""
    dark = np.full((1, 16, 16, 3), 3.0)
    mixed = np.concatenate([IMAGES[:1] / 255, dark, IMAGES[:1] * 1.0])
    pixels = np.concatenate([IMAGES[:1], dark, IMAGES[:1]]).astype("uint8")
    np.testing.assert_allclose(model(mixed), model(pixels), atol=1e-6)
    stripes = np.zeros((1, 16, 16, 3), "uint8")
    stripes[:, ::2] = 255
    np.testing.assert_allclose(model(stripes / 255), model(stripes), atol=1e-6)


def test_a_loaded_model_does_so_too_and_its_file_is_plain(model, tmp_path):
    path = save_model(model, tmp_path / "model.keras")
    expected = model.predict(IMAGES, verbose=0)
    np.testing.assert_allclose(load_model(path).predict(IMAGES / 255, verbose=0), expected, 0, 1e-6)
    plain = keras.models.load_model(path)
    np.testing.assert_allclose(plain.predict(IMAGES, verbose=0), expected, 0, 1e-6)
    assert type(model) is type(plain)


def test_uint8_goes_through_untouched_and_nothing_is_added_twice(model):
    call = model.call
    assert take_floats(model).call is call
    graph = tf.function(model).get_concrete_function(tf.TensorSpec((1, 16, 16, 3), tf.uint8)).graph
    assert not {"Round", "Max"} & {operation.type for operation in graph.get_operations()}
    x = keras.Input((4, 4, 3))
    assert "call" not in vars(take_floats(keras.Model(x, keras.layers.Flatten()(x))))
