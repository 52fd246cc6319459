"""Files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

DIGEST = 16
"""Bytes of a file's digest."""


@contextlib.contextmanager
def replacing(path: str | Path, unfinished: Path | None = None) -> Iterator[Path]:
    """A temporary path beside `path`, renamed to it when the block ends well.

    Args:
        path: The file to write. Its folder is made where it is missing; what
            stood there stays untouched when the block fails.
        unfinished: The temporary path, in the same folder; by default one that names
            this process and ends as `path` does.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "a.txt"
        >>> with replacing(path) as unfinished:
        ...     n = unfinished.write_text("whole")
        >>> path.read_text()
        'whole'
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
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
