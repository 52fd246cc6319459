"""Features: what a frozen prefix makes of each picture, computed once."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kerastl.batches import Batch, iter_batches, ordered_map
from kerastl.engines import choose_engine, forward
from kerastl.errors import InputError
from kerastl.feature_recipe import Augment, Recipe
from kerastl.filling import Make, Progress, fill, picture_keys, share_causes
from kerastl.manifest import Manifest
from kerastl.shard_array import ShardArray
from kerastl.store import Store
from kerastl.tasks import Task


@dataclass(frozen=True)
class Features:
    """The tensor at a cut for each picture.

    Attributes:
        values: `[pictures, views, ...]`, in memory, or read from the shards of a store.
        labels: By task name, or None.
        rows: Position of each picture in the data it came from.
        keys: What each picture's content is known by in the store; None without one.
    """

    values: np.ndarray | ShardArray
    labels: Mapping[str, np.ndarray] | None
    rows: np.ndarray
    keys: Sequence[bytes] | None = None


def extract_features(
    prefix: keras.Model,
    images: Any,
    *,
    engine: str = "auto",
    tasks: tuple[Task, ...] = (),
    views: int = 1,
    augment: Augment | None = None,
    cache: str | Path | None = None,
    budget: int | None = None,
    batch_size: int = 32,
    dtype: str = "float32",
    earlier: tuple[Features, keras.Model] | None = None,
    progress: Progress | None = None,
) -> Features:
    """Run a frozen prefix once over pictures.

    Each picture is decoded once, however many views are made of it. Pictures
    that cannot be read are left out and listed in the manifest's `skipped`.

    With `cache` the features of a manifest's pictures are kept on disk, known by
    the prefix's graph and weights, the options and the content of each picture's
    file. Any later call makes only what is missing, for other manifests, splits and
    file names too; what a call had made when it was killed is kept, but for the last
    shard. Any number of processes may use one folder. Under "auto" features of any
    engine that agrees with Keras count as the same; and a picture's views stay those
    that were drawn when they were first made.

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
        cache: A folder that keeps features. `list_store`, `verify_store` and
            `prune_store` look after it. None keeps them in memory.
        budget: Bytes that the cache folder may take; None for as many as there are.
        batch_size: Pictures in a forward pass.
        dtype: Of the stored values, "float32" or "float16".
        earlier: Features of the same data at an earlier cut, and the model from that
            cut to this one: what is missing is made of these, not of the pictures.
        progress: Called with the pictures done and in all.

    Returns:
        The features, in the order of the data.

    Raises:
        InputError: For views without an augmentation, data without pictures, an
            endless dataset, and features that pass the budget or the free disk.

    Example:
        >>> x = keras.Input((2, 2, 3))
        >>> prefix = keras.Model(x, keras.layers.GlobalAveragePooling2D()(x))
        >>> found = extract_features(prefix, np.full((4, 2, 2, 3), 7, "uint8"))
        >>> found.values.shape, float(found.values[0, 0, 0])
        ((4, 1, 3), 7.0)
    """
    recipe = Recipe(prefix, engine, views, augment, batch_size, dtype)
    told = augment is None or recipe.drawn is not None
    kept = earlier is None or earlier[0].keys is not None
    if cache is not None and isinstance(images, Manifest) and told and kept:
        return _stored(recipe, images, tasks, Path(cache), earlier, budget, progress)
    if earlier is not None:
        return deepen(*earlier, views=views, batch_size=batch_size)
    return _in_memory(recipe, images, tasks, progress)


def deepen(
    features: Features, middle: keras.Model, *, views: int | None = None, batch_size: int = 32
) -> Features:
    """A later cut's features made from an earlier cut's, in memory.

    Args:
        features: Those of the earlier cut.
        middle: The model from the earlier cut to the later one.
        views: How many of the views, the first ones; all by default.
        batch_size: Examples in a forward pass.
    """
    count, views = len(features.values), views or features.values.shape[1]
    made = np.empty((count, views, *middle.output_shape[1:]), features.values.dtype)
    for at, values in _through(middle, features.values, np.arange(count), views, batch_size):
        made[at] = values
    return Features(made, features.labels, features.rows)


def feature_bytes(prefix: keras.Model, count: int, views: int = 1, dtype: str = "float32") -> int:
    """Bytes that the features of `count` pictures take."""
    return count * views * math.prod(prefix.output_shape[1:]) * np.dtype(dtype).itemsize


def length(images: Any) -> int | None:
    """Number of pictures, or None for a dataset that does not say."""
    if isinstance(images, Manifest):
        return len(images)
    arrays = images[0] if isinstance(images, (tuple, list)) else images
    return len(arrays) if isinstance(arrays, np.ndarray) else None


def _made(recipe: Recipe, images: Any, tasks: Any, count: int) -> Iterator[tuple[Batch, Any]]:
    """Features of pictures, batch by batch, `[batch, views, ...]`."""
    views, augment = recipe.views, recipe.augment

    def copy(batch: Batch) -> tuple[Batch, list[Any]]:
        return batch, [augment(batch.images) if augment else batch.images for _ in range(views)]

    run = None
    batches = iter_batches(images, tasks, recipe.image_size, recipe.batch_size)
    # One thread draws the next batch's copies, in order, while this one's run.
    for batch, copies in ordered_map(copy, batches, threads=1, ahead=2):
        run = run or choose_engine(recipe.prefix, recipe.engine, copies[0], count * views).run
        yield batch, np.stack([run(copy) for copy in copies], axis=1)


def _through(
    middle: keras.Model, values: Any, rows: np.ndarray, views: int, batch_size: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Rows of features, and what the middle of a network makes of them."""
    run = forward(middle) if len(rows) else None
    for start in range(0, len(rows), batch_size):
        at = rows[start : start + batch_size]
        yield at, np.stack([run(values[at, view]) for view in range(views)], axis=1)


