"""Features: what a frozen prefix makes of each picture, computed once.

They are made of pictures, here or in blocks elsewhere, or of an earlier cut's features.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kerastl.data.batches import iter_batches
from kerastl.data.manifest import Manifest
from kerastl.data.tasks import Task
from kerastl.errors import InputError
from kerastl.features.blocks import in_blocks
from kerastl.features.engines import Engine, Once, choose_engine, forward
from kerastl.features.extraction import (
    Piece,
    Prepare,
    Progress,
    Work,
    complete,
    features_of,
    given_pieces,
    held,
    maker,
    manifest_pieces,
    share_causes,
    storing,
    through,
)
from kerastl.features.recipe import Augment, Recipe, settled_engine
from kerastl.features.store.index import contents
from kerastl.features.store.shards import ShardArray
from kerastl.features.store.store import Store

Source = tuple[Sequence[bytes | None], Work]
"""The content key of each picture of the data, and the work that makes features of some."""


def from_pictures(recipe: Recipe, images: Manifest, store: Store, prepare: Prepare) -> Source:
    """Features of pictures, made in this process."""
    paths = images.frame["image"].tolist()
    found = contents(paths, store.folder.parent)
    make = held(maker(recipe, images, prepare), paths, found)
    return found.keys, storing(store, found.keys, make)


def from_blocks(recipe: Recipe, images: Manifest, store: Store, ray: str | None) -> Source:
    """Features of pictures, made block by block as `run_blocks` has it."""
    found = contents(images.frame["image"].tolist(), store.folder.parent)
    return found.keys, in_blocks(recipe, images, found, store, ray)


def from_earlier(
    recipe: Recipe, earlier: Any, middle: keras.Model, store: Store, count: int
) -> Source:
    """Features made of an earlier cut's.

    Args:
        recipe: How.
        earlier: The earlier cut's `Features`, from a store.
        middle: The model from the earlier cut to the later one.
        store: Where they go.
        count: Pictures in the data.
    """
    keys: list[bytes | None] = [None] * count
    for row, key in zip(earlier.rows, earlier.keys, strict=True):
        keys[row] = key

    def make(rows: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        rows = rows[np.isin(rows, earlier.rows)]
        at = np.searchsorted(earlier.rows, rows)
        run = forward(middle) if len(at) else None
        for here, values in through(run, earlier.values, at, recipe.views, recipe.batch_size):
            yield earlier.rows[here], values

    return keys, storing(store, keys, make)


@dataclass(frozen=True)
class Features:
    """The tensor at a cut for each picture.

    Attributes:
        values: `[pictures, views, ...]`, in memory, or read from the shards of a store.
        labels: By task name, or None.
        rows: Position of each picture in the data it came from.
        keys: What each picture's content is known by in the store; None without one.
        engine: What made those that were not there, in this process; else None.
    """

    values: np.ndarray | ShardArray
    labels: Mapping[str, np.ndarray] | None
    rows: np.ndarray
    keys: Sequence[bytes] | None = None
    engine: Engine | None = None


def extract_features(
    prefix: keras.Model,
    images: Any,
    *,
    engine: str | Engine = "auto",
    tasks: tuple[Task, ...] = (),
    views: int = 1,
    augment: Augment | None = None,
    cache: str | Path | None = None,
    budget: int | None = None,
    batch_size: int = 32,
    dtype: str = "float32",
    earlier: tuple[Features, keras.Model] | None = None,
    progress: Progress | None = None,
    ray: str | None = None,
) -> Features:
    """Run a frozen prefix once over pictures.

    Each picture is decoded once, however many views are made of it. Pictures
    that cannot be read are left out and listed in the manifest's `skipped`.

    With `cache` the features of a manifest's pictures are kept on disk, known by
    the prefix's graph and weights, the options and the content of each picture's
    file. Any later call makes only what is missing, for other manifests, splits and
    file names too; what a call had made when it was killed is kept, but for the last
    shard. Any number of processes may use one folder. A picture's views stay those
    that were drawn when they were first made, from the seed and its position in the
    data. So a call that was killed and repeated, one without `cache`, and one with `ray`
    give the same as one that ran through, bit for bit on the same kind of processor.
    Only copies of one picture, which share their views in a `cache`, have their own
    without.

    With `ray` the pictures are divided into blocks of 1024 at consecutive positions,
    and the machines of a Ray cluster make those of which any are missing. A block whose
    machine died is made on another one.

    Args:
        prefix: The model in front of a cut; it runs in inference mode.
        images: A Manifest, arrays `(images, labels)` or a batched dataset.
        engine: The `engine` of other features of this very prefix, which is ready then, or
            "keras", "openvino" (or "openvino:float16", "openvino:bfloat16"), or
            "auto": the fastest that is installed and agrees with Keras on the first
            batch, where there are enough pictures. The choice is made once for each
            prefix of a cache folder, and kept there.
        tasks: The tasks whose labels go along.
        views: Copies of each picture, each with `augment` applied.
        augment: Takes and returns uint8 images `[batch, h, w, 3]`, as `augmenter`
            makes it of layers. Required for more than one view. Features under a
            function of one's own, without a `key`, are not stored. Where it has a method
            `begin(at)`, that is called before each batch with its position in the data,
            from which all its draws follow.
        cache: A folder that keeps features. `list_store`, `verify_store` and
            `prune_store` look after it. None keeps them in memory.
        budget: Bytes that the cache folder may take; None for as many as there are.
        batch_size: Pictures in a forward pass; what is left over is filled up with black.
        dtype: Of the stored values, "float32" or "float16".
        earlier: Features of the same data at an earlier cut, and the model from that
            cut to this one: what is missing is made of these, not of the pictures.
        progress: Called with the pictures done and in all.
        ray: The address of a Ray cluster, as `distributed.blocks.run_blocks` takes it: "auto",
            "local", "HOST:PORT" or "ray://HOST:PORT". Its machines see the pictures and
            the `cache` folder, which is required, under the same paths. With `earlier`
            the work is quick, and done here.

    Returns:
        The features, in the order of the data.

    Raises:
        InputError: For views without an augmentation, data without pictures, an
            endless dataset, features that pass the budget or the free disk, and `ray`
            where nothing is stored, Ray is not installed or nobody answers.

    Example:
        >>> x = keras.Input((2, 2, 3))
        >>> prefix = keras.Model(x, keras.layers.GlobalAveragePooling2D()(x))
        >>> found = extract_features(prefix, np.full((4, 2, 2, 3), 7, "uint8"))
        >>> found.values.shape, float(found.values[0, 0, 0])
        ((4, 1, 3), 7.0)
    """
    ready = engine if isinstance(engine, Engine) else None
    asked = engine if ready is None else ready.asked or ready.name
    recipe = Recipe(prefix, asked, views, augment, batch_size, dtype)
    storable = isinstance(images, Manifest) and (augment is None or recipe.drawn is not None)
    if ray is not None and (cache is None or not storable):
        raise _ray_needs(images, cache, recipe)
    if isinstance(images, Manifest):
        next(iter_batches(images.take([]), tasks, recipe.image_size), None)  # says what is wrong
    if cache is not None and storable and (earlier is None or earlier[0].keys is not None):
        return _stored(recipe, images, tasks, Path(cache), earlier, budget, progress, ray, ready)
    if earlier is not None:
        return deepen(*earlier, views=views, batch_size=batch_size)
    return _in_memory(recipe, images, tasks, progress, ready)


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
    run = forward(middle) if count else None
    for at, values in through(run, features.values, np.arange(count), views, batch_size):
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


def _in_memory(
    recipe: Recipe, images: Any, tasks: Any, progress: Progress | None, ready: Engine | None
) -> Features:
    count, done = length(images) or 0, 0
    values = np.empty((count, *recipe.shape), recipe.dtype)
    rows: list[np.ndarray] = []
    labels: list[Mapping[str, np.ndarray] | None] = []

    def choose(sample: np.ndarray) -> Engine:
        found = choose_engine(recipe.prefix, recipe.engine, sample, count * recipe.views)
        return found._replace(asked=recipe.engine)

    prepare = Once(choose, ready)
    for piece, made in features_of(recipe, _pieces(recipe, images, tasks), prepare):
        if done + len(made) > len(values):
            # A dataset need not know its length beforehand; a manifest does.
            more = np.empty((len(values) + len(made), *recipe.shape), recipe.dtype)
            values = np.concatenate([values[:done], more])
        values[done : done + len(made)] = made
        done += len(made)
        rows.append(piece.rows)
        labels.append(piece.labels)
        if progress:
            progress(done, count)
    if not done:
        raise _nothing(images)
    there = np.concatenate(rows)
    known = _chosen(images, tasks, there) if isinstance(images, Manifest) else _joined(labels)
    return Features(values[:done], known, there, engine=prepare.engine)


def _pieces(recipe: Recipe, images: Any, tasks: Any) -> Iterator[Piece]:
    if isinstance(images, Manifest):
        return manifest_pieces(recipe, images, np.arange(len(images)))
    return given_pieces(recipe, images, tasks)


def _stored(
    recipe: Recipe,
    images: Manifest,
    tasks: Any,
    folder: Path,
    earlier: tuple[Features, keras.Model] | None,
    budget: int | None,
    progress: Progress | None,
    ray: str | None,
    ready: Engine | None,
) -> Features:
    store = Store(folder / recipe.key, recipe.shape, recipe.dtype, recipe.about)

    def choose(sample: np.ndarray) -> Engine:
        return settled_engine(recipe, store.folder, sample, len(images) * recipe.views)

    prepare = Once(choose, ready)
    if earlier is not None:
        keys, work = from_earlier(recipe, earlier[0], earlier[1], store, len(images))
    elif ray is not None:
        keys, work = from_blocks(recipe, images, store, ray)
    else:
        keys, work = from_pictures(recipe, images, store, prepare)
    rows = complete(store, keys, work, budget=budget, progress=progress)
    share_causes(images, keys, rows)
    if not len(rows):
        raise _nothing(images)
    there = [keys[n] for n in rows]
    known = _chosen(images, tasks, rows)
    return Features(store.array(there), known, rows, there, prepare.engine)


def _chosen(images: Manifest, tasks: Any, rows: np.ndarray) -> dict[str, np.ndarray]:
    labels = images.labels()
    return {task.name: labels[task.name][rows] for task in tasks}


def _joined(labels: list[Any]) -> dict[str, np.ndarray] | None:
    if any(part is None for part in labels):
        return None
    return {name: np.concatenate([part[name] for part in labels]) for name in labels[0]}


def _nothing(images: Any) -> InputError:
    skipped = getattr(images, "skipped", {})
    faults = [f"{path}: {cause}" for path, cause in skipped.items()]
    return InputError("There is no picture that could be read.", faults)


def _ray_needs(images: Any, cache: Any, recipe: Recipe) -> InputError:
    faults = []
    if cache is None:
        faults.append("cache= is None: give a folder that all machines see")
    if not isinstance(images, Manifest):
        faults.append(f"images are a {type(images).__name__}: give a Manifest of picture files")
    if recipe.augment is not None and recipe.drawn is None:
        faults.append("augment= does not say what it draws: make it with kerastl's augmenter")
    return InputError("With ray= features go from the machines into a store.", faults)
