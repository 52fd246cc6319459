"""Run by test_devices.py: fits on one device and on two, compared. Prints JSON.

Two logical CPU devices stand in for GPUs; they have to be set before TensorFlow starts.
"""

import json
import os
import sys
import tempfile

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras
import numpy as np
import tensorflow as tf

from kerastl.data.tasks import Task
from kerastl.errors import InputError
from kerastl.losses import MaskedBinaryCrossentropy
from kerastl.models.factories import classifier, multitask_classifier
from kerastl.training.fitting import fit
from kerastl.training.mirrored import WholeBatchLoss
from tests.support.masked_oracle import oracle, slopes
from tests.support.networks import small_network, stripes

TASKS = [
    Task("a", ["x", "y"], "binary"), Task("b", ["u", "v"]), Task("c", ["p", "q"], "multilabel"),
]  # fmt: skip
OPTIONS = {"head_epochs": 0, "batch_size": 8, "engine": "keras", "verbose": 0}


def several(count, seed):
    """Images with labels of three tasks; each batch's first half has nearly all that is known."""
    images, codes = stripes(count, seed)
    unknown = np.arange(count) % 8 > 3
    labels = {"a": codes, "b": codes, "c": np.stack([codes, 1 - codes], axis=1)}
    draw = np.random.default_rng(seed)
    hidden = {n: unknown.reshape(-1, *[1] * (v.ndim - 1)) & (draw.random(v.shape) < 0.8)
              for n, v in labels.items()}  # fmt: skip
    return images, {n: np.where(hidden[n], -1, v) for n, v in labels.items()}


def several_tasks():
    return multitask_classifier(small_network(), TASKS, trainable="stage1", dropout=0.0)


def one_task(dropout=0.0):
    return classifier(small_network(), ["a", "b"], trainable="stage1", dropout=dropout)


def apart(one, other):
    """The largest difference of two models' weights."""
    return max(
        float(np.abs(a - b).max())
        for a, b in zip(one.get_weights(), other.get_weights(), strict=True)
    )


def histories_apart(one, other, but=()):
    assert list(one.history) == list(other.history)
    return max(
        float(np.abs(np.subtract(one.history[n], other.history[n])).max())
        for n in one.history
        if n not in ("phase", *but)
    )


def live_fit(strategy):
    """The model built in the scope, fit called outside; uneven batches, uneven unknown labels."""
    train, val = several(19, 0), several(12, 1)
    found = []
    for scope in (tf.distribute.get_strategy().scope, strategy.scope):
        with scope():
            model = several_tasks()
        found.append((model, fit(model, train, val, epochs=3, cache=False, **OPTIONS)))
    (one, first), (two, second) = found
    return {"weights": apart(one, two), "history": histories_apart(first, second)}


class Stop(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        if epoch == 0:
            raise KeyboardInterrupt


def cached_fit(strategy):
    """All inside the scope, interrupted after an epoch and resumed; the last batch is one image."""
    train, val = stripes(17), stripes(12, 1)
    one = one_task()
    first = fit(one, train, val, epochs=3, cache=True, **OPTIONS)
    with strategy.scope(), tempfile.TemporaryDirectory() as folder:
        options = {"epochs": 3, "resume": folder, "cache": True, **OPTIONS}
        try:
            fit(one_task(), train, val, callbacks=[Stop()], **options)
        except KeyboardInterrupt:
            two = one_task()
            second = fit(two, train, val, **options)
    loss = abs(first.history["loss"][-1] - second.history["loss"][-1])
    return {
        "weights": apart(one, two),
        "history": histories_apart(first, second, but=("loss",)),
        "loss": float(loss),
        "optimizer": type(two.optimizer).__name__,
    }


def shuffled_fit(strategy):
    """A dataset that stays one, with dropout: each device draws for its own examples."""
    data = tf.data.Dataset.from_tensor_slices(stripes(9)).shuffle(9).batch(8)
    with strategy.scope():
        model = one_task(dropout=0.3)
        history = fit(model, data, data, epochs=1, cache=False, **OPTIONS)
    return {"finite": bool(np.isfinite(history.history["val_loss"]).all())}


def losses(strategy):
    """Value and gradient of a loss over parts of 3 and 1 examples, against the oracle."""
    draw = np.random.default_rng(0)
    y = np.array([[1.0, -1], [-1, -1], [0, -1], [1, 1]], "float32")
    z = draw.normal(size=y.shape).astype("float32")
    parts = (slice(0, 3), slice(3, 4))

    def on_devices(values):
        give = lambda context: tf.constant(values[parts[context.replica_id_in_sync_group]])  # noqa: E731
        return strategy.experimental_distribute_values_from_function(give)

    found = {}
    for normalizer in ("examples", "known", "known_per_example"):
        loss = WholeBatchLoss(MaskedBinaryCrossentropy(normalizer=normalizer))

        def step(labels, logits, loss=loss):
            with tf.GradientTape() as tape:
                tape.watch(logits)
                value = loss(labels, logits)
            return value, tape.gradient(value, logits)

        results = strategy.run(step, args=(on_devices(y), on_devices(z)))
        values, gradients = map(strategy.experimental_local_results, results)
        true = oracle(y.astype("float64"), z.astype("float64"), normalizer)
        slope = slopes(y.astype("float64"), z.astype("float64"), normalizer=normalizer)
        found[normalizer] = max(
            abs(float(sum(values)) - true), float(np.abs(np.concatenate(gradients) - slope).max())
        )
    return found


def elsewhere(strategy):
    model = one_task()
    try:
        with strategy.scope():
            fit(model, stripes(8), epochs=1, **OPTIONS)
    except InputError as error:
        return str(error)


if __name__ == "__main__":
    device = tf.config.list_physical_devices("CPU")[0]
    two = [tf.config.LogicalDeviceConfiguration()] * 2
    tf.config.set_logical_device_configuration(device, two)
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    cases = (losses, elsewhere, live_fit, cached_fit, shuffled_fit)
    json.dump({case.__name__: case(strategy) for case in cases}, sys.stdout)
