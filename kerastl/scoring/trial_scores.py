"""The one number of a trial, its score on val, and its interval: the same draws for all trials."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from kerastl.data.tasks import Task, as_tasks, known
from kerastl.errors import InputError
from kerastl.scoring.differences import Difference, correlation
from kerastl.scoring.intervals import (
    Limits,
    Z,
    apart,
    bounded,
    exact,
    resampled,
    variance,
    widened,
    within,
)
from kerastl.scoring.limits import rests_on
from kerastl.scoring.measures import answers, auc, average, codes_of, ratio, with_label

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
    counts = counts[with_label(codes)]
    a = answers(task, codes, scores)
    if task.kind == "multiclass":
        return ratio(a.right[:, 0].astype(counts.dtype) @ counts, counts.sum(axis=0))
    each = []
    # A binary task's two classes have the same AUC, so its second is enough.
    for c in range(len(task.classes) - task.units, len(task.classes)):
        seen = a.seen[:, c]
        each.append(auc(a.truth[seen, c], a.scores[seen, c], counts[seen]))
    return average(np.stack(each))


@dataclass(frozen=True)
class TrialScore:
    """A trial's score, with what its pictures and its executions leave open.

    Attributes:
        by_task: float64 `[tasks]`, means over executions; NaN where undefined.
        each: float64 `[executions]`, the score of each.
        drawn: float64 `[draws]`, the mean over executions on each draw of pictures.
            All trials have the same draws.
        n: Pictures with a known label.
        units: What the score rests on, as in `limits`: for an AUC the rarer side; groups,
            where the pictures come in groups.
        proportion: Whether it is a share of the pictures.
    """

    by_task: np.ndarray
    each: np.ndarray
    drawn: np.ndarray
    n: int
    units: float
    proportion: bool = False

    @property
    def value(self) -> float:
        """The mean over executions."""
        return float(self.each.mean())

    @property
    def standard_error(self) -> float:
        """Of the value: the pictures' part and the executions' part together."""
        if self.proportion and self.value in (0, 1):
            low, high = self._by_pictures
            return (high - low) / (2 * Z)
        defined = self.drawn[~np.isnan(self.drawn)]
        if len(defined) < 2:
            return math.nan
        between = self.each.var(ddof=1) / len(self.each) if len(self.each) > 1 else 0.0
        return math.sqrt(defined.var(ddof=1) + between)

    @property
    def limits(self) -> Limits:
        """The 95 % interval; NaN where there is too little behind it."""
        return within(widened(self.value, self._by_pictures, self.each), (0.0, 1.0))

    def to(self, best: TrialScore) -> Difference:
        """The paired difference of this trial to another with the same draws."""
        each, n = self.each - best.each, self.n
        low, high = 0.0, 0.0  # to itself
        if best is not self:
            together = correlation(self.drawn, best.drawn, self.units)
            both = self._by_pictures, best._by_pictures
            found = apart(self.value, best.value, *both, together)
            low, high = within(widened(float(each.mean()), found, each), (-1.0, 1.0))
        return Difference(float(each.mean()), low, high, self.value, best.value, n, len(each))

    @property
    def _by_pictures(self) -> Limits:
        """The interval for these executions."""
        if self.proportion and len(self.each) == 1 and self.units == self.n:
            return exact(self.value * self.n, self.n)
        return bounded(self.value, variance(self.drawn, self.units), self.units)


def score_trials(
    tasks: Sequence[Task],
    labels: Mapping[str, np.ndarray],
    trials: Mapping[str, Sequence[Mapping[str, np.ndarray]]],
    *,
    groups: np.ndarray | None = None,
    draws: int = 1000,
    seed: int = 0,
) -> dict[str, TrialScore]:
    """Score trials on the same draws of pictures, so that they can be compared in pairs.

    Args:
        tasks: The tasks.
        labels: By task, as in `trial_score`.
        trials: By trial, the scores of each execution. All have as many executions.
        groups: `[n]`, the group of each picture, as in `score`.
        draws: Draws of pictures, or of groups, among those with a known label.
        seed: Of the draws.

    Returns:
        By trial its score.
    """
    labels, rows = _with_labels(tasks, labels)
    groups = None if groups is None else np.asarray(groups)[rows]
    n, share = int(rows.sum()), len(tasks) == 1 and tasks[0].kind == "multiclass"
    found = {}
    for trial, runs in trials.items():
        seen = [{t.name: np.asarray(run[t.name])[rows] for t in tasks} for run in runs]
        plain = _scored(tasks, labels, seen, np.ones((n, 1)))[..., 0]
        # The same seed gives each trial the same draws, and no table of them all is kept.
        draw = resampled(n, draws, seed, groups)
        blocks = [average(_scored(tasks, labels, seen, c)).mean(axis=0) for c in draw]
        drawn = np.concatenate(blocks or [np.empty(0)])
        units = _units(tasks, labels, seen[0], groups)
        found[trial] = TrialScore(plain.mean(axis=1), average(plain), drawn, n, units, share)
    return found


def _units(
    tasks: Sequence[Task], labels: Mapping, scores: Mapping, groups: np.ndarray | None
) -> float:
    """What the score rests on: the same for every trial, since the labels alone decide it."""
    each = []
    for task in tasks:
        codes = codes_of(task, labels[task.name])
        a, of = answers(task, codes, scores[task.name]), None
        if groups is not None:
            of = groups[with_label(codes)]
        key = ("", "accuracy" if task.kind == "multiclass" else "auc")
        each.append(rests_on(task, [a], key, of))
    there = [units for units in each if units > 0]
    return len(there) ** 2 / sum(1 / units for units in there) if there else 0.0


def _scored(
    tasks: Sequence[Task], labels: Mapping, runs: Sequence[Mapping], counts: np.ndarray
) -> np.ndarray:
    """`[tasks, executions, draws]`."""
    return np.stack([task_scores(tasks, labels, run, counts) for run in runs], axis=1)


def _with_labels(
    tasks: Sequence[Task], labels: Mapping[str, np.ndarray]
) -> tuple[dict, np.ndarray]:
    """The labels of the pictures that have one, and which pictures those are."""
    found = {t.name: np.asarray(labels[t.name]) for t in tasks}
    each = [known(y).reshape(len(y), -1).any(axis=1) for y in found.values()]
    rows = np.logical_or.reduce(each)
    return {name: y[rows] for name, y in found.items()}, rows
