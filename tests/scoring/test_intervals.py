"""The draws, the averages in every draw, and intervals against scipy's and by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import binomtest

from kerastl.data.tasks import Task
from kerastl.scoring import measures
from kerastl.scoring.intervals import (
    apart,
    bounded,
    exact,
    in_words,
    interval,
    paired,
    resampled,
    share,
    widened,
    within,
)
from kerastl.scoring.measures import Measures, metrics_of


@pytest.mark.parametrize(("hits", "n"), [(0, 1), (0, 30), (1, 7), (12, 12), (400, 400), (37, 90)])
def test_the_exact_interval_is_scipys(hits, n):
    for level in (0.95, 0.99):
        expected = binomtest(hits, n).proportion_ci(level, method="exact")
        assert exact(hits, n, level) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_nothing_behind_a_share_is_no_interval():
    none = [exact(0, 0), share(np.zeros(0)), share(np.ones(3), np.zeros(3)), paired(np.zeros(0))]
    assert all(math.isnan(end) for ends in none for end in ends)
    assert all(math.isnan(end) for end in interval(np.array([np.nan])))


def test_a_share_of_rights_and_wrongs_is_exact_and_needs_no_fifth():
    right = np.array([1, 1, 0, 1])
    assert share(right) == exact(3, 4)
    assert share(right, weights=np.array([0, 1, 1, 0])) == exact(1, 2)


def test_a_share_in_groups_is_no_surer_than_the_groups():
    """Ten copies of each picture tell no more than the picture."""
    once = np.random.default_rng(0).random(40) < 0.7
    copies, of = np.repeat(once, 10).astype(float), np.repeat(np.arange(40), 10)
    low, high = share(copies, groups=of)
    assert high - low == pytest.approx(np.ptp(exact(once.sum(), 40)), rel=0.1)
    assert np.ptp(share(copies)) < 0.4 * (high - low)
    assert share(np.ones(400), groups=of) == pytest.approx(exact(40, 40))
    assert all(map(math.isnan, share(copies[:40], groups=of[:40])))  # four groups


def test_a_bounded_measure_without_variance_is_a_share_of_its_units():
    assert bounded(1.0, 0.0, 12) == exact(12, 12)
    assert bounded(3.0, 0.0, 12, ends=(1.0, 3.0)) == pytest.approx((1 + 2 * exact(12, 12)[0], 3.0))
    assert all(map(math.isnan, bounded(1.0, 0.0, 4)))
    assert all(map(math.isnan, bounded(math.nan, 0.1, 40)))


def test_a_bounded_measure_that_varies_as_a_share_is_one():
    assert bounded(0.3, 0.3 * 0.7 / 50, 50) == pytest.approx(exact(15, 50))
    narrow = bounded(0.3, 0.3 * 0.7 / 500, 500)
    assert np.ptp(narrow) == pytest.approx(2 * 1.96 * math.sqrt(0.3 * 0.7 / 500), rel=0.05)
    assert bounded(0.3, 1e-9, 50, most=50) == pytest.approx(exact(15, 50))
    assert bounded(0.3, 1e-9, 50, told_by=0) == pytest.approx(exact(15, 50))


def test_a_difference_of_independent_measures_adds_their_halves_as_errors():
    low, high = apart(0.8, 0.5, (0.7, 0.88), (0.42, 0.6))
    assert (low, high) == pytest.approx((0.3 - math.hypot(0.1, 0.1), 0.3 + math.hypot(0.08, 0.08)))
    assert apart(0.8, 0.5, (0.7, 0.9), (0.4, 0.6), 1.0) == pytest.approx((0.3, 0.3))


def test_few_repeats_widen_by_students_t_and_no_further_than_is_possible():
    limits, each = (0.4, 0.6), np.array([0.0, 1.0])
    low, high = widened(0.5, limits, each)
    assert high - 0.5 == pytest.approx(math.hypot(0.1, 12.706 * 0.5), rel=1e-3)
    assert all(map(math.isnan, within((low, high), (-1.0, 1.0))))
    assert within((-3.0, 0.2), (-1.0, 1.0)) == (-1.0, 0.2)
    assert widened(0.5, limits, each[:1]) == limits


def test_what_has_no_interval_is_called_too_few():
    assert in_words(0.5, math.nan, math.nan, "+.3f") == "+0.500 [too few]"
    assert in_words(0.5, None, None) == "0.500 [too few]"


def test_draws_count_every_picture_as_often_as_it_was_drawn():
    blocks = list(resampled(1000, 4500, 0))
    assert len(blocks) > 1
    counts = np.concatenate(blocks, axis=1)
    assert counts.shape == (1000, 4500)
    assert (counts.sum(axis=0) == 1000).all()
    assert counts.mean(axis=1) == pytest.approx(1, abs=0.1)
    assert list(resampled(0, 10, 0)) == []


def test_draws_take_whole_groups():
    groups = np.repeat([7, 3, 9], [1, 4, 5])
    counts = np.concatenate(list(resampled(10, 300, 0, groups)), axis=1)
    for name in (7, 3, 9):
        assert (counts[groups == name] == counts[groups == name][:1]).all()
    assert (counts[[0, 1, 5]].sum(axis=0) == 3).all()


def test_the_averages_are_over_the_labels_with_both_classes_in_every_draw():
    task = Task("m", ["a", "b", "never", "always"], "multilabel")
    rng = np.random.default_rng(0)
    codes = rng.integers(-1, 2, (60, 4))
    codes[:, 2], codes[:, 3] = 0, 1
    a = measures.answers(task, codes, rng.random((60, 4)))
    (counts,) = resampled(60, 30, 0)
    found = Measures(task, a, counts)
    assert metrics_of(task)[:6] == [("", m) for m in (
        "accuracy", "macro_f1", "auc", "average_precision", "calibration_error", "log_loss",
    )]  # fmt: skip
    for whole, single in (("macro_f1", "f1"), ("auc", "auc"), ("average_precision",) * 2):
        expected = (found["a", single] + found["b", single]) / 2
        assert found["", whole] == pytest.approx(expected)
