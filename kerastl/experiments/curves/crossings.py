"""Which of two learning curves is lower, at which sizes, and where they cross.

What one candidate got wrong is kept by trial and by test example, so that what other test examples
would say is drawn as well.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.stats import t as student_t

from kerastl.experiments.curves.power_law import Estimate, PowerLaw
from kerastl.scoring.differences import standard_error

BLOCK = 1000
"""Test examples whose weights are drawn at once."""


@dataclass(frozen=True, eq=False)
class CurveErrors:
    """The errors of a candidate's trials.

    Attributes:
        sizes: `[trials]`, how many examples were learnt from.
        errors: `[trials]`, from 0 to 1.
        each: `[trials, n]`, the error on each test example, the same ones in all trials;
            None where they are not known: then nothing is said of other test examples.

    Example:
        >>> found = CurveErrors(np.array([10, 10, 40]), np.array([0.5, 0.4, 0.1]))
        >>> found.at(10), found.levels.tolist()
        (array([0.5, 0.4]), [10, 40])
    """

    sizes: np.ndarray
    errors: np.ndarray
    each: np.ndarray | None = None

    @cached_property
    def levels(self) -> np.ndarray:
        """The sizes, each once, ascending."""
        return np.unique(self.sizes)

    def at(self, size: int) -> np.ndarray:
        """The errors of one size's trials."""
        return self.errors[self.sizes == size]

    def below(self, size: int) -> CurveErrors:
        """The trials of smaller sizes."""
        kept = self.sizes < size
        each = None if self.each is None else self.each[kept]
        return CurveErrors(self.sizes[kept], self.errors[kept], each)

    def by_example(self, size: int) -> np.ndarray:
        """`[n]`: the error on each test example, the mean of one size's trials."""
        return self.each[self.sizes == size].mean(axis=0)

    def moves(self, draws: int, seed: int, own: int) -> np.ndarray | None:
        """How far the mean error at each size would move, were other test examples drawn.

        A multiplier bootstrap: each test example has a weight from the normal distribution,
        the same one for every size and for every candidate, so that what two candidates
        share cancels in their difference. Two imaginary examples of the candidate's own,
        one always right and one always wrong, keep few or easy examples from being too
        sure, as in Agresti and Coull's interval.

        Args:
            draws: How many times.
            seed: Seed of the weights that are shared.
            own: Seed of those that are not.

        Returns:
            `[draws, sizes]`; None where the test examples' errors are not known.

        Reference:
            Agresti and Coull, "Approximate is better than exact for interval estimation of
            binomial proportions", The American Statistician 52, 1998.
        """
        if self.each is None:
            return None
        means = np.stack([self.by_example(size) for size in self.levels], axis=1)
        count, middle = len(means), means.mean(axis=0)
        rng, found = np.random.default_rng([seed, count]), np.zeros((draws, len(middle)))
        for start in range(0, count, BLOCK):
            part = means[start : start + BLOCK] - middle
            found += rng.standard_normal((draws, len(part))) @ part
        imaginary = np.stack([-middle, 1 - middle])
        found += np.random.default_rng([seed, own]).standard_normal((draws, 2)) @ imaginary
        return found / (count + 2)


STEPS = 200
"""Sizes between the smallest and the largest at which two curves are compared."""


@dataclass(frozen=True)
class Crossing:
    """How two curves lie to each other over the sizes that both were measured at.

    Attributes:
        first: Name of the one curve.
        second: Name of the other.
        smallest: The smallest size that both have.
        largest: The largest; it may be the same.
        at_smallest: The error of the first less that of the second there.
        at_largest: The same at the largest size.
        size: Where they cross; None where that is not shown.
        throughout: Whether the same one is lower, outside the noise, at every size between.
        between: Of means that cross: the two sizes around their last change of sign.
    """

    first: str
    second: str
    smallest: int
    largest: int
    at_smallest: Estimate
    at_largest: Estimate
    size: Estimate | None
    throughout: bool = False
    between: tuple[int, int] | None = None

    def __str__(self) -> str:
        low, high = (self._lower(end) for end in (self.at_smallest, self.at_largest))
        if self.size is not None:
            return (
                f"{low} is better below {self.size.value:.0f} "
                f"[{self.size.low:.0f}, {self.size.high:.0f}] examples, {high} above."
            )
        if low == high:
            return self._at_both(low)
        if low is not None and high is not None:
            last, first = self.between or (self.smallest, self.largest)
            return (
                f"{low} is better at {self.smallest} examples, {high} at {self.largest}: their "
                f"means cross between {last} and {first}."
            )
        better, size = (low, self.smallest) if high is None else (high, self.largest)
        other = self.largest if high is None else self.smallest
        than = self._other(better)
        return f"{better} is better than {than} at {size} examples; at {other}: no difference."

    def _at_both(self, better: str | None) -> str:
        ends = [str(size) for size in dict.fromkeys((self.smallest, self.largest))]
        if better is None:
            both = f"{self.first} and {self.second}"
            return f"{both}: no difference at {' or at '.join(ends)} examples."
        found = f"{better} is better than {self._other(better)}"
        if not self.throughout or len(ends) == 1:
            return f"{found} at {' and at '.join(ends)} examples."
        return f"{found} from {' to '.join(ends)} examples: they do not cross within the data."

    def _other(self, name: str) -> str:
        return self.second if name == self.first else self.first

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
        curves: Two, by name. Draw i of both is of the same test examples.

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
    between = [Estimate.of(column) for column in apart.T]
    ends = between[0], between[-1]
    where = _where(apart, sizes, *ends)
    return Crossing(first, second, smallest, largest, *ends, where, _one_way(between))


