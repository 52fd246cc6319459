"""A crossing is found where it is, and denied where it is not."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import ttest_ind

from kerastl.crossings import _apart, compare_means, crossing
from kerastl.curve_errors import CurveErrors
from kerastl.power_law import PowerLaw, fit_power_law
from tests.support.curves import REPEATS, SIZES, measured

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
        told += str(found).startswith(
            "b is better than w from 50 to 1600 examples: they do not cross"
        )
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
        (
            -0.1,
            -0.2,
            "one is better than other from 100 to 400 examples: they do not cross within the data.",
        ),
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
    assert str(crossing(noisy)) == (
        "one is better than other at 100 examples; at 400: no difference."
    )


def test_curves_are_compared_where_both_were_measured():
    one, other = lines(-0.1, 0.1).values()
    narrow = PowerLaw(one.alpha, one.eta, one.gamma, (150, 350))
    found = crossing({"one": narrow, "other": other})
    assert (found.smallest, found.largest) == (150, 350)


def named(sizes, one, other):
    return {"one": CurveErrors(sizes, one), "other": CurveErrors(sizes, other)}


def at_one_size(errors):
    return CurveErrors(np.full(len(errors), 9), np.array(errors))


def test_one_that_is_better_at_both_ends_alone_is_not_said_to_be_so_between():
    sizes = np.repeat([10, 20, 40], 3)
    one = np.array([3, 3.1, 2.9, 3, 3.1, 2.9, 1, 1.1, 0.9]) / 10
    high, close = one + 0.2, one + np.repeat([0.2, 0, 0.2], 3)
    apart = compare_means(named(sizes, one, high))
    assert apart.throughout
    assert str(apart).endswith("from 10 to 40 examples: they do not cross within the data.")
    near = compare_means(named(sizes, one, close))
    assert not near.throughout
    assert str(near) == "one is better than other at 10 and at 40 examples."


def test_means_at_one_size_are_compared_there():
    sizes, one = np.repeat([10], 3), np.array([0.29, 0.3, 0.31])
    found = compare_means(named(sizes, one, one + 0.2))
    assert str(found) == "one is better than other at 10 examples."
    found = compare_means(named(sizes, one, one + 0.001))
    assert str(found) == "one and other: no difference at 10 examples."


def test_curves_that_touch_between_the_ends_are_not_said_to_be_apart_there():
    flat = PowerLaw(np.full(9, 0.3), np.zeros(9), np.full(9, -0.5), (100, 1600))
    late = PowerLaw(np.linspace(0.05, 0.15, 9), np.full(9, 1.0), np.full(9, -0.5), (100, 1600))
    steep = PowerLaw(late.alpha + 0.2, np.full(9, 1.0), late.gamma, (100, 1600))
    assert crossing({"flat": flat, "steep": steep}).throughout is False
    apart = crossing(
        {"flat": flat, "steep": PowerLaw(steep.alpha, steep.eta, steep.gamma, (100, 300))}
    )
    assert str(apart).startswith("flat is better than steep from 100 to 300 examples")


def test_means_are_compared_as_welch_does():
    rng = np.random.default_rng(0)
    one, other = rng.normal(0.3, 0.01, 4), rng.normal(0.2, 0.05, 3)
    told = _apart(at_one_size(one), at_one_size(other), 9)
    known = ttest_ind(one, other, equal_var=False)
    wide = known.confidence_interval(0.95)
    assert (told.low, told.high) == pytest.approx((wide.low, wide.high))
    assert told.value == pytest.approx(one.mean() - other.mean())


@pytest.mark.parametrize(
    ("one", "other", "low", "high"),
    [
        ([0.3, 0.3], [0.1, 0.1], 0.2, 0.2),
        ([1.0, 1.0, 1.0], [0.5, 0.7], 0.4 - 12.706 * 0.1, 0.4 + 12.706 * 0.1),
        ([0.3], [0.1, 0.1], -np.inf, np.inf),
    ],
)
def test_repeats_that_are_all_alike_are_no_fault(one, other, low, high):
    told = _apart(at_one_size(one), at_one_size(other), 9)
    assert (told.low, told.high) == pytest.approx((low, high), abs=1e-3)


def test_the_sizes_around_a_crossing_of_means():
    sizes, close = np.repeat([10, 20, 40, 80], 3), np.tile([-0.01, 0, 0.01], 4)
    one = np.repeat([0.3, 0.3, 0.3, 0.3], 3) + close
    other = np.repeat([0.6, 0.5, 0.305, 0.1], 3) + close
    found = compare_means(named(sizes, one, other))
    assert found.between == (40, 80)
    assert str(found) == (
        "one is better at 10 examples, other at 80: their means cross between 40 and 80."
    )
    assert compare_means(named(sizes, one, one + 0.1)).between is None
