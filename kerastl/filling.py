"""Filling a store: the features that are missing are made, and nothing that is there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from kerastl.content_index import contents, stamp
from kerastl.errors import InputError
from kerastl.manifest import Manifest
from kerastl.room import check_room
from kerastl.store import Store

Progress = Callable[[int, int], None]
Make = Callable[[np.ndarray], Iterator[tuple[np.ndarray, np.ndarray]]]
"""Takes positions in the data; gives those of a batch that could be read, and their features."""

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
    hopeless: set[bytes | None] = {None}
    for round_ in range(ROUNDS):
        rows = np.array([n for n, key in enumerate(keys) if round_ == 0 or key not in hopeless])
        wanted = rows[store.missing([keys[n] for n in rows])] if len(rows) else rows
        if not len(wanted):
            return np.flatnonzero(store.has(keys))
        able = sum(keys[n] is not None for n in wanted)
        check_room(store.folder.parent, able * (store.row_bytes + OVERHEAD), budget)
        made = _make(store, keys, make, wanted, progress)
        hopeless |= {keys[n] for n in wanted if n not in made}
    raise InputError(
        f"Features vanish from {store.folder} while they are made. Prune the cache when no "
        "other process works with it, then call again."
    )


def picture_keys(images: Manifest, folder: Path, make: Make) -> tuple[list[bytes | None], Make]:
    """The content keys of a manifest's pictures, and `make` held to that content.

    Args:
        images: The pictures.
        folder: The cache folder.
        make: Makes features of the pictures at some positions.

    Raises:
        InputError: From the function returned, where a picture changes meanwhile.
    """
    paths = images.frame["image"].tolist()
    found = contents(paths, folder)

    def held(rows: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for made, values in make(rows):
            known = [found.keys[n] and stamp(paths[n]) == found.stamps[n] for n in made]
            changed = [paths[n] for n, same in zip(made, known, strict=True) if not same]
            if changed:
                raise InputError("Pictures changed while they were read. Call again.", changed)
            yield made, values

    return found.keys, held


def share_causes(images: Manifest, keys: Sequence[bytes | None], there: np.ndarray) -> None:
    """Note in `skipped` the copies of a picture that could not be read: only one was tried."""
    paths = images.frame["image"].tolist()
    bad = sorted(set(range(len(keys))) - set(there.tolist()))
    causes = {keys[n]: images.skipped[paths[n]] for n in bad if paths[n] in images.skipped}
    for n in bad:
        if keys[n] in causes:
            images.skipped.setdefault(paths[n], causes[keys[n]])


def _make(
    store: Store,
    keys: Sequence[bytes | None],
    make: Make,
    wanted: np.ndarray,
    progress: Progress | None,
) -> set[int]:
    """Make features, publish them shard by shard; the positions that could be read."""
    done: set[int] = set()
    before = len(keys) - len(wanted)
    try:
        for rows, values in make(wanted):
            store.add([keys[n] for n in rows], values)
            done.update(rows.tolist())
            if progress:
                progress(before + len(done), len(keys))
    finally:
        store.finish()
    return done
