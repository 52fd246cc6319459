"""The one number of a trial: its score on val."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from kerastl.errors import InputError
from kerastl.measures import answers, auc, average, codes_of, ratio
from kerastl.tasks import Task, as_tasks, known

MEASURES = {"binary": "AUC", "multilabel": "mean AUC", "multiclass": "accuracy"}
"""What a task of each kind is scored by."""


def measure_name(tasks: Sequence[Task], named: bool = False) -> str:
    """What the score of these tasks is, in words; a single one's with its name, if `named`.

    Example:
        >>> defect, kind = Task("defect", ["no", "yes"], "binary"), Task("kind", ["a", "b"])
        >>> measure_name([defect]), measure_name([defect, kind])
        ('AUC', 'mean of AUC of defect and accuracy of kind')
    """
    if len(tasks) == 1 and not named:
        return MEASURES[tasks[0].kind]
    *most, last = (f"{MEASURES[t.kind]} of {t.name}" for t in tasks)
    return f"mean of {', '.join(most)} and {last}" if most else last


def trial_score(
    tasks: Task | Iterable[Task],
    labels: Mapping[str, np.ndarray],
    scores: Mapping[str, np.ndarray],
) -> float:
    """What a search makes large: the mean over tasks of AUC or accuracy.

    A binary task is scored by its AUC, a multilabel task by the mean of its labels'
    AUC, a multiclass task by its accuracy. A label that is known of one class only is
    left out, and so is a task without a label that is left.

    Args:
        tasks: The tasks.
        labels: By task, as in `score`: unknown is -1.
        scores: By task: `[n, classes]` in [0, 1].

    Returns:
        The score; NaN where nothing is left, and for scores that are not finite.

    Raises:
        InputError: For labels and scores that do not fit the tasks.

    Example:
        >>> task = Task("defect", ["no", "yes"], "binary")
        >>> p = np.array([0.1, 0.8, 0.4, 0.9])
        >>> truth = np.array([0, 1, 1, -1])
        >>> trial_score(task, {"defect": truth}, {"defect": np.stack([1 - p, p], axis=1)})
        1.0
    """
    tasks = as_tasks(tasks)
    if faults := list(score_faults(tasks, labels, scores)):
        raise InputError("Expected labels and scores that fit the tasks.", faults)
    if not finite(scores):
        return math.nan
    counts = np.ones((len(labels[tasks[0].name]), 1))
    return float(average(task_scores(tasks, labels, scores, counts))[0])


def task_scores(
    tasks: Sequence[Task],
    labels: Mapping[str, np.ndarray],
    scores: Mapping[str, np.ndarray],
    counts: np.ndarray,
) -> np.ndarray:
    """Each task's AUC or accuracy, with each picture counted so often.

    Args:
        tasks: The tasks.
        labels: By task, as in `trial_score`.
        scores: Likewise.
        counts: `[n, draws]`.

    Returns:
        `[tasks, draws]`; NaN where it is undefined.
    """
    return np.stack([_task_score(t, labels[t.name], scores[t.name], counts) for t in tasks])


def finite(scores: Mapping[str, np.ndarray]) -> bool:
    """Whether every score is a number."""
    return all(np.isfinite(s).all() for s in scores.values())


def left_out(tasks: Sequence[Task], labels: Mapping[str, np.ndarray]) -> Iterator[str]:
    """Which tasks and labels have no part in the score, and why."""
    for task in tasks:
        codes = codes_of(task, labels[task.name])
        if task.kind == "multiclass":
            if not known(codes).any():
                yield f"{task.name}: no known label in val, so it has no part in the score."
            continue
        codes = codes.reshape(len(codes), -1)
        one = [not {0, 1} <= set(column) for column in codes.T.tolist()]
        names = [c for c, alone in zip(task.columns, one, strict=True) if alone]
        if names:
            yield f"{', '.join(names)}: not both classes are known in val; left out of the score."


def score_faults(tasks: Sequence[Task], labels: Mapping, scores: Mapping) -> Iterator[str]:
    """What keeps scores from being scored, a line for each task."""
    lengths = {len(np.asarray(labels[t.name])) for t in tasks if t.name in labels}
    if len(lengths) > 1:
        yield f"expected as many labels of each task, received {sorted(lengths)}"
    for task in tasks:
        if missing := [
            w for w, d in (("labels", labels), ("scores", scores)) if task.name not in d
        ]:
            yield f"{task.name}: no {' and no '.join(missing)}"
            continue
        wide = [len(np.asarray(labels[task.name])), len(task.classes)]
        shape = list(np.shape(scores[task.name]))
        if shape != wide:
            yield f"{task.name}: expected scores {wide}, received {shape}"


def _task_score(
    task: Task, labels: np.ndarray, scores: np.ndarray, counts: np.ndarray
) -> np.ndarray:
    codes = codes_of(task, labels)
    counts = counts[known(codes) if codes.ndim == 1 else known(codes).any(axis=1)]
    a = answers(task, codes, scores)
    if task.kind == "multiclass":
        return ratio(a.right[:, 0].astype(counts.dtype) @ counts, counts.sum(axis=0))
    each = []
    # A binary task's two classes have the same AUC, so its second is enough.
    for c in range(len(task.classes) - task.units, len(task.classes)):
        seen = a.seen[:, c]
        each.append(auc(a.truth[seen, c], a.scores[seen, c], counts[seen]))
    return average(np.stack(each))
