"""Predictions for pictures: a table with a row for each, also for those that cannot be read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd

from kerastl.data.manifest import Manifest
from kerastl.data.walking import Walked, gather
from kerastl.errors import InputError
from kerastl.features.extraction import Progress
from kerastl.inference.answers import paths, predicted
from kerastl.inference.blocks import Count, Scored, kept_scores, score_files, score_images
from kerastl.inference.predictors import Predictor, as_predictor, load_predictor
from kerastl.terminal import tell

__all__ = ["Predictor", "find_pictures", "load_predictor", "predict"]


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
        pictures: Files and folders (searched for pictures, also below and through links),
            one or several; or images uint8 `[n, height, width, 3]`; or a Manifest.
        batch_size: Pictures in a batch. No batch goes beyond a block of 1024.
        cache: A folder that keeps finished blocks; they lie in `predictions` below it.
        ray: Address of a Ray cluster that the blocks are done on, as in
            `distributed.blocks.run_blocks`. Every machine has to see the pictures, the model's
            file and the cache folder under the same paths.
        progress: Called with the pictures done and in all.

    Returns:
        A frame, one row a picture in the order given: `image` (its path, or its
        number); for each task `<task>/predicted`, the class (for a multilabel task the
        labels that are given, joined by ";"), decided at the model's thresholds,
        and its scores `<task>/score/<class>`; and `error`, why the picture could not be
        read, else "". A run's predictions.csv has the same columns, and with them
        `split`, `<task>/truth` and `<task>/correct`: no column means one thing here and
        another there, and none is called as a task alone, as a table's labels are.

    Raises:
        InputError: For a model that cannot be read, where there is no picture, for
            `cache` with arrays, `ray` without `cache`, and pictures that change meanwhile.

    Example:
        >>> from kerastl.models import classifier
        >>> x = keras.Input((8, 8, 3))
        >>> own = keras.Model(x, keras.layers.Conv2D(2, 3, name="conv")(x))
        >>> model = classifier(own, ["cat", "dog"], image_size=8)
        >>> list(predict(model, np.zeros((1, 8, 8, 3), "uint8")))
        ['image', 'label/predicted', 'label/score/cat', 'label/score/dog', 'error']
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
    found = search(pictures)
    for line in found.told():
        tell(line, show=False)
    return found.pictures


def search(pictures: str | Path | Iterable[str | Path]) -> Walked:
    """The pictures among files and folders, and what is none of them.

    Raises:
        InputError: As `find_pictures`.

    Example:
        >>> search(["b.png", "a.png"]).pictures
        ['b.png', 'a.png']
    """
    given = [pictures] if isinstance(pictures, (str, Path)) else list(pictures)
    odd = [repr(p)[:80] for p in given if not isinstance(p, (str, Path))]
    if odd:
        raise InputError("Expected files, folders, one array of images or a Manifest.", odd)
    return gather(given)


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
    parts = [
        predicted(task, scored.scores[task.name], predictor.thresholds.get(task.name))
        for task in predictor.tasks
    ]
    frame = pd.concat(parts, axis=1)
    frame.loc[list(scored.errors)] = np.nan
    frame["error"] = [scored.errors.get(i, "") for i in range(len(names))]
    return paths(names).join(frame)
