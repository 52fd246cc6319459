"""From a model and data to scores: one forward pass, then `score` on what is known."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kerastl.batches import Batch, iter_batches
from kerastl.errors import InputError
from kerastl.manifest import Manifest
from kerastl.predictors import Predictor, as_predictor
from kerastl.scores import Scores, score
from kerastl.tasks import Task


@dataclass(frozen=True)
class Predictions:
    """A model's scores for some pictures.

    Args:
        scores: By task `[n, classes]`, one score per class name.
        labels: By task, as a Manifest's `labels()` (of which the uncertain ones
            are unknown); None where none were given.
        rows: int `[n]`, the position in the data of each scored picture.
        skipped: Path and cause of each picture that could not be read.
    """

    scores: dict[str, np.ndarray]
    labels: dict[str, np.ndarray] | None
    rows: np.ndarray
    skipped: dict[str, str]


def evaluate(
    model: keras.Model | Predictor | str | Path,
    data: Any,
    *,
    draws: int = 1000,
    seed: int = 0,
    batch_size: int = 32,
) -> Scores:
    """Score a model on labelled pictures.

    Args:
        model: A kerastl model, or a saved or exported one (or its path).
        data: A Manifest (its test part where it has one, else all of it), or
            (images, labels) arrays, or a batched `tf.data.Dataset` of such.
        draws: Bootstrap draws behind each interval; 0 for no intervals.
        seed: Seed of the draws.
        batch_size: Pictures in a batch.

    Returns:
        The `Scores`, each with the number of known labels behind it, decided at
        the model's thresholds. A label that is uncertain is never scored, whatever
        training takes it for. Pictures that could not be read are left out, and
        counted in the notes.

    Raises:
        InputError: For data without labels, or that the model does not fit.

    Example:
        >>> from kerastl.models import classifier
        >>> x = keras.Input((8, 8, 3))
        >>> own = keras.Model(x, keras.layers.Conv2D(2, 3, name="conv")(x))
        >>> model = classifier(own, ["cat", "dog"], image_size=8)
        >>> images, codes = np.zeros((4, 8, 8, 3), "uint8"), np.array([0, 1, -1, -1])
        >>> evaluate(model, (images, codes)).get("label", "accuracy")
        0.5
    """
    predictor = as_predictor(model)
    found = predict_scores(predictor, data, batch_size=batch_size)
    if found.labels is None:
        raise InputError("Expected data with labels: a Manifest, or (images, labels).")
    scores = score(
        predictor.tasks, found.labels, found.scores,
        thresholds=predictor.thresholds, draws=draws, seed=seed,
    )  # fmt: skip
    if not found.skipped:
        return scores
    note = f"Pictures that could not be read, and are not counted: {len(found.skipped)}."
    return replace(scores, notes=(*scores.notes, note))


def predict_scores(
    model: keras.Model | Predictor | str | Path, data: Any, *, batch_size: int = 32
) -> Predictions:
    """Class scores for every picture that can be read.

    Args:
        model: As in `evaluate`.
        data: As in `evaluate`; images alone will do too.
        batch_size: Pictures in a batch.

    Returns:
        The `Predictions`, in the order of the data.

    Raises:
        InputError: If there is no picture to score, or data and model do not fit.
    """
    predictor = as_predictor(model)
    data = held_out(data) if isinstance(data, Manifest) else data
    scores, labels, rows = [], [], []
    for batch in batches_of(predictor, data, batch_size=batch_size):
        scores.append(predictor.predict(batch.images))
        labels.append(batch.labels)
        rows.append(batch.rows)
    if not rows:
        raise InputError("Expected at least one picture that can be read. There is none.")
    known = None if labels[0] is None else join(labels)
    return Predictions(join(scores), known, np.concatenate(rows), _skipped(data))


def held_out(data: Manifest) -> Manifest:
    """A Manifest's test part where it has one, else all of it; what is uncertain is unknown."""
    return (data.split("test") if data.has("test") else data).certain()


def batches_of(
    predictor: Predictor,
    data: Any,
    *,
    batch_size: int = 32,
    most: int | None = None,
    seed: int = 0,
) -> Iterator[Batch]:
    """Batches of the images that a predictor takes, with its tasks' labels.

    Args:
        predictor: Whose tasks and image size to keep to.
        data: A Manifest, arrays or a dataset, all of it.
        batch_size: Pictures in a batch.
        most: Use at most so many: drawn by `seed`; of a dataset, its first.
        seed: Seed of that choice.

    Raises:
        InputError: For a Manifest of other tasks, or data of another form.
    """
    if batch_size < 1:
        raise InputError(f"Expected a batch_size of at least 1. Received: {batch_size}.")
    if isinstance(data, Manifest):
        _check_tasks(predictor.tasks, data.tasks)
    count = 0
    data = data if most is None else _some(data, most, seed)
    for batch in iter_batches(data, predictor.tasks, predictor.image_size, batch_size):
        yield batch
        count += len(batch.images)
        if most is not None and count >= most:
            return


def _some(data: Any, most: int, seed: int) -> Any:
    """A Manifest or arrays cut down to `most` rows, drawn by seed and kept in order."""
    pair = data if isinstance(data, tuple) else (data,)
    if not isinstance(pair[0] if pair else None, (Manifest, np.ndarray)) or len(pair[0]) <= most:
        return data
    rows = np.sort(np.random.default_rng(seed).permutation(len(pair[0]))[:most])
    if isinstance(data, Manifest):
        return data.take(rows)
    # Labels of another length stay as they are, for iter_batches to refuse.
    return tuple(_at(part, rows, len(pair[0])) for part in pair)


def _at(values: Any, rows: np.ndarray, n: int) -> Any:
    if isinstance(values, Mapping):
        return {name: _at(one, rows, n) for name, one in values.items()}
    array = np.asarray(values)
    return array[rows] if array.ndim and len(array) == n else values


def _check_tasks(model: tuple[Task, ...], data: tuple[Task, ...]) -> None:
    have = {t.name: t for t in data}
    faults = [f"the model has {t}, the data {have.get(t.name)}" for t in model
              if have.get(t.name) != t]  # fmt: skip
    if faults:
        raise InputError("Expected data with the model's tasks, classes in the same order.", faults)


def _skipped(data: Any) -> dict[str, str]:
    if not isinstance(data, Manifest):
        return {}
    ours = set(data.frame["image"])
    return {path: cause for path, cause in data.skipped.items() if path in ours}


def join(parts: Sequence[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """The arrays of several batches as one array by task."""
    return {name: np.concatenate([p[name] for p in parts]) for name in parts[0]}
