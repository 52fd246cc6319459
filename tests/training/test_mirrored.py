import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerastl.losses import MaskedBinaryCrossentropy
from kerastl.training.mirrored import WholeBatchLoss, over_devices
from tests.support.commands import ROOT


@pytest.fixture(scope="module")
def found():
    """What two_devices.py measured, in a process of its own."""
    run = subprocess.run(
        [sys.executable, ROOT / "tests/support/two_devices.py"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, check=False, timeout=600,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr[-3000:]
    return json.loads(run.stdout.splitlines()[-1])


@pytest.mark.slow
def test_a_loss_is_that_of_the_whole_batch_however_it_is_shared(found):
    assert set(found["losses"]) == {"examples", "known", "known_per_example"}
    assert max(found["losses"].values()) < 1e-6


@pytest.mark.slow
def test_a_live_fit_on_two_devices_is_that_on_one(found):
    assert found["live_fit"]["weights"] < 1e-5
    assert found["live_fit"]["history"] < 1e-5


@pytest.mark.slow
def test_a_cached_fit_on_two_devices_is_that_on_one(found):
    assert found["cached_fit"]["weights"] < 1e-5
    assert found["cached_fit"]["history"] < 1e-5
    # Keras counts the filler of the last batch's second device as an example here.
    assert 0 < found["cached_fit"]["loss"] < 0.05
    assert found["cached_fit"]["optimizer"] == "AdamW"


@pytest.mark.slow
def test_a_dataset_in_its_own_order_and_dropout_train_on_two_devices(found):
    assert found["shuffled_fit"] == {"finite": True}


@pytest.mark.slow
def test_a_model_of_another_scope_is_refused(found):
    assert "not built under the strategy that is in force" in found["elsewhere"]
    assert "with strategy.scope():" in found["elsewhere"]


def test_on_one_device_losses_stay_as_they_are():
    losses = {"a": MaskedBinaryCrossentropy(), "b": "mse"}
    assert over_devices(losses, tf.distribute.get_strategy()) is losses


@pytest.mark.parametrize(
    "loss",
    [MaskedBinaryCrossentropy(pos_weight=2.0), keras.losses.mean_squared_error,
     keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="sum")],
)  # fmt: skip
def test_a_whole_batch_loss_is_its_loss_and_is_restored(loss):
    whole = WholeBatchLoss(loss)
    sparse = isinstance(loss, keras.losses.SparseCategoricalCrossentropy)
    y = np.array([1, 0, 1]) if sparse else np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    z = np.array([[0.5, 2.0], [-1.0, 0.0], [3.0, 1.0]])
    expected = float(np.mean(loss(y, z)))
    assert float(whole(y, z)) == pytest.approx(expected, rel=1e-6)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(whole))
    assert float(again(y, z)) == pytest.approx(expected, rel=1e-6)
