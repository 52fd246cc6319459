"""How error falls with data: e(n) = alpha + eta n^gamma, and how well that is known.

The model is that of Hoiem et al., Learning Curves for Analysis of Deep Networks, ICML 2021.
They fit it by weighted least squares. Here it is drawn from its posterior: what follows from
a curve, or from two, is computed from each draw and so has an interval of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import nnls
from scipy.stats import f

from kerastl.errors import InputError

GAMMAS = np.linspace(-1.2, -0.02, 60)
"""Exponents that are tried, all alike before anything is measured."""

BELOW = 0.02
"""How far alpha may be below 0: an error is not, but an interval that begins at 0 would
never hold it."""

DRAWS = 2000
SIZES, REPEATS = 3, 2
"""The fewest sizes, and the fewest repeats beyond one for each size, all sizes together."""

SURE = 1 - 1e-5
"""How sure it has to be that errors do not follow the curve before they are refused: of 3,000
true curves none is; of the recipes' those that fall late have a chance of 3e-6 at most."""

LEAST = 1e-8
"""Variance that an error has at least: repeats that are all alike prove none."""


@dataclass(frozen=True)
class Estimate:
    """A value and its 95 % interval: median and quantiles of draws."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, draws: np.ndarray) -> Estimate:
        """The estimate that draws give."""
        low, value, high = np.quantile(draws, [0.025, 0.5, 0.975])
        return cls(float(value), float(low), float(high))

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


@dataclass(frozen=True)
class PowerLaw:
    """Draws of e(n) = alpha + eta n^gamma.

    Attributes:
        alpha: `[draws]`, the error that is left however many examples there are.
        eta: `[draws]`, 0 or more.
        gamma: `[draws]`, below 0.
        sizes: The sizes that were measured, ascending.
    """

    alpha: np.ndarray
    eta: np.ndarray
    gamma: np.ndarray
    sizes: tuple[int, ...]

    def draws_at(self, sizes: float | Sequence[float]) -> np.ndarray:
        """The error at each of some sizes, `[draws, sizes]`, from 0 to 1."""
        n = np.atleast_1d(np.asarray(sizes, "float64"))
        found = self.alpha[:, None] + self.eta[:, None] * n ** self.gamma[:, None]
        return np.clip(found, 0.0, 1.0)

    def at(self, size: float) -> Estimate:
        """The error at a size, measured or not."""
        return Estimate.of(self.draws_at(size)[:, 0])

    def reliance(self, size: float) -> Estimate:
        """Data reliance at N examples, -2 eta gamma N^gamma.

        Near N, e(n) is about e(N) + reliance (sqrt(N / n) - 1): so much error is added,
        to first order, where there are a quarter of the examples.
        """
        return Estimate.of(-2 * self.eta * self.gamma * size**self.gamma)

    def doubling(self, size: float) -> Estimate:
        """How much of the error at a size goes with twice as many examples."""
        now, then = self.draws_at([size, 2 * size]).T
        return Estimate.of(now - then)


def fit_power_law(
    sizes: Sequence[int], errors: Sequence[float], *, moves: np.ndarray | None = None,
    draws: int = DRAWS, seed: int | Sequence[int] = 0,
) -> PowerLaw:  # fmt: skip
    """Fit a learning curve to errors that were measured, some of them several times a size.

    The variance of one measurement is taken to be a + b / n, estimated from how the repeats
    scatter, and known no better than their number allows. Every gamma is as likely as any
    other beforehand. Measured on 200 draws of each of five synthetic curves, the 95 %
    intervals of six quantities held the truth in 0.94 to 1.00 of the draws, 0.97 on average
    (tests/test_power_law.py has the settings).

    Args:
        sizes: Examples behind each measurement.
        errors: What was measured, from 0 to 1.
        moves: `[draws, sizes]`, how far other test examples would move the mean at each size
            (`CurveErrors.moves`); draw i of the curve is moved by row i. None: the intervals
            are for these test examples.
        draws: Draws from the posterior.
        seed: Their seed.

    Returns:
        The `PowerLaw`.

    Raises:
        InputError: For fewer than three sizes, for too few repeats to tell the noise, and
            for errors that do not fall as a power law does: their intervals would be wrong.

    Example:
        >>> sizes = [50, 50, 100, 100, 200, 200, 400, 400]
        >>> errors = [0.33, 0.34, 0.25, 0.25, 0.19, 0.19, 0.15, 0.14]
        >>> curve = fit_power_law(sizes, errors)
        >>> curve.at(400).low < 0.145 < curve.at(400).high
        True
        >>> curve.doubling(400).value < curve.doubling(100).value
        True
    """
    n, e = np.asarray(sizes, "float64"), np.asarray(errors, "float64")
    levels, place = np.unique(n, return_inverse=True)
    counts = np.bincount(place)
    freedom = int((counts - 1).sum())
    _check(levels, freedom)
    means = np.bincount(place, e) / counts
    weights = counts / _variances(levels, np.bincount(place, (e - means[place]) ** 2), counts)
    weights /= max(1.0, _lack_of_fit(levels, means, weights, freedom))
    rng = np.random.default_rng(seed)
    scales = freedom / rng.chisquare(freedom, draws)
    pairs, place = _posterior(levels, means, weights, scales, rng, moves)
    gamma = GAMMAS[place]
    eta = pairs[:, 1] * levels[-1] ** -gamma
    return PowerLaw(pairs[:, 0], eta, gamma, tuple(int(size) for size in levels))


def _check(levels: np.ndarray, freedom: int) -> None:
    if len(levels) < SIZES:
        raise InputError(
            f"Expected at least {SIZES} sizes, for a curve has three parts. "
            f"Received: {', '.join(f'{size:.0f}' for size in levels) or 'none'}."
        )
    if freedom < REPEATS:
        raise InputError(
            f"Expected at least {REPEATS} repeats, so that the noise can be told from the curve. "
            f"Received: {freedom} beyond one for each size."
        )


def _lack_of_fit(levels: np.ndarray, means: np.ndarray, weights: np.ndarray, freedom: int) -> float:
    """How much farther off the nearest curve within the bounds is than noise explains.

    About 1 for a power law. A little more widens the intervals (Birge's ratio); far more
    than an F-test lets pass is refused.
    """
    roots = np.sqrt(weights)
    missed = min(
        nnls(_terms(levels, gamma) * roots[:, None], (means + BELOW) * roots)[1] ** 2
        for gamma in GAMMAS
    )
    spare = max(len(levels) - SIZES, 1)
    if missed / spare > f.ppf(SURE, spare, freedom):
        told = ", ".join(f"{e:.3f} with {n:.0f}" for n, e in zip(levels, means, strict=True))
        raise InputError(
            f"The errors do not fall as a power law does, so no curve is fitted: {told} examples."
        )
    return missed / spare


def _terms(levels: np.ndarray, gamma: float) -> np.ndarray:
    """What alpha and eta are multiplied by, sizes in parts of the largest."""
    return np.stack([np.ones(len(levels)), (levels / levels[-1]) ** gamma], axis=1)


def _variances(levels: np.ndarray, squares: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Of one measurement at each size: a + b / n, by weighted least squares on the scatter."""
    several = counts > 1
    freedom = counts[several] - 1
    found = squares[several] / freedom
    terms = np.stack([np.ones(several.sum()), 1 / levels[several]], axis=1)
    told = np.maximum(found, 0.05 * found.mean() + LEAST)
    for _ in range(5):
        weights = np.sqrt(freedom / 2) / told  # 1 / the standard deviation of a variance
        parts, _ = nnls(terms * weights[:, None], found * weights)
        told = np.maximum(terms @ parts, LEAST)
    return np.maximum(parts[0] + parts[1] / levels, LEAST)


def _posterior(
    levels: np.ndarray,
    means: np.ndarray,
    weights: np.ndarray,
    scales: np.ndarray,
    rng: np.random.Generator,
    moves: np.ndarray | None,
) -> tuple[np.ndarray, np.ndarray]:
    """As many draws as there are scales of the noise: pairs `[draws, 2]`, and places in GAMMAS.

    A pair is alpha, and eta for sizes in parts of the largest.

    Given gamma and the noise, alpha and eta are normal around their least squares. One pair
    is drawn for each gamma and each scale; pairs out of bounds count for nothing, and of the
    others as many as are wanted are taken, each by the likelihood of its gamma.
    """
    terms = np.stack([_terms(levels, gamma) for gamma in GAMMAS])
    spread, solver = _least_squares(terms, weights)
    best = solver @ means
    missed = (weights * (means - (terms @ best[..., None])[..., 0]) ** 2).sum(axis=1)
    unit = rng.standard_normal((len(scales), len(GAMMAS), 2))
    steps = np.einsum("gij,dgj->dgi", np.linalg.cholesky(spread), unit)
    pairs = best + np.sqrt(scales)[:, None, None] * steps
    likely = np.linalg.slogdet(spread)[1] / 2 - missed / (2 * scales[:, None])
    likely = np.where((pairs[..., 0] >= -BELOW) & (pairs[..., 1] >= 0), likely, -np.inf)
    if not np.isfinite(likely).any():
        raise InputError("The errors do not fall with more examples, so no curve is fitted.")
    chance = np.exp(likely - likely.max()).ravel()
    taken = rng.choice(chance.size, len(scales), p=chance / chance.sum())
    draw, place = np.divmod(taken, len(GAMMAS))
    found = pairs[draw, place]
    if moves is not None:  # with gamma given, the best pair is linear in the means
        found = _moved(found, (solver[place] @ moves[..., None])[..., 0])
    return found, place


def _least_squares(terms: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each gamma: the pair's covariance, and what makes the best pair from the means."""
    weighted = (terms * weights[:, None]).swapaxes(1, 2)
    spread = np.linalg.inv(weighted @ terms)
    return spread, spread @ weighted


def _moved(pairs: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """Pairs a step on; one that would rise is flat, at the error that the largest size has."""
    alpha, eta = (pairs + steps).T
    rising = np.minimum(eta, 0.0)
    return np.stack([alpha + rising, eta - rising], axis=1)
