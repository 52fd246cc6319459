"""Files that appear whole or not at all, their digests, and the settings that one of them keeps."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from kerastl.errors import DiskError, InputError


def hold_to(path: Path, given: Mapping[str, str], other: str, damaged: str) -> None:
    """Compare settings with those that a file keeps.

    Args:
        path: A JSON file.
        given: Settings by name.
        other: What is said where they differ.
        damaged: What is said of a file that cannot be read.

    Raises:
        InputError: Naming each setting that differs.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp(), "settings.json")
        >>> size = path.write_text('{"epochs": "5"}')
        >>> hold_to(path, {"epochs": "5"}, "Another fit.", "Damaged.")
        >>> hold_to(path, {"epochs": "9", "seed": "1"}, "Another fit.", "Damaged.")
        Traceback (most recent call last):
        kerastl.errors.InputError: Another fit.
          epochs: 5 there, 9 here
          seed: not given there, 1 here
    """
    there = _read(path, damaged)
    faults = [
        f"{name}: {there.get(name, 'not given')} there, {given.get(name, 'not given')} here"
        for name in sorted({*there, *given})
        if there.get(name) != given.get(name)
    ]
    if faults:
        raise InputError(other, faults)


def _read(path: Path, damaged: str) -> dict[str, str]:
    try:
        there = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(damaged) from error
    if not isinstance(there, dict):
        raise InputError(damaged)
    return there


DIGEST = 16
"""Bytes of a file's digest."""


def as_folder(path: str | Path) -> Path:
    """The path of a folder, which need not be there.

    Args:
        path: Where files are to be written, perhaps much later.

    Raises:
        InputError: Where a file is in its place, or in that of a folder above it.
        DiskError: Where one above it may not be looked into.

    Example:
        >>> as_folder(os.path.join(os.devnull, "run"))
        Traceback (most recent call last):
        kerastl.errors.InputError: Expected a folder. Received: ...null, which is a file.
    """
    folder = Path(path)
    with writing(folder):
        there = next((part for part in (folder, *folder.parents) if part.exists()), None)
    if there is not None and not there.is_dir():
        raise InputError(f"Expected a folder. Received: {there}, which is a file.")
    return folder


FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
CLOSED = {errno.EACCES, errno.EPERM, errno.EROFS, errno.EIO, errno.ENAMETOOLONG, errno.ENOTDIR,
          errno.EISDIR, errno.EMFILE, errno.ENFILE}  # fmt: skip
"""What the world, and not a fault of the program, has against a file that is written."""


def disk_error(error: OSError, path: str | Path | None) -> DiskError | None:
    """What is said of a disk that is full or closed; None for another error.

    Args:
        error: What was raised.
        path: The file or folder that was to be written, if it is known.

    Example:
        >>> print(disk_error(OSError(errno.EROFS, "Read-only file system"), "/cdrom/a.csv"))
        Nothing can be written to /cdrom/a.csv: read-only file system. Write to another folder, ...
        >>> disk_error(OSError(errno.EINVAL, "Invalid argument"), "a.csv") is None
        True
    """
    if error.errno not in FULL | CLOSED:
        return None
    why, where = os.strerror(error.errno).lower(), "" if path is None else f" to {path}"
    if error.errno not in FULL:
        return DiskError(
            f"Nothing can be written{where}: {why}. Write to another folder, or make this one "
            "writable."
        )
    free = "" if path is None else f" ({size(free_bytes(Path(path)))} are free)"
    told = DiskError(
        f"Nothing can be written{where}: {why}{free}. What was written before is whole. Make room, "
        "or write to another disk, and call again."
    )
    told.full = True
    return told


@contextlib.contextmanager
def writing(path: str | Path) -> Iterator[None]:
    """Say of a disk that is full or closed what it is, and where.

    Args:
        path: What the block writes.

    Raises:
        DiskError: Instead of the OSError.

    Example:
        >>> with writing("a.csv"):
        ...     raise OSError(errno.ENOSPC, "")
        Traceback (most recent call last):
        kerastl.errors.DiskError: Nothing can be written to a.csv: no space left on device (...
    """
    try:
        yield
    except OSError as error:
        if (told := disk_error(error, path)) is None:
            raise
        raise told from error


def writable(path: str | Path) -> Path:
    """Make a folder and write a byte in it, so that long work does not end at a closed one.

    Args:
        path: The folder.

    Raises:
        DiskError: Where it cannot be made or written.
        InputError: Where a file is in its place.

    Example:
        >>> writable(tempfile.mkdtemp()).is_dir()
        True
    """
    folder = as_folder(path)
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"0")
    return folder


