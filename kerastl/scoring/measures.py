"""Measures of a prediction's quality, for many weightings of the same pictures at once.

Everything here takes `counts`, `[n, draws]`: how often each picture is counted in
each draw. A column of ones gives the plain value; columns of resampled counts give
the bootstrap, from the same lines of code. No measure loops over draws.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from kerastl.data.tasks import Task, known
from kerastl.scoring.decisions import decided

BINS = 15
TINY = np.finfo("float64").eps


@dataclass(frozen=True)
class Answers:
    """The known labels of one task beside the scores that were given for them.

    Args:
        truth: bool `[n, classes]`, the true class or labels.
        picked: bool `[n, classes]`, the predicted class or labels.
        seen: bool `[n, classes]`, where the truth is known.
        scores: `[n, classes]` in [0, 1].
        confidence: `[n, columns]`, the scores whose calibration is measured: one
            column (the top score) for exclusive classes, one per label otherwise.
        right: bool `[n, columns]`, whether what each confidence speaks of is so.
            It knows no threshold: calibration is of the scores, not of decisions.
    """

    truth: np.ndarray
    picked: np.ndarray
    seen: np.ndarray
    scores: np.ndarray
    confidence: np.ndarray
    right: np.ndarray

    @property
    def counted(self) -> np.ndarray:
        """bool `[n, columns]`: the confidences that have a known truth."""
        return self.seen if self.confidence.shape == self.seen.shape else self.seen[:, :1]

    @property
    def both(self) -> np.ndarray:
        """bool `[classes]`: those with a known positive and a known negative."""
        positive = self.truth & self.seen
        return positive.any(axis=0) & (self.seen & ~self.truth).any(axis=0)


def codes_of(task: Task, labels: np.ndarray) -> np.ndarray:
    """Labels as codes; a soft label counts as positive when it is >= 0.5.

    Example:
        >>> codes_of(Task("t", ["no", "yes"], "binary"), np.array([[0.7], [0.0], [-1.0]])).tolist()
        [1, 0, -1]
    """
    labels = np.asarray(labels)
    if task.kind == "multiclass":
        return labels.reshape(-1).astype("int64")
    codes = np.where(known(labels), labels >= 0.5, -1).astype("int64")
    return codes.reshape(-1) if task.kind == "binary" else codes


def with_label(codes: np.ndarray) -> np.ndarray:
    """bool `[n]`: the pictures with at least one known label; `answers` keeps these."""
    return known(codes) if codes.ndim == 1 else known(codes).any(axis=1)


def answers(
    task: Task,
    codes: np.ndarray,
    scores: np.ndarray,
    thresholds: Sequence[float] | None = None,
) -> Answers:
    """The pictures with at least one known label, as `Answers`.

    Args:
        task: The task.
        codes: As `codes_of` gives them.
        scores: `[n, classes]` in [0, 1].
        thresholds: The task's, as `decided` takes them; None is 0.5 everywhere.
    """
    rows = with_label(codes)
    codes, scores = codes[rows], np.asarray(scores, dtype="float64")[rows]
    picked = decided(task, scores, thresholds)
    if task.kind == "multilabel":
        seen, truth = known(codes), codes > 0
        return Answers(truth, picked & seen, seen, scores, scores, truth)
    truth = codes[:, None] == np.arange(len(task.classes))
    right = (codes == scores.argmax(axis=1))[:, None]
    confidence = scores.max(axis=1)[:, None]
    return Answers(truth, picked, np.ones_like(truth), scores, confidence, right)


def ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """`above / below`, NaN where nothing was counted."""
    below = np.broadcast_to(np.asarray(below, dtype="float64"), np.shape(above))
    return np.divide(above, below, out=np.full(below.shape, np.nan), where=below > 0)


def average(values: np.ndarray) -> np.ndarray:
    """The mean over the first axis of what is defined, NaN where nothing is."""
    defined = ~np.isnan(values)
    return ratio(np.where(defined, values, 0.0).sum(axis=0), defined.sum(axis=0))


AVERAGES = {"macro_f1": "f1", "auc": "auc", "average_precision": "average_precision"}
"""Measures of a whole task that are an average over its classes, and of what."""


def metrics_of(task: Task) -> list[tuple[str, str]]:
    """Every (class, metric) that a task has, in the order of a report; "" is the whole task.

    Example:
        >>> metrics_of(Task("t", ["no", "yes"], "binary"))[:3]
        [('', 'accuracy'), ('', 'macro_f1'), ('', 'auc')]
    """
    precise = ["average_precision"] if task.kind == "multilabel" else []
    whole = ["accuracy", "macro_f1", "auc", *precise, "calibration_error", "log_loss"]
    each = ["precision", "recall", "f1", "auc", *precise]
    return [("", m) for m in whole] + [(c, m) for c in task.classes for m in each]


class Measures:
    """The measures of one task, each computed when it is first asked for.

    The averages over classes (macro F1, AUC, average precision) are over the classes that
    have a known positive and a known negative.

    Args:
        task: The task.
        a: Its known labels beside the scores given for them.
        counts: `[n, draws]`, how often each picture is counted in each draw.

    Example:
        >>> task, truth = Task("t", ["a", "b"]), np.array([0, 1, 1])
        >>> made = Measures(task, answers(task, truth, np.eye(2)[[0, 0, 1]]), np.ones((3, 1)))
        >>> made["", "accuracy"].round(3).tolist(), made["b", "recall"].tolist()
        ([0.667], [0.5])
    """

    def __init__(self, task: Task, a: Answers, counts: np.ndarray):
        self._a, self._counts = a, counts
        self._exclusive = task.kind != "multilabel"
        self._keys = frozenset(metrics_of(task))
        self._place = {name: number for number, name in enumerate(task.classes)}
        self._made: dict[tuple[str, int], np.ndarray] = {}

    def __getitem__(self, key: tuple[str, str]) -> np.ndarray:
        """One measure, `[draws]`, by its (class, metric); a KeyError where there is none."""
        name, metric = key
        if key not in self._keys:
            raise KeyError(key)
        if name:
            return self._of_class(metric, self._place[name])
        if metric in AVERAGES:
            of = [self._of_class(AVERAGES[metric], int(c)) for c in np.flatnonzero(self._a.both)]
            return average(np.stack(of)) if of else np.full(self._counts.shape[1], np.nan)
        return getattr(self, f"_{metric}")()

    def _accuracy(self) -> np.ndarray:
        a = self._a
        hits = a.picked & a.truth if self._exclusive else (a.picked == a.truth) & a.seen
        return ratio(_sum(hits.sum(axis=1), self._counts), self._trials)

    def _calibration_error(self) -> np.ndarray:
        columns = range(self._a.confidence.shape[1])
        return average(np.stack([_gap(self._a, c, self._counts) for c in columns]))

    def _log_loss(self) -> np.ndarray:
        return ratio(_sum(_losses(self._a, self._exclusive), self._counts), self._trials)

    def _of_class(self, metric: str, c: int) -> np.ndarray:
        if (metric, c) not in self._made:
            self._made[metric, c] = self._new(metric, c)
        return self._made[metric, c]

    def _new(self, metric: str, c: int) -> np.ndarray:
        if metric in CURVES:
            return CURVES[metric](*_column(self._a, c, self._counts))
        hits, picked, positive = (found[c] for found in self._decided)
        if metric == "f1":
            return ratio(2 * hits, picked + positive)
        return ratio(hits, {"precision": picked, "recall": positive}[metric])

    @cached_property
    def _trials(self) -> np.ndarray:
        """How many answers have a known truth, in each draw."""
        return _sum(self._a.counted.sum(axis=1), self._counts)

    @cached_property
    def _decided(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Hits, predicted and positives by class and draw, `[classes, draws]` each."""
        a, counts = self._a, self._counts
        picked, positive = a.picked & a.seen, a.truth & a.seen
        return _sum(picked & positive, counts), _sum(picked, counts), _sum(positive, counts)


