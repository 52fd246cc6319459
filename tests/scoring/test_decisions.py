"""Thresholds: the rule that applies them, and what is refused as one."""

from __future__ import annotations

import numpy as np
import pytest

from kerastl.errors import InputError
from kerastl.scoring.decisions import check_thresholds, complete, decided
from tests.support.tiny_models import TASKS

ZONE, ALARM, MARKS = TASKS


def test_a_score_that_is_the_threshold_is_enough():
    scores = np.array([[0.25, 0.5], [0.24, 0.51]])
    assert decided(MARKS, scores, [0.25, 0.51]).tolist() == [[True, False], [False, True]]
    assert decided(MARKS, scores).tolist() == [[False, True], [False, True]]
    both = decided(ALARM, np.array([[0.5, 0.5], [0.7, 0.3], [0.8, 0.2]]), [0.3])
    assert both.tolist() == [[False, True], [False, True], [True, False]]
    assert decided(ALARM, np.array([[0.5, 0.5]])).tolist() == [[False, True]]


def test_exclusive_classes_have_exactly_one_answer():
    rng = np.random.default_rng(0)
    p = rng.random(50)
    for task, scores in ((ZONE, rng.dirichlet(np.ones(3), 50)), (ALARM, np.c_[1 - p, p])):
        at = None if task is ZONE else [0.83]
        assert (decided(task, scores, at).sum(axis=1) == 1).all()


def test_what_is_missing_is_half():
    assert complete(TASKS, None) == {"alarm": (0.5,), "marks": (0.5, 0.5)}
    assert complete(TASKS, {"marks": [0, 1]}) == {"alarm": (0.5,), "marks": (0.0, 1.0)}
    assert check_thresholds(TASKS, {"alarm": np.array([0.25])}) == {"alarm": (0.25,)}


def test_every_fault_is_named_at_once():
    given = {
        "zone": [0.5], "alarm": [0.1, 0.2], "marks": [1.5, True], "mark": [0.5],
    }  # fmt: skip
    with pytest.raises(InputError) as error:
        complete(TASKS, given)
    assert error.value.faults == (
        "zone: a multiclass task has no threshold: the largest score is its answer",
        "alarm: expected 1 thresholds, received 2",
        "marks: expected thresholds from 0 to 1, received 1.5",
        "marks: expected thresholds from 0 to 1, received True",
        "there is no task 'mark'. Did you mean marks?",
    )
    for odd in (0.5, "0.5", {"u": 0.5}, None):
        with pytest.raises(InputError, match="alarm: expected a list of 1 thresholds"):
            complete(TASKS, {"alarm": odd})
    with pytest.raises(InputError, match="from 0 to 1, received nan"):
        complete(TASKS, {"alarm": [float("nan")]})
    with pytest.raises(InputError, match="Expected thresholds by task name"):
        complete(TASKS, [0.5])