def _in_memory(recipe: Recipe, images: Any, tasks: Any, progress: Progress | None) -> Features:
    count, done = length(images) or 0, 0
    values = np.empty((count, *recipe.shape), recipe.dtype)
    rows: list[np.ndarray] = []
    labels: list[Mapping[str, np.ndarray] | None] = []
    for batch, made in _made(recipe, images, tasks, count):
        if done + len(made) > len(values):
            # A dataset need not know its length beforehand; a manifest does.
            more = np.empty((len(values) + len(made), *recipe.shape), recipe.dtype)
            values = np.concatenate([values[:done], more])
        values[done : done + len(made)] = made
        done += len(made)
        rows.append(batch.rows)
        labels.append(batch.labels)
        if progress:
            progress(done, count)
    if not done:
        raise _nothing(images)
    return Features(values[:done], _joined(labels), np.concatenate(rows))


def _stored(
    recipe: Recipe,
    images: Manifest,
    tasks: Any,
    folder: Path,
    earlier: tuple[Features, keras.Model] | None,
    budget: int | None,
    progress: Progress | None,
) -> Features:
    next(iter_batches(images.take([]), tasks, recipe.image_size), None)  # says what is wrong
    store = Store(folder / recipe.key, recipe.shape, recipe.dtype, recipe.about)
    if earlier is not None:
        keys, make = _from_earlier(recipe, *earlier, len(images))
    else:
        keys, make = picture_keys(images, folder, _from_pictures(recipe, images))
    rows = fill(store, keys, make, budget=budget, progress=progress)
    share_causes(images, keys, rows)
    if not len(rows):
        raise _nothing(images)
    there, labels = [keys[n] for n in rows], images.labels()
    chosen = {task.name: labels[task.name][rows] for task in tasks}
    return Features(store.array(there), chosen, rows, there)


def _from_pictures(recipe: Recipe, images: Manifest) -> Make:
    def make(rows: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for batch, values in _made(recipe, images.take(rows), (), len(rows)):
            yield rows[batch.rows], values

    return make


def _from_earlier(
    recipe: Recipe, features: Features, middle: keras.Model, count: int
) -> tuple[list[bytes | None], Make]:
    keys: list[bytes | None] = [None] * count
    for row, key in zip(features.rows, features.keys, strict=True):
        keys[row] = key

    def make(rows: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        rows = rows[np.isin(rows, features.rows)]
        at = np.searchsorted(features.rows, rows)
        steps = _through(middle, features.values, at, recipe.views, recipe.batch_size)
        for here, values in steps:
            yield features.rows[here], values

    return keys, make


def _joined(labels: list[Any]) -> dict[str, np.ndarray] | None:
    if any(part is None for part in labels):
        return None
    return {name: np.concatenate([part[name] for part in labels]) for name in labels[0]}


def _nothing(images: Any) -> InputError:
    skipped = getattr(images, "skipped", {})
    faults = [f"{path}: {cause}" for path, cause in skipped.items()]
    return InputError("There is no picture that could be read.", faults)
