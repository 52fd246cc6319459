"""Looking after a cache folder: what is in it, whether it is whole, and making room.

Features lie in it, and the scores that `predict` keeps there in `predictions`. Before more are made
it is asked whether there is room for them.
"""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path
from typing import Any

import pandas as pd

from kerastl.errors import InputError
from kerastl.features.store.index import INDEX
from kerastl.features.store.records import (
    FOLDER,
    MODEL,
    DamagedPart,
    part_files,
    prediction_folders,
    read_checked,
)
from kerastl.features.store.shards import (
    NAME,
    Damaged,
    Shard,
    check_shard,
    read_shard,
    remove_shard,
    shard_files,
    sweep,
)
from kerastl.features.store.store import ENGINE, NETWORK, USED
from kerastl.files import free_bytes, size, writable


def check_room(folder: Path, needed: int, budget: int | None) -> None:
    """Hold features to be made against the budget and the free disk.

    Args:
        folder: The cache folder.
        needed: Bytes that the new features take.
        budget: Bytes that the whole folder may take; None for no such limit.

    Raises:
        InputError: With how much is needed, how much is there, and what takes the space; and
            where nothing can be written there.
    """
    if budget is not None and (isinstance(budget, bool) or budget < 0):
        raise InputError(f"Expected budget= in bytes, 0 or more. Received: {budget!r}.")
    taken = {path.name: folder_bytes(path) for path in prefix_folders(folder)}
    index = folder / INDEX
    used, free = sum(taken.values()), free_bytes(folder)
    used += index.stat().st_size if index.exists() else 0
    over = budget is not None and used + needed > budget
    if not needed:
        return
    if not over and needed <= free:
        writable(folder)
        return
    limit = f"the budget is {size(budget)}, of which {size(used)} are taken" if over else (
        f"the disk of {folder} has {size(free)} free")  # fmt: skip
    largest = sorted(taken.items(), key=lambda item: -item[1])[:5]
    raise InputError(
        f"The new features take {size(needed)}, and {limit}. Choose a later cut, another cache "
        "folder or a larger budget, or make room with `kerastl cache prune` (prune_store). Or give "
        "fewer views=, or fit cache=False: every epoch then runs the whole network.",
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


COLUMNS = ("prefix", "model", "layer", "shape", "pictures", "shards", "bytes", "last used")


def list_store(folder: str | Path) -> pd.DataFrame:
    """What a cache folder holds, the last used first.

    Args:
        folder: The folder given as `cache=`.

    Returns:
        A row for each prefix under one set of options: `prefix` (its folder), `model`,
        `layer`, `shape` (of one picture's features, views first), `pictures`, `shards`,
        `bytes` and `last used` (a local time). And one for each model with predictions,
        whose `layer` is "predictions", `model` empty, and `shape` the number of classes
        of each task.

    Raises:
        InputError: Where there is no such folder.

    Example:
        >>> import tempfile
        >>> list_store(tempfile.mkdtemp()).columns.tolist()
        ['prefix', 'model', 'layer', 'shape', 'pictures', 'shards', 'bytes', 'last used']
    """
    root = _existing(folder)
    rows = [_row(path) for path in prefix_folders(root) if shard_files(path)]
    rows += [_predictions_row(path) for path in prediction_folders(root)]
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    return frame.sort_values("last used", ascending=False, ignore_index=True)


def verify_store(folder: str | Path) -> list[tuple[Path, str]]:
    """Read every shard and all predictions of a cache folder, and hold them against checksums.

    Nothing is changed: the next call that needs what is damaged makes it anew.

    Args:
        folder: The folder given as `cache=`.

    Returns:
        The path of each damaged file, and the cause.

    Raises:
        InputError: Where there is no such folder.

    Example:
        >>> import tempfile
        >>> verify_store(tempfile.mkdtemp())
        []
    """
    root = _existing(folder)
    found = [(f, _fault(f)) for path in prefix_folders(root) for f in shard_files(path)]
    found += [(f, _part_fault(f)) for path in prediction_folders(root) for f in part_files(path)]
    return [(path, cause) for path, cause in found if cause]


def prune_store(
    folder: str | Path,
    *,
    keep_bytes: int | None = None,
    older_than_days: float | None = None,
    everything: bool = False,
) -> int:
    """Remove features from a cache folder, a whole prefix at a time, the least recently used first.

    Predictions go as features do, those of a whole model at a time. A folder that a process
    is writing into is left alone, and so is every file that is not the store's.

    Args:
        folder: The folder given as `cache=`.
        keep_bytes: Remove until no more than this is left.
        older_than_days: Remove what was last used longer ago.
        everything: Remove all features and predictions.

    Returns:
        Bytes freed.

    Raises:
        InputError: Where there is no such folder, or not exactly one of the three is given.

    Example:
        >>> import tempfile
        >>> prune_store(tempfile.mkdtemp(), keep_bytes=10**9)
        0
    """
    root = _existing(folder)
    _check_choice(keep_bytes, older_than_days, everything)
    found = sorted([*prefix_folders(root), *prediction_folders(root)], key=_last_used)
    left = {path: folder_bytes(path) for path in found}
    freed = 0
    for path in found:
        old = (
            older_than_days is not None and _last_used(path) < time.time() - 86400 * older_than_days
        )
        large = keep_bytes is not None and sum(left.values()) > keep_bytes
        if (everything or old or large) and not sweep(path):
            freed += _remove(path)
            left.pop(path)
    if everything:
        (root / INDEX).unlink(missing_ok=True)
    return freed


def _check_choice(
    keep_bytes: float | None, older_than_days: float | None, everything: bool
) -> None:
    given = {"keep_bytes": keep_bytes, "older_than_days": older_than_days}
    given = {k: v for k, v in given.items() if v is not None}
    faults = [f"{k} is {v}" for k, v in given.items() if not v >= 0]
    if faults:
        raise InputError("Expected 0 or more.", faults)
    if len(given) + bool(everything) != 1:
        names = [*given, *(["everything"] if everything else [])]
        raise InputError(
            "Expected one of keep_bytes=, older_than_days= and everything=True. "
            f"Received: {' and '.join(names) or 'none'}."
        )


def _existing(folder: str | Path) -> Path:
    if not Path(folder).is_dir():
        raise InputError(f"There is no cache folder {folder}.")
    return Path(folder)


def _row(path: Path) -> tuple:
    told, files = about(path), shard_files(path)
    keys = {key for shard in map(_shard, files) if shard is not None for key in shard.keys}
    names = [str(told.get(k, "")) for k in ("model", "layer", "shape")]
    used = pd.Timestamp.fromtimestamp(int(_last_used(path)))
    return (path.name, *names, len(keys), len(files), folder_bytes(path), used)


def _predictions_row(path: Path) -> tuple:
    files, pictures, shape = part_files(path), 0, ""
    for file in files:
        with contextlib.suppress(DamagedPart, FileNotFoundError):
            _, scores = read_checked(file)
            pictures += len(scores[0])
            shape = "+".join(str(values.shape[-1]) for values in scores)
    used = pd.Timestamp.fromtimestamp(int(_last_used(path)))
    return (path.name, "", FOLDER, shape, pictures, len(files), folder_bytes(path), used)


def _shard(path: Path) -> Shard | None:
    try:
        return read_shard(path)
    except Damaged:
        return None


def _fault(path: Path) -> str:
    try:
        check_shard(read_shard(path))
    except Damaged as fault:
        return str(fault)
    return ""


def _part_fault(path: Path) -> str:
    try:
        read_checked(path)
    except DamagedPart as fault:
        return str(fault)
    except FileNotFoundError:  # pruned meanwhile
        return ""
    return ""


def _last_used(path: Path) -> float:
    used = path / USED
    return (used if used.exists() else path).stat().st_mtime


def _remove(path: Path) -> int:
    """Remove what is the store's in a folder, and the folder if that is all; the bytes freed."""
    before = folder_bytes(path)
    for file in {p.stem: p for p in [*shard_files(path, ".npy"), *shard_files(path)]}.values():
        remove_shard(file)
    own = (path / name for name in (USED, ENGINE, NETWORK, MODEL))
    for file in [*part_files(path), *own]:
        file.unlink(missing_ok=True)
    freed = before - folder_bytes(path)
    with contextlib.suppress(OSError):  # not empty
        path.rmdir()
        if path.parent.name == FOLDER:
            path.parent.rmdir()
    return freed
