"""Ready candidates: their scores are those of evaluate, and each is what its name says."""

from __future__ import annotations

import functools

import keras
import numpy as np
import pytest

from kerastl import fit
from kerastl.data.manifest import Manifest
from kerastl.errors import InputError
from kerastl.experiments import trials
from kerastl.experiments.curves.candidates import (
    FRESH,
    end_to_end,
    joint,
    scratch,
    separate,
    staged,
    transfer,
)
from kerastl.experiments.trials import Trials
from kerastl.inference.evaluation import evaluate
from kerastl.pipelines.pipeline import Pipeline, Stage
from tests.support.tiny_models import TASKS, on_disk

SMALL = {"weights": None, "image_size": 16, "epochs": 1, "verbose": 0}


def backbone():
    keras.utils.set_random_seed(0)
    x = keras.Input((None, None, 3))
    h = keras.layers.Conv2D(8, 3, strides=2, activation="relu")(keras.layers.Rescaling(1 / 255)(x))
    return keras.Model(x, h, name="small")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return on_disk(tmp_path_factory.mktemp("data") / "pictures")


def accuracy(scores, task):
    return scores.get(task, "accuracy")


@pytest.mark.parametrize("number", [0, 1, 2], ids=["multiclass", "binary", "multilabel"])
def test_the_mean_over_one_task_is_the_accuracy_of_evaluate(data, number):
    task = TASKS[number]
    one = Manifest(data.frame[["image", "split", *task.columns]], task)
    found = transfer(backbone(), **SMALL)(one, 3)
    with Trials(transfer(backbone(), **SMALL).settings, one) as trials:
        model = trials.train([task], 3)
    scores = evaluate(model, one)
    known = one.split("test").labels()[task.name]
    assert len(found) == (known.reshape(len(known), -1) >= 0).any(axis=1).sum()
    if task.kind == "multilabel":
        counts = (known >= 0).sum(axis=1)
        assert (found * counts[counts > 0]).sum() / counts.sum() == pytest.approx(
            accuracy(scores, task.name)
        )
    else:
        assert found.mean() == pytest.approx(accuracy(scores, task.name))


def test_a_candidate_repeats_and_the_cache_gives_the_same(data, tmp_path):
    first = transfer(backbone(), cache=tmp_path, **SMALL)(data, 1)
    again = transfer(backbone(), cache=tmp_path, **SMALL)(data, 1)
    np.testing.assert_array_equal(first, again)
    assert len(first) == 16
    assert set(np.unique(first * 12).round(6)) <= set(range(13))


def test_each_is_what_its_name_says(data, monkeypatch):
    seen = []
    true = Trials.run
    monkeypatch.setattr(
        Trials, "run", lambda self, tasks, *a: (seen.append((self, list(tasks))),
                                                true(self, tasks, *a))[1],
    )  # fmt: skip
    for make in (scratch, joint, separate):
        make(backbone(), **SMALL)(data, 0)
    networks = [[t.name for t in tasks] for _, tasks in seen]
    names = [t.name for t in TASKS]
    assert networks == [names, names, *([name] for name in names)]
    assert [t.settings.trainable for t, _ in seen] == [True, *[False] * 4]


def test_scratch_draws_other_weights_with_each_seed(data, monkeypatch):
    starts = []
    true = Trials.__init__

    def noted(self, *args):
        true(self, *args)
        starts.append(self._start)

    monkeypatch.setattr(Trials, "__init__", noted)
    for make in (scratch, transfer):
        for seed in (0, 1, 0):
            make(backbone(), **SMALL)(data, seed)
    assert len(set(starts[:3])) == 2
    assert starts[0] == starts[2]
    assert len(set(starts[3:])) == 1


def test_scratch_learns_all_layers_at_one_rate_unless_told_otherwise(data, monkeypatch):
    seen = []

    @functools.wraps(trials.fit)
    def noted(*args, **how):
        seen.append(fit(*args, **how))

    monkeypatch.setattr(trials, "fit", noted)
    scratch(backbone(), **SMALL)(data, 0)
    scratch(backbone(), **SMALL, head_epochs=1)(data, 0)
    assert [set(h.history["phase"]) for h in seen] == [{"tail"}, {"heads", "tail"}]
    options = scratch(backbone(), **SMALL, depth_decay=0.5).settings.options
    assert {name: options[name] for name in FRESH} == {**FRESH, "depth_decay": 0.5}


def test_what_the_networks_cannot_be_scored_on_is_told(data):
    with pytest.raises(InputError, match="Expected a Manifest with a test part"):
        transfer(backbone(), **SMALL)(data.split("train"), 0)
    with pytest.raises(InputError, match="Expected a Manifest with a test part"):
        transfer(backbone(), **SMALL)([1, 2], 0)
    unknown = data.frame.assign(**{c: -1 for t in TASKS for c in t.columns})
    unknown = unknown.where(data.frame["split"].eq("test"), data.frame)
    with pytest.raises(InputError, match="No label of the test part is known"):
        transfer(backbone(), **SMALL)(Manifest(unknown.infer_objects(), TASKS), 0)


def test_staged_and_end_to_end_score_each_answer():
    def stages(pairs, seed):
        known = dict(pairs)
        return Pipeline([Stage("say", known.get, batched=False)])

    candidate = staged(stages, ["a", "b", "c"], [1, 2, 3])
    assert candidate([("a", 1), ("b", 7)], 0).tolist() == [1.0, 0.0, 0.0]
    near = end_to_end(lambda part, seed: lambda batch: batch, [1.0, 2.0], [1.5, 2.0],
                      right=lambda a, t: 1 - abs(a - t))  # fmt: skip
    assert near(None, 0).tolist() == [0.5, 1.0]


def test_an_answer_too_few_and_a_train_without_a_pipeline_are_told():
    with pytest.raises(InputError, match="an answer for each of the 2 test examples. Received: 1"):
        end_to_end(lambda part, seed: lambda batch: [1], [1, 2], [1, 2])(None, 0)
    with pytest.raises(InputError, match="Expected train.. to give a Pipeline. Received: function"):
        staged(lambda part, seed: lambda batch: batch, [1], [1])(None, 0)
