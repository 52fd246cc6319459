"""Self-training: a model's own scores in the place of uncertain labels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import keras
import numpy as np

from kerastl.data.manifest import Manifest
from kerastl.data.tasks import UNCERTAIN, Task
from kerastl.errors import InputError, nearest
from kerastl.inference.evaluation import predict_scores
from kerastl.models.spec import spec_of


def self_train(
    model: keras.Model, data: Manifest, columns: Iterable[str] | None = None
) -> Manifest:
    """Replace uncertain training labels by a trained model's scores, as soft labels.

    Train a model with the uncertain labels ignored, call this, and train a new one
    with what it gives. Other splits are left as they are, and so is every label of a
    picture that cannot be read.

    Args:
        model: A kerastl model of the same tasks, trained.
        data: The Manifest; its train part is changed, all of it where it has no split.
        columns: The columns to change, such as "defect" or "scene.sea"; by default
            all of binary and multilabel tasks.

    Returns:
        A new Manifest.

    Raises:
        InputError: For a column that is none, or of a multiclass task.

    Reference:
        Scudder, "Probability of error of some adaptive pattern-recognition machines",
        IEEE Transactions on Information Theory 11, 1965.
    """
    chosen = _chosen(data.tasks, columns)
    frame = data.frame.copy()
    train = np.ones(len(frame), bool) if "split" not in frame else frame["split"] == "train"
    open_ = (frame[chosen] == UNCERTAIN).to_numpy() & np.asarray(train)[:, None]
    rows = np.flatnonzero(open_.any(axis=1))
    if not len(rows):
        return data
    found = predict_scores(model, data.take(rows))
    scores = column_scores(spec_of(model).tasks, found.scores)
    for number, column in enumerate(chosen):
        ours = open_[rows[found.rows], number]
        frame.loc[rows[found.rows][ours], column] = scores[column][ours]
    return replace(data, frame=frame)


def column_scores(tasks: Sequence[Task], scores: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The scores `[n]` of each yes-or-no column of a manifest's frame."""
    found = {}
    for task in tasks:
        if task.kind != "multiclass":
            values = scores[task.name][:, -task.units :].astype("float64")
            found |= {column: values[:, i] for i, column in enumerate(task.columns)}
    return found


def _chosen(tasks: Sequence[Task], columns: Iterable[str] | None) -> list[str]:
    there = [c for t in tasks if t.kind != "multiclass" for c in t.columns]
    if columns is None:
        return there
    chosen = [columns] if isinstance(columns, str) else list(columns)
    faults = [f"{c!r}: no such column.{nearest(c, there)}" for c in chosen if c not in there]
    if faults:
        names = ", ".join(there) or "none"
        raise InputError(
            f"Expected columns of binary or multilabel tasks. There are: {names}.", faults
        )
    return chosen
