"""Other test examples: how far they would move the errors, and what intervals then hold."""

from __future__ import annotations

import numpy as np
import pytest

from kerastl.crossings import compare_means
from kerastl.curve_errors import BLOCK, CurveErrors
from kerastl.curve_report import LearningCurve, as_frame
from tests.support.curves import REPEATS, SIZES

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
