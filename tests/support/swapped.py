"""A picture replaced by another one of the same size and the same time, as `rsync -t` may do."""

from __future__ import annotations

import os
from pathlib import Path

from PIL import Image, ImageOps


def bitmaps(paths):
    """Write pictures as BMP, which has the same size whatever it shows; their names stay."""
    for path in paths:
        with Image.open(path) as image:
            image = image.convert("RGB")
        image.save(path, "BMP")
        os.utime(path, (1e9, 1e9))


def swap(path, *, in_place=False):
    """Put the negative of a bitmap in its place."""
    path, before = Path(path), os.stat(path)
    with Image.open(path) as image:
        negative = ImageOps.invert(image)
    written = path if in_place else path.with_name("other.tmp")
    negative.save(written, "BMP")
    os.utime(written, ns=(before.st_atime_ns, before.st_mtime_ns))
    if not in_place:
        os.replace(written, path)
    after = os.stat(path)
    assert (after.st_size, after.st_mtime_ns) == (before.st_size, before.st_mtime_ns)
