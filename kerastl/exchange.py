"""Exchanging units between splits until every count is near its target.

A unit is what must stay together, one picture or several; its profile counts what it
holds of each label. With D the counts of a split less their targets, exchanging unit a
of split s for unit b of split t changes the sum of w * D^2 over splits and counts by

    2 * sum_j w_j * d_j * (D_sj - D_tj + d_j),   d = profile of b - profile of a

Each step does the best exchange within a block of units of two splits, as long as one
lowers the sum: a descent on the aim of iterative stratification (Sechidis, Tsoumakas and
Vlahavas, On the Stratification of Multi-label Data, ECML PKDD 2011). Targets are
rounded to a thousandth, so that all arithmetic is on whole numbers, and alike on any
machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np

BLOCK = 192
"""Units of each of the two splits that one step looks at."""

STEPS = 6000
"""Steps at most."""

FINE = 1000
"""What targets are rounded to: parts of one."""

FAR = 2 * FINE
"""A count this far off its target sets the exchange going."""


def exchanged(
    profiles: np.ndarray, places: Sequence[int], targets: np.ndarray, weights: np.ndarray
) -> list[int]:
    """Places that bring each count near its target, with as many units in each split.

    Where no count is two off its target, the places stay as they are.

    Args:
        profiles: `[units, counts]` of whole numbers. The order of the units decides
            between equals.
        places: The split of each unit, to begin with.
        targets: `[splits, counts]`: what each split is to hold.
        weights: `[counts]`: how much each counts, a whole number.

    Returns:
        The split of each unit.

    Example:
        >>> profiles = np.array([[2], [2], [0], [0]])
        >>> exchanged(profiles, [0, 0, 1, 1], np.array([[2], [2]]), np.array([1]))
        [1, 0, 0, 1]
    """
    found = np.array(places)
    pairs = list(combinations(sorted(set(found.tolist())), 2))
    excess = _excess(profiles, found, targets)
    if not pairs or np.abs(excess).max() < FAR:
        return found.tolist()
    idle, wait = 0, len(pairs) * (1 + len(found) // BLOCK)
    for step in range(STEPS):
        (s, t), turn = pairs[step % len(pairs)], step // len(pairs)
        a, b = (_block(np.flatnonzero(found == place), turn) for place in (s, t))
        cost = _cost(profiles[a], profiles[b], weights, excess[s] - excess[t])
        row, column = np.unravel_index(np.argmin(cost), cost.shape)
        idle = idle + 1 if cost[row, column] >= 0 else 0
        if idle > wait:
            break
        if not idle:
            d = FINE * (profiles[b[column]] - profiles[a[row]])
            excess[[s, t]] += np.stack([d, -d])
            found[a[row]], found[b[column]] = t, s
    return found.tolist()


def _excess(profiles: np.ndarray, places: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """`[splits, counts]`: what each split has above its targets, in thousandths."""
    held = [profiles[places == place].sum(axis=0) for place in range(len(targets))]
    return FINE * np.stack(held) - np.rint(FINE * targets)


def _block(members: np.ndarray, turn: int) -> np.ndarray:
    return np.roll(members, -(turn * BLOCK % len(members)))[:BLOCK]


def _cost(a: np.ndarray, b: np.ndarray, weights: np.ndarray, between: np.ndarray) -> np.ndarray:
    """Half the change of the sum for each pair of a unit of `a` and one of `b`."""
    a, b, w = (values.astype("float64") for values in (a, b, weights))
    own_a = FINE * (a * a) @ w - a @ (w * between)
    own_b = FINE * (b * b) @ w + b @ (w * between)
    return own_a[:, None] + own_b[None, :] - 2 * FINE * (a * w) @ b.T
