"""Filling a store: the features that are missing are made, and nothing that is there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from kerastl.content_index import Contents, stamp
from kerastl.errors import InputError
from kerastl.manifest import Manifest
from kerastl.room import check_room
from kerastl.store import Store

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
        found: What `content_index.contents` found of them.

    Raises:
        InputError: From the function returned, where a picture changes meanwhile.
    """

    def unchanged(rows: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for made, values in make(rows):
            known = [found.keys[n] and stamp(paths[n]) == found.stamps[n] for n in made]
            changed = [paths[n] for n, same in zip(made, known, strict=True) if not same]
            if changed:
                raise InputError("Pictures changed while they were read. Call again.", changed)
            yield made, values

    return unchanged


def share_causes(images: Manifest, keys: Sequence[bytes | None], there: np.ndarray) -> None:
    """Note in `skipped` the copies of a picture that could not be read: only one was tried."""
    paths = images.frame["image"].tolist()
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
