import keras
import numpy as np
import pytest

from kerastl.metrics import Masked


def test_counts_known_labels_only():
    draw = np.random.default_rng(0)
    y = draw.choice([-1.0, 0.0, 1.0], (50, 3))
    z = draw.normal(size=(50, 3))
    masked = Masked(keras.metrics.BinaryAccuracy(threshold=0.0))
    masked.update_state(y[:20], z[:20])
    masked.update_state(y[20:], z[20:])
    known = y >= 0
    assert float(masked.result()) == pytest.approx(((z > 0) == (y == 1))[known].mean())


def test_a_batch_with_nothing_known_changes_nothing():
    masked = Masked(keras.metrics.SparseCategoricalAccuracy())
    masked.update_state(np.array([1]), np.array([[0.0, 1.0]]))
    masked.update_state(np.array([-1, -1]), np.array([[1.0, 0.0], [1.0, 0.0]]))
    assert float(masked.result()) == 1.0
    masked.reset_state()
    assert float(masked.result()) == 0.0


def test_binary_labels_may_be_flat():
    masked = Masked(keras.metrics.BinaryAccuracy(threshold=0.0))
    masked.update_state(np.array([1.0, 0.0, -1.0]), np.array([[1.0], [1.0], [1.0]]))
    assert float(masked.result()) == 0.5


def test_sample_weight_weighs_the_known():
    masked = Masked(keras.metrics.SparseCategoricalAccuracy())
    scores = np.array([[0.0, 1.0]] * 3)
    masked.update_state(np.array([1, 0, -1]), scores, sample_weight=np.array([3.0, 1.0, 9.0]))
    assert float(masked.result()) == 0.75


def test_serialises():
    masked = Masked(keras.metrics.BinaryAccuracy(name="accuracy", threshold=0.0))
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(masked))
    assert again.name == "accuracy"
    assert again.metric.threshold == 0.0
