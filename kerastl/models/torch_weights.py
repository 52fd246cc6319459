"""Weights out of torch's old file format, without torch and without trust.

Before its ZIP files torch wrote a state dict as five pickles (magic number,
protocol, system, tensors, storage keys) and after them the raw storages. A
pickle is a program; here it may do no more than build dicts of tensors. Three
fences hold that: only the opcodes such a file needs, only the names it needs
(each answered by an object of our own), and every number checked against the
bytes that are there.

The format: torch.serialization._legacy_save in the PyTorch source.
"""

from __future__ import annotations

import io
import math
import os
import pickle
import pickletools
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from kerastl.errors import InputError

MAGIC = 0x1950A86A20F9469CFC6C
PROTOCOL = 1001
MOST_BYTES = 512 * 2**20
"""The largest file that is read, and the most that its tensors may take."""

MOST_DIMENSIONS = 16
MOST_MEMO = 2**20

STORAGES = {
    "DoubleStorage": "<f8",
    "FloatStorage": "<f4",
    "HalfStorage": "<f2",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "<i1",
    "ByteStorage": "<u1",
}

# fmt: off
OPCODES = frozenset((
    "PROTO", "STOP", "MARK", "NONE", "NEWTRUE", "NEWFALSE", "BININT", "BININT1", "BININT2",
    "LONG1", "BINFLOAT", "BINUNICODE", "SHORT_BINUNICODE", "EMPTY_TUPLE", "TUPLE", "TUPLE1",
    "TUPLE2", "TUPLE3", "EMPTY_LIST", "APPEND", "APPENDS", "EMPTY_DICT", "SETITEM", "SETITEMS",
    "BINPUT", "LONG_BINPUT", "BINGET", "LONG_BINGET", "GLOBAL", "REDUCE", "BUILD", "BINPERSID",
))
# fmt: on

_PICKLE_FAULTS = (
    pickle.UnpicklingError,
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    RecursionError,
    TypeError,
    ValueError,
)


class _Refused(Exception):
    """What is wrong with the file, in words; `read_legacy` adds which file."""


class _StorageType(NamedTuple):
    dtype: str


class _Storage(NamedTuple):
    key: str
    dtype: str
    count: int


class _View(NamedTuple):
    """A tensor as the file describes it: a window on a storage."""

    storage: Any
    offset: Any
    size: Any
    stride: Any


class _Rebuild:
    """Stands for torch._utils._rebuild_tensor_v2; without state that BUILD could set."""

    __slots__ = ()

    def __call__(self, storage: Any, offset: Any, size: Any, stride: Any, *_: Any) -> _View:
        return _View(storage, offset, size, stride)


class _Dict(dict):
    """Stands for OrderedDict; what BUILD brings (torch's _metadata) is dropped."""

    __slots__ = ()

    def __setstate__(self, state: Any) -> None:
        pass


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return _Dict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _Rebuild()
        if module == "torch" and name in STORAGES:
            return _StorageType(STORAGES[name])
        raise _Refused(f"it asks for {module}.{name}, which a state dict does not need")

    def persistent_load(self, pid: Any) -> _Storage:
        match pid:
            case ("storage", _StorageType(dtype=dtype), str(key), str(), int(count), *rest) if (
                count >= 0 and rest in ([], [None])
            ):
                return _Storage(key, dtype, count)
        raise _Refused("it describes a storage in words that are not known")


