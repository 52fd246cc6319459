"""Intervals that hold with few pictures too, and the draws of pictures behind some of them.

A share is Clopper and Pearson's. Any other measure that lies between two ends is taken for a share
of as many trials as would make it vary as much as it does in the draws. Of two measures' difference
the interval comes from both intervals and their correlation. Where there is too little for any of
this, both ends are NaN, and the word is "too few". `limits` says which measure gets which.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from scipy.special import betaincinv, ndtri, stdtrit

# Entries of the table of counts that one block of draws may have: 8 MiB of float32.
BLOCK = 2_000_000
Z = 1.959963984540054
"""The normal distribution's 97.5 % quantile."""

FEWEST = 5
"""Pictures, positives or groups without which a variance says nothing."""

TOO_FEW = "too few"
"""What is said in place of an interval where there is too little behind it."""

IMAGINARY = 2
"""Imaginary examples that keep a variance found on few from being too small."""

Limits = tuple[float, float]
NONE: Limits = (math.nan, math.nan)


def resampled(
    n: int, draws: int, seed: int, groups: np.ndarray | None = None
) -> Iterator[np.ndarray]:
    """Blocks of `[n, some draws]` float32: how often each picture was drawn.

    Args:
        n: How many pictures.
        draws: How many draws.
        seed: Their seed.
        groups: `[n]`, the group of each picture: whole groups are drawn. None: pictures.
    """
    if groups is None:
        yield from _drawn(n, draws, seed)
        return
    names, member = np.unique(groups, return_inverse=True)
    for block in _drawn(len(names), draws, seed, n):
        yield block[member]


