"""Very many pictures: their scores in blocks that are kept, made here or on a Ray cluster."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import itertools
import json
import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kerastl.data.batches import ordered_map
from kerastl.data.pictures import PictureError, load_picture
from kerastl.data.tasks import Task
from kerastl.distributed.blocks import run_blocks
from kerastl.errors import DiskError, InputError
from kerastl.features import recipe
from kerastl.features.extraction import Progress
from kerastl.features.store.index import SETTLED, stamp
from kerastl.features.store.records import (
    FOLDER,
    MODEL,
    SUFFIX,
    DamagedPart,
    read_checked,
    write_checked,
)
from kerastl.features.store.shards import sweep
from kerastl.features.store.store import USED
from kerastl.files import DIGEST, file_digest, writable
from kerastl.inference import sidecar
from kerastl.inference.predictors import KerasPredictor, Predictor, load_predictor
from kerastl.models.graph import network_key
from kerastl.models.saving import save_model

BLOCK = 1024
"""Pictures in a block: what a killed call or a dead node has to do again."""

Told = Callable[[int], None]
"""Called with the number of pictures that were done since the last time."""


@dataclass(frozen=True)
class Scored:
    """What a model says of some pictures.

    Attributes:
        scores: By task name, `[pictures, classes]`; those of a picture that could not
            be read mean nothing.
        errors: By position, why a picture could not be read.
    """

    scores: Mapping[str, np.ndarray]
    errors: Mapping[int, str]


class Count:
    """Pictures done, told whoever wants to know."""

    def __init__(self, progress: Progress | None, total: int, done: int = 0):
        self._progress, self._total, self._done = progress, total, 0
        self.add(done)

    def add(self, more: int) -> None:
        """More pictures are done."""
        self._done += more
        if self._progress and more:
            self._progress(self._done, self._total)


def score_files(
    predictor: Predictor, paths: Sequence[str], batch_size: int, told: Told | None = None
) -> Scored:
    """Score picture files. No batch goes beyond a block, so that blocks give the same alone.

    Args:
        predictor: The model.
        paths: The files.
        batch_size: Pictures in a batch.
        told: Called after each batch.
    """
    black = np.zeros((*predictor.image_size, 3), "uint8")
    pictures = ordered_map(lambda path: read_or_cause(path, predictor.image_size), paths)
    scores, errors = [], {}
    for at in _batches(len(paths), batch_size):
        read = list(itertools.islice(pictures, at.stop - at.start))
        errors |= {at.start + i: one for i, one in enumerate(read) if isinstance(one, str)}
        images = np.stack([black if isinstance(one, str) else one for one in read])
        scores.append(predictor.predict(images))
        if told:
            told(len(read))
    return Scored(_joined(scores), errors)


def score_images(
    predictor: Predictor, images: np.ndarray, batch_size: int, told: Told | None = None
) -> Scored:
    """Score images uint8 `[n, height, width, 3]`."""
    scores = []
    for at in _batches(len(images), batch_size):
        scores.append(predictor.predict(images[at]))
        if told:
            told(at.stop - at.start)
    return Scored(_joined(scores), {})


def join(parts: Iterable[Scored]) -> Scored:
    """The scores of consecutive blocks as one.

    Example:
        >>> parts = [Scored({"t": np.ones((2, 1))}, {1: "truncated"})] * 2
        >>> join(parts).errors
        {1: 'truncated', 3: 'truncated'}
    """
    scores, errors, start = [], {}, 0
    for part in parts:
        scores.append(part.scores)
        errors |= {start + at: cause for at, cause in part.errors.items()}
        start += len(next(iter(part.scores.values())))
    return Scored(_joined(scores), errors)


def blocks(count: int) -> list[slice]:
    """The positions of pictures in blocks."""
    return [slice(at, min(at + BLOCK, count)) for at in range(0, count, BLOCK)]


def read_or_cause(path: str, image_size: tuple[int, int]) -> np.ndarray | str:
    """An image, or why the picture cannot be read."""
    try:
        return load_picture(path, image_size)
    except PictureError as error:
        return error.cause


def _batches(count: int, batch_size: int) -> Iterator[slice]:
    for block in blocks(count):
        for at in range(block.start, block.stop, batch_size):
            yield slice(at, min(at + batch_size, block.stop))


def _joined(scores: Sequence[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    return {name: np.concatenate([part[name] for part in scores]) for name in scores[0]}


VERSION = 1
"""Part of what a part is known by; to be raised with its format."""


def model_key(model: Any, predictor: Predictor) -> str:
    """What decides a model's scores: the content of its files, or its network and tasks.

    Args:
        model: What was given: a model, an open predictor or a path.
        predictor: The same, open.

    Raises:
        InputError: For a predictor of one's own, of which nothing is known.
    """
    if (path := model_file(model, predictor)) is not None:
        return content_key(path)
    if not isinstance(predictor, KerasPredictor):
        raise InputError(
            "Expected a Keras model, or the path of a model, with cache=. "
            f"Received: {type(predictor).__name__}."
        )
    tasks = [task.to_dict() for task in predictor.tasks]
    return _digest([network_key(predictor.model), tasks, predictor.image_size])


def model_file(model: Any, predictor: Predictor) -> Path | None:
    """The file (or SavedModel folder) that a model was read from; None for one in memory."""
    if not isinstance(predictor, KerasPredictor):
        return getattr(predictor, "path", None)
    if not isinstance(model, (str, Path)):
        return None
    return Path(model) / "model.keras" if Path(model).is_dir() else Path(model)


def content_key(path: Path) -> str:
    """A digest of a model's file, or of a folder's files, and of the model.json beside it."""
    inside = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    known = [[p.relative_to(path).as_posix(), file_digest(p).hex()] for p in inside]
    beside = sidecar.sidecar_of(path)
    if path.suffix != ".keras" and beside.is_file():
        known.append([sidecar.NAME, file_digest(beside).hex()])
    return _digest(known)


def block_key(model: str, paths: Sequence[str], stamps: Sequence[bytes | None]) -> str:
    """What decides the scores of a block: the model's key, and its pictures as they are."""
    known = [[p, s and s.hex()] for p, s in zip(paths, stamps, strict=True)]
    return _digest([VERSION, recipe.VERSION, model, known])


