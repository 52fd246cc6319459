"""The score of a trial: scikit-learn's figures on the labels that are known.

How sure the scores are: against formulas, scikit-learn on resamples, and `difference`.
"""

import math

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, roc_auc_score

from kerastl.data.tasks import Task
from kerastl.errors import InputError
from kerastl.scoring.differences import difference
from kerastl.scoring.intervals import exact, resampled
from kerastl.scoring.scores import score
from kerastl.scoring.trial_scores import (
    TrialScore,
    left_out,
    measure_name,
    score_trials,
    task_scores,
    trial_score,
)
from tests.support.trial_records import DEFECT, KIND, TAGS, drawn_labels, drawn_scores

TASKS = (DEFECT, KIND, TAGS)
LABELS = drawn_labels(TASKS)
SCORES = drawn_scores(TASKS, LABELS)


def oracle(task):
    y, p = LABELS[task.name], SCORES[task.name]
    if task.kind == "multilabel":
        columns = [(y[:, c] >= 0, c) for c in range(3)]
        return np.mean([roc_auc_score(y[seen, c], p[seen, c]) for seen, c in columns])
    seen = y >= 0
    if task.kind == "binary":
        return roc_auc_score(y[seen], p[seen, 1])
    return accuracy_score(y[seen], p[seen].argmax(axis=1))


@pytest.mark.parametrize("task", TASKS, ids=lambda t: t.kind)
def test_one_task_is_scored_as_by_scikit_learn_and_by_score(task):
    found = trial_score(task, LABELS, SCORES)
    assert found == pytest.approx(oracle(task))
    metric = "accuracy" if task.kind == "multiclass" else "auc"
    assert found == pytest.approx(score(task, LABELS, SCORES, draws=0).get(task.name, metric))


def test_several_tasks_count_alike():
    assert trial_score(TASKS, LABELS, SCORES) == pytest.approx(np.mean([*map(oracle, TASKS)]))


def test_labels_and_tasks_of_one_class_are_left_out():
    tags = LABELS["tags"].copy()
    tags[:, 1] = 1
    labels = {**LABELS, "tags": tags, "defect": np.zeros(200, int), "kind": np.full(200, -1)}
    only = [roc_auc_score(tags[:, c][tags[:, c] >= 0], SCORES["tags"][:, c][tags[:, c] >= 0])
            for c in (0, 2)]  # fmt: skip
    assert trial_score(TASKS, labels, SCORES) == pytest.approx(np.mean(only))
    assert list(left_out(TASKS, labels)) == [
        "defect: not both classes are known in val; left out of the score.",
        "kind: no known label in val, so it has no part in the score.",
        "tags.y: not both classes are known in val; left out of the score.",
    ]
    assert not list(left_out(TASKS, LABELS))


def test_nothing_left_is_nan():
    labels = {name: np.full_like(y, -1) for name, y in LABELS.items()}
    assert math.isnan(trial_score(TASKS, labels, SCORES))


@pytest.mark.parametrize("odd", [np.nan, np.inf])
def test_scores_of_a_net_that_diverged_are_nan(odd):
    scores = {**SCORES, "kind": np.full_like(SCORES["kind"], odd)}
    assert math.isnan(trial_score(TASKS, LABELS, scores))


def test_counted_twice_is_given_twice():
    counts = np.random.default_rng(0).integers(0, 3, (200, 1)).astype("float32")
    rows = np.repeat(np.arange(200), counts[:, 0].astype(int))
    labels, scores = ({k: v[rows] for k, v in each.items()} for each in (LABELS, SCORES))
    ones = np.ones((len(rows), 1))
    np.testing.assert_allclose(
        task_scores(TASKS, LABELS, SCORES, counts), task_scores(TASKS, labels, scores, ones)
    )


def test_labels_in_a_column_are_the_same():
    column = {"defect": LABELS["defect"][:, None].astype("float32")}
    assert trial_score(DEFECT, column, SCORES) == trial_score(DEFECT, LABELS, SCORES)


def test_names_of_the_measure():
    assert measure_name([TAGS]) == "mean AUC"
    assert measure_name([KIND]) == "accuracy"
    several = "mean of AUC of defect, accuracy of kind and mean AUC of tags"
    assert measure_name(TASKS) == several


def test_what_does_not_fit_is_told_at_once():
    scores = {"defect": SCORES["defect"][:5], "kind": SCORES["kind"]}
    with pytest.raises(InputError, match="that fit the tasks") as error:
        trial_score([*TASKS, Task("age", ["o", "y"])], {**LABELS, "kind": np.zeros(9)}, scores)
    assert error.value.faults == (
        "expected as many labels of each task, received [9, 200]",
        "defect: expected scores [200, 2], received [5, 2]",
        "kind: expected scores [9, 3], received [200, 3]",
        "tags: no scores",
        "age: no labels and no scores",
    )


def right(share, n=200, classes=3):
    """Labels, and scores that are right on that share of the pictures."""
    truth = np.arange(n) % classes
    guess = np.where(np.arange(n) < share * n, truth, (truth + 1) % classes)
    return truth, np.eye(classes)[guess]


@pytest.mark.parametrize("share", [0.5, 0.8, 0.95])
def test_standard_error_of_accuracy_is_the_binomial(share):
    truth, scores = right(share)
    found = score_trials([KIND], {"kind": truth}, {"a": [{"kind": scores}]}, draws=4000)["a"]
    binomial = math.sqrt(share * (1 - share) / 200)
    assert found.value == pytest.approx(share)
    assert found.standard_error == pytest.approx(binomial, rel=0.06)
    low, high = found.limits
    assert (low, high) == exact(found.value * 200, 200)
    assert found.n == 200


