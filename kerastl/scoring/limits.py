"""Which measure gets which interval."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from kerastl.data.tasks import Task
from kerastl.scoring.intervals import (
    FEWEST,
    NONE,
    Limits,
    Z,
    bounded,
    share,
    stretch,
    variance,
    within,
)
from kerastl.scoring.measures import AVERAGES, BINS, TINY, Answers, Measures, average, bins_of

RANKS = 3
"""Positives whose precision one negative on top costs about as much as one of them missed."""

FEWEST_A_CLASS = 3
"""Positives that a class has on average, without which their mean F1 says nothing."""

Key = tuple[str, str]
"""The class ("" for the whole task) and the metric."""


def limits(
    task: Task,
    ways: Sequence[Answers],
    key: Key,
    value: float,
    drawn: Mapping[Key, np.ndarray],
    groups: np.ndarray | None = None,
    level: float = 0.95,
) -> Limits:
    """The interval of a measure; NaN where it is undefined, or there is too little behind it.

    - Accuracy, precision and recall are a share of the pictures, the predicted, the
      positives: `share`, which is exact where there are no groups.
    - F1 is 2 J / (1 + J), where J is the share of hits among the predicted and the
      positives together: its ends are J's, bent as it is.
    - Macro F1 has the classes' intervals, put together as their correlations are in the
      draws, which are the surer of what is all right than of the rest; so each end is no
      nearer than were it `bounded`. None where the classes have fewer than three positives
      on average.
    - AUC, average precision and their averages over classes are `bounded`: AUC rests on the
      rarer side, average precision on the positives, an average on what its classes do. One
      negative above all positives lowers the precision of many, so where the draws have
      none, average precision rests on a third as many.
    - Log loss is `bounded` by 0 and by what the same scores would have were every answer
      wrong. Its variance is known by the mistakes: a confident one,
      rare as it may be, outweighs all else.
    - The calibration error is larger than 0 by chance alone. Its low end is that of the
      error less what a calibrated model would have by chance, and 0 where as large an error
      is no rarity for one.

    Args:
        task: The task.
        ways: Its known labels beside the scores, of one network or of several repeats.
        key: The measure.
        value: What it is, the mean over repeats.
        drawn: Of each measure that is `wanted`, `[draws]`: what it is in draws of
            pictures, or of groups, the mean over repeats.
        groups: `[n]`, the group of each picture; None where they come in none.
        level: How often the interval is to hold the truth.

    References:
        Zou, "Toward using confidence intervals to compare correlations", Psychological
        Methods 12, 2007, on intervals put together.
        Newcombe, "Confidence intervals for an effect size measure based on the Mann-Whitney
        statistic", Statistics in Medicine 25, 2006, on AUC in small samples.
        Boyd, Eng and Page, "Area under the precision-recall curve", ECML PKDD 2013.
        Ferro and Fricker, "A bias-corrected decomposition of the Brier score", Quarterly
        Journal of the Royal Meteorological Society 138, 2012.
    """
    metric = key[1]
    if math.isnan(value):
        return NONE
    if (found := shared(task, ways, key)) is not None:
        low, high = share(*found, groups, level)
        return (_bent(low), _bent(high)) if metric == "f1" else (low, high)
    if metric == "macro_f1":
        return _macro(task, ways, value, drawn, groups, level)
    units = rests_on(task, ways, key, groups)
    spread = variance(drawn[key], units)
    if groups is not None:
        spread *= stretch(_count(np.ones(len(groups), bool), groups), level)
    if metric == "calibration_error":
        return _calibration(ways, value, spread, units, level)
    if metric == "log_loss":
        return _log_loss(task, ways, value, spread, units, level)
    if metric == "average_precision":
        if units < FEWEST:
            return NONE
        parts = units / RANKS
        return bounded(value, spread, parts, told_by=units, fewest=1, level=level)
    return bounded(value, spread, units, level=level)


def wanted(task: Task, ways: Sequence[Answers], key: Key) -> list[Key]:
    """The measures of which `limits` wants the draws: none for a share."""
    if key == ("", "macro_f1"):
        return [(task.classes[c], "f1") for c in np.flatnonzero(ways[0].both)]
    return [] if shared(task, ways, key) is not None else [key]


def shared(task: Task, ways: Sequence[Answers], key: Key) -> tuple[np.ndarray, np.ndarray] | None:
    """What a share is the mean of, and the weights, `[n]` each; None for what is no share.

    Of several repeats it is their mean, where the same pictures are counted in all.
    """
    parts = [_part(task, a, key) for a in ways]
    if parts[0] is None or (key[1] == "f1" and len(parts) > 1):
        return None
    values, weights = (np.stack(each) for each in zip(*parts, strict=True))
    return (values.mean(axis=0), weights[0]) if (weights == weights[0]).all() else None


def rests_on(
    task: Task, ways: Sequence[Answers], key: Key, groups: np.ndarray | None = None
) -> float:
    """How many pictures, positives or groups there are behind a measure; the mean over repeats."""
    return float(np.mean([_units(task, a, key, groups) for a in ways]))


def _part(task: Task, a: Answers, key: Key) -> tuple[np.ndarray, np.ndarray] | None:
    name, metric = key
    if not name:
        if metric != "accuracy":
            return None
        if task.kind != "multilabel":
            return (a.picked & a.truth).any(axis=1).astype("float64"), np.ones(len(a.truth))
        known = a.seen.sum(axis=1).astype("float64")
        return ((a.picked == a.truth) & a.seen).sum(axis=1) / known, known
    c = task.classes.index(name)
    truth, picked = a.truth[:, c] & a.seen[:, c], a.picked[:, c] & a.seen[:, c]
    rows = {"precision": picked, "recall": truth, "f1": truth | picked}.get(metric)
    if rows is None:
        return None
    return (truth & picked).astype("float64"), rows.astype("float64")


def _units(task: Task, a: Answers, key: Key, groups: np.ndarray | None) -> float:
    name, metric = key
    if name:
        return _of_class(a, metric, task.classes.index(name), groups)
    if metric not in AVERAGES:
        return _count(np.ones(len(a.truth), bool), groups)
    of = AVERAGES[metric]
    each = np.array([_of_class(a, of, int(c), groups) for c in np.flatnonzero(a.both)])
    if not len(each):
        return 0.0
    # The variance of a mean of independent shares; of two exclusive classes the AUC is one.
    alone = len(each) - 1 if of == "auc" and task.kind != "multilabel" else len(each)
    there = _count(np.ones(len(a.truth), bool), groups)
    return min(max(alone, 1) * len(each) / float((1 / each).sum()), there)


def _of_class(a: Answers, metric: str, c: int, groups: np.ndarray | None) -> float:
    positive, negative = a.truth[:, c] & a.seen[:, c], ~a.truth[:, c] & a.seen[:, c]
    if metric == "auc":
        return min(_count(positive, groups), _count(negative, groups))
    if metric == "precision":
        return _count(a.picked[:, c] & a.seen[:, c], groups)
    return _count(positive, groups)


def _count(rows: np.ndarray, groups: np.ndarray | None) -> float:
    return float(rows.sum() if groups is None else len(np.unique(groups[rows])))


def _bent(overlap: float) -> float:
    return 2 * overlap / (1 + overlap)


def _macro(
    task: Task,
    ways: Sequence[Answers],
    value: float,
    drawn: Mapping[Key, np.ndarray],
    groups: np.ndarray | None,
    level: float,
) -> Limits:
    counted = (ways[0].truth & ways[0].seen)[:, ways[0].both]
    few = counted.sum() < FEWEST_A_CLASS * counted.shape[1]
    if few or rests_on(task, ways, ("", "accuracy"), groups) < FEWEST:
        return NONE
    plain = [Measures(task, a, np.ones((len(a.truth), 1))) for a in ways]
    down, up, moves = [], [], []
    for key in wanted(task, ways, ("", "macro_f1")):
        one = float(np.mean([made[key][0] for made in plain]))
        low, high = limits(task, ways, key, one, drawn, groups, level)
        down.append(one - low)
        up.append(high - one)
        moves.append(drawn[key])
    moves = np.stack(moves)
    centred = np.nan_to_num(moves - np.nanmean(moves, axis=1, keepdims=True))
    size = np.sqrt((centred**2).mean(axis=1, keepdims=True))
    scaled = np.divide(centred, size, out=np.zeros_like(centred), where=size > 0)
    halves = []
    for each in (np.array(down), np.array(up)):
        # A class whose F1 is the same in every draw has a correlation with none.
        alone = float((each[size[:, 0] == 0] ** 2).sum())
        halves.append(math.sqrt(float(((each @ scaled) ** 2).mean()) + alone) / len(each))
    units = rests_on(task, ways, ("", "macro_f1"), groups)
    spread = variance(average(moves), units) * stretch(units, level)
    low, high = bounded(value, spread, units, fewest=1, level=level)
    low, high = min(low, value - halves[0]), max(high, value + halves[1])
    return within((low, high), (0.0, 1.0))


def _log_loss(
    task: Task, ways: Sequence[Answers], value: float, spread: float, units: float, level: float
) -> Limits:
    if units < FEWEST:
        return NONE
    # Losses are skewed: their variance found is known no better than Student's t says.
    spread *= stretch(units, level)
    ends = 0.0, float(np.mean([_all_wrong(task, a) for a in ways]))
    wrong = min(float(np.mean([_mistakes(a) for a in ways])), units)
    return bounded(value, spread, units, ends=ends, told_by=wrong, level=level)


def _mistakes(a: Answers) -> float:
    """How many answers are wrong."""
    return float(((a.picked != a.truth) & a.seen).any(axis=1).sum())


def _all_wrong(task: Task, a: Answers) -> float:
    """The log loss that the same scores would have if every answer were wrong."""
    p = np.clip(a.scores, TINY, 1 - TINY)
    if task.kind == "multilabel":
        return float((-np.log(np.minimum(p, 1 - p)) * a.seen).sum() / a.seen.sum())
    # The second guess is the truth where the first is not, or what it was.
    second = -np.log(np.sort(p, axis=1)[:, -2])
    had = -np.log(np.where(a.truth, p, 1.0)).sum(axis=1)
    return float(np.maximum(second, had).mean())


def _calibration(
    ways: Sequence[Answers], value: float, spread: float, units: float, level: float
) -> Limits:
    pictures = len(ways[0].truth)
    found = np.mean([_chance(a) for a in ways], axis=0) * math.sqrt(pictures / max(units, 1))
    by_chance, rarely = found.tolist()
    most = units if units < pictures else float(ways[0].counted.sum())
    low, high = (
        bounded(error, spread, units, most=most, level=level)
        for error in (max(value - by_chance, 0.0), value)
    )
    calibrated = value < rarely and not math.isnan(low[0])
    return 0.0 if calibrated else low[0], high[1]


def _chance(a: Answers) -> tuple[float, float]:
    """The calibration error that a calibrated model would have on these, and seldom exceed."""
    expected, spreads = [], []
    for c in range(a.confidence.shape[1]):
        p = a.confidence[a.counted[:, c], c]
        if len(p):
            by_bin = np.bincount(bins_of(p), p * (1 - p), minlength=BINS)
            expected.append(math.sqrt(2 / math.pi) * float(np.sqrt(by_bin).sum()) / len(p))
            spreads.append((1 - 2 / math.pi) * float(by_bin.sum()) / len(p) ** 2)
    mean = float(np.mean(expected))
    return mean, mean + Z * math.sqrt(sum(spreads)) / len(spreads)
