"""What one candidate got wrong, by trial and by test example, and what other examples would say."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

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
