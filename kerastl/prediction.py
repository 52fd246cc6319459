"""Predictions for pictures: a table with a row for each, also for those that cannot be read."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd

from kerastl.batches import ordered_map
from kerastl.decisions import decided
from kerastl.errors import InputError
from kerastl.manifest import Manifest
from kerastl.pictures import PICTURE_SUFFIXES, PictureError, load_picture
from kerastl.predictors import Predictor, as_predictor, load_predictor
from kerastl.tasks import Task

__all__ = ["Predictor", "class_columns", "find_pictures", "load_predictor", "predict"]


def predict(
    model: keras.Model | Predictor | str | Path,
    pictures: str | Path | Sequence[str | Path] | np.ndarray | Manifest,
    *,
    batch_size: int = 32,
) -> pd.DataFrame:
    """Predict every task's class for some pictures.

    Args:
        model: A model, or the path of one in any of its three forms.
        pictures: Files and folders (searched for pictures, also below), one or
            several; or images uint8 `[n, height, width, 3]`; or a Manifest.
        batch_size: Pictures in a batch.

    Returns:
        A frame, one row a picture in the order given: `image` (its path, or its
        number); for each task `<task>`, the class (for a multilabel task the
        labels that are given, joined by ";"), decided at the model's thresholds,
        and its scores `<task>.<class>`; and `error`, why the picture could not be
        read, else "".

    Raises:
        InputError: For a model that cannot be read, or where there is no picture.

    Example:
        >>> from kerastl.models import classifier
        >>> x = keras.Input((8, 8, 3))
        >>> own = keras.Model(x, keras.layers.Conv2D(2, 3, name="conv")(x))
        >>> model = classifier(own, ["cat", "dog"], image_size=8)
        >>> list(predict(model, np.zeros((1, 8, 8, 3), "uint8")))
        ['image', 'label', 'label.cat', 'label.dog', 'error']
    """
    predictor = as_predictor(model)
    if batch_size < 1:
        raise InputError(f"Expected a batch_size of at least 1. Received: {batch_size}.")
    if isinstance(pictures, np.ndarray):
        names, images = list(range(len(pictures))), pictures
        batches = ((images[i : i + batch_size], {}) for i in range(0, len(images), batch_size))
    else:
        names = find_pictures(pictures)
        batches = _read(names, predictor.image_size, batch_size)
    parts = [_batch(predictor, images, errors) for images, errors in batches]
    if not parts:
        raise InputError("Expected at least one picture. Received: none.")
    frame = pd.concat(parts, ignore_index=True)
    frame.insert(0, "image", names)
    return frame


def find_pictures(pictures: str | Path | Iterable[str | Path] | Manifest) -> list[str]:
    """The paths of pictures: files as given, folders searched in the order of names.

    Raises:
        InputError: For a folder without pictures, or something that is no path.

    Example:
        >>> find_pictures(["b.png", "a.png"])
        ['b.png', 'a.png']
    """
    if isinstance(pictures, Manifest):
        return pictures.frame["image"].tolist()
    given = [pictures] if isinstance(pictures, (str, Path)) else list(pictures)
    odd = [repr(p)[:80] for p in given if not isinstance(p, (str, Path))]
    if odd:
        raise InputError("Expected files, folders, one array of images or a Manifest.", odd)
    found = {str(p): list(_below(Path(p))) if Path(p).is_dir() else [str(p)] for p in given}
    empty = [name for name, inside in found.items() if not inside]
    if empty:
        kinds = ", ".join(sorted(PICTURE_SUFFIXES))
        raise InputError(f"Expected folders with pictures ({kinds}). Without one:", empty)
    return [path for p in given for path in found[str(p)]]


def class_columns(task: Task) -> list[str]:
    """The names of a task's score columns.

    Example:
        >>> class_columns(Task("label", ["cat", "dog"]))
        ['label.cat', 'label.dog']
    """
    return [f"{task.name}.{c}" for c in task.classes]


def _below(folder: Path) -> Iterator[str]:
    for root, folders, files in os.walk(folder):
        folders.sort()
        for name in sorted(files):
            if Path(name).suffix.lower() in PICTURE_SUFFIXES:
                yield os.path.join(root, name)


def _read(
    paths: Sequence[str], image_size: tuple[int, int], batch_size: int
) -> Iterator[tuple[np.ndarray, dict[int, str]]]:
    """Batches of images, black where a picture cannot be read, and the causes by position."""
    black = np.zeros((*image_size, 3), "uint8")
    pictures = ordered_map(lambda path: _load(path, image_size), paths)
    while read := list(itertools.islice(pictures, batch_size)):
        errors = {i: one for i, one in enumerate(read) if isinstance(one, str)}
        yield np.stack([black if i in errors else one for i, one in enumerate(read)]), errors


def _load(path: str, image_size: tuple[int, int]) -> np.ndarray | str:
    try:
        return load_picture(path, image_size)
    except PictureError as error:
        return error.cause


def _batch(predictor: Predictor, images: np.ndarray, errors: dict[int, str]) -> pd.DataFrame:
    scores = predictor.predict(images)
    columns: dict[str, Any] = {}
    for task in predictor.tasks:
        answers = decided(task, scores[task.name], predictor.thresholds.get(task.name))
        columns[task.name] = [
            ";".join(c for c, told in zip(task.classes, row, strict=True) if told)
            for row in answers
        ]
        columns |= dict(zip(class_columns(task), scores[task.name].T, strict=True))
    frame = pd.DataFrame(columns)
    frame.loc[list(errors), frame.columns] = np.nan
    frame["error"] = [errors.get(i, "") for i in range(len(images))]
    return frame
