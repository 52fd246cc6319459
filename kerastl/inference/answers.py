"""The table of answers, named alike in a run's predictions.csv and in what `predict` gives.

Beside `image`, `split` and `error` each task has the columns `TASK/truth`, `TASK/predicted`,
`TASK/correct` and `TASK/score/CLASS`. A task's name has no "/", so no task and no class takes the
column of another, whatever they are called.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from kerastl.data.manifest import Manifest, path_column
from kerastl.data.tasks import Task, known
from kerastl.files import readable
from kerastl.scoring.decisions import decided
from kerastl.scoring.measures import codes_of


def score_columns(task: Task) -> list[str]:
    """The names of a task's score columns.

    Example:
        >>> score_columns(Task("label", ["cat", "dog"]))
        ['label/score/cat', 'label/score/dog']
    """
    return [f"{task.name}/score/{c}" for c in task.classes]


def predicted(
    task: Task, scores: np.ndarray, thresholds: Sequence[float] | None = None
) -> pd.DataFrame:
    """What a model says: the class, of a multilabel task the labels with ";" between; the scores.

    Args:
        task: The task.
        scores: `[n, classes]`.
        thresholds: The model's for this task; None is 0.5 everywhere.

    Example:
        >>> print(predicted(Task("t", ["no", "yes"], "binary"), np.array([[0.75, 0.25]]), [0.2]))
          t/predicted  t/score/no  t/score/yes
        0         yes        0.75         0.25
    """
    told = decided(task, scores, thresholds)
    words = [";".join(c for c, yes in zip(task.classes, row, strict=True) if yes) for row in told]
    answer = pd.DataFrame({f"{task.name}/predicted": pd.Series(words, dtype=object)})
    return answer.join(pd.DataFrame(dict(zip(score_columns(task), scores.T, strict=True))))


def truth(manifest: Manifest, task: Task) -> pd.DataFrame:
    """The labels in the user's words: "" where nobody gave one, "?" where it was unsure.

    A multilabel task has a column a label, `TASK/truth/LABEL`.
    """
    words = manifest.decoded()[list(task.columns)].reset_index(drop=True)
    return words.set_axis(_named(task, "truth"), axis=1)


def correct(
    task: Task,
    labels: np.ndarray,
    scores: np.ndarray,
    thresholds: Sequence[float] | None = None,
) -> pd.DataFrame:
    """1 where the answer is the truth, 0 where it is not, missing where the truth is unknown.

    A multilabel task has a column a label, `TASK/correct/LABEL`; a soft label is a yes from 0.5.

    Args:
        task: The task.
        labels: As `Manifest.labels` has them.
        scores: `[n, classes]`.
        thresholds: The model's for this task.

    Example:
        >>> scores = np.array([[0.75, 0.25], [0.75, 0.25], [0.5, 0.5]])
        >>> print(correct(Task("t", ["cat", "dog"]), np.array([0, 1, -1]), scores))
           t/correct
        0          1
        1          0
        2       <NA>
    """
    codes, told = codes_of(task, labels), decided(task, scores, thresholds)
    codes = codes.reshape(len(told), -1)
    answers = told.astype(int) if task.kind == "multilabel" else told.argmax(axis=1)[:, None]
    right = pd.DataFrame(answers == codes, columns=_named(task, "correct")).astype("Int64")
    return right.where(known(codes))


def escaped(frame: pd.DataFrame) -> pd.DataFrame:
    """A table as it is written: names of files that are no UTF-8 with their bytes escaped."""
    names = [readable(n) if isinstance(n, str) else n for n in frame["image"]]
    return frame.assign(image=names)


def paths(names: Sequence[str | int]) -> pd.DataFrame:
    """The first column of a table of answers."""
    return pd.DataFrame({"image": path_column(names) if isinstance(names[0], str) else names})


def _named(task: Task, role: str) -> list[str]:
    if task.kind != "multilabel":
        return [f"{task.name}/{role}"]
    return [f"{task.name}/{role}/{label}" for label in task.classes]
