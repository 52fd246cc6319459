"""The bootstrap over pictures: every measure of a task on resampled pictures."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

# Entries of the table of counts that one block of draws may have: 8 MiB of float32.
BLOCK = 2_000_000
Z = 1.959963984540054
"""The normal distribution's 97.5 % quantile."""


def resampled(n: int, draws: int, seed: int) -> Iterator[np.ndarray]:
    """Blocks of `[n, some draws]` float32: how often each picture was drawn."""
    rng = np.random.default_rng(seed)
    size = max(1, BLOCK // max(1, n))
    for first in range(0, draws if n else 0, size):
        some = min(size, draws - first)
        flat = rng.integers(0, n, size=(n, some)) * some + np.arange(some)
        yield np.bincount(flat.ravel(), minlength=n * some).reshape(n, some).astype("float32")


def interval(drawn: np.ndarray) -> tuple[float, float]:
    """The 95 % percentile interval of the draws that are defined, NaN where none is."""
    defined = drawn[~np.isnan(drawn)]
    if not len(defined):
        return math.nan, math.nan
    low, high = np.percentile(defined, [2.5, 97.5])
    return float(low), float(high)


def wilson(value: float, n: int) -> tuple[float, float]:
    """The 95 % score interval of a proportion, which has a width at 0 and 1 too.

    Args:
        value: The proportion, in [0, 1].
        n: The trials behind it.

    Example:
        >>> low, high = wilson(1.0, 20)
        >>> round(low, 3), high
        (0.839, 1.0)

    References:
        Wilson, "Probable Inference, the Law of Succession, and Statistical
        Inference", JASA 1927.
    """
    if n < 1:
        return math.nan, math.nan
    share = Z * Z / n
    middle = (value + share / 2) / (1 + share)
    half = Z * math.sqrt(value * (1 - value) / n + share / (4 * n)) / (1 + share)
    return min(value, middle - half), max(value, middle + half)


def left_open(each: np.ndarray, draws: int, seed: int) -> np.ndarray:
    """Draws of what few repeats leave open about their mean.

    Args:
        each: `[repeats]`.
        draws: How many.
        seed: Of the draws.

    Returns:
        `[draws]`: their standard error times Student's t; zeros for one repeat.
    """
    count = len(each)
    if count < 2:
        return np.zeros(draws)
    error = each.std(ddof=1) / math.sqrt(count)
    return error * np.random.default_rng([seed, count]).standard_t(count - 1, size=draws)
