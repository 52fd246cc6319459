"""Examples for training: the same order for the same seed and epoch, wherever one begins.

Examples in memory are gathered by TensorFlow: batches that cost next to nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerastl.data.pictures import load_picture
from kerastl.features.store.shards import ShardArray

Labels = Mapping[str, np.ndarray] | None

FILLER = -3
"""Label of a row that only fills up a batch for several devices: it is unknown, and no example
either. Keras counts it as one where it averages the loss that it shows over batches."""


class Sampler(keras.utils.PyDataset):
    """Batches of indexable examples, shuffled anew by (seed, epoch) as each epoch begins.

    A run taken up again at epoch k sees the order that epoch k would have had. Keras tells
    a dataset of the end of an epoch, once too often before the first: see `Order`.

    Args:
        read: Gives the model's input for some rows and the view drawn of each.
        count: Number of examples.
        labels: By task name; a single task's labels are given bare.
        batch_size: Examples in a batch.
        shuffle: Whether to shuffle.
        seed: Seed of the order.
        epoch: The epoch to begin with.
        views: Stored copies of each example; an epoch draws one of each.
        augment: Called on each batch of inputs.
        devices: How many share each batch. Where one would get none, or the first
            batch is uneven, its last row is repeated with the label FILLER.
        weights: By task name, how much each example counts; None for all alike.
    """

    def __init__(
        self,
        read: Callable[[np.ndarray, np.ndarray], np.ndarray],
        count: int,
        labels: Labels,
        batch_size: int,
        *,
        shuffle: bool = False,
        seed: int = 0,
        epoch: int = 0,
        views: int = 1,
        augment: Callable[[np.ndarray], Any] | None = None,
        devices: int = 1,
        weights: Labels = None,
    ):
        super().__init__()
        self.read, self.count, self.labels, self.batch_size = read, count, labels, batch_size
        self.shuffle, self.seed = shuffle, seed
        self.views, self.augment, self.devices = views, augment, devices
        self.weights = weights
        self.begin(epoch)

    def __len__(self) -> int:
        return math.ceil(self.count / self.batch_size)

    def __getitem__(self, index: int):
        part = slice(index * self.batch_size, (index + 1) * self.batch_size)
        rows, views = self._order[part], self._view[part]
        fillers = _fillers(len(rows), self.devices, first=index == 0)
        rows, views = (np.pad(x, (0, fillers), mode="edge") for x in (rows, views))
        inputs = self.read(rows, views)
        if self.augment is not None:
            inputs = self.augment(inputs)
        if not self.labels:
            return (inputs,)
        weights = [] if self.weights is None else [labels_at(self.weights, rows)]
        return (inputs, labels_at(self.labels, rows, fillers), *weights)

    @property
    def sizes(self) -> list[int]:
        """Rows of each batch, its fillers among them."""
        starts = range(0, self.count, self.batch_size)
        counts = [min(self.batch_size, self.count - start) for start in starts]
        return [n + _fillers(n, self.devices, first=i == 0) for i, n in enumerate(counts)]

    @property
    def drawn(self) -> tuple[np.ndarray, np.ndarray]:
        """This epoch's examples in their order, and the view of each."""
        return self._order, self._view

    def begin(self, epoch: int) -> None:
        """Draw an epoch's order, and the view of each example."""
        self.epoch = epoch
        draw = np.random.default_rng([self.seed, self.epoch])
        self._order = draw.permutation(self.count) if self.shuffle else np.arange(self.count)
        self._view = draw.integers(self.views, size=self.count)


def _fillers(count: int, devices: int, *, first: bool) -> int:
    """Rows to add to a batch of which TensorFlow gives each device ceil(count / devices)."""
    enough = math.ceil(count / math.ceil(count / devices)) == devices
    return 0 if enough and not first else -count % devices


def labels_at(labels: Labels, rows: Any, fillers: int = 0) -> Any:
    """The labels of some rows, as a model's `fit` takes them; the last ones may be fillers."""
    chosen = {name: values[rows] for name, values in (labels or {}).items()}
    for values in chosen.values():
        values[len(rows) - fillers :] = FILLER
    return next(iter(chosen.values())) if len(chosen) == 1 else chosen


def read_array(values: np.ndarray) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """Reads rows of an array `[examples, views, ...]`, which may be memory-mapped."""

    def read(rows: np.ndarray, views: np.ndarray) -> np.ndarray:
        chosen = values[rows, views]
        return chosen.astype("float32") if chosen.dtype == np.float16 else chosen

    return read


def read_pictures(
    paths: Sequence[str | Path], image_size: tuple[int, int]
) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """Reads picture files, those of a batch side by side."""
    pool = ThreadPoolExecutor(thread_name_prefix="kerastl-pictures")

    def read(rows: np.ndarray, views: np.ndarray) -> np.ndarray:
        return np.stack(list(pool.map(lambda row: load_picture(paths[row], image_size), rows)))

    return read


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
        >>> from kerastl.training.sampling import read_array
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
            self._labels, self._weights = (
                {name: tf.constant(v) for name, v in (values or {}).items()}
                for values in (sampler.labels, sampler.weights)
            )
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
        told = [
            {name: tf.gather(values, rows) for name, values in by_task.items()}
            for by_task in (self._labels, self._weights) if by_task
        ]  # fmt: skip
        return (inputs, *(next(iter(t.values())) if len(t) == 1 else t for t in told))


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