def test_draws_of_the_auc_are_scikit_learns():
    labels = drawn_labels([DEFECT], n=60)
    scores = drawn_scores([DEFECT], labels)
    found = score_trials([DEFECT], labels, {"a": [scores]}, draws=20, seed=3)["a"]
    rows = labels["defect"] >= 0
    y, p = labels["defect"][rows], scores["defect"][rows, 1]
    [counts] = resampled(len(y), 20, 3)
    oracle = [roc_auc_score(y, p, sample_weight=c) for c in counts.T]
    np.testing.assert_allclose(found.drawn, oracle, rtol=1e-6)
    assert found.n == rows.sum()


def test_pictures_without_any_label_change_nothing():
    tasks = (DEFECT, KIND)
    labels = drawn_labels(tasks, n=80)
    scores = drawn_scores(tasks, labels)
    rows = (labels["defect"] >= 0) | (labels["kind"] >= 0)
    assert 0 < rows.sum() < 80
    few = [{k: v[rows] for k, v in each.items()} for each in (labels, scores)]
    whole = score_trials(tasks, labels, {"a": [scores]}, draws=30)["a"]
    part = score_trials(tasks, few[0], {"a": [few[1]]}, draws=30)["a"]
    np.testing.assert_array_equal(whole.drawn, part.drawn)
    assert whole.n == part.n == rows.sum()


def test_paired_differences_are_those_of_difference():
    labels = {"defect": np.tile([0, 1], 60)}
    ours, theirs = ([drawn_scores([DEFECT], labels, skill, noise=e) for e in range(3)]
                    for skill in (0.8, 1.1))  # fmt: skip
    found = score_trials([DEFECT], labels, {"a": ours, "b": theirs}, draws=300)
    each = [np.stack([s["defect"] for s in runs]) for runs in (ours, theirs)]
    oracle = difference(DEFECT, labels["defect"], *each, metric="auc", draws=300)
    apart = found["a"].to(found["b"])
    assert apart.value == pytest.approx(oracle.value)
    assert (apart.low, apart.high) == pytest.approx((oracle.low, oracle.high), abs=1e-6)
    assert (apart.ours, apart.theirs) == pytest.approx((oracle.ours, oracle.theirs))
    assert apart.repeats == 3


def test_a_trial_beside_itself_is_no_difference():
    labels = drawn_labels([TAGS])
    runs = [drawn_scores([TAGS], labels, noise=e) for e in range(2)]
    found = score_trials([TAGS], labels, {"a": runs, "b": runs}, draws=50)
    apart = found["a"].to(found["a"])
    assert (apart.value, apart.low, apart.high) == (0, 0, 0)
    alike = found["a"].to(found["b"])
    assert alike.low < 0 < alike.high


def test_pairs_are_closer_than_strangers():
    """Trials that find the same pictures hard differ by less than their errors say."""
    labels = drawn_labels([DEFECT])
    runs = {str(skill): [drawn_scores([DEFECT], labels, skill)] for skill in (0.9, 1.0)}
    found = score_trials([DEFECT], labels, runs)
    apart = found["1.0"].to(found["0.9"])
    alone = math.hypot(*(s.standard_error for s in found.values()))
    assert apart.high - apart.low < 2 * 1.96 * alone / 3


def test_executions_widen_by_what_they_leave_open():
    drawn = np.random.default_rng(0).normal(0.8, 0.01, 2000)
    same, apart = (TrialScore(np.array([0.8]), np.array(each), drawn, 100, 100)
                   for each in ([0.8, 0.8, 0.8], [0.75, 0.8, 0.85]))  # fmt: skip
    assert same.standard_error == pytest.approx(drawn.std(ddof=1))
    assert apart.standard_error**2 - same.standard_error**2 == pytest.approx(0.05**2 / 3)
    assert apart.limits[0] < same.limits[0] < same.limits[1] < apart.limits[1]
    assert apart.limits[0] >= 0
    assert apart.limits[1] <= 1


def test_a_perfect_accuracy_has_an_exact_width_and_an_error():
    truth, scores = right(1.0, n=20)
    found = score_trials([KIND], {"kind": truth}, {"a": [{"kind": scores}]}, draws=20)["a"]
    assert found.limits == exact(20, 20)
    assert found.standard_error == pytest.approx((1 - exact(20, 20)[0]) / 3.92, rel=1e-3)


def test_one_positive_is_too_few_for_an_interval():
    y = np.array([1] + [0] * 19)
    p = np.linspace(0.5, 0.1, 20)
    runs = [{"defect": np.stack([1 - p, p], axis=1)}]
    found = score_trials([DEFECT], {"defect": y}, {"a": runs, "b": runs}, draws=200)
    undefined = np.isnan(found["a"].drawn).mean()
    assert undefined == pytest.approx((19 / 20) ** 20, abs=0.1)
    assert all(map(math.isnan, found["a"].limits))
    assert found["a"].to(found["b"]).verdict == "too few"


def test_groups_count_as_one():
    truth, scores = right(0.8, n=40)
    copies = np.repeat(truth, 10), [{"kind": np.repeat(scores, 10, axis=0)}]
    of = np.repeat(np.arange(40), 10)
    found = score_trials([KIND], {"kind": copies[0]}, {"a": copies[1]}, groups=of)["a"]
    assert found.units == 40
    assert np.ptp(found.limits) == pytest.approx(np.ptp(exact(32, 40)), rel=0.12)


def test_nothing_known_is_nan_everywhere():
    runs = {"a": [{"defect": np.full((5, 2), 0.5)}]}
    found = score_trials([DEFECT], {"defect": np.full(5, -1)}, runs, draws=9)["a"]
    assert found.n == 0
    assert math.isnan(found.value)
    assert math.isnan(found.standard_error)
    assert all(map(math.isnan, found.limits))