def compare_means(measured: Mapping[str, CurveErrors]) -> Crossing:
    """Compare what was measured at each size, without curves.

    Args:
        measured: Two, by name.

    Returns:
        The `Crossing`, without a size; its differences are those of the means, with
        Welch's intervals. Where the errors on each test example are known, these hold
        which test examples there were, too.

    Example:
        >>> sizes = np.repeat([10, 40], 3)
        >>> one = CurveErrors(sizes, np.array([9, 8, 9, 9, 9, 8]) / 10)
        >>> other = CurveErrors(sizes, np.array([10, 10, 9, 1, 1, 2]) / 10)
        >>> print(compare_means({"stages": one, "end to end": other}))
        end to end is better than stages at 40 examples; at 10: no difference.
    """
    (first, one), (second, other) = measured.items()
    shared = np.intersect1d(one.levels, other.levels).tolist()
    found = [_apart(one, other, size) for size in shared]
    return Crossing(
        first, second, int(shared[0]), int(shared[-1]), found[0], found[-1], None,
        _one_way(found), _between(shared, found),
    )  # fmt: skip


def _between(sizes: Sequence[int], differences: Sequence[Estimate]) -> tuple[int, int] | None:
    """The sizes around the last change of sign, where it differs at the ends outside the noise."""
    if not _opposite(differences[0], differences[-1]):
        return None
    signs = [np.sign(d.value) for d in differences]
    last = max(i for i, sign in enumerate(signs) if sign != signs[-1])
    return int(sizes[last]), int(sizes[last + 1])


def _opposite(one: Estimate, other: Estimate) -> bool:
    return one.high < 0 < other.low or other.high < 0 < one.low


def _one_way(differences: Sequence[Estimate]) -> bool:
    return all(d.high < 0 for d in differences) or all(d.low > 0 for d in differences)


def _apart(one: CurveErrors, other: CurveErrors, size: int) -> Estimate:
    """The difference of two means at a size, with Welch's interval for unequal variances.

    Which test examples there were is one more source of variance, beside both repeats.
    """
    ours, theirs = one.at(size), other.at(size)
    apart = float(ours.mean() - theirs.mean())
    if min(len(ours), len(theirs)) < 2:
        return Estimate(apart, -1.0, 1.0)
    parts = [(x.var(ddof=1) / len(x), len(x) - 1) for x in (ours, theirs)]
    parts += [(standard_error(x) ** 2, len(x)) for x in _by_example(one, other, size)]
    spread, freedom = np.array(parts).T
    if not spread.any():
        return Estimate(apart, apart, apart)
    wide = student_t.ppf(0.975, spread.sum() ** 2 / (spread**2 / freedom).sum())
    reach = float(wide * np.sqrt(spread.sum()))
    return Estimate(apart, max(apart - reach, -1.0), min(apart + reach, 1.0))


def _by_example(one: CurveErrors, other: CurveErrors, size: int) -> list[np.ndarray]:
    """What varies with the test examples: the differences on them, where both have the same."""
    known = [errors.by_example(size) for errors in (one, other) if errors.each is not None]
    if len(known) == 2 and len(known[0]) == len(known[1]):
        return [known[0] - known[1]]
    return [errors - errors.mean() for errors in known]


def _where(apart: np.ndarray, sizes: np.ndarray, low: Estimate, high: Estimate) -> Estimate | None:
    changes = np.sign(apart[:, 1:]) != np.sign(apart[:, :1])
    crossed = changes.any(axis=1)
    if not _opposite(low, high) or not crossed.any():
        return None
    # The first of the sizes from which on the sign is not that of the smallest any more.
    kept = np.sign(apart[crossed]) == np.sign(apart[crossed, :1])
    last = kept.shape[1] - 1 - kept[:, ::-1].argmax(axis=1)
    after = np.minimum(last + 1, len(sizes) - 1)
    return Estimate.of(np.sqrt(sizes[last] * sizes[after]))