def write_part(path: Path, key: str, scored: Scored) -> None:
    """Publish a part.

    Args:
        path: The file; its folder exists.
        key: The block's.
        scored: Its scores.

    Raises:
        InputError: Where it cannot be written.
    """
    told = {"key": key, "tasks": list(scored.scores), "errors": dict(scored.errors)}
    write_checked(path, told, list(scored.scores.values()))


def read_part(path: Path, key: str, tasks: Sequence[Task], count: int) -> Scored:
    """The scores in a part.

    Args:
        path: The file.
        key: The block's.
        tasks: The model's tasks.
        count: Pictures in the block.

    Raises:
        FileNotFoundError: Where there is none.
        DamagedPart: With the cause.
    """
    told, arrays = read_checked(path)
    try:
        errors = {int(at): str(cause) for at, cause in told["errors"].items()}
        known = told["key"], told["tasks"], [(a.shape, a.dtype.kind) for a in arrays]
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise DamagedPart(str(error)) from error
    names = [task.name for task in tasks]
    right = key, names, [((count, len(task.classes)), "f") for task in tasks]
    if known != right or not errors.keys() <= set(range(count)):
        raise DamagedPart("it is the part of another block")
    return Scored(dict(zip(names, arrays, strict=True)), errors)


def _digest(plain: Any) -> str:
    return hashlib.blake2b(json.dumps(plain).encode(), digest_size=DIGEST).hexdigest()


log = logging.getLogger("kerastl")


@dataclass(frozen=True)
class Block:
    """Some pictures to be scored together.

    Attributes:
        part: The file that their scores are kept in.
        key: What decides the scores.
        paths: The pictures.
        stamps: Of each; None where there is no file.
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
    if missing:
        writable(folder)
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
    # What could not be opened then may be now, with the same stamp.
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
    """A file's change time tells a later change only when the clock has gone on by a tick."""
    times = []
    for path in paths:
        try:
            times.append(os.stat(path).st_ctime)
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
        raise DiskError(f"There can be no cache folder {folder}: {why}.") from error
    return folder
