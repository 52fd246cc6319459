"""Examples in memory, gathered by TensorFlow: batches that cost next to nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerastl.sampling import Sampler
from kerastl.shard_array import ShardArray

MOST = 256 * 1024**2
"""Bytes of values up to which they are gathered: TensorFlow takes a copy of them."""


AT_ONCE = 8
"""Steps of a small net in one call of TensorFlow."""

MOST_AT_ONCE, A_STEP = 2e7, 1e4
"""Steps times weights up to which a head's epoch is one call, and what a step counts for itself.
A call cannot be interrupted; at this bound it takes about a second."""


class Gathered:
    """A sampler's batches as a `dataset` that needs no Python.

    An epoch of a small net takes a third less time than on the sampler itself.

    Args:
        sampler: What draws the order, on one device.
        values: Where it reads its inputs, `[examples, views, ...]`, at most MOST bytes.

    Example:
        >>> from kerastl.sampling import read_array
        >>> values = np.arange(6.0).reshape(6, 1, 1)
        >>> sampler = Sampler(read_array(values), 6, {"t": np.arange(6)}, 4, shuffle=True, seed=1)
        >>> feed = Gathered(sampler, values)
        >>> [labels.tolist() for _, labels in feed.dataset.as_numpy_iterator()]
        [[4, 0, 2, 1], [5, 3]]
    """

    def __init__(self, sampler: Sampler, values: np.ndarray | ShardArray):
        self.sampler = sampler
        with tf.device("CPU"):
            self._values = tf.constant(np.asarray(values))
            self._labels = {name: tf.constant(v) for name, v in (sampler.labels or {}).items()}
            self._drawn = [tf.Variable(part) for part in sampler.drawn]
        self.dataset = tf.data.Dataset.range(len(sampler)).map(self._batch).prefetch(1)

    def begin(self, epoch: int) -> None:
        """Draw an epoch's order, and the view of each example."""
        self.sampler.begin(epoch)
        for variable, part in zip(self._drawn, self.sampler.drawn, strict=True):
            variable.assign(part)

    def _batch(self, index: Any) -> tuple[Any, ...]:
        start = index * self.sampler.batch_size
        rows, views = (part[start : start + self.sampler.batch_size] for part in self._drawn)
        inputs = tf.gather_nd(self._values, tf.stack([rows, views], axis=1))
        inputs = tf.cast(inputs, tf.float32) if inputs.dtype == tf.float16 else inputs
        labels = {name: tf.gather(values, rows) for name, values in self._labels.items()}
        if not labels:
            return (inputs,)
        return inputs, next(iter(labels.values())) if len(labels) == 1 else labels


def gathers(sampler: Sampler, values: Any) -> bool:
    """Whether a sampler's batches can be gathered: few enough, and for one device."""
    return values.nbytes <= MOST and sampler.devices == 1 and sampler.augment is None


def hasten(net: keras.Model, train: tf.data.Dataset, validation: Any, steps: int) -> None:
    """Have several steps of a compiled net done in one call, and all of a head's epoch.

    Args:
        net: What trains, on gathered batches.
        train: Their dataset.
        validation: Its validation's, or a sampler; None for none.
        steps: The most there are in an epoch of either.
    """
    net.steps_per_execution = AT_ONCE
    if len(net.input_shape) != 2 or steps * (A_STEP + net.count_params()) > MOST_AT_ONCE:
        return
    # Keras would trace the step once more for the variables that its first loss makes.
    inputs, labels = next(iter(train))
    net.compute_loss(inputs, labels, net(inputs, training=False), training=False)
    net.steps_per_execution = steps
    net.train_function = _in_one_call(net, net.train_step, len(train))
    if validation is not None:
        net.test_function = _in_one_call(net, net.test_step, len(validation))


def _in_one_call(net: keras.Model, step: Callable[[Any], Any], steps: int) -> Callable[[Any], Any]:
    """An epoch's steps without Keras' loop, which asks before each whether there is one more.

    That loop works out every metric after each step, too; this one after the last.
    """
    one = tf.function(step, autograph=False, jit_compile=net.jit_compile)

    def run(iterator: Any) -> Any:
        def further(done: Any) -> Any:
            net.distribute_strategy.run(one, args=(iterator.get_next(),))
            return (done + 1,)

        tf.while_loop(lambda done: done < steps, further, [tf.constant(0)])
        return net.get_metrics_result()

    whole = tf.function(run, autograph=False)
    # TensorFlow counts the traces of all fits as one's, and would warn of the fifth.
    whole._omit_frequent_tracing_warning = True
    return whole
