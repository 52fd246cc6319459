import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from kerastl.errors import InputError
from kerastl.losses import NORMALIZERS, MaskedBinaryCrossentropy


def oracle(y, z, normalizer="examples", smoothing=0.0):
    """The mission's formula in float64."""
    known = y >= 0
    target = np.where(known, y, 0) * (1 - smoothing) + smoothing / 2
    losses = np.where(known, np.logaddexp(0, z) - target * z, 0).sum(axis=1)
    if normalizer == "known":
        return losses.sum() / max(known.sum(), 1)
    if normalizer == "known_per_example":
        losses = losses / np.maximum(known.sum(axis=1), 1)
    return losses.mean()


@given(
    st.integers(1, 6), st.integers(1, 5), st.sampled_from(NORMALIZERS),
    st.sampled_from([0.0, 0.1]), st.integers(0, 10**6),
)  # fmt: skip
@settings(max_examples=40, deadline=None)
def test_equals_the_formula(examples, labels, normalizer, smoothing, seed):
    draw = np.random.default_rng(seed)
    y = draw.choice([-1.0, 0.0, 0.3, 1.0], (examples, labels))
    z = draw.normal(0, 4, (examples, labels))
    loss = MaskedBinaryCrossentropy(normalizer=normalizer, label_smoothing=smoothing)
    got = float(loss(y.astype("float32"), z.astype("float32")))
    assert got == pytest.approx(oracle(y, z, normalizer, smoothing), abs=1e-5)


@pytest.mark.parametrize("under", [1e30, np.inf, -np.inf, np.nan])
def test_an_unknown_label_adds_nothing_whatever_stands_there(under):
    y = tf.constant([[1.0, -1.0], [-1.0, 0.0]])
    z = tf.Variable([[0.5, under], [under, 0.2]])
    with tf.GradientTape() as tape:
        loss = MaskedBinaryCrossentropy()(y, z)
    gradient = tape.gradient(loss, z).numpy()
    assert np.isfinite(loss)
    assert gradient[0, 1] == gradient[1, 0] == 0
    assert gradient[0, 0] < 0 < gradient[1, 1]


def test_nothing_known_is_zero():
    for normalizer in NORMALIZERS:
        loss = MaskedBinaryCrossentropy(normalizer=normalizer)
        assert float(loss(-np.ones((3, 2)), np.ones((3, 2)))) == 0


def test_probabilities_give_the_same_as_logits():
    y, z = np.array([[1.0, -1.0, 0.0]]), np.array([[0.3, 2.0, -1.0]])
    by_logits = MaskedBinaryCrossentropy()(y, z)
    by_probabilities = MaskedBinaryCrossentropy(from_logits=False)(y, 1 / (1 + np.exp(-z)))
    assert float(by_logits) == pytest.approx(float(by_probabilities), abs=1e-5)


def test_serialises():
    loss = MaskedBinaryCrossentropy(label_smoothing=0.1, normalizer="known")
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(loss))
    assert again.get_config() == loss.get_config()


def test_refuses_what_is_no_option():
    with pytest.raises(InputError, match=r"Expected a normalizer of examples, known.*'mean'"):
        MaskedBinaryCrossentropy(normalizer="mean")
    with pytest.raises(InputError, match=r"Expected label_smoothing in \[0, 1\). Received: 1"):
        MaskedBinaryCrossentropy(label_smoothing=1)
