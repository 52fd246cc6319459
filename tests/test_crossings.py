"""A crossing is found where it is, and denied where it is not."""

from __future__ import annotations

import numpy as np
import pytest
from test_power_law import REPEATS, SIZES, measured

from kerastl.crossings import crossing
from kerastl.power_law import PowerLaw, fit_power_law

STAGES, END_TO_END = (0.2, 1.0, -0.6), (0.01, 6.0, -0.55)
"""They cross between 400 and 440."""

BETTER = (0.02, 1.5, -0.5)
WORSE = (0.08, 2.0, -0.5)


def fitted(curve, seed):
    return fit_power_law(*measured(curve, SIZES, REPEATS, seed), draws=800, seed=seed)


def true_crossing():
    n = np.geomspace(50, 1600, 100_000)
    stages, whole = (alpha + eta * n**gamma for alpha, eta, gamma in (STAGES, END_TO_END))
    return n[np.argmax(stages > whole)]


@pytest.mark.slow
def test_a_crossing_is_found_where_it_is_in_200_draws():
    true, held, shown = true_crossing(), 0, 0
    for seed in range(200):
        found = crossing({"s": fitted(STAGES, seed), "e": fitted(END_TO_END, 1000 + seed)})
        shown += found.size is not None
        held += found.size is not None and found.size.low <= true <= found.size.high
    assert 400 < true < 440
    assert shown == 200
    assert held >= 0.915 * 200, held


@pytest.mark.slow
def test_a_crossing_is_denied_where_there_is_none_in_200_draws():
    claimed, told = 0, 0
    for seed in range(200):
        found = crossing({"b": fitted(BETTER, seed), "w": fitted(WORSE, 1000 + seed)})
        claimed += found.size is not None
        told += str(found).startswith("b is better from 50 to 1600 examples: they do not cross")
    assert claimed == 0
    assert told >= 0.95 * 200, told


@pytest.mark.slow
def test_curves_that_are_the_same_are_told_apart_no_more_than_chance():
    apart = 0
    for seed in range(200):
        found = crossing({"a": fitted(BETTER, seed), "b": fitted(BETTER, 1000 + seed)})
        apart += "no difference at 50 or at 1600" not in str(found)
        assert found.size is None
    assert apart <= 0.15 * 200, apart  # two ends, each with a chance of 0.05


def lines(low, high):
    """Two curves without noise whose difference is `low` at 100 and `high` at 400 examples."""
    power = np.array([[100**-0.5, 1], [400**-0.5, 1]])
    eta, alpha = np.linalg.solve(power, [low, high])
    base = PowerLaw(np.full(9, 0.5), np.full(9, 3.0), np.full(9, -0.5), (100, 400))
    other = PowerLaw(base.alpha + alpha, base.eta + eta, base.gamma, base.sizes)
    return {"one": other, "other": base}


@pytest.mark.parametrize(
    ("low", "high", "told"),
    [
        (-0.1, 0.1, "one is better below 178 [178, 178] examples, other above."),
        (0.1, -0.1, "other is better below 178 [178, 178] examples, one above."),
        (-0.1, -0.2, "one is better from 100 to 400 examples: they do not cross within the data."),
        (0, 0, "one and other: no difference at 100 or at 400 examples."),
    ],
)
def test_the_sentence_says_what_was_found(low, high, told):
    assert str(crossing(lines(low, high))) == told


def test_one_end_alone_is_told_as_it_is():
    rng = np.random.default_rng(0)
    curves = lines(-0.3, 0)
    one = curves["one"]
    noisy = {
        name: PowerLaw(
            np.resize(c.alpha, 500) + 0.01 * rng.standard_normal(500),
            np.resize(c.eta, 500), np.resize(c.gamma, 500), one.sizes,
        )
        for name, c in curves.items()
    }  # fmt: skip
    assert str(crossing(noisy)) == ("one is better at 100 examples; at 400 there is no difference.")


def test_curves_are_compared_where_both_were_measured():
    one, other = lines(-0.1, 0.1).values()
    narrow = PowerLaw(one.alpha, one.eta, one.gamma, (150, 350))
    found = crossing({"one": narrow, "other": other})
    assert (found.smallest, found.largest) == (150, 350)
