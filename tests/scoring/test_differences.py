"""The interval of a paired mean difference holds what it promises, also where few differ."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.metrics import average_precision_score, roc_auc_score

from kerastl.data.tasks import Task
from kerastl.errors import InputError
from kerastl.scoring.differences import Difference, difference, paired_difference

LABEL = Task("labels", ["a", "b"], "multilabel")
BINARY = Task("defect", ["no", "yes"], "binary")
KIND = Task("kind", ["x", "y", "z"])


def two_ways(seed, n=150, repeats=3, better=0.0, spread=0.15, wobble=0.3):
    """Labels, and scores of two ways that differ by `better`, each repeat wobbling alone."""
    draw = np.random.default_rng(seed)
    truth = draw.integers(2, size=n)
    shared = truth * 0.8 + draw.normal(size=n)

    def way(gain):
        skill = (gain + draw.normal(0, wobble, size=(repeats, 1))) * truth
        logits = shared + skill + draw.normal(0, spread, size=(repeats, n))
        p = 1 / (1 + np.exp(-logits))
        return np.stack([1 - p, p], axis=-1)

    return truth[:, None].astype("float32"), way(better), way(0.0)


@pytest.mark.parametrize("wobble", [0.0, 0.5])
@pytest.mark.parametrize("repeats", [2, 5])
def test_equal_ways_are_seldom_called_different(repeats, wobble):
    """A fresh draw of pictures and of repeats each time: at most one in ten."""
    found = [
        difference(BINARY, *two_ways(seed, 80, repeats, wobble=wobble), metric="auc", draws=200)
        for seed in range(120)
    ]
    assert sum(d.real for d in found) <= 12
    given = [d for d in found if d.verdict != "too few"]
    assert len(given) > 100 or repeats == 2
    assert all(-1 <= d.low < d.value < d.high <= 1 for d in given)


def test_a_better_way_is_found():
    labels, ours, theirs = two_ways(0, n=400, repeats=5, better=2.0)
    found = difference(BINARY, labels, ours, theirs, metric="auc")
    assert found.verdict == "better"
    assert difference(BINARY, labels, theirs, ours, metric="auc").verdict == "worse"
    assert difference(BINARY, labels, ours, ours, metric="auc").verdict == "no difference"
    assert found.value == pytest.approx(found.ours - found.theirs)
    assert (found.n, found.repeats) == (400, 5)


def test_the_value_is_scikit_learns_on_the_known_labels():
    draw = np.random.default_rng(0)
    labels = draw.integers(-1, 2, size=(90, 2)).astype("float32")
    ours, theirs = draw.random((2, 3, 90, 2))
    seen = labels[:, 1] >= 0
    for metric, oracle in (("auc", roc_auc_score), ("average_precision", average_precision_score)):
        found = difference(LABEL, labels, ours, theirs, metric=metric, class_="b")
        each = [
            oracle(labels[seen, 1], a[seen, 1]) - oracle(labels[seen, 1], b[seen, 1])
            for a, b in zip(ours, theirs, strict=True)
        ]
        assert found.value == pytest.approx(np.mean(each), abs=1e-9)
        assert found.n == seen.sum()


def test_with_many_pictures_the_interval_is_that_of_a_bootstrap_by_hand():
    labels, ours, theirs = two_ways(1, n=300, repeats=4)
    truth, draw, drawn = labels[:, 0], np.random.default_rng(9), []

    def each(rows):
        return np.array([
            roc_auc_score(truth[rows], a[rows, 1]) - roc_auc_score(truth[rows], b[rows, 1])
            for a, b in zip(ours, theirs, strict=True)
        ])  # fmt: skip

    plain = each(np.arange(300))
    for _ in range(100):
        drawn.append(each(draw.integers(300, size=300)).mean())
    half = math.hypot(1.96 * np.std(drawn), 3.182 * plain.std(ddof=1) / 2)
    found = difference(BINARY, labels, ours, theirs, metric="auc")
    ends = plain.mean() - half, plain.mean() + half
    assert (found.low, found.high) == pytest.approx(ends, abs=0.25 * half)


def test_the_whole_of_a_multilabel_task_is_the_mean_over_its_labels():
    draw = np.random.default_rng(2)
    labels = draw.integers(2, size=(60, 2)).astype("float32")
    ours, theirs = draw.random((2, 2, 60, 2))
    whole = difference(LABEL, labels, ours, theirs, metric="auc")
    single = [difference(LABEL, labels, ours, theirs, metric="auc", class_=c) for c in "ab"]
    assert whole.value == pytest.approx(np.mean([d.value for d in single]))
    assert whole.n == 120


def test_thresholds_decide():
    labels = np.array([[1.0], [1.0], [0.0], [0.0]])
    scores = np.array([[0.6, 0.4], [0.6, 0.4], [0.9, 0.1], [0.9, 0.1]])
    options = {"metric": "accuracy", "draws": 10}
    assert difference(BINARY, labels, scores, scores, **options).ours == 0.5
    assert difference(BINARY, labels, scores, scores, thresholds=[0.3], **options).ours == 1.0


def test_a_higher_level_is_a_wider_interval():
    labels, ours, theirs = two_ways(3)
    wide, narrow = (
        difference(BINARY, labels, ours, theirs, metric="auc", level=level) for level in (0.99, 0.9)
    )
    assert wide.low < narrow.low < narrow.high < wide.high


def test_one_repeat_may_be_given_bare():
    labels, ours, theirs = two_ways(4, repeats=1)
    options = {"metric": "auc"}
    assert difference(BINARY, labels, ours, theirs, **options) == difference(
        BINARY, labels, ours[0], theirs[0], **options
    )


@pytest.mark.parametrize("labels", [np.full((9, 1), -1.0), np.ones((9, 1))])
def test_what_is_undefined_is_called_so(labels):
    scores = np.full((2, 9, 2), 0.5)
    found = difference(BINARY, labels, scores, scores, metric="auc")
    assert math.isnan(found.value)
    assert found.verdict == str(found) == "undefined"
    assert not found.real


def test_it_reads_as_a_number_and_its_interval():
    assert str(Difference(0.0214, 0.004, 0.038, 0.5, 0.4, 9, 3)) == "+0.021 [+0.004, +0.038]"


def test_every_fault_is_named_at_once():
    with pytest.raises(InputError) as caught:
        difference(
            KIND, np.zeros(4, "int32"), np.zeros((2, 4, 2)), np.full((2, 4, 3), np.nan),
            metric="accuracy", level=95, draws=0,
        )  # fmt: skip
    assert str(caught.value).splitlines() == [
        "The two ways of kind cannot be compared.",
        "  ours: expected scores [repeats, 4, 3], received [2, 4, 2]",
        "  theirs: expected scores in [0, 1], received values outside, or NaN",
        "  expected ours and theirs of one shape, received [2, 4, 2] and [2, 4, 3]",
        "  level: expected a share between 0 and 1, received 95",
        "  draws: expected at least 1, received 0",
    ]


@pytest.mark.parametrize("wrong", [{"metric": "brier"}, {"metric": "f1", "class_": "w"}])
def test_a_metric_or_class_that_is_none_is_refused(wrong):
    scores = np.full((4, 3), 1 / 3)
    with pytest.raises(InputError, match="Expected a class and a metric of kind") as caught:
        difference(KIND, np.zeros(4, "int32"), scores, scores, **wrong)
    assert "class 'x': f1" in str(caught.value)


def differing(up, down, n):
    ours, theirs = np.full(n, 1.0), np.full(n, 1.0)
    theirs[:up] = 0
    ours[up : up + down] = 0
    return ours, theirs


@pytest.mark.parametrize(("up", "down", "n"), [(0, 0, 50), (3, 0, 50), (12, 5, 80), (40, 1, 60)])
def test_for_right_and_wrong_it_is_put_together_from_two_exact_shares(up, down, n):
    gained, lost = up / n, down / n
    (low, high), (less, more) = (binomtest(k, n).proportion_ci(0.95, "exact") for k in (up, down))
    r = -math.sqrt(gained * lost / ((1 - gained) * (1 - lost)))
    under, over = (
        math.sqrt(a * a + b * b - 2 * r * a * b)
        for a, b in ((gained - low, more - lost), (high - gained, lost - less))
    )
    found = paired_difference(*differing(up, down, n))
    value = (up - down) / n
    assert (found.low, found.high) == pytest.approx((value - under, value + over))
    assert found.value == pytest.approx(value)
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
    assert 0.93 <= held / 600 <= 0.999


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


def test_two_repeats_are_called_too_few_where_the_interval_would_hold_all_that_is_possible():
    """A half of two repeats, one of which says all and one nothing."""
    truth = np.tile([0, 1], 30)
    right, wrong = np.eye(2)[truth], np.eye(2)[1 - truth]
    for metric in ("accuracy", "auc"):
        found = difference(
            BINARY, truth, np.stack([right, wrong]), np.stack([wrong, wrong]), metric=metric
        )
        assert str(found) == "+0.500 [too few]"
        assert found.verdict == "too few"
        assert not found.real


def test_groups_make_a_difference_less_sure():
    labels, ours, theirs = two_ways(5, n=60, repeats=1, better=1.0)
    many = [np.repeat(each, 8, axis=axis) for each, axis in ((labels, 0), (ours, 1), (theirs, 1))]
    groups = np.repeat(np.arange(60), 8)
    for metric in ("accuracy", "auc", "macro_f1"):
        alone, copied, grouped = (
            difference(BINARY, *data, metric=metric, groups=of)
            for data, of in (((labels, ours, theirs), None), (many, None), (many, groups))
        )
        assert copied.high - copied.low < 0.5 * (alone.high - alone.low)
        assert grouped.high - grouped.low == pytest.approx(alone.high - alone.low, rel=0.2)
