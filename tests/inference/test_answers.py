"""The table of answers: no column takes another's, whatever tasks and classes are called."""

import itertools
import os

import numpy as np
import pandas as pd
import pytest

from kerastl.data.manifest import Manifest, path_column
from kerastl.data.tasks import Task
from kerastl.inference.answers import correct, escaped, paths, predicted, score_columns, truth

NAMES = ("error", "image", "split", "a", "a.score", "truth", "predicted", "correct", "a.b")
CLASSES = ("truth", "predicted", "score/b", "b", "error", "a")


@pytest.mark.parametrize("kind", ["multiclass", "multilabel"])
def test_no_column_of_a_users_is_one_of_ours(kind):
    columns = ["image", "split", "error"]
    for task in (Task(name, CLASSES, kind) for name in NAMES):
        scores = np.full((2, len(CLASSES)), 0.5)
        labels = np.zeros((2, len(CLASSES)) if kind == "multilabel" else 2)
        columns += [*predicted(task, scores), *correct(task, labels, scores)]
        frame = pd.DataFrame({"image": ["x", "y"], **{c: [0, 1] for c in task.columns}})
        if task.name not in ("image", "split"):  # as a manifest refuses to be called
            columns += [*truth(Manifest(frame, task), task)]
    assert len(set(columns)) == len(columns)
    assert not set(columns) & {c for t in NAMES for c in Task(t, CLASSES, kind).columns} - {
        "image", "split", "error",
    }  # fmt: skip


def test_answers_truth_and_what_is_right_of_each_kind():
    scores = np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8]])
    codes = np.array([0, 0, -1])
    for kind, labels in {"multiclass": codes, "binary": codes[:, None]}.items():
        task = Task("t", ("no", "yes"), kind)
        assert predicted(task, scores)["t/predicted"].tolist() == ["no", "yes", "yes"]
        assert correct(task, labels, scores)["t/correct"].fillna(9).tolist() == [1, 0, 9]
    assert correct(task, codes[:, None], scores, [0.7])["t/correct"].fillna(9).tolist() == [1, 1, 9]

    task = Task("t", ("u", "v"), "multilabel")
    made = predicted(task, scores, [0.3, 0.7])
    assert list(made) == ["t/predicted", *score_columns(task)]
    assert made["t/predicted"].tolist() == ["u", "u", "v"]
    labels = np.array([[1, 1], [0.4, 0.6], [-1, 0.5]])  # a soft label is a yes from 0.5
    right = correct(task, labels, scores, [0.3, 0.7])
    assert right["t/correct/u"].fillna(9).tolist() == [1, 0, 9]
    assert right["t/correct/v"].fillna(9).tolist() == [0, 0, 1]


def test_the_mean_of_correct_is_the_accuracy_also_from_csv(tmp_path):
    task, rng = Task("t", ("a", "b", "c")), np.random.default_rng(0)
    scores, codes = rng.random((50, 3)), rng.integers(-1, 3, 50)
    correct(task, codes, scores).to_csv(tmp_path / "a.csv", index=False)
    read = pd.read_csv(tmp_path / "a.csv")["t/correct"]
    known = codes >= 0
    assert read.mean() == pytest.approx((scores.argmax(axis=1) == codes)[known].mean())
    assert read.count() == known.sum()


def test_truth_is_in_the_words_of_the_data():
    tasks = Task("t", ("no", "yes"), "binary"), Task("m", ("u", "v"), "multilabel")
    frame = pd.DataFrame({"image": list("abc"), "t": [1, -1, -2], "m.u": [0, 1, -1], "m.v": -2.0})
    manifest = Manifest(frame, tasks)
    assert truth(manifest, tasks[0])["t/truth"].tolist() == ["yes", "", "?"]
    labels = truth(manifest, tasks[1])
    assert list(labels) == ["m/truth/u", "m/truth/v"]
    assert labels["m/truth/v"].tolist() == ["?"] * 3


def test_a_name_that_is_no_utf_8_is_kept_and_written_escaped(tmp_path):
    name = os.fsdecode(b"caf\xe9.png")
    frame = paths([name, "b.png"])
    assert frame["image"].tolist() == [name, "b.png"]
    assert escaped(frame)["image"].tolist() == ["caf\\xe9.png", "b.png"]
    assert escaped(paths([0, 1]))["image"].tolist() == [0, 1]
    assert path_column([name]).dtype == object


def test_the_names_are_those_that_are_documented():
    task = Task("label", ("cat", "dog"))
    columns = itertools.chain(predicted(task, np.zeros((1, 2))), ["label/truth", "label/correct"])
    assert list(columns) == [
        "label/predicted", "label/score/cat", "label/score/dog", "label/truth", "label/correct",
    ]  # fmt: skip
