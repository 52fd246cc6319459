"""The making of features: pictures in batches, views drawn by position, a forward pass of each.

The same picture gets the same features, bit for bit, whatever was made before it and on
whichever machine its turn came. Three things see to that. Every forward pass has the same
number of images, the last ones filled up with black: how a sum is ordered depends on how many
there are, and not, as measured, on what the others show. Draws begin anew with each batch, at
its position in the data. And where views are drawn, batches lie at fixed positions, so that an
image has the same place among them however many of its neighbours are wanted or can be read.

Filling a store: the features that are missing are made, and nothing that is there.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from kerastl.data.batches import iter_batches, ordered_map
from kerastl.data.manifest import Manifest
from kerastl.errors import InputError
from kerastl.features.engines import Engine, Run
from kerastl.features.recipe import Recipe
from kerastl.features.store.index import Contents, stamp
from kerastl.features.store.store import Store
from kerastl.features.store.upkeep import check_room
from kerastl.files import content_digest

Progress = Callable[[int, int], None]
Make = Callable[[np.ndarray], Iterator[tuple[np.ndarray, np.ndarray]]]
"""Takes positions in the data; gives those of a batch that could be read, and their features."""

Work = Callable[[np.ndarray, Callable[[int], None]], set[int]]
"""Sees that features of some positions come into a store, telling how many are done; gives
the positions of the pictures that could be read."""

OVERHEAD = 128
"""Bytes that a picture takes beside its features: its keys in the .json and the index."""

ROUNDS = 4
"""Times that a store is asked what is missing: another process may prune it meanwhile."""


def fill(
    store: Store,
    keys: Sequence[bytes | None],
    make: Make,
    *,
    budget: int | None = None,
    progress: Progress | None = None,
) -> np.ndarray:
    """Make what is missing in a store.

    What was made before an error or an interruption is kept.

    Args:
        store: The store.
        keys: The content key of each picture; None for one that cannot be stored.
        make: Makes features.
        budget: As in `extract_features`.
        progress: Called with the pictures done and in all.

    Returns:
        Positions of the pictures whose features are there, in order.

    Raises:
        InputError: Where there is no room.
    """
    work = storing(store, keys, make)
    return complete(store, keys, work, budget=budget, progress=progress)


def complete(
    store: Store,
    keys: Sequence[bytes | None],
    work: Work,
    *,
    budget: int | None = None,
    progress: Progress | None = None,
) -> np.ndarray:
    """Have what is missing in a store made, here or elsewhere; the rest is as in `fill`.

    Args:
        store: The store.
        keys: The content key of each picture; None for one that cannot be stored.
        work: Makes the features of some positions and publishes them in the store's folder.
        budget: As in `extract_features`.
        progress: Called with the pictures done and in all.
    """
    hopeless: set[bytes | None] = {None}
    for round_ in range(ROUNDS):
        rows = np.array([n for n, key in enumerate(keys) if round_ == 0 or key not in hopeless])
        wanted = rows[store.missing([keys[n] for n in rows])] if len(rows) else rows
        if not len(wanted):
            return np.flatnonzero(store.has(keys))
        able = sum(keys[n] is not None for n in wanted)
        check_room(store.folder.parent, able * (store.row_bytes + OVERHEAD), budget)
        made = work(wanted, _teller(progress, len(keys) - len(wanted), len(keys)))
        hopeless |= {keys[n] for n in wanted if n not in made}
    raise InputError(
        f"Features vanish from {store.folder} while they are made. Prune the cache when no "
        "other process works with it, then call again."
    )


def storing(store: Store, keys: Sequence[bytes | None], make: Make) -> Work:
    """Making features here, and publishing them shard by shard."""

    def work(wanted: np.ndarray, tell: Callable[[int], None]) -> set[int]:
        done: set[int] = set()
        try:
            for rows, values in make(wanted):
                store.add([keys[n] for n in rows], values)
                done.update(rows.tolist())
                tell(len(done))
        finally:
            store.finish()
        return done

    return work


def held(make: Make, paths: Sequence[str], found: Contents) -> Make:
    """`make`, held to the content that the pictures had when they were looked at.

    Args:
        make: Makes features of the pictures at some positions.
        paths: The pictures.
        found: What `store.index.contents` found of them.

    Raises:
        InputError: From the function returned, where a picture changes meanwhile.
    """

    def unchanged(rows: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for made, values in make(rows):
            changed = [
                paths[n] for n in made if not _same(paths[n], found.keys[n], found.stamps[n])
            ]
            if changed:
                raise InputError("Pictures changed while they were read. Call again.", changed)
            yield made, values

    return unchanged


def _same(path: str, key: bytes | None, seen: bytes | None) -> bool:
    """Whether a file has the content it had; another machine may stamp the same file otherwise."""
    return key is not None and (stamp(path) == seen or content_digest(path) == key)


def share_causes(images: Manifest, keys: Sequence[bytes | None], there: np.ndarray) -> None:
    """Note what was found of a picture for its copies too: only one of them was tried."""
    paths = images.frame["image"].tolist()
    images.remarks.share(paths, keys)
    bad = sorted(set(range(len(keys))) - set(there.tolist()))
    causes = {keys[n]: images.skipped[paths[n]] for n in bad if paths[n] in images.skipped}
    for n in bad:
        if keys[n] in causes:
            images.skipped.setdefault(paths[n], causes[keys[n]])


def _teller(progress: Progress | None, before: int, count: int) -> Callable[[int], None]:
    def tell(done: int) -> None:
        if progress:
            progress(before + done, count)

    return tell


BLOCK = 1024
"""Pictures at consecutive positions that are one unit of work; no batch crosses its edge."""

Prepare = Callable[[np.ndarray], Engine]
"""Gives the engine, once the first images are there."""


class Piece(NamedTuple):
    """Images that are augmented and run together.

    Attributes:
        images: uint8 `[batch, h, w, 3]`; black where there is no picture.
        rows: Positions in the data of the pictures that are wanted.
        places: Where in `images` those are.
        at: Position in the data of the first place.
        labels: Of the wanted ones by task name, where the data bring them along.
    """

    images: np.ndarray
    rows: np.ndarray
    places: np.ndarray
    at: int
    labels: Mapping[str, np.ndarray] | None = None


def maker(recipe: Recipe, images: Manifest, prepare: Prepare, start: int = 0) -> Make:
    """What makes the features of a manifest's pictures at some positions.

    Args:
        recipe: How.
        images: The pictures.
        prepare: Gives the engine.
        start: Position in the data of the manifest's first picture, a block's first.
    """

    def make(wanted: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        pieces = manifest_pieces(recipe, images, wanted, start)
        for piece, values in features_of(recipe, pieces, prepare):
            yield piece.rows, values

    return make


def features_of(
    recipe: Recipe, pieces: Iterator[Piece], prepare: Prepare
) -> Iterator[tuple[Piece, np.ndarray]]:
    """Each piece with the features of the pictures wanted in it, `[rows, views, ...]`."""
    run = None
    for piece, copies in _drawn(recipe, pieces):
        run = run or _filled_up(prepare(copies[0][piece.places]).run, recipe.batch_size)
        yield piece, np.stack([run(copy)[piece.places] for copy in copies], axis=1)


def first_images(recipe: Recipe, images: Manifest, wanted: np.ndarray) -> np.ndarray | None:
    """The images that `maker` would prepare the engine with; None if none can be read."""
    found = _drawn(recipe, manifest_pieces(recipe, images, wanted))
    return next((copies[0][piece.places] for piece, copies in found), None)


def manifest_pieces(
    recipe: Recipe, images: Manifest, wanted: np.ndarray, start: int = 0
) -> Iterator[Piece]:
    """The wanted pictures of a manifest, and beside them only what their views depend on."""
    if recipe.placed:
        yield from _windows(recipe, images, wanted, start)
        return
    for batch in iter_batches(images.take(wanted), (), recipe.image_size, recipe.batch_size):
        rows = wanted[batch.rows]
        yield Piece(batch.images, rows, np.arange(len(rows)), start + int(rows[0]))


def given_pieces(recipe: Recipe, data: Any, tasks: Any) -> Iterator[Piece]:
    """Arrays and datasets, batch by batch."""
    for batch in iter_batches(data, tasks, recipe.image_size, recipe.batch_size):
        if len(batch.rows):
            places = np.arange(len(batch.rows))
            yield Piece(batch.images, batch.rows, places, int(batch.rows[0]), batch.labels)


def through(
    run: Run, values: Any, rows: np.ndarray, views: int, batch_size: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Rows of features `[rows, views, ...]`, and what the middle of a network makes of them."""
    run = _filled_up(run, batch_size)
    for begin in range(0, len(rows), batch_size):
        at = rows[begin : begin + batch_size]
        yield at, np.stack([run(values[at, view])[: len(at)] for view in range(views)], axis=1)


