"""Weights against imbalance: how many negatives stand against each positive label."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from kerastl.arrays import label_array
from kerastl.errors import InputError
from kerastl.manifest import Manifest
from kerastl.tasks import Task, as_tasks, known


def positive_weights(
    data: Manifest | Mapping[str, Any],
    *,
    tasks: Task | Iterable[Task] | None = None,
    most: float = 20.0,
) -> dict[str, list[float]]:
    """How many known negatives there are for each known positive, label by label.

    Args:
        data: A Manifest, of which the train part counts where it has one, or
            label arrays by task name, -1 or NaN unknown.
        tasks: The tasks of the arrays; a Manifest brings its own.
        most: The largest weight, at least 1: a few pictures are not to rule all.

    Returns:
        For each binary and multilabel task, one number per label: negatives /
        positives among the known labels, a soft label counting as its share of
        both; 1.0 where no positive or no negative is known. What `create_model`
        takes as `positive_weights` and `MaskedBinaryCrossentropy`, for one task,
        as `pos_weight`.

    Raises:
        InputError: For arrays that do not fit their tasks, or a `most` below 1.

    Example:
        >>> task = Task("marks", ["u", "v"], "multilabel")
        >>> labels = np.array([[1, 0], [0, -1], [0, 0], [-1, -1]])
        >>> positive_weights({"marks": labels}, tasks=task)
        {'marks': [2.0, 1.0]}
    """
    if not (isinstance(most, (int, float)) and 1 <= most < np.inf):
        raise InputError(f"Expected most as a number of at least 1. Received: {most!r}.")
    if isinstance(data, Manifest):
        data = data.split("train") if data.has("train") else data
        tasks, labels = data.tasks, data.labels()
    else:
        tasks, labels = _checked(data, tasks)
    return {t.name: _ratios(labels[t.name], most) for t in tasks if t.kind != "multiclass"}


def _ratios(labels: np.ndarray, most: float) -> list[float]:
    seen = known(labels)
    # float64: a float32 sum stops counting at 16 million.
    positives = np.where(seen, labels, 0).sum(axis=0, dtype="float64")
    negatives = np.where(seen, 1 - labels, 0).sum(axis=0, dtype="float64")
    both = (positives > 0) & (negatives > 0)
    ratios = np.divide(negatives, positives, out=np.ones_like(positives), where=both)
    return np.minimum(ratios, most).tolist()


def _checked(
    data: Any, tasks: Task | Iterable[Task] | None
) -> tuple[tuple[Task, ...], dict[str, np.ndarray]]:
    if not isinstance(data, Mapping) or tasks is None:
        missing = "no tasks" if isinstance(data, Mapping) else type(data).__name__
        raise InputError(
            "Expected a Manifest, or label arrays by task name and their tasks=. "
            f"Received: {missing}."
        )
    found = as_tasks(tasks)
    absent = [f"{t.name}: there are no labels" for t in found if t.name not in data]
    if absent:
        raise InputError("Expected label arrays for every task.", absent)
    return found, {t.name: label_array(t, data[t.name], len(data[t.name])) for t in found}
