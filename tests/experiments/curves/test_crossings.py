"""A crossing is found where it is, and denied where it is not.

Other test examples: how far they would move the errors, and what intervals then hold.
"""

from __future__ import annotations

import functools

import numpy as np
import pytest
from scipy.stats import ttest_ind

from kerastl.experiments.curves.crossings import BLOCK, CurveErrors, _apart, compare_means, crossing
from kerastl.experiments.curves.power_law import PowerLaw, fit_power_law
from kerastl.experiments.curves.report import LearningCurve, as_frame
from tests.support.curves import REPEATS, SIZES, measured

STAGES, END_TO_END = (0.2, 1.0, -0.6), (0.01, 6.0, -0.55)
"""They cross between 400 and 440."""

BETTER = (0.02, 1.5, -0.5)
WORSE = (0.08, 2.0, -0.5)


@functools.cache
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
        ([1.0, 1.0, 1.0], [0.5, 0.7], 0.4 - 12.706 * 0.1, 1.0),
        ([0.3], [0.1, 0.1], -1.0, 1.0),
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


CURVE = (0.2, 1.5, -0.5)
"""From 0.41 with 50 examples to 0.24 with 1600."""


def error_of(size):
    alpha, eta, gamma = CURVE
    return alpha + eta * size**gamma


def hardness(rng, count, shared=None):
    """How hard each test example is, from 0 to 1; half of them as hard as they are to another."""
    own = rng.random(count)
    return own if shared is None else np.where(np.arange(count) % 2, own, shared)


def trials(name, hard, rng):
    """Rows and scores of a candidate whose error is `CURVE`'s over all possible test examples."""
    rows, scores = [], {}
    for size, repeats in zip(SIZES, REPEATS, strict=True):
        for seed in range(repeats):
            limit = error_of(size) + 0.005 * rng.standard_normal()
            right = (hard + 0.04 * rng.standard_normal(len(hard)) >= limit).astype("float64")
            scores[name, size, seed] = right
            rows.append({"candidate": name, "size": size, "seed": seed, "score": right.mean(),
                         "n": len(right), "seconds": 1.0, "failed": ""})  # fmt: skip
    return rows, scores


@functools.cache
def two_alike(seed, count=200):
    """Two candidates that are equally good, but not on the same test examples."""
    rng = np.random.default_rng(seed)
    hard = hardness(rng, count)
    rows, scores = trials("a", hard, rng)
    more, others = trials("b", hardness(rng, count, hard), rng)
    return LearningCurve(as_frame([*rows, *more]), scores=scores | others)


@pytest.mark.slow
def test_intervals_hold_the_error_over_all_test_examples_in_95_percent_of_200_draws():
    held, alone = {1600: 0, 3200: 0}, {1600: 0, 3200: 0}
    for seed in range(200):
        curve = two_alike(seed)
        blind = LearningCurve(curve.frame)
        for size in held:
            for found, counts in ((curve, held), (blind, alone)):
                told = found.fits["a"].at(size)
                counts[size] += told.low <= error_of(size) <= told.high
    assert min(held.values()) >= 0.915 * 200, held
    assert max(alone.values()) < 0.8 * 200, alone  # what the test examples do not decide


@pytest.mark.slow
def test_candidates_that_are_equally_good_are_told_apart_no_more_than_chance():
    apart, blind = 0, 0
    for seed in range(200):
        curve = two_alike(seed)
        apart += "no difference at 50 or at 1600" not in curve.verdict
        blind += "no difference at 50 or at 1600" not in LearningCurve(curve.frame).verdict
    assert apart <= 0.15 * 200, apart  # two ends, each with a chance of 0.05
    assert blind > 0.3 * 200, blind


@pytest.mark.slow
def test_their_means_are_told_apart_no_more_than_chance():
    apart = 0
    for seed in range(200):
        curve = two_alike(seed)
        few = LearningCurve(curve.frame[curve.frame["size"] == 400], scores=curve.scores)
        apart += few.verdict != "a and b: no difference at 400 examples."
    assert apart <= 0.085 * 200, apart


