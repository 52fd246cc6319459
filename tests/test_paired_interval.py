"""The interval of a paired mean difference holds what it promises, also where few differ."""

from __future__ import annotations

import math

import numpy as np
import pytest

from kerastl.bootstrap import Z
from kerastl.paired_interval import paired_difference


def differing(up, down, n):
    ours, theirs = np.full(n, 1.0), np.full(n, 1.0)
    theirs[:up] = 0
    ours[up : up + down] = 0
    return ours, theirs


@pytest.mark.parametrize(("up", "down", "n"), [(0, 0, 50), (3, 0, 50), (12, 5, 80), (40, 1, 60)])
def test_for_right_and_wrong_it_is_agresti_and_min(up, down, n):
    b, c, total = down + 0.5, up + 0.5, n + 2
    middle = (c - b) / total
    half = Z * math.sqrt(b + c - (c - b) ** 2 / total) / total
    found = paired_difference(*differing(up, down, n))
    assert (found.low, found.high) == pytest.approx((middle - half, middle + half))
    assert found.value == pytest.approx((up - down) / n)
    assert found.n == n


@pytest.mark.parametrize("few", range(1, 8))
def test_few_that_say_the_same_are_judged_as_by_a_sign_test(few):
    """Five of one mind happen by chance once in sixteen: the border of the interval too."""
    chance = 2 * 0.5**few
    found = paired_difference(*differing(few, 0, 300))
    assert found.real == (chance <= 0.0625)


@pytest.mark.parametrize(
    ("n", "changed", "lost"),
    [(60, 0.1, 0.0), (60, 0.2, 0.1), (300, 0.05, 0.02), (300, 0.4, 0.4)],
)
def test_the_true_difference_lies_within_in_95_percent(n, changed, lost):
    draw, held = np.random.default_rng(0), 0
    odds = [(changed + lost) / 2, (changed - lost) / 2, 1 - changed]
    for _ in range(600):
        each = draw.choice([1.0, -1.0, 0.0], size=n, p=odds)
        found = paired_difference(each, np.zeros(n))
        held += found.low <= lost <= found.high
    assert 0.93 <= held / 600 <= 0.995


def test_scores_of_any_unit():
    draw = np.random.default_rng(1)
    ours, theirs = draw.random(40), draw.random(40)
    small = paired_difference(ours, theirs)
    large = paired_difference(100 * ours, 100 * theirs, span=100)
    assert (large.value, large.low, large.high) == pytest.approx(
        (100 * small.value, 100 * small.low, 100 * small.high)
    )


@pytest.mark.parametrize("n", [1, 2, 5])
def test_the_value_is_never_outside_its_interval(n):
    found = paired_difference(np.ones(n), np.zeros(n))
    assert found.low <= found.value <= found.high <= 1
    assert found.verdict == "no difference" or n == 5
