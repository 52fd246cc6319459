"""Parts: the scores of a block of pictures in a file, whole and checked, or not there at all.

A part (`part_files.py`) has the scores of each task, what they are scores of and which
pictures could not be read. Its name says what decides the scores: the model's content, and
the path, size and time of each picture.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kerastl import feature_recipe, sidecar
from kerastl.errors import InputError
from kerastl.files import DIGEST, file_digest
from kerastl.network_key import network_key
from kerastl.part_files import DamagedPart, read_checked, write_checked
from kerastl.picture_scores import Scored
from kerastl.predictors import KerasPredictor, Predictor
from kerastl.tasks import Task

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
    return _digest([VERSION, feature_recipe.VERSION, model, known])


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
