"""Files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kerastl.errors import InputError

DIGEST = 16
"""Bytes of a file's digest."""


def as_folder(path: str | Path) -> Path:
    """The path of a folder, which need not be there.

    Args:
        path: Where files are to be written, perhaps much later.

    Raises:
        InputError: Where a file is in its place, or in that of a folder above it.

    Example:
        >>> as_folder(os.path.join(os.devnull, "run"))
        Traceback (most recent call last):
        kerastl.errors.InputError: Expected a folder. Received: ...null, which is a file.
    """
    folder = Path(path)
    there = next((part for part in (folder, *folder.parents) if part.exists()), None)
    if there is not None and not there.is_dir():
        raise InputError(f"Expected a folder. Received: {there}, which is a file.")
    return folder


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

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "a.txt"
        >>> with replacing(path) as unfinished:
        ...     n = unfinished.write_text("whole")
        >>> path.read_text()
        'whole'
    """
    path = Path(path)
    as_folder(path.parent).mkdir(parents=True, exist_ok=True)
    unfinished = unfinished or path.with_name(f".{path.stem}.{os.getpid()}.tmp{path.suffix}")
    try:
        yield unfinished
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def write_json(path: str | Path, values: Any) -> Path:
    """Write plain values as readable JSON; NaN is refused, for JSON has none."""
    text = json.dumps(values, indent=2, ensure_ascii=False, allow_nan=False)
    with replacing(path) as unfinished:
        unfinished.write_text(text + "\n", encoding="utf-8")
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
