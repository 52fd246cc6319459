"""The room a features store takes on disk, and whether there is enough for more."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path
from typing import Any

from kerastl.content_index import INDEX
from kerastl.errors import InputError
from kerastl.shards import NAME, Damaged, read_shard, shard_files
from kerastl.store import USED


def check_room(folder: Path, needed: int, budget: int | None) -> None:
    """Hold features to be made against the budget and the free disk.

    Args:
        folder: The cache folder.
        needed: Bytes that the new features take.
        budget: Bytes that the whole folder may take; None for no such limit.

    Raises:
        InputError: With how much is needed, how much is there, and what takes the space.
    """
    if budget is not None and (isinstance(budget, bool) or budget < 0):
        raise InputError(f"Expected budget= in bytes, 0 or more. Received: {budget!r}.")
    taken = {path.name: folder_bytes(path) for path in prefix_folders(folder)}
    index = folder / INDEX
    used, free = sum(taken.values()), _free(folder)
    used += index.stat().st_size if index.exists() else 0
    over = budget is not None and used + needed > budget
    if not needed or not (over or needed > free):
        return
    limit = f"the budget is {size(budget)}, of which {size(used)} are taken" if over else (
        f"the disk of {folder} has {size(free)} free")  # fmt: skip
    largest = sorted(taken.items(), key=lambda item: -item[1])[:5]
    raise InputError(
        f"The new features take {size(needed)}, and {limit}. Choose a later cut, fewer views, "
        "another cache folder or a larger budget, make room with prune_store (`kerastl cache "
        "prune`), or give fit cache=False: every epoch then runs the whole network.",
        [f"{describe(folder / name)}: {size(n)}" for name, n in largest if n],
    )


def prefix_folders(folder: Path) -> list[Path]:
    """The folders of a store, one for each prefix under one set of options."""
    if not folder.is_dir():
        return []
    found = [p for p in sorted(folder.iterdir()) if NAME.fullmatch(p.name) and p.is_dir()]
    return [p for p in found if (p / USED).exists() or shard_files(p)]


def folder_bytes(folder: Path) -> int:
    """Bytes of the files in a prefix's folder; of those that vanish meanwhile, none."""
    total = 0
    with os.scandir(folder) as entries:
        for entry in entries:
            with contextlib.suppress(OSError):
                total += entry.stat().st_size
    return total


def about(folder: Path) -> dict[str, Any]:
    """What a prefix's folder holds the features of, from the first shard that says so."""
    for path in shard_files(folder):
        with contextlib.suppress(Damaged):
            return dict(read_shard(path).about)
    return {}


def describe(folder: Path) -> str:
    """A prefix's folder in words: model, layer and shape, or its name."""
    told = about(folder)
    words = [str(told[k]) for k in ("model", "layer", "shape") if k in told]
    return " ".join(words) or folder.name


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


def _free(folder: Path) -> int:
    there = next(p for p in (folder.absolute(), *folder.absolute().parents) if p.exists())
    return shutil.disk_usage(there).free
