"""Very many pictures: their scores in blocks that are kept, made here or on a Ray cluster."""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kerastl.batches import ordered_map
from kerastl.cluster import run_blocks
from kerastl.content_index import SETTLED, stamp
from kerastl.errors import InputError
from kerastl.filling import Progress
from kerastl.part_files import FOLDER, MODEL, SUFFIX
from kerastl.picture_scores import Count, Scored, Told, blocks, join, read_or_cause, score_files
from kerastl.prediction_parts import (
    DamagedPart,
    block_key,
    content_key,
    model_file,
    model_key,
    read_part,
    write_part,
)
from kerastl.predictors import Predictor, load_predictor
from kerastl.saving import save_model
from kerastl.shards import sweep
from kerastl.store import USED

log = logging.getLogger("kerastl")


@dataclass(frozen=True)
class Block:
    """Some pictures to be scored together.

    Attributes:
        part: The file that their scores are kept in.
        key: What decides the scores.
        paths: The pictures.
        stamps: Of each, a digest of path, size and time; None where there is no file.
    """

    part: Path
    key: str
    paths: tuple[str, ...]
    stamps: tuple[bytes | None, ...]


def kept_scores(
    model: Any,
    predictor: Predictor,
    paths: Sequence[str],
    batch_size: int,
    cache: str | Path,
    ray: str | None = None,
    progress: Progress | None = None,
) -> Scored:
    """The scores of picture files; blocks that were done before are read.

    Args:
        model: What was given: a model, an open predictor or a path.
        predictor: The same, open.
        paths: The pictures.
        batch_size: Pictures in a batch.
        cache: A folder; under `ray` one that all machines see.
        ray: A cluster's address, as in `run_blocks`.
        progress: Called with the pictures done and in all.

    Raises:
        InputError: Where parts cannot be written or are not seen, and where a picture
            or the model changes meanwhile.
    """
    key = model_key(model, predictor)
    folder = _made(Path(os.path.abspath(cache)) / FOLDER / key)
    every = _blocks(folder, key, paths)
    found = [_found(block, predictor) for block in every]
    missing = [block for block, scored in zip(every, found, strict=True) if scored is None]
    count = Count(progress, len(paths), len(paths) - sum(len(b.paths) for b in missing))
    if ray is None:
        here = functools.partial(_worker, predictor, batch_size, count.add)
        list(run_blocks(lambda: here, missing))
    elif missing:
        there = _there(model, predictor, folder, batch_size)
        for done in run_blocks(there, missing, ray=ray):
            count.add(done)
    return join(scored or _read(b, predictor) for b, scored in zip(every, found, strict=True))


def _blocks(folder: Path, key: str, paths: Sequence[str]) -> list[Block]:
    # Joined and not normalised: "a/../b" is another file where a is a link.
    here = os.getcwd()
    whole = [tuple(os.path.join(here, p) for p in paths[at]) for at in blocks(len(paths))]
    stamps = ordered_map(lambda some: tuple(stamp(path) for path in some), whole)
    made = []
    for some, seen in zip(whole, stamps, strict=True):
        name = block_key(key, some, seen)
        made.append(Block(folder / f"{name}{SUFFIX}", name, some, seen))
    return made


def _found(block: Block, predictor: Predictor) -> Scored | None:
    """The scores of a block that was done before, if they are whole and still true."""
    try:
        scored = _read_whole(block, predictor)
    except FileNotFoundError:
        return None
    except DamagedPart as fault:
        log.warning("Stored predictions are made anew: %s: %s.", block.part, fault)
        return None
    # What could not be opened then may be now, with the same size and time.
    for at, cause in scored.errors.items():
        if read_or_cause(block.paths[at], predictor.image_size) != cause:
            return None
    return scored


def _read(block: Block, predictor: Predictor) -> Scored:
    """The scores of a block that was done just now."""
    try:
        return _read_whole(block, predictor)
    except (FileNotFoundError, DamagedPart) as error:
        raise InputError(
            "Expected a cache folder that all machines see, and that nobody clears meanwhile. "
            f"Not whole there: {block.part}."
        ) from error


def _read_whole(block: Block, predictor: Predictor) -> Scored:
    return read_part(block.part, block.key, predictor.tasks, len(block.paths))


def _worker(predictor: Predictor, batch_size: int, told: Told | None, block: Block) -> int:
    """Score a block and keep it; the number of its pictures."""
    _wait_until_settled(block.paths)
    _check_same(block)
    scored = score_files(predictor, block.paths, batch_size, told)
    _check_same(block)
    write_part(block.part, block.key, scored)
    return len(block.paths)


def _wait_until_settled(paths: Sequence[str]) -> None:
    """A file's time tells a later change only when the clock has gone on by a tick."""
    times = []
    for path in paths:
        try:
            times.append(os.stat(path).st_mtime)
        except (OSError, ValueError):  # told when it is read
            continue
    rest = max(times, default=0.0) + SETTLED - time.time()
    time.sleep(min(max(rest, 0.0), SETTLED))


def _check_same(block: Block) -> None:
    changed = [p for p, s in zip(block.paths, block.stamps, strict=True) if stamp(p) != s]
    if changed:
        raise InputError(
            "Expected pictures that stay as they are meanwhile and that all machines see under "
            "the same path. Call again. Changed, or not seen:",
            changed,
        )


def _there(
    model: Any, predictor: Predictor, folder: Path, batch_size: int
) -> Callable[[], Callable[[Block], int]]:
    """What makes a worker on another machine, from the model's file."""
    path = model_file(model, predictor)
    if path is None:
        path = folder / MODEL
        if not path.is_file():
            save_model(predictor.model, path)
    path = Path(os.path.abspath(path))
    return functools.partial(_open, path, content_key(path), batch_size)


def _open(path: Path, content: str, batch_size: int) -> Callable[[Block], int]:
    predictor = load_predictor(path)
    if content_key(path) != content:
        raise InputError(f"The model {path} changed meanwhile. Call again.")
    return functools.partial(_worker, predictor, batch_size, None)


def _made(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(OSError):  # a cache that may only be read serves all the same
            (folder / USED).touch()
        sweep(folder)
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise InputError(f"There can be no cache folder {folder}: {why}.") from error
    return folder
