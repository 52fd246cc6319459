"""Features: what a frozen prefix makes of each picture, computed once."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kerastl.batches import Batch, iter_batches, ordered_map
from kerastl.engines import choose_engine, forward
from kerastl.errors import InputError
from kerastl.files import write_json
from kerastl.manifest import Manifest
from kerastl.tasks import Task
from kerastl.trainable import weights_digest

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Features:
    """The tensor at a cut for each picture.

    Attributes:
        values: `[pictures, views, ...]`, in memory or memory-mapped.
        labels: By task name, or None.
        rows: Position of each picture in the data it came from.
    """

    values: np.ndarray
    labels: Mapping[str, np.ndarray] | None
    rows: np.ndarray


def extract_features(
    prefix: keras.Model,
    images: Any,
    *,
    engine: str = "auto",
    tasks: tuple[Task, ...] = (),
    views: int = 1,
    augment: Callable[[np.ndarray], np.ndarray] | None = None,
    cache: str | Path | None = None,
    batch_size: int = 32,
    dtype: str = "float32",
    progress: Progress | None = None,
) -> Features:
    """Run a frozen prefix once over pictures.

    Each picture is decoded once, however many views are made of it. Pictures
    that cannot be read are left out and listed in the manifest's `skipped`.

    Args:
        prefix: The model in front of a cut; it runs in inference mode.
        images: A Manifest, arrays `(images, labels)` or a batched dataset.
        engine: "keras", "openvino", or "auto": the fastest that is installed and
            agrees with Keras on the first batch, where there are enough pictures.
        tasks: The tasks whose labels go along.
        views: Copies of each picture, each with `augment` applied.
        augment: Takes and returns uint8 images `[batch, h, w, 3]`, as `augmenter`
            makes it of layers. Required for more than one view. Features under a
            function of one's own, without a `key`, are not stored.
        cache: A folder that keeps the features of a manifest's pictures for
            the next call with the same prefix, pictures and options.
        batch_size: Pictures in a forward pass.
        dtype: Of the stored values, "float32" or "float16".
        progress: Called with the pictures done and in all.

    Returns:
        The features, in the order of the data.

    Raises:
        InputError: For views without an augmentation, or data without pictures.
    """
    if views < 1 or (views > 1 and augment is None):
        raise InputError(f"Expected views=1, or augment= with views > 1. Received: views={views}.")
    image_size = tuple(prefix.input_shape[1:3])
    drawn = None if augment is None else getattr(augment, "key", None)
    if augment is not None and drawn is None:
        cache = None  # what cannot be told from another augmentation is not stored
    store = _store(cache, prefix, images, image_size, (engine, views, drawn, dtype))
    if store and store.with_suffix(".json").is_file():
        return _stored(store, images)
    count = length(images) or 0
    shape = (count, views, *prefix.output_shape[1:])
    writer = _Writer(shape, dtype, store)

    def copy(batch: Batch) -> tuple[Batch, list[Any]]:
        return batch, [augment(batch.images) if augment else batch.images for _ in range(views)]

    run = None
    batches = iter_batches(images, tasks, image_size, batch_size)
    # One thread draws the next batch's copies, in order, while this one's run.
    for batch, copies in ordered_map(copy, batches, threads=1, ahead=2):
        run = run or choose_engine(prefix, engine, copies[0], count * views).run
        writer.add(np.stack([run(copy) for copy in copies], axis=1), batch)
        if progress:
            progress(writer.done, count)
    return writer.finish(images)


def deepen(features: Features, middle: keras.Model, batch_size: int = 32) -> Features:
    """A later cut's features made from an earlier cut's.

    Args:
        features: Those of the earlier cut.
        middle: The model from the earlier cut to the later one.
        batch_size: Examples in a forward pass.
    """
    run, (count, views) = forward(middle), features.values.shape[:2]
    made = np.empty((count, views, *middle.output_shape[1:]), features.values.dtype)
    for view in range(views):
        for start in range(0, count, batch_size):
            part = slice(start, start + batch_size)
            made[part, view] = run(features.values[part, view])
    return Features(made, features.labels, features.rows)


def feature_bytes(prefix: keras.Model, count: int, views: int = 1, dtype: str = "float32") -> int:
    """Bytes that the features of `count` pictures take."""
    return count * views * math.prod(prefix.output_shape[1:]) * np.dtype(dtype).itemsize


class _Writer:
    """Collects features, in memory or into a file that is renamed when it is whole."""

    def __init__(self, shape: tuple[int, ...], dtype: str, store: Path | None):
        self.store, self.done = store, 0
        self.rows: list[np.ndarray] = []
        self.labels: list[Mapping[str, np.ndarray] | None] = []
        self.unfinished = store and store.with_name(f"{store.name}.{os.getpid()}.tmp")
        if self.unfinished is None:
            self.values = np.empty(shape, dtype)
        else:
            self.unfinished.parent.mkdir(parents=True, exist_ok=True)
            self.values = np.lib.format.open_memmap(self.unfinished, "w+", dtype, shape)

    def add(self, values: np.ndarray, batch: Batch) -> None:
        """Append a batch's features, its rows and its labels."""
        if self.done + len(values) > len(self.values):
            # A dataset need not know its length beforehand; a manifest does.
            more = np.empty((len(self.values) + len(values), *values.shape[1:]), values.dtype)
            self.values = np.concatenate([self.values[: self.done], more])
        self.values[self.done : self.done + len(values)] = values
        self.done += len(values)
        self.rows.append(batch.rows)
        self.labels.append(batch.labels)

    def finish(self, images: Any) -> Features:
        """The features, published under their name if they have one."""
        if not self.done:
            raise InputError("There is no picture that could be read.", _skipped(images))
        rows = np.concatenate(self.rows)
        labels = _joined(self.labels)
        if self.unfinished is not None:
            self.values.flush()
            os.replace(self.unfinished, self.store)
            skipped = dict(images.skipped)
            write_json(self.store.with_suffix(".json"), {"rows": rows.tolist(), "skipped": skipped})
        return Features(self.values[: self.done], labels, rows)


