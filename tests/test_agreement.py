"""Agreement: what differs is seen, whatever the kind of the task."""

from __future__ import annotations

import numpy as np
import pytest

from kerastl.agreement import accuracies, agreement, run_all
from kerastl.batches import Batch
from kerastl.errors import InputError
from kerastl.export_report import Accuracy
from tests.support.tiny_models import TASKS

NONE = Accuracy(None, None, None, 0)


class Constant:
    """A predictor that gives every picture the same scores."""

    tasks, image_size = TASKS, (8, 8)

    def __init__(self, value):
        self.value = value

    def predict(self, images):
        """Scores by task."""
        return {t.name: np.full((len(images), len(t.classes)), self.value) for t in TASKS}


def test_a_multilabel_task_agrees_label_by_label():
    ours, theirs = np.array([[0.9, 0.4]]), np.array([[0.6, 0.6]])
    made = agreement(TASKS[2], ours, theirs, NONE)
    assert (made.same, made.n) == (0.5, 1)
    assert made.largest == pytest.approx(0.3)


def test_answers_are_compared_at_the_thresholds():
    ours, theirs = np.array([[0.9, 0.1], [0.6, 0.4]]), np.array([[0.9, 0.1], [0.8, 0.2]])
    at = [agreement(TASKS[1], ours, theirs, NONE, t).same for t in (None, [0.3], [0.05])]
    assert at == [1.0, 0.5, 1.0]
    assert agreement(TASKS[2], ours, theirs, NONE, [0.7, 0.3]).same == 0.5
    zone = agreement(TASKS[0], np.eye(3), np.eye(3)[[0, 1, 1]], NONE)
    assert zone.same == pytest.approx(2 / 3)
    labels, scores = {"alarm": np.array([0, 1])}, {"alarm": ours}
    options = {"draws": 20, "seed": 0}
    half = accuracies(TASKS[1:2], labels, scores, **options)
    moved = accuracies(TASKS[1:2], labels, scores, thresholds={"alarm": [0.3]}, **options)
    assert (half["alarm"].value, moved["alarm"].value) == (0.5, 1.0)


def test_nan_is_no_agreement():
    made = agreement(TASKS[1], np.array([[0.9, 0.1]]), np.full((1, 2), np.nan), NONE)
    assert made.largest is None
    assert accuracies(TASKS, None, {}, draws=10, seed=0)["zone"] == NONE


def test_all_predictors_see_the_same_pictures_once():
    batches = iter([Batch(np.zeros((n, 8, 8, 3), "uint8"), None, np.arange(n)) for n in (4, 2)])
    made, labels = run_all({"a": Constant(0.1), "b": Constant(0.7)}, batches)
    assert labels is None
    assert made["a"]["zone"].shape == made["b"]["zone"].shape == (6, 3)
    with pytest.raises(InputError, match="at least one evaluation picture"):
        run_all({"a": Constant(0.1)}, [])
