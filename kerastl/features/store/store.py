"""The features store: what is known of each picture under each prefix, found by content.

A folder holds one folder for each prefix under one set of options, and in it shards.
Whatever asks for the features of a picture gets the rows that are there and makes the
others, whichever manifest, split or file name the picture came by.
"""

from __future__ import annotations

import contextlib
import logging
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kerastl.data.batches import ordered_map
from kerastl.errors import DiskError, InputError
from kerastl.features.store.shards import (
    Damaged,
    Shard,
    ShardArray,
    Unreadable,
    check_shard,
    read_shard,
    remove_shard,
    shard_files,
    sweep,
    write_shard,
)

log = logging.getLogger("kerastl")

SHARD_BYTES = 64 * 1024**2
SHARD_ROWS = 1024
"""Pictures in a shard at most: what a killed process has to do again."""

USED = "used"
"""A file in a prefix's folder whose time is that of the last use."""

ENGINE = "engine.txt"
"""A file there with the name of the engine that all its features are made with."""

NETWORK = "prefix.keras"
"""A file there with the network, for workers on other machines."""


class Store:
    """The features of one prefix under one set of options.

    Args:
        folder: Its own, within the cache folder; it is made.
        shape: Of one picture's features, `[views, ...]`.
        dtype: Of the values.
        about: What they are features of, as plain JSON values, kept in each shard.

    Raises:
        InputError: Where the folder cannot be made.

    Example:
        >>> import tempfile
        >>> store = Store(Path(tempfile.mkdtemp()) / "a", (1, 2), "float32", {})
        >>> keys = [b"%016d" % n for n in (0, 1, 0)]
        >>> store.missing(keys)
        [0, 1]
        >>> store.add(keys[:2], np.arange(4, dtype="float32").reshape(2, 1, 2))
        >>> store.finish()
        >>> store.missing(keys), store.array(keys)[:, 0].tolist()
        ([], [[0.0, 1.0], [2.0, 3.0], [0.0, 1.0]])
    """

    def __init__(self, folder: Path, shape: Sequence[int], dtype: str, about: Mapping[str, Any]):
        self.folder, self.shape, self.about = folder, tuple(shape), dict(about)
        self.dtype = np.dtype(dtype)
        self._shards: dict[str, Shard] = {}
        self._keys: list[bytes] = []
        self.row_bytes = math.prod(self.shape) * self.dtype.itemsize
        self._most = max(1, min(SHARD_ROWS, SHARD_BYTES // max(1, self.row_bytes)))
        self._rows = np.empty((0, *self.shape), self.dtype)
        self._open()

    def missing(self, keys: Sequence[bytes | None]) -> list[int]:
        """Positions of the pictures to make features of: of equal ones, the first.

        A picture without a key cannot be found, and is always among them.
        """
        there, seen, wanted = self._places(keys), set(), []
        for position, key in enumerate(keys):
            if key is None or (key not in there and key not in seen):
                wanted.append(position)
                seen.add(key)
        return wanted

    def has(self, keys: Sequence[bytes | None]) -> np.ndarray:
        """Whether the features of each picture are there, bool `[keys]`."""
        there = self._places(keys)
        return np.array([key in there for key in keys], bool)

    def add(self, keys: Sequence[bytes], values: np.ndarray) -> None:
        """Take in features `[rows, views, ...]`; every full shard is published at once."""
        for key, value in zip(keys, values, strict=True):
            if not len(self._rows):
                self._rows = np.empty((self._most, *self.shape), self.dtype)
            self._rows[len(self._keys)] = value
            self._keys.append(key)
            if len(self._keys) == self._most:
                self.finish()

    def finish(self) -> None:
        """Publish what was taken in and is in no shard yet."""
        if self._keys:
            self._open()  # another process may have pruned it
            write_shard(self.folder, self._keys, self._rows[: len(self._keys)], self.about)
            self._keys = []

    def array(self, keys: Sequence[bytes]) -> ShardArray:
        """The features of pictures that are all there, `[keys, views, ...]`.

        Raises:
            InputError: Where another process has removed some meanwhile.
        """
        there = self._places(keys)
        if not set(keys) <= there.keys():
            raise InputError(f"Features were removed from {self.folder} meanwhile. Call again.")
        names = sorted({there[key][0] for key in keys})
        number = {name: n for n, name in enumerate(names)}
        places = np.array([(number[there[k][0]], there[k][1]) for k in keys], "int64")
        number, row = places.reshape(-1, 2).T
        paths = [self._shards[name].path for name in names]
        return ShardArray(paths, number, row, self.shape, self.dtype)

    def _open(self) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            why = (error.strerror or str(error)).lower()
            raise DiskError(f"There can be no cache folder {self.folder.parent}: {why}.") from error
        with contextlib.suppress(OSError):  # a cache that may only be read serves all the same
            (self.folder / USED).touch()
            sweep(self.folder)
            sweep(self.folder.parent)

    def _places(self, keys: Sequence[bytes | None]) -> dict[bytes, tuple[str, int]]:
        """Shard and row of each of the keys that is there, in shards held to be whole."""
        self._read()
        while True:
            places, wanted = {}, set(keys)
            for name in sorted(self._shards):
                if wanted.isdisjoint(self._shards[name].keys):
                    continue  # as most are, of a million pictures, for one block of them
                for row, key in enumerate(self._shards[name].keys):
                    if key in wanted:
                        places.setdefault(key, (name, row))
            needed = sorted({name for name, _ in places.values()})
            causes = ordered_map(self._fault, [self._shards[name] for name in needed])
            bad = [(n, fault) for n, fault in zip(needed, causes, strict=True) if fault]
            for name, fault in bad:
                self._set_aside(self._shards.pop(name).path, fault)
            if not bad:
                return places

    def _read(self) -> None:
        """Learn of the shards that were published since, and forget those removed."""
        there = {path.stem: path for path in shard_files(self.folder)}
        self._shards = {name: s for name, s in self._shards.items() if name in there}
        for name in there.keys() - self._shards.keys():
            try:
                self._shards[name] = read_shard(there[name])
            except Damaged as fault:
                self._set_aside(there[name], fault)

    def _fault(self, shard: Shard) -> Damaged | None:
        """Why a shard cannot be used, or None."""
        try:
            shape, dtype = check_shard(shard, anew=False)
        except Damaged as fault:
            return fault
        right = shape[1:] == self.shape and dtype == self.dtype
        return None if right else Damaged(f"it has rows {shape[1:]} of {dtype}, not {self.shape}")

    def _set_aside(self, path: Path, fault: Damaged) -> None:
        log.warning("Stored features are made anew: %s: %s.", path, fault)
        if not isinstance(fault, Unreadable):
            with contextlib.suppress(OSError):
                remove_shard(path)
