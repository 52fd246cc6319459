"""The mean difference of two scores on the same examples, with an interval that few bear."""

from __future__ import annotations

import math

import numpy as np

from kerastl.bootstrap import Z
from kerastl.differences import Difference


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
