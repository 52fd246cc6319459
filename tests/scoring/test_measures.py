"""Every draw's measures equal scikit-learn's with the counts as sample weights."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as sk

from kerastl.data.tasks import Task
from kerastl.scoring import measures


@pytest.fixture(scope="module")
def drawn():
    rng = np.random.default_rng(0)
    truth, scores = rng.random(80) < 0.3, np.round(rng.random(80), 1)  # many ties
    return truth, scores, rng.integers(0, 4, (80, 12)).astype("float32")


@pytest.mark.parametrize(
    ("measure", "oracle"),
    [
        (measures.auc, sk.roc_auc_score),
        (measures.average_precision, sk.average_precision_score),
    ],
)
def test_curves_with_ties_equal_scikit_learn_in_every_draw(drawn, measure, oracle):
    truth, scores, counts = drawn
    expected = [oracle(truth, scores, sample_weight=c) for c in counts.T]
    assert measure(truth, scores, counts) == pytest.approx(expected, rel=1e-6)


def test_the_other_measures_equal_scikit_learn_in_every_draw(drawn):
    truth, p, counts = drawn
    p = np.clip(p, 0.05, 0.95)
    a = measures.answers(Task("t", ["no", "yes"]), truth.astype(int), np.c_[1 - p, p])
    found = measures.Measures(Task("t", ["no", "yes"]), a, counts)
    for i, c in enumerate(counts.T):
        picked = p > 0.5
        assert found["", "accuracy"][i] == pytest.approx(
            sk.accuracy_score(truth, picked, sample_weight=c)
        )
        assert found["", "log_loss"][i] == pytest.approx(sk.log_loss(truth, p, sample_weight=c))
        expected = sk.precision_recall_fscore_support(truth, picked, sample_weight=c)[:3]
        for name, value in zip(("precision", "recall", "f1"), expected, strict=True):
            both = [found[class_, name][i] for class_ in ("no", "yes")]
            assert both == pytest.approx(value)


def test_a_draw_without_positives_is_undefined_and_spoils_no_other(drawn):
    truth, scores, counts = drawn
    counts = counts.copy()
    counts[truth, 0] = 0
    found = measures.auc(truth, scores, counts)
    assert np.isnan(found).tolist() == [True] + [False] * 11
    assert np.isnan(measures.average_precision(truth, scores, counts)[0])


def test_bins_are_closed_above():
    assert measures.bins_of(np.array([0.0, 1 / 15, 0.5, 1.0])).tolist() == [0, 0, 7, 14]


def test_unknown_entries_count_nowhere():
    task = Task("m", ["a", "b"], "multilabel")
    codes, scores = (
        np.array([[1, -1], [-1, -1], [0, 1]]),
        np.array([[0.9, 0.9], [0, 0], [0.2, 0.4]]),
    )
    a = measures.answers(task, codes, scores)
    assert a.truth.tolist() == [[True, False], [False, True]]
    assert a.picked.tolist() == [[True, False], [False, False]]
    assert a.counted.sum() == 3
    assert measures.Measures(task, a, np.ones((2, 1)))["", "accuracy"][0] == pytest.approx(2 / 3)
