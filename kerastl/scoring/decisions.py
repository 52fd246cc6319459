"""Where a score becomes an answer: the thresholds, and the one rule that applies them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from kerastl.data.tasks import Task
from kerastl.errors import InputError, nearest

HALF = 0.5
"""The threshold of a label for which none was tuned."""


def decided(
    task: Task, scores: np.ndarray, thresholds: Sequence[float] | None = None
) -> np.ndarray:
    """Which classes the scores say.

    A label is given when its score is at least its threshold. A binary task's answer
    is its second class iff that class' score is at least the threshold, else its
    first. A multiclass task has no threshold: the largest score is the answer.

    Args:
        task: The task.
        scores: `[n, classes]` in [0, 1].
        thresholds: One per label; of a binary task one; None is 0.5 everywhere.

    Returns:
        bool `[n, classes]`.

    Example:
        >>> task = Task("defect", ["no", "yes"], "binary")
        >>> decided(task, np.array([[0.7, 0.3]]), [0.3]).tolist()
        [[False, True]]
    """
    scores = np.asarray(scores)
    if task.kind == "multiclass":
        return scores.argmax(axis=1)[:, None] == np.arange(len(task.classes))
    at = np.asarray(_halves(task) if thresholds is None else thresholds, dtype="float64")
    if task.kind == "multilabel":
        return scores >= at
    second = scores[:, 1] >= at[0]
    return np.stack([~second, second], axis=1)


def threshold_count(task: Task) -> int:
    """How many thresholds a task has: one per label, a binary task one, a multiclass none."""
    return 0 if task.kind == "multiclass" else task.units


def complete(
    tasks: Iterable[Task], given: Mapping[str, Sequence[float]] | None
) -> dict[str, tuple[float, ...]]:
    """Thresholds for every binary and multilabel task, 0.5 where none are given.

    Args:
        tasks: The tasks.
        given: Thresholds by task name, for some tasks or all; None for none.

    Raises:
        InputError: Naming every task that is not there or has no threshold, every
            wrong length and every value outside [0, 1].

    Example:
        >>> complete([Task("sky", ["grey", "blue"]), Task("m", ["u", "v"], "multilabel")], None)
        {'m': (0.5, 0.5)}
    """
    checked, tasks = check_thresholds(tasks, given), tuple(tasks)
    return {t.name: checked.get(t.name, _halves(t)) for t in tasks if threshold_count(t)}


def check_thresholds(
    tasks: Iterable[Task], given: Mapping[str, Sequence[float]] | None
) -> dict[str, tuple[float, ...]]:
    """The thresholds that are given as plain numbers; see `complete`."""
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise InputError(f"Expected thresholds by task name. Received: {given!r}.")
    tasks = tuple(tasks)
    faults = [fault for name, values in given.items() for fault in _faults(tasks, name, values)]
    if faults:
        raise InputError("Expected thresholds that fit the tasks.", faults)
    return {name: tuple(float(v) for v in values) for name, values in given.items()}


def threshold_faults(task: Task, values: Any) -> Iterator[str]:
    """What is wrong with one task's thresholds."""
    count = threshold_count(task)
    if not count:
        yield "a multiclass task has no threshold: the largest score is its answer"
    elif isinstance(values, (str, bytes, Mapping)) or not hasattr(values, "__len__"):
        yield f"expected a list of {count} thresholds, received {values!r}"
    elif len(values) != count:
        yield f"expected {count} thresholds, received {len(values)}"
    else:
        for value in values:
            if not _is_share(value):
                yield f"expected thresholds from 0 to 1, received {value!r}"


def _faults(tasks: Sequence[Task], name: Any, values: Any) -> Iterator[str]:
    by_name = {t.name: t for t in tasks}
    if name not in by_name:
        yield f"there is no task {name!r}.{nearest(name, by_name)}"
        return
    yield from (f"{name}: {fault}" for fault in threshold_faults(by_name[name], values))


def _is_share(value: Any) -> bool:
    number = isinstance(value, (int, float, np.integer, np.floating))
    return number and not isinstance(value, bool) and math.isfinite(value) and 0 <= value <= 1


def _halves(task: Task) -> tuple[float, ...]:
    return (HALF,) * threshold_count(task)