def auc(truth: np.ndarray, scores: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Area under the ROC curve: how often a positive scores above a negative.

    Each positive wins over the negatives below it and half of those that tie.

    Args:
        truth: bool `[n]`.
        scores: `[n]`.
        counts: `[n, draws]`.

    Returns:
        `[draws]`; NaN where there are no positives or no negatives.

    Example:
        >>> auc(np.array([True, False]), np.array([0.5, 0.5]), np.ones((2, 1))).tolist()
        [0.5]
    """
    positive, negative = scores[truth], scores[~truth]
    order = np.argsort(negative)
    below = _running(counts[~truth][order])
    negative, weight = negative[order], counts[truth]
    won = below[np.searchsorted(negative, positive, "left")]
    won = won + below[np.searchsorted(negative, positive, "right")]
    total = np.einsum("pd,pd->d", weight, won, dtype="float64") / 2
    return ratio(total, weight.sum(axis=0, dtype="float64") * below[-1])


def average_precision(truth: np.ndarray, scores: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The mean, over the positives, of the precision at each one's own score.

    Args and Returns as in `auc`; NaN where there are no positives.
    """
    order = np.argsort(scores)
    scores, truth, counts = scores[order], truth[order], counts[order]
    at = np.searchsorted(scores, scores[truth], "left")
    hits, every = _running(counts * truth[:, None]), _running(counts)
    above, weight = every[-1] - every[at], counts[truth]
    share = np.divide(hits[-1] - hits[at], above, out=np.zeros(above.shape), where=above > 0)
    return ratio((weight * share).sum(axis=0), weight.sum(axis=0, dtype="float64"))


def bins_of(confidence: np.ndarray) -> np.ndarray:
    """The number, 0 to 14, of the equal-width bin of each confidence, closed above."""
    return np.clip(np.ceil(confidence * BINS).astype("int64") - 1, 0, BINS - 1)


def _gap(a: Answers, column: int, counts: np.ndarray) -> np.ndarray:
    """sum over bins of |confidence - frequency|, weighted by the bins' shares."""
    seen = a.counted[:, column]
    confidence, right = a.confidence[seen, column], a.right[seen, column]
    member = bins_of(confidence)[:, None] == np.arange(BINS)
    gaps = np.abs(_sum(member * (confidence - right)[:, None], counts[seen])).sum(axis=0)
    return ratio(gaps, counts[seen].sum(axis=0))


def _losses(a: Answers, exclusive: bool) -> np.ndarray:
    p = np.clip(a.scores, TINY, 1 - TINY)
    each = -np.log(np.where(a.truth, p, 1.0 if exclusive else 1 - p))
    return (each * a.seen).sum(axis=1)


def _column(a: Answers, c: int, counts: np.ndarray) -> tuple[np.ndarray, ...]:
    seen = a.seen[:, c]
    return a.truth[seen, c], a.scores[seen, c], counts[seen]


def _sum(values: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Values per picture summed over the counted pictures, one sum per draw."""
    return values.astype(counts.dtype).T @ counts


def _running(counts: np.ndarray) -> np.ndarray:
    """Running totals from zero, `[n + 1, draws]`."""
    return np.concatenate([np.zeros_like(counts[:1], shape=(1, counts.shape[1])), counts]).cumsum(0)


CURVES = {"auc": auc, "average_precision": average_precision}
"""Measures of a class that no threshold decides."""
