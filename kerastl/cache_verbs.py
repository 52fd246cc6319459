"""Looking after a cache folder: what the verbs below `cache` do. They need no Keras."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kerastl.console import say, show_frame, title
from kerastl.content_index import INDEX
from kerastl.errors import InputError, nearest
from kerastl.part_files import part_files, prediction_folders
from kerastl.room import folder_bytes, prefix_folders, size
from kerastl.shards import shard_files
from kerastl.upkeep import list_store, prune_store, verify_store

PLACES = ("", "features", ".fit/features")
"""Where features lie in the folder that fit, a comparison or an interrupted run has."""

PRUNE = {
    "keep_bytes": "--keep",
    "older_than_days": "--older-than-days",
    "everything": "--everything",
}


def show_store(folder: Path) -> None:
    """Print what a cache folder holds, and the total."""
    store = _store(folder)
    frame = list_store(store)
    if frame.empty:
        say(f"There are no features in {store}.")
        return
    total = int(frame["bytes"].sum())
    words = frame.assign(
        prefix=frame["prefix"].str[:8],
        model=frame["model"].str.removeprefix("kerastl_"),
        bytes=[size(n) for n in frame["bytes"]],
    )
    words["last used"] = frame["last used"].dt.strftime("%Y-%m-%d %H:%M")
    show_frame(words.rename(columns={"bytes": "size"}))
    say(f"\n{size(total)} in {store}.")


def check_store(folder: Path) -> bool:
    """Print which shards of a cache folder are damaged; whether one is."""
    store = _store(folder)
    count = sum(len(shard_files(path)) for path in prefix_folders(store))
    count += sum(len(part_files(path)) for path in prediction_folders(store))
    damaged = verify_store(store)
    if not damaged:
        say(f"All {count} shards in {store} are whole.")
        return False
    title(f"Damaged: {len(damaged)} of {count} shards")
    for path, cause in damaged:
        say(f"{path}: {cause}")
    say("\nThe next call that needs what they hold makes them anew.")
    return True


def make_room(folder: Path, **choice: Any) -> None:
    """Remove what a cache folder holds; print how much was freed, and what is left."""
    named = [word for name, word in PRUNE.items() if choice[name] not in (None, False)]
    if len(named) != 1:
        there = " and ".join(named) or "none"
        raise InputError(f"Expected one of {', '.join(PRUNE.values())}. Received: {there}.")
    store = _store(folder)
    freed = prune_store(store, **choice)
    there = [*prefix_folders(store), *prediction_folders(store)]
    left = sum(folder_bytes(path) for path in there)
    say(f"{size(freed)} freed, {size(left)} left in {store}.")
    if left > (left if choice["keep_bytes"] is None else choice["keep_bytes"]):
        say("What a process is writing now was left alone.")


def _store(folder: Path) -> Path:
    """The folder of features that a user means: itself, or a run's or comparison's below it."""
    if not folder.is_dir():
        hint = nearest(folder.name, [p.name for p in folder.absolute().parent.glob("*")])
        raise InputError(f"There is no folder {folder}.{hint}")
    for place in (folder / below for below in PLACES):
        if prefix_folders(place) or prediction_folders(place) or (place / INDEX).exists():
            return place
    if any(folder.iterdir()):
        raise InputError(
            f"{folder} holds no features. Expected a folder that train, extract or predict was "
            "given as --cache, or that of an interrupted run: a finished one has its own removed."
        )
    return folder