def _drawn(n: int, draws: int, seed: int, rows: int = 0) -> Iterator[np.ndarray]:
    rng = np.random.default_rng(seed)
    size = max(1, BLOCK // max(1, n, rows))
    for first in range(0, draws if n else 0, size):
        some = min(size, draws - first)
        flat = rng.integers(0, n, size=(n, some)) * some + np.arange(some)
        yield np.bincount(flat.ravel(), minlength=n * some).reshape(n, some).astype("float32")


def interval(drawn: np.ndarray) -> Limits:
    """Where the middle 95 % of the draws lie that are defined, NaN where none is."""
    defined = drawn[~np.isnan(drawn)]
    if not len(defined):
        return NONE
    low, high = np.percentile(defined, [2.5, 97.5])
    return float(low), float(high)


def variance(drawn: np.ndarray, units: float) -> float:
    """That of the draws that are defined, for what a resample of few varies too little."""
    defined = drawn[~np.isnan(drawn)]
    if len(defined) < 2 or units <= 1:
        return math.nan
    return float(defined.var()) * units / (units - 1)


def exact(hits: float, trials: float, level: float = 0.95) -> Limits:
    """Clopper and Pearson's interval of a share: it holds the truth at least as often as it says.

    Args:
        hits: How many of the trials; need not be whole.
        trials: Out of how many.
        level: How often it is to hold the truth.

    Example:
        >>> [round(end, 3) for end in exact(3, 3)]
        [0.292, 1.0]

    Reference:
        Clopper and Pearson, "The use of confidence or fiducial limits illustrated in the
        case of the binomial", Biometrika 26, 1934.
    """
    if not trials > 0:
        return NONE
    tail = (1 - level) / 2
    low = betaincinv(hits, trials - hits + 1, tail) if hits > 0 else 0.0
    high = betaincinv(hits + 1, trials - hits, 1 - tail) if hits < trials else 1.0
    return float(low), float(high)


def bounded(
    value: float,
    spread: float,
    units: float,
    *,
    ends: Limits = (0.0, 1.0),
    most: float = math.inf,
    told_by: float | None = None,
    fewest: int = FEWEST,
    level: float = 0.95,
) -> Limits:
    """The interval of a measure that lies between two ends.

    It is that of a share of so many trials as would have the measure's variance (the
    effective sample size). The variance found is weighed by the units behind it against
    that of a share of as many trials as there are units, with two imaginary ones; so what
    does not vary at all, as where everything is right, is a share of `units` trials.

    Args:
        value: The measure.
        spread: Its variance.
        units: The pictures, positives or groups that it rests on.
        ends: Its lowest and highest possible value.
        most: Trials that it is a share of at most.
        told_by: How many of the units the variance is known by; None: all of them.
        fewest: With fewer units there is no interval.
        level: How often it is to hold the truth.

    Example:
        >>> [round(end, 3) for end in bounded(1.0, 0.0, 12)] == [
        ...     round(end, 3) for end in exact(12, 12)]
        True
        >>> bounded(1.0, 0.0, 3)
        (nan, nan)

    Reference:
        Korn and Graubard, "Confidence intervals for proportions with small expected number
        of positive counts estimated from survey data", Survey Methodology 24, 1998.
    """
    low, high = ends
    if math.isnan(value) or math.isnan(spread) or units < fewest or not high > low:
        return NONE
    place = min(max((value - low) / (high - low), 0.0), 1.0)
    chance, found = place * (1 - place), spread / (high - low) ** 2
    weight = units if told_by is None else told_by
    blended = (weight * found + IMAGINARY * chance / units) / (weight + IMAGINARY)
    # An end has no variance of its own; rounding must not give it one.
    trials = min(chance / blended, most) if blended > 1e-12 and chance > 1e-9 else min(units, most)
    first, last = exact(place * trials, trials, level)
    return low + first * (high - low), low + last * (high - low)


def share(
    values: np.ndarray,
    weights: np.ndarray | None = None,
    groups: np.ndarray | None = None,
    level: float = 0.95,
) -> Limits:
    """The interval of a mean of values from 0 to 1.

    Of rights and wrongs that count alike it is exact. Otherwise, and where pictures come in
    groups, it is `bounded` by how the groups' (else the pictures') totals vary.

    Args:
        values: `[n]`.
        weights: `[n]`, how much each counts; None: alike.
        groups: `[n]`, the group of each; None: each is its own.
        level: How often it is to hold the truth.

    Example:
        >>> share(np.array([1, 1, 0])) == exact(2, 3)
        True
        >>> share(np.array([1, 1, 0]), groups=np.array([0, 0, 1]))
        (nan, nan)
    """
    values = np.asarray(values, "float64")
    weights = np.ones(len(values)) if weights is None else np.asarray(weights, "float64")
    counted = weights > 0
    values, weights = values[counted], weights[counted]
    groups = None if groups is None else groups[counted]
    total, n = weights.sum(), len(values)
    if not n:
        return NONE
    value = float((weights * values).sum() / total)
    if groups is None and np.isin(values, (0, 1)).all() and np.ptp(weights) == 0:
        return exact(values.sum(), n, level)
    member = np.arange(n) if groups is None else np.unique(groups, return_inverse=True)[1]
    totals = np.bincount(member, weights * (values - value))
    units = len(totals)
    spread = float((totals**2).sum()) / total**2 * units / max(units - 1, 1)
    return bounded(value, spread * stretch(units, level), units, level=level)


def stretch(units: float, level: float = 0.95) -> float:
    """How much wider Student's t is than the normal distribution, squared: for variances found.

    Example:
        >>> round(stretch(6), 2), round(stretch(300), 2)
        (1.72, 1.01)
    """
    place = 0.5 + level / 2
    return float(stdtrit(max(units - 1, 1), place) / ndtri(place)) ** 2


def paired(
    each: np.ndarray,
    weights: np.ndarray | None = None,
    groups: np.ndarray | None = None,
    level: float = 0.95,
) -> Limits:
    """The interval of a mean of paired differences from -1 to 1.

    What is gained and what is lost are a share each, and their difference is `apart` with
    the correlation that they have. It keeps a width where no two examples differ, and few
    that differ, all one way, are judged much as by a sign test.

    Args:
        each: `[n]`, one difference for each example.
        weights: As in `share`.
        groups: Likewise.
        level: How often it is to hold the truth.

    Example:
        >>> [round(end, 3) for end in paired(np.zeros(200))]
        [-0.018, 0.018]

    Reference:
        Tang, Li and Tian, "Confidence intervals for the difference of two paired
        proportions", Statistics in Medicine 29, 2010.
    """
    each = np.asarray(each, "float64")
    counted = np.ones(len(each)) if weights is None else np.asarray(weights, "float64")
    if not counted.sum() > 0:
        return NONE
    up, down = np.maximum(each, 0.0), np.maximum(-each, 0.0)
    gained, lost = (float((counted * part).sum() / counted.sum()) for part in (up, down))
    member = np.arange(len(each)) if groups is None else np.unique(groups, return_inverse=True)[1]
    parts = [np.bincount(member, counted * part) for part in (up - gained, down - lost)]
    size = math.sqrt(float((parts[0] ** 2).sum() * (parts[1] ** 2).sum()))
    correlation = float(parts[0] @ parts[1]) / size if size > 0 else 0.0
    ends = (share(part, weights, groups, level) for part in (up, down))
    return within(apart(gained, lost, *ends, correlation), (-1.0, 1.0))


def apart(
    ours: float,
    theirs: float,
    our_limits: Limits,
    their_limits: Limits,
    correlation: float = 0.0,
) -> Limits:
    """The interval of a difference, ours less theirs, from the interval of each.

    Args:
        ours: One measure.
        theirs: The other.
        our_limits: Its interval.
        their_limits: The other's.
        correlation: Of the two, over draws of what both rest on.

    Example:
        >>> [round(end, 2) for end in apart(0.9, 0.7, (0.8, 0.95), (0.6, 0.8))]
        [0.06, 0.31]

    Reference:
        Zou, "Toward using confidence intervals to compare correlations", Psychological
        Methods 12, 2007 (the method of variance estimates recovery).
    """
    up, down = our_limits[1] - ours, ours - our_limits[0]
    their_up, their_down = their_limits[1] - theirs, theirs - their_limits[0]
    found = ours - theirs
    low = down**2 + their_up**2 - 2 * correlation * down * their_up
    high = up**2 + their_down**2 - 2 * correlation * up * their_down
    return found - math.sqrt(max(low, 0.0)), found + math.sqrt(max(high, 0.0))


def widened(value: float, limits: Limits, each: np.ndarray, level: float = 0.95) -> Limits:
    """An interval over pictures, wider by what few repeats leave open about their mean.

    Both halves are added as independent errors are. The repeats' is their standard error
    times Student's t, which is large for two and three.

    Args:
        value: The mean over repeats.
        limits: Its interval for these repeats.
        each: `[repeats]`.
        level: How often it is to hold the truth.

    Example:
        >>> widened(0.5, (0.4, 0.6), np.array([0.5])), widened(0.5, (0.4, 0.6), np.full(3, 0.5))
        ((0.4, 0.6), (0.4, 0.6))
    """
    count = len(each)
    if count < 2:
        return limits
    half = each.std(ddof=1) / math.sqrt(count) * stdtrit(count - 1, 0.5 + level / 2)
    low, high = limits
    return value - math.hypot(value - low, half), value + math.hypot(high - value, half)


def within(limits: Limits, ends: Limits) -> Limits:
    """An interval cut off at what is possible; none where nothing possible is left out."""
    low, high = max(limits[0], ends[0]), min(limits[1], ends[1])
    return NONE if (low, high) == ends or math.isnan(low + high) else (low, high)


def in_words(value: float, low: float | None, high: float | None, form: str = ".3f") -> str:
    """A figure and its interval, as every table and sentence has them.

    Args:
        value: The figure.
        low: The lower end; NaN or None where there is too little for an interval.
        high: The upper end.
        form: How each number is written.

    Example:
        >>> in_words(0.5, 0.4, 0.6), in_words(1, math.nan, math.nan, "+.2f")
        ('0.500 [0.400, 0.600]', '+1.00 [too few]')
    """
    there = None not in (low, high) and not math.isnan(low + high)
    ends = f"{low:{form}}, {high:{form}}" if there else TOO_FEW
    return f"{value:{form}} [{ends}]"
