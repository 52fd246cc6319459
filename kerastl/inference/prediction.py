"""Predictions for pictures: a table with a row for each, also for those that cannot be read."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd

from kerastl.data.manifest import Manifest
from kerastl.data.pictures import PICTURE_SUFFIXES
from kerastl.data.tasks import Task
from kerastl.errors import InputError
from kerastl.features.extraction import Progress
from kerastl.inference.blocks import Count, Scored, kept_scores, score_files, score_images
from kerastl.inference.predictors import Predictor, as_predictor, load_predictor
from kerastl.scoring.decisions import decided

__all__ = ["Predictor", "class_columns", "find_pictures", "load_predictor", "predict"]


def predict(
    model: keras.Model | Predictor | str | Path,
    pictures: str | Path | Sequence[str | Path] | np.ndarray | Manifest,
    *,
    batch_size: int = 32,
    cache: str | Path | None = None,
    ray: str | None = None,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Predict every task's class for some pictures.

    With `cache` the scores of files are kept in blocks of 1024 pictures, known by the
    content of the model's file and the path and stamp of each picture, which every writing
    and every replacement changes (`features.store.index`). Called again after it was
    killed, it does only the blocks that were not finished; the frame is the same, bit for
    bit, as without it. Blocks done at another batch size count as done, and may differ in
    the last bit.

    Args:
        model: A model, or the path of one in any of its three forms.
        pictures: Files and folders (searched for pictures, also below), one or
            several; or images uint8 `[n, height, width, 3]`; or a Manifest.
        batch_size: Pictures in a batch. No batch goes beyond a block of 1024.
        cache: A folder that keeps finished blocks; they lie in `predictions` below it.
        ray: Address of a Ray cluster that the blocks are done on, as in
            `distributed.blocks.run_blocks`. Every machine has to see the pictures, the model's
            file and the cache folder under the same paths.
        progress: Called with the pictures done and in all.

    Returns:
        A frame, one row a picture in the order given: `image` (its path, or its
        number); for each task `<task>`, the class (for a multilabel task the
        labels that are given, joined by ";"), decided at the model's thresholds,
        and its scores `<task>.<class>`; and `error`, why the picture could not be
        read, else "".

    Raises:
        InputError: For a model that cannot be read, where there is no picture, for
            `cache` with arrays, `ray` without `cache`, and pictures that change meanwhile.

    Example:
        >>> from kerastl.models import classifier
        >>> x = keras.Input((8, 8, 3))
        >>> own = keras.Model(x, keras.layers.Conv2D(2, 3, name="conv")(x))
        >>> model = classifier(own, ["cat", "dog"], image_size=8)
        >>> list(predict(model, np.zeros((1, 8, 8, 3), "uint8")))
        ['image', 'label', 'label.cat', 'label.dog', 'error']
    """
    predictor = as_predictor(model)
    _check_options(batch_size, pictures, cache, ray)
    files = not isinstance(pictures, np.ndarray)
    names = find_pictures(pictures) if files else list(range(len(pictures)))
    if not names:
        raise InputError("Expected at least one picture. Received: none.")
    if cache is not None:
        scored = kept_scores(model, predictor, names, batch_size, cache, ray, progress)
    else:
        score, given = (score_files, names) if files else (score_images, pictures)
        scored = score(predictor, given, batch_size, Count(progress, len(names)).add)
    return _frame(predictor, names, scored)


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


def _check_options(batch_size: int, pictures: Any, cache: Any, ray: str | None) -> None:
    if batch_size < 1:
        raise InputError(f"Expected a batch_size of at least 1. Received: {batch_size}.")
    if cache is not None and isinstance(pictures, np.ndarray):
        raise InputError("Expected files or folders with cache=. Received: an array of images.")
    if ray is not None and cache is None:
        raise InputError(
            "Expected cache= with ray=: a folder that all machines of the cluster see. "
            "Received: cache=None."
        )


def _frame(predictor: Predictor, names: Sequence[str | int], scored: Scored) -> pd.DataFrame:
    columns: dict[str, Any] = {}
    for task in predictor.tasks:
        scores = scored.scores[task.name]
        answers = decided(task, scores, predictor.thresholds.get(task.name))
        columns[task.name] = [
            ";".join(c for c, told in zip(task.classes, row, strict=True) if told)
            for row in answers
        ]
        columns |= dict(zip(class_columns(task), scores.T, strict=True))
    frame = pd.DataFrame(columns)
    frame.loc[list(scored.errors), frame.columns] = np.nan
    frame["error"] = [scored.errors.get(i, "") for i in range(len(names))]
    frame.insert(0, "image", names)
    return frame
