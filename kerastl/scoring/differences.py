"""Is one way of doing a thing better than another? The paired difference and its interval."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from kerastl.data.tasks import Task
from kerastl.errors import InputError
from kerastl.scoring.intervals import (
    IMAGINARY,
    NONE,
    TOO_FEW,
    Limits,
    apart,
    in_words,
    paired,
    resampled,
    widened,
    within,
)
from kerastl.scoring.limits import limits, rests_on, shared, wanted
from kerastl.scoring.measures import Answers, Measures, answers, codes_of, metrics_of, with_label

Pair = tuple[Answers, Answers]


@dataclass(frozen=True)
class Difference:
    """How much better our way is than theirs, on the same pictures.

    Attributes:
        value: The mean over repeats of our measure minus theirs; NaN where it is
            undefined.
        low: Lower end of its interval; NaN where there is too little behind it for one.
        high: Upper end.
        ours: Our measure, the mean over repeats.
        theirs: Their measure likewise.
        n: Known labels behind it.
        repeats: Trained pairs behind it.
        level: What share of such intervals holds the true difference.

    Example:
        >>> found = Difference(0.021, 0.004, 0.038, ours=0.9, theirs=0.879, n=400, repeats=5)
        >>> print(found, found.verdict)
        +0.021 [+0.004, +0.038] better
    """

    value: float
    low: float
    high: float
    ours: float
    theirs: float
    n: int
    repeats: int
    level: float = 0.95

    @property
    def real(self) -> bool:
        """Whether the interval excludes 0."""
        return self.low > 0 or self.high < 0

    @property
    def verdict(self) -> str:
        """What may be said of our way: better, worse, no difference; undefined, too few."""
        if math.isnan(self.value):
            return "undefined"
        if math.isnan(self.low):
            return TOO_FEW
        if not self.real:
            return "no difference"
        return "better" if self.low > 0 else "worse"

    def __str__(self) -> str:
        if math.isnan(self.value):
            return "undefined"
        return in_words(self.value, self.low, self.high, "+.3f")


def difference(
    task: Task,
    labels: np.ndarray,
    ours: np.ndarray,
    theirs: np.ndarray,
    *,
    metric: str,
    class_: str = "",
    thresholds: Sequence[float] | None = None,
    groups: np.ndarray | None = None,
    level: float = 0.95,
    draws: int = 1000,
    seed: int = 0,
) -> Difference:
    """The paired difference of two ways, scored on the same known labels.

    Two things vary: which pictures were at hand, and how each repeat's training
    happened to go. The interval holds both. Of accuracy and recall the pictures' part is
    `paired`: what is gained and what is lost are a share each. Of other measures it is
    `apart`: it comes from the interval of each way and from how both go together when
    pictures are drawn anew. The repeats' part is their standard error times Student's t
    with r - 1 degrees of freedom, so two or three repeats give wide intervals, and one
    repeat none for training: then the interval speaks of these two trained models only.
    An interval ends at what is possible, and where that leaves nothing out there is none.

    Args:
        task: The task.
        labels: As in `score`: -1 is unknown.
        ours: Scores `[repeats, n, classes]` in [0, 1]; `[n, classes]` is one repeat.
        theirs: The same for the other way; repeat i of both ways had the same seed.
        metric: As in the frame of `score`.
        class_: The class it is measured on; "" for the whole task.
        thresholds: As in `measures.answers`.
        groups: As in `score`.
        level: Share of such intervals that hold the true difference.
        draws: Bootstrap draws. Draws in which the measure is undefined are left out.
        seed: Seed of the draws.

    Returns:
        The `Difference`.

    Raises:
        InputError: For scores that do not fit the task or each other, and for a
            metric or class that is none.

    Example:
        >>> task = Task("sky", ["grey", "blue"])
        >>> truth, draw = np.tile([0, 1], 50), np.random.default_rng(0)
        >>> sure, guess = np.eye(2)[truth], np.eye(2)[draw.integers(2, size=100)]
        >>> difference(task, truth, sure, guess, metric="accuracy").verdict
        'better'

    References:
        Efron and Tibshirani, "An Introduction to the Bootstrap", 1993.
        Howe, "Approximate confidence limits on the mean of X + Y where X and Y are two
        tabled independent random variables", JASA 69, 1974.
    """
    ours, theirs = _repeated(ours), _repeated(theirs)
    _check(task, np.asarray(labels), {"ours": ours, "theirs": theirs}, level, draws)
    codes = codes_of(task, labels)
    if class_ in task.classes and task.kind == "multilabel":
        task, codes, ours, theirs, thresholds = _one_label(
            task, codes, ours, theirs, thresholds, task.classes.index(class_)
        )
    pairs = [
        (answers(task, codes, a, thresholds), answers(task, codes, b, thresholds))
        for a, b in zip(ours, theirs, strict=True)
    ]
    if groups is not None:
        groups = np.asarray(groups)[with_label(codes)]
    return _difference(task, pairs, (class_, metric), groups, level, draws, seed)


def _one_label(task, codes, ours, theirs, thresholds, i):
    """The same for one label alone: only the pictures where it is known count."""
    one, at = Task(task.name, task.classes[i : i + 1], task.kind), slice(i, i + 1)
    limits = None if thresholds is None else list(thresholds)[at]
    return one, codes[:, at], ours[..., at], theirs[..., at], limits


def _difference(
    task: Task,
    pairs: Sequence[Pair],
    key: tuple[str, str],
    groups: np.ndarray | None,
    level: float,
    draws: int,
    seed: int,
) -> Difference:
    if key not in metrics_of(task):
        raise InputError(
            f"Expected a class and a metric of {task.name}. Received: class {key[0]!r}, metric "
            f"{key[1]!r}. There are:",
            [f"class {c!r}: {m}" for c, m in metrics_of(task)],
        )
    first = pairs[0][0]
    plain = _values(task, pairs, key, np.ones((len(first.truth), 1)))[..., 0]
    each, ways = plain[0] - plain[1], tuple(zip(*pairs, strict=True))
    parts = [shared(task, way, key) for way in ways]
    if key[1] in SAME and None not in parts:
        found = paired(parts[0][0] - parts[1][0], parts[0][1], groups, level)
    else:
        keys = dict.fromkeys([key, *wanted(task, ways[0], key)])
        blocks = [
            {k: _values(task, pairs, k, counts).mean(axis=1) for k in keys}
            for counts in resampled(len(first.truth), draws, seed, groups)
        ]
        drawn = {k: np.concatenate([b[k] for b in blocks], axis=1) for k in keys if blocks}
        found = _apart(task, ways, key, plain.mean(axis=1), drawn, groups, level)
    value = float(each.mean())
    low, high = widened(value, found, each, level)
    if key[1] != "log_loss":
        low, high = within((low, high), (-1.0, 1.0))
    n = first.seen[:, task.classes.index(key[0])].sum() if key[0] else first.counted.sum()
    ours, theirs = (float(v) for v in plain.mean(axis=1))
    return Difference(value, low, high, ours, theirs, int(n), len(pairs), level)


SAME = ("accuracy", "recall")
"""Shares of the same pictures, whichever way they are decided."""


def _apart(
    task: Task,
    ways: Sequence[Sequence[Answers]],
    key: tuple[str, str],
    values: np.ndarray,
    drawn: Mapping[tuple[str, str], np.ndarray],
    groups: np.ndarray | None,
    level: float,
) -> Limits:
    if not drawn:  # nothing is known
        return NONE
    ends = [
        limits(task, ways[i], key, float(values[i]), {k: d[i] for k, d in drawn.items()}, groups,
               level)
        for i in (0, 1)
    ]  # fmt: skip
    units = min(rests_on(task, way, key, groups) for way in ways)
    return apart(*map(float, values), *ends, correlation(*drawn[key], units))


def correlation(ours: np.ndarray, theirs: np.ndarray, units: float) -> float:
    """How two measures go together over the same draws, as far as so few units can tell.

    Two imaginary units in which they do not keep it below 1: measures that are alike on
    what is at hand need not be on more.

    Args:
        ours: `[draws]`.
        theirs: `[draws]`.
        units: What both rest on.

    Example:
        >>> round(correlation(np.arange(9.0), np.arange(9.0), 18), 3)
        0.9
    """
    both = ~np.isnan(ours + theirs)
    ours, theirs = ours[both], theirs[both]
    if len(ours) < 2 or not ours.std() * theirs.std() > 0:
        return 0.0
    return float(np.corrcoef(ours, theirs)[0, 1]) * units / (units + IMAGINARY)


def _values(
    task: Task, pairs: Sequence[Pair], key: tuple[str, str], counts: np.ndarray
) -> np.ndarray:
    """One measure of both ways: `[2, repeats, draws]`."""
    return np.array([[Measures(task, pair[way], counts)[key] for pair in pairs] for way in (0, 1)])


def _repeated(scores: np.ndarray) -> np.ndarray:
    scores = np.asarray(scores, dtype="float64")
    return scores[None] if scores.ndim == 2 else scores


def _check(
    task: Task, labels: np.ndarray, ways: dict[str, np.ndarray], level: float, draws: int
) -> None:
    faults = [f"{name}: {fault}" for name, s in ways.items() for fault in _faults(task, labels, s)]
    if len({s.shape for s in ways.values()}) > 1:
        shapes = " and ".join(str(list(s.shape)) for s in ways.values())
        faults.append(f"expected ours and theirs of one shape, received {shapes}")
    if not 0 < level < 1:
        faults.append(f"level: expected a share between 0 and 1, received {level}")
    if draws < 1:
        faults.append(f"draws: expected at least 1, received {draws}")
    if faults:
        raise InputError(f"The two ways of {task.name} cannot be compared.", faults)


def _faults(task: Task, labels: np.ndarray, scores: np.ndarray) -> Iterator[str]:
    wide = (len(labels), len(task.classes))
    if scores.ndim != 3 or scores.shape[1:] != wide or not len(scores):
        yield f"expected scores [repeats, {wide[0]}, {wide[1]}], received {list(scores.shape)}"
    elif not (scores.min(initial=0) >= -1e-6 and scores.max(initial=1) <= 1 + 1e-6):
        yield "expected scores in [0, 1], received values outside, or NaN"


def paired_difference(ours: np.ndarray, theirs: np.ndarray, span: float = 1.0) -> Difference:
    """How much higher our scores are on average, with the 95 % interval of `paired`.

    Where no example differs its width is not 0, and four that all say the same are not yet
    a difference, as in a sign test. A bootstrap fails in both.

    Args:
        ours: `[n]`, one score for each example.
        theirs: `[n]`, on the same examples.
        span: From the lowest to the highest score there can be.

    Returns:
        The `Difference`, in the unit of the scores.

    Example:
        >>> right = np.ones(200)
        >>> print(paired_difference(right, right))
        +0.000 [-0.018, +0.018]
        >>> worse = np.where(np.arange(200) < 4, 0.0, 1.0)
        >>> paired_difference(right, worse).verdict
        'no difference'
    """
    each = np.asarray(ours, "float64") - np.asarray(theirs, "float64")
    low, high = (span * end for end in paired(each / span))
    means = float(np.mean(ours)), float(np.mean(theirs))
    return Difference(float(each.mean()), low, high, *means, n=len(each), repeats=1)


def standard_error(each: np.ndarray, span: float = 1.0) -> float:
    """That of the mean of some differences, with two imaginary ones a whole span up and down.

    s^2 = (sum(d^2) + span^2) / (n + 2) - (sum(d) / (n + 2))^2, and s / sqrt(n + 2).

    Args:
        each: `[n]`, one difference for each example.
        span: From the lowest to the highest score there can be.

    Example:
        >>> round(standard_error(np.zeros(98)), 4)
        0.01

    Reference:
        Agresti and Min, "Simple improved confidence intervals for comparing matched
        proportions", Statistics in Medicine 24, 2005.
    """
    n = len(each) + 2
    variance = (float(np.square(each).sum()) + span**2) / n - (float(each.sum()) / n) ** 2
    return math.sqrt(max(variance, 0.0) / n)
