"""Do several predictors give the same answers on the same pictures, and good ones?"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from kerastl.batches import Batch
from kerastl.decisions import decided
from kerastl.differences import difference
from kerastl.errors import InputError
from kerastl.evaluation import join
from kerastl.export_report import Accuracy, Agreement
from kerastl.predictors import Predictor
from kerastl.scores import score
from kerastl.tasks import Task

Labels = Mapping[str, np.ndarray] | None
ByTask = dict[str, np.ndarray]


def run_all(
    predictors: Mapping[str, Predictor], batches: Iterable[Batch]
) -> tuple[dict[str, ByTask], Labels]:
    """Every predictor's scores for the same pictures, which are read once.

    Args:
        predictors: By name.
        batches: The pictures, with their labels or without.

    Returns:
        Scores by predictor and task, and the labels by task or None.

    Raises:
        InputError: If there is no picture.
    """
    made: dict[str, list[ByTask]] = {name: [] for name in predictors}
    labels: list[Labels] = []
    for batch in batches:
        labels.append(batch.labels)
        for name, predictor in predictors.items():
            made[name].append(predictor.predict(batch.images))
    if not labels:
        raise InputError("Expected at least one evaluation picture that can be read.")
    known = None if labels[0] is None else join(labels)
    return {name: join(each) for name, each in made.items()}, known


def accuracies(
    tasks: Sequence[Task],
    labels: Labels,
    scores: ByTask,
    *,
    thresholds: Mapping[str, Sequence[float]] | None = None,
    draws: int,
    seed: int,
) -> dict[str, Accuracy]:
    """The accuracy by task at its thresholds; without labels its n is 0."""
    if labels is None:
        return {t.name: Accuracy(None, None, None, 0) for t in tasks}
    usable = {n: np.clip(np.nan_to_num(s), 0, 1) for n, s in scores.items()}
    frame = score(tasks, labels, usable, thresholds=thresholds, draws=draws, seed=seed).frame
    rows = frame[(frame["metric"] == "accuracy") & (frame["class"] == "")]
    return {
        r.task: Accuracy(_plain(r.value), _plain(r.low), _plain(r.high), int(r.n))
        for r in rows.itertuples()
    }


def agreement(
    task: Task,
    ours: np.ndarray,
    theirs: np.ndarray,
    accuracy: Accuracy,
    thresholds: Sequence[float] | None = None,
    *,
    labels: np.ndarray | None = None,
    draws: int = 1000,
    seed: int = 0,
) -> Agreement:
    """Compare a file's scores with the Keras model's.

    Args:
        task: The task.
        ours: The Keras model's, `[n, classes]`.
        theirs: The file's, `[n, classes]`.
        accuracy: The file's accuracy.
        thresholds: The task's, at which both are decided; None is 0.5.
        labels: The task's, as in `score`: what the two accuracies differ by is
            measured on those that are known.
        draws: Bootstrap draws of that difference.
        seed: Their seed.

    Example:
        >>> task, none = Task("t", ["a", "b"]), Accuracy(None, None, None, 0)
        >>> ours, theirs = np.array([[0.9, 0.1], [0.4, 0.6]]), np.array([[0.8, 0.2], [0.7, 0.3]])
        >>> made = agreement(task, ours, theirs, none)
        >>> made.same, round(made.largest, 3), made.n
        (0.5, 0.3, 2)
    """
    alike = decided(task, ours, thresholds) == decided(task, theirs, thresholds)
    alike = alike if task.kind == "multilabel" else alike.all(axis=1)
    largest, lost = _plain(np.abs(ours - theirs).max()), None
    if labels is not None and accuracy.n:
        usable = (np.clip(np.nan_to_num(s), 0, 1) for s in (theirs, ours))
        lost = difference(
            task, labels, *usable, metric="accuracy", thresholds=thresholds, draws=draws, seed=seed
        )
    return Agreement(float(alike.mean()), largest, len(ours), accuracy, lost)


def _plain(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
