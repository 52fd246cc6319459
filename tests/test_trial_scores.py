"""The score of a trial: scikit-learn's figures on the labels that are known."""

import math

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, roc_auc_score

from kerastl.errors import InputError
from kerastl.scores import score
from kerastl.tasks import Task
from kerastl.trial_scores import left_out, measure_name, task_scores, trial_score
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
