"""Exchanging units: every count near its target, and nothing else changed."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from kerastl.exchange import exchanged

SHARES = np.array([0.7, 0.15, 0.15])


def targets(profiles):
    return np.outer(SHARES, profiles.sum(axis=0))


def total(profiles, places, weights):
    """The weighted squares of what each split has above its target."""
    places = np.array(places)
    held = np.stack([profiles[places == s].sum(axis=0) for s in range(3)])
    return float((weights * (held - targets(profiles)) ** 2).sum())


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10**6), st.integers(2, 80), st.integers(1, 6))
def test_never_worse_and_no_single_exchange_would_better_it(seed, n, labels):
    draw = np.random.default_rng(seed)
    profiles = draw.integers(0, 2, (n, labels))
    places = draw.choice(3, n, p=SHARES).tolist()
    weights = draw.integers(1, 5, labels)
    found = exchanged(profiles, places, targets(profiles), weights)
    assert np.bincount(found, minlength=3).tolist() == np.bincount(places, minlength=3).tolist()
    best = total(profiles, found, weights)
    assert best <= total(profiles, places, weights) + 1e-9
    if found == places:
        return  # nothing was two off, or no exchange would help
    for i in range(n):
        for j in range(i):
            other = list(found)
            other[i], other[j] = other[j], other[i]
            assert total(profiles, other, weights) >= best - 0.05


def test_more_units_than_a_block():
    profiles = np.repeat([[1], [0]], 1500, axis=0)
    places = [0] * 2100 + [1] * 450 + [2] * 450
    found = np.array(exchanged(profiles, places, targets(profiles), np.array([1])))
    assert [int(profiles[found == s].sum()) for s in range(3)] == [1050, 225, 225]


def test_what_is_less_than_two_off_stays():
    profiles = np.array([[1]] * 10 + [[0]] * 10)
    weights = np.array([1])
    one_off = [0] * 8 + [1, 2] + [0] * 6 + [1, 1, 2, 2]
    assert exchanged(profiles, one_off, targets(profiles), weights) == one_off
    two_off = [0] * 9 + [1] + [0] * 5 + [1, 1, 2, 2, 2]
    moved = np.array(exchanged(profiles, two_off, targets(profiles), weights))
    assert [int(profiles[moved == s].sum()) for s in range(3)] == [7, 2, 1]


def test_a_single_split_has_nothing_to_exchange():
    assert exchanged(np.array([[9], [0]]), [0, 0], np.zeros((3, 1)), np.array([1])) == [0, 0]
