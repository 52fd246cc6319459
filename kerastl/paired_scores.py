"""How sure the scores of trials are: the same draws of pictures for all of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from kerastl.bootstrap import Z, interval, left_open, resampled, wilson
from kerastl.differences import Difference
from kerastl.measures import average
from kerastl.tasks import Task, known
from kerastl.trial_scores import task_scores


@dataclass(frozen=True)
class TrialScore:
    """A trial's score, with what its pictures and its executions leave open.

    Attributes:
        by_task: float64 `[tasks]`, means over executions; NaN where undefined.
        each: float64 `[executions]`, the score of each.
        drawn: float64 `[draws]`, the mean over executions on each draw of pictures.
            All trials have the same draws.
        n: Pictures with a known label.
        proportion: Whether it is a share of the pictures.
        seed: Of what is drawn for the executions.
    """

    by_task: np.ndarray
    each: np.ndarray
    drawn: np.ndarray
    n: int
    proportion: bool = False
    seed: int = 0

    @property
    def value(self) -> float:
        """The mean over executions."""
        return float(self.each.mean())

    @property
    def standard_error(self) -> float:
        """Of the value: the pictures' part and the executions' part together."""
        if self._flat:
            low, high = wilson(self.value, self.n)
            return (high - low) / (2 * Z)
        defined = self.drawn[~np.isnan(self.drawn)]
        if len(defined) < 2:
            return math.nan
        between = self.each.var(ddof=1) / len(self.each) if len(self.each) > 1 else 0.0
        return math.sqrt(defined.var(ddof=1) + between)

    @property
    def limits(self) -> tuple[float, float]:
        """The 95 % interval; Wilson's for a share of 0 or 1, where all draws are alike."""
        if self._flat:
            return wilson(self.value, self.n)
        low, high = interval(self.drawn + left_open(self.each, len(self.drawn), self.seed))
        # Student's t knows no end, a score does; NaN stays NaN.
        low, high = np.clip((low, high), 0.0, 1.0).tolist()
        return low, high

    def to(self, best: TrialScore) -> Difference:
        """The paired difference of this trial to another with the same draws."""
        each = self.each - best.each
        drawn = self.drawn - best.drawn + left_open(each, len(self.drawn), self.seed)
        return Difference(
            float(each.mean()), *interval(drawn), self.value, best.value, self.n, len(each)
        )

    @property
    def _flat(self) -> bool:
        return self.proportion and self.value in (0, 1)


def score_trials(
    tasks: Sequence[Task],
    labels: Mapping[str, np.ndarray],
    trials: Mapping[str, Sequence[Mapping[str, np.ndarray]]],
    *,
    draws: int = 1000,
    seed: int = 0,
) -> dict[str, TrialScore]:
    """Score trials on the same draws of pictures, so that they can be compared in pairs.

    Args:
        tasks: The tasks.
        labels: By task, as in `trial_score`.
        trials: By trial, the scores of each execution. All have as many executions.
        draws: Draws of pictures, among those with a known label.
        seed: Of the draws.

    Returns:
        By trial its score.
    """
    labels, rows = _with_labels(tasks, labels)
    n, share = int(rows.sum()), len(tasks) == 1 and tasks[0].kind == "multiclass"
    found = {}
    for trial, runs in trials.items():
        seen = [{t.name: np.asarray(run[t.name])[rows] for t in tasks} for run in runs]
        plain = _scored(tasks, labels, seen, np.ones((n, 1)))[..., 0]
        # The same seed gives each trial the same draws, and no table of them all is kept.
        draw = resampled(n, draws, seed)
        blocks = [average(_scored(tasks, labels, seen, c)).mean(axis=0) for c in draw]
        drawn = np.concatenate(blocks or [np.empty(0)])
        found[trial] = TrialScore(plain.mean(axis=1), average(plain), drawn, n, share, seed)
    return found


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