def test_moves_are_as_wide_as_a_proportion_of_as_many_examples_is():
    rng = np.random.default_rng(0)
    each = np.tile((rng.random(2 * BLOCK + 7) < 0.3).astype("float64"), (3, 1))
    errors = CurveErrors(np.array([10, 10, 20]), each.mean(axis=1), each)
    moves = errors.moves(4000, 0, 1)
    assert moves.shape == (4000, 2)
    assert moves.mean(axis=0) == pytest.approx([0, 0], abs=1e-3)
    assert moves.std(axis=0) == pytest.approx([(0.3 * 0.7 / 2007) ** 0.5] * 2, rel=0.05)
    np.testing.assert_allclose(moves[:, 0], moves[:, 1])  # the same examples at both sizes


def test_what_two_candidates_share_cancels_in_their_difference():
    hard = np.random.default_rng(0).random(500)
    one, other = ((hard < limit).astype("float64")[None] for limit in (0.3, 0.31))
    found = [CurveErrors(np.array([10]), e.mean(axis=1), e) for e in (one, other)]
    moves = [errors.moves(4000, 0, own) for own, errors in enumerate(found)]
    alone, apart = moves[0].std(), (moves[1] - moves[0]).std()
    assert alone == pytest.approx((0.3 * 0.7 / 500) ** 0.5, rel=0.1)
    assert apart == pytest.approx((0.01 / 500) ** 0.5, rel=0.4)


def test_no_error_on_few_test_examples_is_not_known_to_be_none():
    none = CurveErrors(np.array([10]), np.zeros(1), np.zeros((1, 20)))
    assert 0.03 < none.moves(4000, 0, 1).std() < 0.06  # 1 / 22


def test_repeats_that_are_all_alike_are_no_proof_on_few_test_examples():
    def compared(count):
        each = np.zeros((2, count))
        worse = each.copy()
        worse[:, : count // 20] = 1
        found = {
            name: CurveErrors(np.full(2, 9), e.mean(axis=1), e)
            for name, e in (("one", each), ("other", worse))
        }
        return str(compare_means(found))

    assert compared(40) == "one and other: no difference at 9 examples."
    assert compared(4000) == "one is better than other at 9 examples."


def test_a_candidate_of_single_numbers_is_compared_with_one_of_many():
    one = CurveErrors(np.full(3, 9), np.array([0.3, 0.31, 0.32]))
    each = (np.arange(300).reshape(3, 100) % 10 < 2).astype("float64")
    other = CurveErrors(np.full(3, 9), each.mean(axis=1), each)
    assert (
        str(compare_means({"one": one, "other": other}))
        == "other is better than one at 9 examples."
    )


def test_the_report_says_what_its_intervals_are_for():
    curve = two_alike(0)
    both = "The 95 % intervals hold for other repeats and for other test examples."
    assert both in str(curve)
    alone = "The 95 % intervals hold for other repeats on these test examples."
    assert alone in str(LearningCurve(curve.frame))
    some = {trial: s for trial, s in curve.scores.items() if trial != ("b", 50, 0)}
    told = str(LearningCurve(curve.frame, scores=some))
    assert "The 95 % intervals of b hold for other repeats on these test examples." in told
    gone = curve.frame.assign(failed=np.where(curve.frame["candidate"] == "b", "no", ""))
    assert both in str(LearningCurve(gone, scores=curve.scores))
    wide, narrow = (c.fits["a"].at(1600) for c in (curve, LearningCurve(curve.frame)))
    assert wide.high - wide.low > 2 * (narrow.high - narrow.low)


def test_the_test_on_the_largest_size_is_of_the_same_test_examples():
    curve = two_alike(0)
    assert curve.held_back == LearningCurve(curve.frame).held_back
