"""Trials with drawn scores, for the tests of the leaderboard and its parts."""

import numpy as np

from kerastl.data.tasks import Task
from kerastl.tuning.leaderboard import TrialRecord

DEFECT = Task("defect", ["no", "yes"], "binary")
KIND = Task("kind", ["a", "b", "c"])
TAGS = Task("tags", ["x", "y", "z"], "multilabel")


def drawn_labels(tasks, n=200, seed=0):
    """Labels of each task, about a third of them unknown."""
    draw = np.random.default_rng(seed)
    sizes = {t.name: (n, len(t.classes)) if t.kind == "multilabel" else n for t in tasks}
    most = {t.name: len(t.classes) if t.kind == "multiclass" else 2 for t in tasks}
    return {name: draw.integers(-1, most[name], size) for name, size in sizes.items()}


def drawn_scores(tasks, labels, skill=1.0, seed=0, noise=0):
    """Scores that follow the labels; the same seed gives them the same hard pictures."""
    draw, own, found = np.random.default_rng(seed), np.random.default_rng(noise), {}
    for t in tasks:
        y = labels[t.name]
        truth = y > 0 if t.kind == "multilabel" else np.arange(len(t.classes)) == y[:, None]
        logits = skill * truth + draw.normal(size=truth.shape)
        power = np.exp(logits + 0.3 * own.normal(size=truth.shape))
        total = 1 + power if t.kind == "multilabel" else power.sum(axis=1, keepdims=True)
        found[t.name] = (power / total).astype("float32")
    return found


def record(trial, word, layers, scores=(), failure="", rate=1e-3, **values):
    values = {"trainable": word, "learning_rate": rate, **values}
    return TrialRecord(trial, values, layers, 5, 1.5, failure, tuple(scores))
