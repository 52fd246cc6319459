"""The draws, the averages in every draw, and Wilson's interval against scipy's."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import binomtest

from kerastl.data.tasks import Task
from kerastl.scoring import measures
from kerastl.scoring.intervals import interval, resampled, wilson
from kerastl.scoring.measures import Measures, metrics_of


@pytest.mark.parametrize(("hits", "n"), [(0, 1), (0, 30), (1, 7), (12, 12), (400, 400), (37, 90)])
def test_wilsons_interval_is_scipys(hits, n):
    expected = binomtest(hits, n).proportion_ci(method="wilson")
    assert wilson(hits / n, n) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_nothing_behind_a_proportion_is_no_interval():
    assert all(math.isnan(end) for end in wilson(0.5, 0))
    assert all(math.isnan(end) for end in interval(np.array([np.nan])))


def test_draws_count_every_picture_as_often_as_it_was_drawn():
    blocks = list(resampled(1000, 4500, 0))
    assert len(blocks) > 1
    counts = np.concatenate(blocks, axis=1)
    assert counts.shape == (1000, 4500)
    assert (counts.sum(axis=0) == 1000).all()
    assert counts.mean(axis=1) == pytest.approx(1, abs=0.1)
    assert list(resampled(0, 10, 0)) == []


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
