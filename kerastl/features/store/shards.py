"""Shards: files of features on disk, each whole and checked, or not there at all.

A shard is two files of one name: `NAME.npy` with rows `[rows, views, ...]`, and
`NAME.json` with the rows' content keys, the checksum and what they are features of.
The name is a digest of the keys and the checksum. So two processes that do the same
work write the same files, and two that differ by a bit do not touch each other's.
The .json comes last: a shard without it does not exist.

Several shards are read as one array, which reads what it is asked for.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import io
import json
import math
import os
import re
import secrets
import socket
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kerastl.errors import DiskError, InputError
from kerastl.files import DIGEST, file_digest, replacing

LARGEST_JSON = 4 * 1024**2
ABANDONED = 24 * 3600
"""Seconds after which an unfinished file of another machine counts as left behind."""

NAME = re.compile(r"[0-9a-f]{32}")
"""Of a shard, and of a prefix's folder."""

LONGEST_HEADER = 1024
_HEADER = re.compile(
    rb"\x93NUMPY\x01\x00..\{'descr': '(?P<dtype>\|b1|[<|][iu][1248]|<f[248])', "
    rb"'fortran_order': False, 'shape': \((?P<shape>\d+(, \d+)*),?\), \} *\n",
    re.DOTALL,
)
"""Of a .npy of numbers, row by row, in the first version of NumPy's format."""

_UNFINISHED = re.compile(r"\.(?P<host>[\w-]+)\.(?P<pid>\d+)\.[0-9a-f]{8}\.tmp")


def _host() -> str:
    """This machine in a file's name; of two containers on it, which number their own processes."""
    name = re.sub(r"[^\w-]", "-", socket.gethostname())
    with contextlib.suppress(OSError):
        return f"{name}-{os.stat('/proc/self/ns/pid').st_ino}"
    return name


_HOST = _host()
_verified: set[tuple[str, int, int, int, int]] = set()


class Damaged(ValueError):
    """A shard that is not what was written; its text is the cause."""


class Unreadable(Damaged):
    """A shard that cannot be read now, and may be whole."""


@dataclass(frozen=True)
class Shard:
    """What a shard's .json says.

    Attributes:
        path: Its .npy.
        keys: The content key of each row, 16 bytes each.
        checksum: blake2b of the .npy's bytes, as hex digits.
        about: What it has the features of.
    """

    path: Path
    keys: tuple[bytes, ...]
    checksum: str
    about: Mapping[str, Any]


def write_shard(
    folder: Path, keys: Sequence[bytes], values: np.ndarray, about: Mapping[str, Any]
) -> Path:
    """Publish rows as a shard; the path of its .npy.

    Args:
        folder: Where; it exists.
        keys: The content key of each row.
        values: `[rows, views, ...]`.
        about: What it has the features of, as plain JSON values.

    Raises:
        InputError: Where the files cannot be written.
    """
    header = io.BytesIO()
    values = np.ascontiguousarray(values)
    np.lib.format.write_array_header_1_0(header, np.lib.format.header_data_from_array_1_0(values))
    data = [header.getvalue(), memoryview(values.reshape(-1).view("uint8"))]
    checksum = hashlib.blake2b(digest_size=DIGEST)
    for part in data:
        checksum.update(part)
    path = folder / f"{_name(keys, checksum.hexdigest())}.npy"
    publish(path, data)
    told = {"about": dict(about), "blake2b": checksum.hexdigest(), "keys": [k.hex() for k in keys]}
    publish(path.with_suffix(".json"), [json.dumps(told, indent=1).encode()])
    return path


def publish(path: Path, data: Iterable[bytes | memoryview]) -> None:
    """Write a file under a name of this process's own, and rename it when it is whole.

    It is not synced to the disk: what a power cut leaves of it fails its checksum.
    """
    unfinished = path.with_name(f".{_HOST}.{os.getpid()}.{secrets.token_hex(4)}.tmp")
    try:
        with replacing(path, unfinished), open(unfinished, "wb") as file:
            file.writelines(data)
    except OSError as error:  # the folder is gone, or a network is
        why = (error.strerror or str(error)).lower()
        raise DiskError(
            f"Nothing can be stored in {path.parent}: {why}. What was stored before is "
            "kept: give another cache folder, or call again."
        ) from error


