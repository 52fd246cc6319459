import keras
import numpy as np
import pytest

from kerastl.models.factories import classifier
from kerastl.training.optimizers import DepthwiseAdamW, depth_multipliers, schedule


def step(optimizer):
    """The change of two equal variables after one step of equal gradients."""
    a, b = (keras.Variable(np.ones(3), name=name) for name in "ab")
    optimizer.build([a, b])
    optimizer.apply([keras.ops.ones(3), keras.ops.ones(3)], [a, b])
    return 1 - a.numpy(), 1 - b.numpy()


def test_a_multiplier_scales_the_step():
    a, b = step(DepthwiseAdamW({"b": 0.1}, learning_rate=0.01, weight_decay=0.0))
    np.testing.assert_allclose(b, 0.1 * a, rtol=1e-4)


def test_without_multipliers_it_is_adamw():
    ours = step(DepthwiseAdamW(learning_rate=0.01, weight_decay=0.1))
    theirs = step(keras.optimizers.AdamW(learning_rate=0.01, weight_decay=0.1))
    np.testing.assert_array_equal(ours, theirs)


def test_serialises():
    optimizer = DepthwiseAdamW({"b": 0.1}, learning_rate=0.5)
    again = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert again.multipliers == {"b": 0.1}


def test_deeper_stages_have_smaller_rates(network):
    model = classifier(network(), ["x", "y"], trainable=True)
    factors = depth_multipliers(model, 0.5)
    assert factors["label/kernel"] == factors["conv2/kernel"] == 1
    assert factors["conv1/kernel"] == factors["branch/kernel"] == 0.5


def test_schedule_rises_then_falls_to_zero():
    rate = schedule(1.0, steps=100, warmup=0.1)
    values = [float(rate(i)) for i in range(101)]
    assert values[0] == 0
    assert values[10] == pytest.approx(1)
    assert values[100] == pytest.approx(0, abs=1e-6)
    assert np.argmax(values) == 10


def test_schedule_without_warmup_begins_at_its_rate():
    assert float(schedule(0.3, steps=10, warmup=0.0)(0)) == pytest.approx(0.3)
