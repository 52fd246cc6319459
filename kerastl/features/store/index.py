"""What each picture file is known by: a digest of its content, remembered by the file's stamp.

A stamp holds size, time of writing, inode and change time. `cp -p`, `rsync -t`, `touch`, Git and
unpackers set the time of writing as they like; the change time is the system's own, and every
writing and every replacement moves it. So an equal stamp is equal content, for the price of a
`stat`: 2 microseconds, where the digest of a 224 pixel JPEG takes 22 and its decoding 250.
Some file systems have no change time (FAT, SFTP, buckets that are mounted, Windows): there the
content itself is part of the stamp, so that each file is read.
"""

from __future__ import annotations

import functools
import hashlib
import os
import stat
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from kerastl.data.batches import ordered_map
from kerastl.errors import InputError
from kerastl.features.store.shards import publish
from kerastl.files import DIGEST, content_digest

INDEX = "contents.index"
SETTLED = 2.0
"""Seconds after which a file's change time tells a change: clocks of file systems are coarse."""

KEEP_CHANGE_TIME = {"btrfs", "ceph", "ext2", "ext3", "ext4", "f2fs", "gpfs", "lustre", "nfs",
                    "nfs4", "overlay", "tmpfs", "xfs", "zfs"}  # fmt: skip
"""File systems of Linux on which nobody can set a file's change time."""


class Contents(NamedTuple):
    """The pictures of a manifest as they were when they were looked at.

    Attributes:
        keys: Digest of each file's content; None where it cannot be read.
        stamps: The stamp of each; None likewise.
    """

    keys: list[bytes | None]
    stamps: list[bytes | None]


def contents(paths: Sequence[str], folder: Path) -> Contents:
    """The content keys of files; only files that are new to the folder's index are read.

    Args:
        paths: The files.
        folder: The store's folder, which keeps the index.

    Example:
        >>> import tempfile
        >>> root = Path(tempfile.mkdtemp())
        >>> for name in ("a", "b"):
        ...     n = (root / name).write_bytes(b"same")
        >>> found = contents([str(root / name) for name in ("a", "b", "gone")], root)
        >>> found.keys[0] == found.keys[1], found.stamps[0] == found.stamps[1], found.keys[2]
        (True, False, None)
    """
    index = _read(folder / INDEX)
    stamps = [stamp(path) for path in paths]
    new = {s: p for s, p in zip(stamps, paths, strict=True) if s is not None and s not in index}
    digests = ordered_map(content_digest, new.values())
    made = {s: d for s, d in zip(new, digests, strict=True) if d is not None}
    settled = {s: d for s, d in made.items() if _settled(new[s])}
    if settled:
        _write(folder / INDEX, settled)
    index.update(made)
    return Contents([index.get(s) if s else None for s in stamps], stamps)


def stamp(path: str) -> bytes | None:
    """A digest that another content at the same path does not have; None where there is no file.

    Args:
        path: The file. It is read only where its file system keeps no change time.

    Example:
        >>> stamp(__file__) == stamp(__file__), stamp("no/such/file"), stamp(os.devnull)
        (True, None, None)
    """
    try:
        status = os.stat(path)
    except (OSError, ValueError):  # a null byte in the name is a ValueError
        return None
    if not stat.S_ISREG(status.st_mode):  # a pipe would wait for ever
        return None
    told = [os.path.abspath(path), status.st_size, status.st_mtime_ns]
    if _change_is_told(status):
        told += [status.st_ctime_ns, status.st_ino]
    else:
        told += [content_digest(path)]
    return hashlib.blake2b(repr(tuple(told)).encode(), digest_size=DIGEST).digest()


def _change_is_told(status: os.stat_result) -> bool:
    """Whether the file's change time is the system's own, and not a copy of one that is set."""
    if os.name != "posix":  # Windows has the time of creation there
        return False
    return status.st_ctime_ns != status.st_mtime_ns or status.st_dev in _keeping_change_time()


@functools.cache
def _keeping_change_time() -> frozenset[int]:
    """The devices, as `stat` numbers them, of file systems that are known to keep it."""
    try:
        lines = Path("/proc/self/mountinfo").read_text("utf-8", "replace").splitlines()
    except OSError:
        return frozenset()
    found = set()
    for fields in map(str.split, lines):
        if fields[fields.index("-") + 1] in KEEP_CHANGE_TIME:
            major, minor = fields[2].split(":")
            found.add(os.makedev(int(major), int(minor)))
    return frozenset(found)


def _settled(path: str) -> bool:
    try:
        return abs(time.time() - os.stat(path).st_ctime) > SETTLED
    except OSError:
        return False


def _read(path: Path) -> dict[bytes, bytes]:
    """Stamp to key. A damaged index is none: its only use is to save time."""
    try:
        data = path.read_bytes()
    except OSError:
        return {}
    check, pairs = data[:DIGEST], data[DIGEST:]
    if hashlib.blake2b(pairs, digest_size=DIGEST).digest() != check or len(pairs) % (2 * DIGEST):
        return {}
    starts = range(0, len(pairs), 2 * DIGEST)
    return {pairs[i : i + DIGEST]: pairs[i + DIGEST : i + 2 * DIGEST] for i in starts}


def _write(path: Path, new: dict[bytes, bytes]) -> None:
    """Add to the index. Of two processes at once one may lose its part, and reads again."""
    pairs = b"".join(s + k for s, k in {**_read(path), **new}.items())
    check = hashlib.blake2b(pairs, digest_size=DIGEST).digest()
    try:
        publish(path, [check, pairs])
    except InputError:  # a folder that may only be read serves all the same
        return