def free_bytes(path: Path) -> int:
    """Bytes that are free on the disk that holds a path, which need not be there."""
    for there in (path.absolute(), *path.absolute().parents):
        with contextlib.suppress(OSError):
            return shutil.disk_usage(there).free
    return 0


def size(count: int) -> str:
    """Bytes in words.

    Example:
        >>> size(1_500_000), size(2_000_000_000), size(12)
        ('1.5 MB', '2.0 GB', '12 bytes')
    """
    for unit, name in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if count >= unit:
            return f"{count / unit:.1f} {name}"
    return f"{count} bytes"


@contextlib.contextmanager
def replacing(path: str | Path, unfinished: Path | None = None) -> Iterator[Path]:
    """A temporary path beside `path`, renamed to it when the block ends well.

    Args:
        path: The file to write. Its folder is made where it is missing; what
            stood there stays untouched when the block fails.
        unfinished: The temporary path, in the same folder; by default one that names
            this process and ends as `path` does.

    Raises:
        InputError: Where a file is in the place of the folder.
        DiskError: Where the disk is full, or closed to this process.

    Example:
        >>> path = Path(tempfile.mkdtemp()) / "a.txt"
        >>> with replacing(path) as unfinished:
        ...     n = unfinished.write_text("whole")
        >>> path.read_text()
        'whole'
    """
    path = Path(path)
    folder = as_folder(path.parent)
    unfinished = unfinished or path.with_name(f".{path.stem}.{os.getpid()}.tmp{path.suffix}")
    with writing(path):
        folder.mkdir(parents=True, exist_ok=True)
        try:
            yield unfinished
            os.replace(unfinished, path)
        finally:
            with contextlib.suppress(OSError):
                unfinished.unlink(missing_ok=True)


def write_json(path: str | Path, values: Any) -> Path:
    """Write plain values as readable JSON; NaN is refused, for JSON has none.

    What is not UTF-8 in the name of a file is escaped as JSON escapes it, and read back.
    """
    text = json.dumps(values, indent=2, ensure_ascii=False, allow_nan=False)
    with replacing(path) as unfinished:
        unfinished.write_text(text + "\n", encoding="utf-8", errors="backslashreplace")
    return Path(path)


def is_text(name: str) -> bool:
    """Whether a name is text: that of a file in another encoding has bytes that are none.

    Example:
        >>> is_text("caf\u00e9.png"), is_text(os.fsdecode(b"caf\\xe9.png"))
        (True, False)
    """
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def readable(name: str) -> str:
    """A file's name as text: bytes that are no UTF-8 are escaped.

    Example:
        >>> readable(os.fsdecode(b"caf\\xe9.png"))
        'caf\\\\xe9.png'
    """
    if is_text(name):
        return name
    try:
        return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:  # half of a pair, as Windows allows it
        return name.encode("utf-8", "backslashreplace").decode()


def write_table(path: str | Path, frame: Any) -> Path:
    """Write a pandas frame as a CSV table."""
    with replacing(path) as unfinished:
        frame.to_csv(unfinished, index=False, encoding="utf-8", errors="backslashreplace")
    return Path(path)


def file_digest(path: str | Path) -> bytes:
    """blake2b of a file's bytes, read in blocks.

    Args:
        path: The file.

    Returns:
        16 bytes.

    Raises:
        OSError: Where it cannot be read.

    Example:
        >>> file_digest(os.devnull) == hashlib.blake2b(b"", digest_size=16).digest()
        True
    """
    digest = hashlib.blake2b(digest_size=DIGEST)
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.digest()


def content_digest(path: str) -> bytes | None:
    """A digest of a file's content; None where it cannot be read.

    The cause is told when the picture is read.

    Args:
        path: The file.

    Returns:
        16 bytes, or None.

    Example:
        >>> len(content_digest(os.devnull)), content_digest("no/such/file")
        (16, None)
    """
    try:
        return file_digest(path)
    except OSError:
        return None


def sha256(path: Path) -> str:
    """The SHA-256 of a file; of a folder, that of the lines `sha256sum` has for its files.

    The lines are sorted by the paths inside the folder: what
    `find . -type f | sort | xargs sha256sum | sha256sum` says there.

    Example:
        >>> sha256(Path(os.devnull))[:8]
        'e3b0c442'
    """
    if not path.is_dir():
        return hashlib.sha256(path.read_bytes()).hexdigest()
    names = sorted(f"./{p.relative_to(path).as_posix()}" for p in path.rglob("*") if p.is_file())
    lines = [f"{sha256(path / name)}  {name}\n" for name in names]
    return hashlib.sha256("".join(lines).encode()).hexdigest()