def _joined(labels: list[Any]) -> dict[str, np.ndarray] | None:
    if any(part is None for part in labels):
        return None
    return {name: np.concatenate([part[name] for part in labels]) for name in labels[0]}


def _skipped(images: Any) -> list[str]:
    return [f"{path}: {cause}" for path, cause in getattr(images, "skipped", {}).items()]


def _store(cache, prefix, images, image_size, options) -> Path | None:
    """Where the features of these pictures under this prefix are kept, if anywhere."""
    if cache is None or not isinstance(images, Manifest):
        return None
    digest = hashlib.blake2b(digest_size=16)
    digest.update(json.dumps([prefix.to_json(), image_size, options]).encode())
    digest.update("".join(weights_digest(prefix).values()).encode())
    for path in images.frame["image"]:
        digest.update(repr((path, *_stamp(path))).encode())
    return Path(cache) / f"{digest.hexdigest()}.npy"


def _stamp(path: str) -> tuple[int, int]:
    """Size and time of a file, (0, 0) where there is none."""
    try:
        status = os.stat(path)
    except OSError:
        return (0, 0)
    return (status.st_size, status.st_mtime_ns)


def _stored(store: Path, images: Manifest) -> Features:
    about = json.loads(store.with_suffix(".json").read_text("utf-8"))
    rows = np.asarray(about["rows"], "int64")
    images.skipped.update(about["skipped"])
    values = np.load(store, mmap_mode="r", allow_pickle=False)[: len(rows)]
    return Features(values, {k: v[rows] for k, v in images.labels().items()}, rows)


def length(images: Any) -> int | None:
    """Number of pictures, or None for a dataset that does not say."""
    if isinstance(images, Manifest):
        return len(images)
    arrays = images[0] if isinstance(images, (tuple, list)) else images
    return len(arrays) if isinstance(arrays, np.ndarray) else None