def read_shard(path: Path) -> Shard:
    """What the .json at `path` says, held against its name.

    Raises:
        Damaged: With the cause.
    """
    try:
        if path.stat().st_size > LARGEST_JSON:
            raise Damaged("its .json is too large to be one")
        told = json.loads(path.read_bytes())
        keys = tuple(bytes.fromhex(key) for key in told["keys"])
        about, checksum = dict(told["about"]), told["blake2b"]
        true = bool(keys) and path.stem == _name(keys, checksum)
    except OSError as error:
        raise _fault(error) from error
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise Damaged(str(error) if isinstance(error, Damaged) else "its .json is broken") from None
    if not true:
        raise Damaged("its .json is not the one that was written")
    return Shard(path.with_suffix(".npy"), keys, checksum, about)


def check_shard(shard: Shard, *, anew: bool = True) -> tuple[tuple[int, ...], np.dtype]:
    """Hold a shard's file against its checksum; its shape `[rows, views, ...]` and dtype.

    Args:
        shard: The shard.
        anew: Read the file even where this process has done so already.

    Raises:
        Damaged: With the cause.
    """
    try:
        status = os.stat(shard.path)
        seen = (str(shard.path), status.st_size, status.st_mtime_ns, status.st_ctime_ns,
                status.st_ino)  # fmt: skip
        if anew or seen not in _verified:
            if _checksum(shard.path) != shard.checksum:
                raise Damaged("its checksum is wrong: cut short, or a changed bit")
            _verified.add(seen)
        values = map_shard(shard.path)
    except OSError as error:
        raise _fault(error) from error
    if values.shape[:1] != (len(shard.keys),):
        raise Damaged(f"it has {len(shard.keys)} keys, and an array of {values.shape}")
    return values.shape, values.dtype


def map_shard(path: Path) -> np.ndarray:
    """The rows of a shard's .npy, `[rows, views, ...]`, read when they are asked for.

    NumPy's own reader parses the header as Python, which CPython 3.11 does not always do
    rightly in two threads at once (python/cpython issue 106905).

    Raises:
        OSError: Where it cannot be read.
        Damaged: With the cause.
    """
    with open(path, "rb") as file:
        found = _HEADER.match(file.read(LONGEST_HEADER))
    if not found:
        raise Damaged("its header is not that of an array of numbers")
    shape = tuple(int(size) for size in found["shape"].split(b", "))
    dtype = np.dtype(found["dtype"].decode())
    if path.stat().st_size != found.end() + math.prod(shape) * dtype.itemsize:
        raise Damaged(f"it has another size than an array of {shape}")
    return np.memmap(path, dtype, "r", found.end(), shape)


def remove_shard(path: Path) -> None:
    """Remove a shard, its .json first."""
    path.with_suffix(".json").unlink(missing_ok=True)
    path.with_suffix(".npy").unlink(missing_ok=True)


def shard_files(folder: Path, suffix: str = ".json") -> list[Path]:
    """The files in a folder that are named as a shard's, in the order of their names."""
    return sorted(p for p in folder.glob(f"*{suffix}") if NAME.fullmatch(p.stem))


def sweep(folder: Path) -> bool:
    """Remove what dead processes left unfinished; whether a live one is at work there.

    A .npy that has had no .json for a day is such a rest too.
    """
    busy = False
    for path in folder.glob(".*.tmp"):
        found = _UNFINISHED.fullmatch(path.name)
        if found and _left(path, found["host"], int(found["pid"])):
            path.unlink(missing_ok=True)
        else:
            busy |= found is not None
    for path in shard_files(folder, ".npy"):
        if not path.with_suffix(".json").exists() and _age(path) > ABANDONED:
            path.unlink(missing_ok=True)
    return busy


def _name(keys: Sequence[bytes], checksum: str) -> str:
    return hashlib.blake2b(b"".join([*keys, checksum.encode()]), digest_size=16).hexdigest()


def _fault(error: OSError) -> Damaged:
    kind = Damaged if isinstance(error, FileNotFoundError) else Unreadable
    return kind((error.strerror or str(error)).lower())


def _checksum(path: Path) -> str:
    return file_digest(path).hex()


def _age(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except OSError:  # renamed or removed by its owner
        return 0.0


def _left(path: Path, host: str, pid: int) -> bool:
    """Whether the process that wrote an unfinished file is gone."""
    if host != _HOST or os.name != "posix":  # elsewhere os.kill would end the process
        return _age(path) > ABANDONED
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except OSError:  # alive, and another user's
        return False
    return pid != os.getpid() and _age(path) > ABANDONED


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
        >>> from kerastl.features.store.shards import write_shard
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
