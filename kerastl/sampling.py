"""Examples for training: the same order for the same seed and epoch, wherever one begins."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kerastl.pictures import load_picture

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
    ):
        super().__init__()
        self.read, self.count, self.labels, self.batch_size = read, count, labels, batch_size
        self.shuffle, self.seed = shuffle, seed
        self.views, self.augment, self.devices = views, augment, devices
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
        return (inputs, labels_at(self.labels, rows, fillers)) if self.labels else (inputs,)

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
