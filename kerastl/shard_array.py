"""Features in shards as one array that reads what it is asked for."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kerastl.errors import InputError
from kerastl.shards import map_shard

MAPPED = 128
"""Shards that one array keeps mapped: a process may have about a thousand files open."""


class ShardArray:
    """Rows of several shards as one array `[rows, views, ...]`, read when they are asked for.

    It has `shape`, `dtype`, `ndim` and `len`. `array[rows]` and `array[rows, views]` give
    NumPy arrays; rows and views are numbers, slices or arrays as in NumPy. `np.asarray`
    reads everything.

    Args:
        paths: The shards' .npy files.
        number: Which of them each row is in, `[rows]`.
        row: Which of its rows that is, `[rows]`.
        shape: Of one row, `[views, ...]`.
        dtype: Of the values.

    Example:
        >>> import tempfile
        >>> from kerastl.shards import write_shard
        >>> values = np.arange(6, dtype="float32").reshape(3, 2)
        >>> keys = [b"%016d" % n for n in range(3)]
        >>> path = write_shard(Path(tempfile.mkdtemp()), keys, values, {})
        >>> array = ShardArray([path], np.array([0, 0]), np.array([2, 0]), (2,), "float32")
        >>> array.shape, array[:, 1].tolist(), array[0].tolist()
        ((2, 2), [5.0, 1.0], [4.0, 5.0])
    """

    def __init__(
        self,
        paths: Sequence[Path],
        number: np.ndarray,
        row: np.ndarray,
        shape: Sequence[int],
        dtype: Any,
    ):
        self.shape = (len(number), *shape)
        self.dtype, self.ndim = np.dtype(dtype), len(self.shape)
        self._paths, self._number, self._row = list(paths), number, row
        self._open = functools.lru_cache(MAPPED)(self._map)

    @property
    def nbytes(self) -> int:
        """Bytes of all values, as a NumPy array has it."""
        return math.prod(self.shape) * self.dtype.itemsize

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Any) -> np.ndarray:
        rows, views = index if isinstance(index, tuple) else (index, slice(None))
        number, row = self._number[rows], self._row[rows]
        if np.ndim(number) == 0:
            return np.array(self._open(int(number))[row, views])
        paired = None if isinstance(views, slice) else np.broadcast_to(views, len(number))
        of_each = [] if paired is not None else [len(range(self.shape[1])[views])]
        found = np.empty((len(number), *of_each, *self.shape[2:]), self.dtype)
        for shard in np.unique(number):
            here = np.flatnonzero(number == shard)
            part = views if paired is None else paired[here]
            found[here] = self._open(int(shard))[row[here], part]
        return found

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if copy is False:
            raise ValueError("Features in shards cannot be an array without a copy.")
        return self[:] if dtype is None else self[:].astype(dtype)

    def _map(self, shard: int) -> np.ndarray:
        try:
            return map_shard(self._paths[shard])
        except OSError as error:
            gone = f"Features in use were removed from the cache: {self._paths[shard]}."
            raise InputError(f"{gone} Call again; they are made anew.") from error
