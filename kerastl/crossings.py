"""Which of two learning curves is lower, at which sizes, and where they cross."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.stats import ttest_ind

from kerastl.power_law import Estimate, PowerLaw

STEPS = 200
"""Sizes between the smallest and the largest at which two curves are compared."""


@dataclass(frozen=True)
class Crossing:
    """How two curves lie to each other over the sizes that both were measured at.

    Attributes:
        first: Name of the one curve.
        second: Name of the other.
        smallest: The smallest size that both have.
        largest: The largest.
        at_smallest: The error of the first less that of the second there.
        at_largest: The same at the largest size.
        size: Where they cross; None where that is not shown.
    """

    first: str
    second: str
    smallest: int
    largest: int
    at_smallest: Estimate
    at_largest: Estimate
    size: Estimate | None

    def __str__(self) -> str:
        low, high = (self._lower(end) for end in (self.at_smallest, self.at_largest))
        if self.size is not None:
            return (
                f"{low} is better below {self.size.value:.0f} "
                f"[{self.size.low:.0f}, {self.size.high:.0f}] examples, {high} above."
            )
        if low == high:
            if low is None:
                return (
                    f"{self.first} and {self.second}: no difference at {self.smallest} or at "
                    f"{self.largest} examples."
                )
            return (
                f"{low} is better from {self.smallest} to {self.largest} examples: they do not "
                "cross within the data."
            )
        if low is not None and high is not None:
            return (
                f"{low} is better at {self.smallest} examples, {high} at {self.largest}: they "
                "cross between."
            )
        better, size = (low, self.smallest) if high is None else (high, self.largest)
        other = self.largest if high is None else self.smallest
        return f"{better} is better at {size} examples; at {other} there is no difference."

    def _lower(self, difference: Estimate) -> str | None:
        """The name of the curve that is lower outside the noise."""
        if difference.low <= 0 <= difference.high:
            return None
        return self.first if difference.value < 0 else self.second


def crossing(curves: dict[str, PowerLaw]) -> Crossing:
    """Compare two curves draw by draw.

    A crossing is shown where each curve is the lower one, outside the noise, at one end of
    the sizes. Its size is that of the last change of sign in each draw.

    Args:
        curves: Two, by name.

    Returns:
        The `Crossing`; as a string it is a sentence.

    Example:
        >>> flat = PowerLaw(np.full(9, 0.2), np.zeros(9), np.full(9, -0.5), (100, 1600))
        >>> steep = PowerLaw(np.zeros(9), np.full(9, 4.0), np.full(9, -0.5), (100, 1600))
        >>> print(crossing({"stages": flat, "end to end": steep}))
        stages is better below 400 [400, 400] examples, end to end above.
    """
    (first, one), (second, other) = curves.items()
    smallest = max(one.sizes[0], other.sizes[0])
    largest = min(one.sizes[-1], other.sizes[-1])
    sizes = np.geomspace(smallest, largest, STEPS)
    draws = min(len(one.alpha), len(other.alpha))
    apart = one.draws_at(sizes)[:draws] - other.draws_at(sizes)[:draws]
    ends = Estimate.of(apart[:, 0]), Estimate.of(apart[:, -1])
    return Crossing(first, second, smallest, largest, *ends, _where(apart, sizes, *ends))


def compare_ends(measured: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> Crossing:
    """Compare what was measured at the smallest and the largest size alone, without curves.

    Args:
        measured: Two, by name: the sizes, and the errors that were measured.

    Returns:
        The `Crossing`, without a size; its differences are those of the means, with
        Welch's intervals.

    Example:
        >>> sizes = np.repeat([10, 40], 3)
        >>> one, other = np.array([9, 8, 9, 9, 9, 8]) / 10, np.array([10, 10, 9, 1, 1, 2]) / 10
        >>> print(compare_ends({"stages": (sizes, one), "end to end": (sizes, other)}))
        end to end is better at 40 examples; at 10 there is no difference.
    """
    (first, one), (second, other) = measured.items()
    shared = sorted(set(one[0].tolist()) & set(other[0].tolist()))
    ends = [_welch(one[1][one[0] == n], other[1][other[0] == n]) for n in (shared[0], shared[-1])]
    return Crossing(first, second, int(shared[0]), int(shared[-1]), *ends, None)


def _welch(one: np.ndarray, other: np.ndarray) -> Estimate:
    apart = float(one.mean() - other.mean())
    if min(len(one), len(other)) < 2:
        return Estimate(apart, -np.inf, np.inf)
    if np.ptp(one) == np.ptp(other) == 0:
        return Estimate(apart, apart, apart)
    found = ttest_ind(one, other, equal_var=False).confidence_interval(0.95)
    return Estimate(apart, float(found.low), float(found.high))


def _where(apart: np.ndarray, sizes: np.ndarray, low: Estimate, high: Estimate) -> Estimate | None:
    opposite = low.high < 0 < high.low or high.high < 0 < low.low
    changes = np.sign(apart[:, 1:]) != np.sign(apart[:, :1])
    crossed = changes.any(axis=1)
    if not opposite or not crossed.any():
        return None
    # The first of the sizes from which on the sign is not that of the smallest any more.
    kept = np.sign(apart[crossed]) == np.sign(apart[crossed, :1])
    last = kept.shape[1] - 1 - kept[:, ::-1].argmax(axis=1)
    after = np.minimum(last + 1, len(sizes) - 1)
    return Estimate.of(np.sqrt(sizes[last] * sizes[after]))