def _windows(recipe: Recipe, images: Manifest, wanted: np.ndarray, start: int) -> Iterator[Piece]:
    """Batches at fixed positions: each that holds a wanted picture, with all its pictures."""
    first = _first(np.arange(len(images)), recipe.batch_size)
    read = np.flatnonzero(np.isin(first, first[wanted]))
    for at, pairs in itertools.groupby(_decoded(recipe, images, read), lambda p: first[p[0]]):
        window = np.zeros((recipe.batch_size, *recipe.image_size, 3), "uint8")
        there = []
        for row, image in pairs:
            window[row - at] = image
            there.append(row)
        rows = np.intersect1d(there, wanted)
        if len(rows):
            yield Piece(window, rows, rows - at, start + int(at))


def _first(rows: np.ndarray, batch_size: int) -> np.ndarray:
    """The first position of each picture's batch."""
    block = rows // BLOCK * BLOCK
    return block + (rows - block) // batch_size * batch_size


def _decoded(
    recipe: Recipe, images: Manifest, rows: np.ndarray
) -> Iterator[tuple[int, np.ndarray]]:
    for batch in iter_batches(images.take(rows), (), recipe.image_size, recipe.batch_size):
        yield from zip(rows[batch.rows].tolist(), batch.images, strict=True)


def _drawn(recipe: Recipe, pieces: Iterator[Piece]) -> Iterator[tuple[Piece, list[np.ndarray]]]:
    """Each piece and its copies: one thread draws the next ones, in order, while these run."""
    begin = getattr(recipe.augment, "begin", None)

    def draw(piece: Piece) -> tuple[Piece, list[np.ndarray]]:
        if recipe.augment is None:
            return piece, [piece.images]
        if begin is not None:
            begin(piece.at)
        return piece, [np.asarray(recipe.augment(piece.images)) for _ in range(recipe.views)]

    return ordered_map(draw, pieces, threads=1, ahead=2)


def _filled_up(run: Run, size: int) -> Run:
    """`run` for batches of at least `size`: fewer are filled up with zeros."""

    def filled(images: np.ndarray) -> np.ndarray:
        lacking = size - len(images)
        if lacking > 0:
            black = np.zeros((lacking, *images.shape[1:]), images.dtype)
            images = np.concatenate([images, black])
        return np.asarray(run(images))

    return filled
