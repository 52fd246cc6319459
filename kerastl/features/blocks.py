"""Features made block by block in other processes, of one machine or of many.

What crosses the border is small: a block's paths and content keys there, positions and
causes back. The features themselves go from the worker into the store, which all see.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kerastl.data.manifest import Manifest, path_column
from kerastl.distributed.blocks import run_blocks
from kerastl.errors import InputError
from kerastl.features.engines import Engine, Once, choose_engine
from kerastl.features.extraction import BLOCK, Make, Work, fill, first_images, held, maker
from kerastl.features.recipe import Recipe, settled_engine, settled_name
from kerastl.features.store.index import Contents
from kerastl.features.store.shards import publish
from kerastl.features.store.store import NETWORK, Store


@dataclass(frozen=True)
class Block:
    """Pictures at consecutive positions of the data, some of which are wanted.

    Attributes:
        start: Position in the data of the first one.
        images: All of them, with absolute paths.
        rows: Positions in the block of the wanted ones.
        found: Content keys and stamps of the wanted ones.
    """

    start: int
    images: Manifest
    rows: np.ndarray
    found: Contents


@dataclass(frozen=True)
class Made:
    """What came of a block.

    Attributes:
        rows: Positions in the data of the wanted pictures whose features are stored.
        skipped: Cause by position in the data, of pictures that could not be read.
    """

    rows: list[int]
    skipped: dict[int, str]


@dataclass(frozen=True)
class Job:
    """Makes the worker of a process; of plain values and paths, so that it can be sent."""

    folder: Path
    about: dict[str, Any]
    engine: str
    options: dict[str, Any]

    def __call__(self) -> Callable[[Block], Made]:
        prefix = _loaded(self.folder / NETWORK)
        return _Worker(self, Recipe(prefix, self.engine, **self.options))


class _Worker:
    """Makes what is missing of a block, and publishes it before it answers."""

    def __init__(self, job: Job, recipe: Recipe):
        self.recipe, self.prepare = recipe, Once(partial(_named, recipe))
        self.store = Store(job.folder, recipe.shape, recipe.dtype, job.about)

    def __call__(self, block: Block) -> Made:
        paths = block.images.frame["image"].tolist()
        wanted = [paths[n] for n in block.rows]
        make = held(self._make(block), wanted, block.found)
        there = fill(self.store, block.found.keys, make)
        skipped = block.images.skipped
        causes = {block.start + n: skipped[path] for n, path in enumerate(paths) if path in skipped}
        return Made((block.start + block.rows[there]).tolist(), causes)

    def _make(self, block: Block) -> Make:
        make = maker(self.recipe, block.images, self.prepare, block.start)

        def chosen(places: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
            for rows, values in make(block.rows[places]):
                yield np.searchsorted(block.rows, rows), values

        return chosen


def _named(recipe: Recipe, sample: np.ndarray) -> Engine:
    return choose_engine(recipe.prefix, recipe.engine, sample, len(sample))


def in_blocks(
    recipe: Recipe, images: Manifest, found: Contents, store: Store, ray: str | None
) -> Work:
    """The work of filling a store, done by `run_blocks`.

    The engine is chosen here, so that every worker has the same one.

    Args:
        recipe: How features are made.
        images: The pictures.
        found: Their content keys and stamps.
        store: Where the features go; its folder is one that all machines see.
        ray: As `run_blocks` takes it.
    """

    def work(wanted: np.ndarray, tell: Callable[[int], None]) -> set[int]:
        engine = _engine(recipe, images, wanted, store.folder)
        if engine is None:
            return set()
        done: set[int] = set()
        paths = images.frame["image"].tolist()
        for made in run_blocks(
            _job(recipe, engine, store), _blocks(images, found, wanted), ray=ray
        ):
            done.update(made.rows)
            images.skipped.update({paths[n]: cause for n, cause in made.skipped.items()})
            tell(len(done))
        return done

    return work


def _engine(recipe: Recipe, images: Manifest, wanted: np.ndarray, folder: Path) -> str | None:
    """The name of the engine; None where no wanted picture can be read."""
    name = settled_name(recipe, folder)
    if name is not None:
        return name
    sample = first_images(recipe, images, wanted)
    if sample is None:
        return None
    return settled_engine(recipe, folder, sample, len(images) * recipe.views).name


def _job(recipe: Recipe, engine: str, store: Store) -> Job:
    publish(store.folder / NETWORK, [_saved(recipe.prefix)])
    names = ("views", "augment", "batch_size", "dtype")
    options = {name: getattr(recipe, name) for name in names}
    return Job(store.folder.absolute(), store.about, engine, options)


def _blocks(images: Manifest, found: Contents, wanted: np.ndarray) -> Sequence[Block]:
    starts = np.unique(wanted // BLOCK * BLOCK).tolist()
    return [_block(images, found, wanted, start) for start in starts]


def _block(images: Manifest, found: Contents, wanted: np.ndarray, start: int) -> Block:
    part = images.take(range(start, min(start + BLOCK, len(images))))
    full = part.frame.assign(image=path_column(map(os.path.abspath, part.frame["image"])))
    rows = wanted[(wanted >= start) & (wanted < start + BLOCK)]
    keys, stamps = ([values[n] for n in rows] for values in found)
    return Block(start, replace(part, frame=full, skipped={}), rows - start, Contents(keys, stamps))


def _saved(prefix: keras.Model) -> bytes:
    with tempfile.TemporaryDirectory(prefix="kerastl-") as folder:
        path = Path(folder) / NETWORK
        prefix.save(path)
        return path.read_bytes()


def _loaded(path: Path) -> keras.Model:
    try:
        return keras.models.load_model(path, compile=False, safe_mode=True)
    except (ValueError, TypeError, OSError, KeyError) as error:
        why = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InputError(
            f"A worker cannot read the network {path}: {why} Expected a cache folder that all "
            "machines see under the same path, and layers that they have too."
        ) from error
