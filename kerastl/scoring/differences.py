"""Is one way of doing a thing better than another? The paired difference and its interval."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from kerastl.data.tasks import Task
from kerastl.errors import InputError
from kerastl.scoring.intervals import Z, left_open, resampled
from kerastl.scoring.measures import Answers, Measures, answers, codes_of, metrics_of

Pair = tuple[Answers, Answers]


@dataclass(frozen=True)
class Difference:
    """How much better our way is than theirs, on the same pictures.

    Attributes:
        value: The mean over repeats of our measure minus theirs; NaN where it is
            undefined.
        low: Lower end of its interval.
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
        """What may be said of our way: better, worse, no difference; or undefined."""
        if math.isnan(self.value):
            return "undefined"
        if not self.real:
            return "no difference"
        return "better" if self.low > 0 else "worse"

    def __str__(self) -> str:
        if math.isnan(self.value):
            return "undefined"
        return f"{self.value:+.3f} [{self.low:+.3f}, {self.high:+.3f}]"


def difference(
    task: Task,
    labels: np.ndarray,
    ours: np.ndarray,
    theirs: np.ndarray,
    *,
    metric: str,
    class_: str = "",
    thresholds: Sequence[float] | None = None,
    level: float = 0.95,
    draws: int = 1000,
    seed: int = 0,
) -> Difference:
    """The paired difference of two ways, scored on the same known labels.

    Two things vary: which pictures were at hand, and how each repeat's training
    happened to go. The interval holds both. The pictures are resampled, the same
    draw for both ways and for all repeats; to each draw's mean over the r repeats
    is added what the repeats leave open, s / sqrt(r) times a draw of Student's t
    with r - 1 degrees of freedom, where s is the spread of the r differences.
    Resampling the repeats themselves would understate their spread where they are
    few: three values have only ten different resamples. So two or three repeats
    give wide intervals, and one repeat none for training: then the interval speaks
    of these two trained models only.

    Args:
        task: The task.
        labels: As in `score`: -1 is unknown.
        ours: Scores `[repeats, n, classes]` in [0, 1]; `[n, classes]` is one repeat.
        theirs: The same for the other way; repeat i of both ways had the same seed.
        metric: As in the frame of `score`.
        class_: The class it is measured on; "" for the whole task.
        thresholds: As in `measures.answers`.
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

    Reference:
        Efron and Tibshirani, "An Introduction to the Bootstrap", 1993.
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
    return _difference(task, pairs, (class_, metric), level, draws, seed)


def _one_label(task, codes, ours, theirs, thresholds, i):
    """The same for one label alone: only the pictures where it is known count."""
    one, at = Task(task.name, task.classes[i : i + 1], task.kind), slice(i, i + 1)
    limits = None if thresholds is None else list(thresholds)[at]
    return one, codes[:, at], ours[..., at], theirs[..., at], limits


def _difference(
    task: Task, pairs: Sequence[Pair], key: tuple[str, str], level: float, draws: int, seed: int
) -> Difference:
    if key not in metrics_of(task):
        raise InputError(
            f"Expected a class and a metric of {task.name}. Received: class {key[0]!r}, metric "
            f"{key[1]!r}. There are:",
            [f"class {c!r}: {m}" for c, m in metrics_of(task)],
        )
    first = pairs[0][0]
    plain = _values(task, pairs, key, np.ones((len(first.truth), 1)))[..., 0]
    each = plain[0] - plain[1]
    blocks = [_values(task, pairs, key, c) for c in resampled(len(first.truth), draws, seed)]
    drawn = np.concatenate([(b[0] - b[1]).mean(axis=0) for b in blocks] or [np.array([])])
    low, high = _interval(drawn + left_open(each, len(drawn), seed), level)
    n = first.seen[:, task.classes.index(key[0])].sum() if key[0] else first.counted.sum()
    ours, theirs = (float(v) for v in plain.mean(axis=1))
    return Difference(float(each.mean()), low, high, ours, theirs, int(n), len(pairs), level)


def _values(
    task: Task, pairs: Sequence[Pair], key: tuple[str, str], counts: np.ndarray
) -> np.ndarray:
    """One measure of both ways: `[2, repeats, draws]`."""
    return np.array([[Measures(task, pair[way], counts)[key] for pair in pairs] for way in (0, 1)])


def _interval(drawn: np.ndarray, level: float) -> tuple[float, float]:
    defined = drawn[~np.isnan(drawn)]
    if not len(defined):
        return math.nan, math.nan
    tail = 50 * (1 - level)
    low, high = np.percentile(defined, [tail, 100 - tail])
    return float(low), float(high)


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
    """How much higher our scores are on average, with the 95 % interval.

    To the n differences two imaginary examples are added, whose scores are whole spans
    apart in half of their cases up and in half down:

        m = sum(d) / (n + 2)
        s^2 = (sum(d^2) + span^2) / (n + 2) - m^2
        m -+ z s / sqrt(n + 2)

    For scores of 0 and 1 this is the interval of Agresti and Min, which stays honest where
    few examples differ: where none does its width is not 0, and four that all say the
    same are not yet a difference, as in a sign test. A bootstrap fails in both.

    Args:
        ours: `[n]`, one score for each example.
        theirs: `[n]`, on the same examples.
        span: From the lowest to the highest score there can be.

    Returns:
        The `Difference`, in the unit of the scores.

    Example:
        >>> right = np.ones(200)
        >>> print(paired_difference(right, right))
        +0.000 [-0.010, +0.010]
        >>> worse = np.where(np.arange(200) < 4, 0.0, 1.0)
        >>> paired_difference(right, worse).verdict
        'no difference'

    Reference:
        Agresti and Min, "Simple improved confidence intervals for comparing matched
        proportions", Statistics in Medicine 24, 2005.
    """
    each = np.asarray(ours, "float64") - np.asarray(theirs, "float64")
    n, value = len(each), float(each.mean())
    middle = float(each.sum()) / (n + 2)
    half = Z * standard_error(each, span)
    low, high = max(middle - half, -span), min(middle + half, span)
    means = float(np.mean(ours)), float(np.mean(theirs))
    return Difference(value, min(low, value), max(high, value), *means, n=n, repeats=1)


def standard_error(each: np.ndarray, span: float = 1.0) -> float:
    """That of the mean of some differences: s / sqrt(n + 2), as in `paired_difference`.

    Args:
        each: `[n]`, one difference for each example.
        span: From the lowest to the highest score there can be.

    Example:
        >>> round(standard_error(np.zeros(98)), 4)
        0.01
    """
    n = len(each) + 2
    variance = (float(np.square(each).sum()) + span**2) / n - (float(each.sum()) / n) ** 2
    return math.sqrt(max(variance, 0.0) / n)