def read_legacy(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """The tensors of a state dict in torch's old (pre-ZIP) format.

    Nothing that the file names is imported or run. The whole file is read
    into memory; at most 512 MiB.

    Args:
        path: A file that `torch.save(model.state_dict(), path)` wrote before
            torch 1.6, or later with `_use_new_zipfile_serialization=False`.

    Returns:
        Each tensor by its name, in the file's order, as an array of its own.

    Raises:
        InputError: When there is no such file, or when it is no such state
            dict, is damaged, or asks for anything beyond tensors.

    Example:
        >>> read_legacy("none.pth")
        Traceback (most recent call last):
        kerastl.errors.InputError: Expected a torch state dict. Received: no file none.pth.
    """
    data = _read(path)
    if data.startswith(b"PK"):
        raise InputError(
            f"Expected torch's old (pre-ZIP) format. Received a ZIP file: {os.fspath(path)}. "
            "Save the state dict again with _use_new_zipfile_serialization=False."
        )
    try:
        return _tensors(io.BytesIO(data), data)
    except _Refused as refused:
        raise InputError(
            f"Expected a state dict in torch's old (pre-ZIP) format in {os.fspath(path)}. "
            f"Received a file that cannot be used: {refused}. "
            "Take a fresh copy of the file from its source."
        ) from None


def _read(path: str | os.PathLike[str]) -> bytes:
    name = os.fspath(path)
    if not os.path.isfile(name):
        raise InputError(f"Expected a torch state dict. Received: no file {name}.")
    with open(name, "rb") as file:
        data = file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise InputError(f"Expected at most {MOST_BYTES:,} bytes. Received: more, in {name}.")
    return data


def _tensors(file: io.BytesIO, data: bytes) -> dict[str, np.ndarray]:
    _check_header(_load(file), _load(file), _load(file))
    views, keys = _load(file), _load(file)
    _check_views(views)
    arrays = _storages(data, file.tell(), keys, _described(views))
    return {name: _copy(arrays[view.storage.key], view) for name, view in views.items()}


def _load(file: io.BytesIO) -> Any:
    """The next pickle: first its opcodes are looked at, then they are run."""
    start = file.tell()
    try:
        for opcode, argument, _ in pickletools.genops(file):
            _check_opcode(opcode.name, argument)
        file.seek(start)
        return _Unpickler(file).load()
    except _PICKLE_FAULTS as error:
        raise _Refused(f"its pickle at byte {start} is damaged ({str(error)[:200]})") from error


def _check_opcode(name: str, argument: Any) -> None:
    if name not in OPCODES:
        raise _Refused(f"its pickle uses {name}, which a state dict does not need")
    # The unpickler makes room for as many memo entries as the number says.
    if name.endswith("BINPUT") and argument > MOST_MEMO:
        raise _Refused(f"its pickle asks for {argument:,} memo entries")


def _check_header(magic: Any, protocol: Any, system: Any) -> None:
    if type(magic) is not int or magic != MAGIC:
        raise _Refused("it does not begin with torch's magic number")
    if type(protocol) is not int or protocol != PROTOCOL:
        raise _Refused(f"its protocol is not {PROTOCOL}")
    if not isinstance(system, Mapping) or system.get("little_endian") is not True:
        raise _Refused("expected little-endian numbers")


def _check_views(views: Any) -> None:
    if not isinstance(views, Mapping):
        raise _Refused(f"expected a dict of tensors, received {type(views).__name__}")
    for name, view in views.items():
        if not isinstance(name, str) or not isinstance(view, _View):
            raise _Refused("it holds something beside tensors and their names")
        if not _fits(view):
            raise _Refused(f"the tensor {name[:80]!r} does not lie within its storage")
    wanted = sum(math.prod(v.size) * np.dtype(v.storage.dtype).itemsize for v in views.values())
    if wanted > MOST_BYTES:
        raise _Refused(f"its tensors would take {wanted:,} bytes, more than {MOST_BYTES:,}")


def _fits(view: _View) -> bool:
    """Whether each element's place, offset + sum(index * stride), is in the storage."""
    storage, offset, size, stride = view
    if not isinstance(storage, _Storage) or not (_is_shape(size) and _is_shape(stride)):
        return False
    if len(size) != len(stride) or not _is_shape((offset,)):
        return False
    # No more elements than the storage has: a stride of 0 could make any number.
    if not math.prod(size) <= storage.count - offset:
        return False
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    return 0 in size or last < storage.count


def _is_shape(value: Any) -> bool:
    return (
        type(value) is tuple
        and len(value) <= MOST_DIMENSIONS
        and all(type(n) is int and 0 <= n <= MOST_BYTES for n in value)
    )


def _described(views: Mapping[str, _View]) -> dict[str, _Storage]:
    found: dict[str, _Storage] = {}
    for view in views.values():
        if found.setdefault(view.storage.key, view.storage) != view.storage:
            raise _Refused(f"it describes storage {view.storage.key[:50]!r} in two ways")
    return found


def _storages(
    data: bytes, start: int, keys: Any, described: Mapping[str, _Storage]
) -> dict[str, np.ndarray]:
    """The raw storages in the order of `keys`: a count of 8 bytes, then the values."""
    listed = type(keys) is list and all(isinstance(key, str) for key in keys)
    if not listed or sorted(keys) != sorted(described):
        raise _Refused("its list of storages does not match its tensors")
    arrays = {}
    for key in keys:
        arrays[key], start = _storage(data, start, described[key])
    if start != len(data):
        raise _Refused(f"{len(data) - start:,} bytes follow its last storage")
    return arrays


def _storage(data: bytes, start: int, storage: _Storage) -> tuple[np.ndarray, int]:
    first = start + 8
    end = first + storage.count * np.dtype(storage.dtype).itemsize
    if end > len(data):
        raise _Refused(f"it ends at byte {len(data):,}, before storage {storage.key[:50]!r} does")
    if int.from_bytes(data[start:first], "little") != storage.count:
        raise _Refused(f"storage {storage.key[:50]!r} at byte {start:,} has another length")
    return np.frombuffer(data, storage.dtype, storage.count, first), end


def _copy(array: np.ndarray, view: _View) -> np.ndarray:
    steps = tuple(step * array.itemsize for step in view.stride)
    window = np.lib.stride_tricks.as_strided(array[view.offset :], view.size, steps)
    return window.copy(order="C")
