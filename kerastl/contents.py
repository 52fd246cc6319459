"""Which files hold the same bytes, found without reading more than needed."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence

import numpy as np

from kerastl.files import file_digest


def same_content(paths: Sequence[str]) -> np.ndarray:
    """A number for each file; files of identical content share theirs.

    Only files of equal size are read. Empty files and files that cannot be read
    are never the same as another.

    Args:
        paths: The files.

    Returns:
        int64 `[len(paths)]`: the position of the first file of that content.

    Example:
        >>> same_content(["no/such/file", "nor/this"]).tolist()
        [0, 1]
    """
    sizes = [_size(p) for p in paths]
    shared = {size for size, n in Counter(sizes).items() if n > 1 and size > 0}
    first: dict[bytes, int] = {}
    found = np.arange(len(paths))
    for row, (path, size) in enumerate(zip(paths, sizes, strict=True)):
        digest = content_digest(path) if size in shared else None
        if digest is not None:
            found[row] = first.setdefault(digest, row)
    return found


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


def _size(path: str) -> int:
    try:
        return os.path.getsize(path)
    except OSError:
        return -1
