"""What the labels of a manifest are before training: counted, and weighed against imbalance."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from kerastl.data.batches import label_array
from kerastl.data.manifest import SPLITS, Manifest
from kerastl.data.tasks import UNCERTAIN, UNKNOWN, Task, as_tasks, known
from kerastl.errors import InputError, shorten


def positive_weights(
    data: Manifest | Mapping[str, Any],
    *,
    tasks: Task | Iterable[Task] | None = None,
    most: float = 20.0,
) -> dict[str, list[float]]:
    """How many known negatives there are for each known positive, label by label.

    Args:
        data: A Manifest, of which the train part counts where it has one, or
            label arrays by task name, -1 or NaN unknown.
        tasks: The tasks of the arrays; a Manifest brings its own.
        most: The largest weight, at least 1: a few pictures are not to rule all.

    Returns:
        For each binary and multilabel task, one number per label: negatives /
        positives among the known labels, a soft label counting as its share of
        both; 1.0 where no positive or no negative is known. What `create_model`
        takes as `positive_weights` and `MaskedBinaryCrossentropy`, for one task,
        as `pos_weight`.

    Raises:
        InputError: For arrays that do not fit their tasks, or a `most` below 1.

    Example:
        >>> task = Task("marks", ["u", "v"], "multilabel")
        >>> labels = np.array([[1, 0], [0, -1], [0, 0], [-1, -1]])
        >>> positive_weights({"marks": labels}, tasks=task)
        {'marks': [2.0, 1.0]}
    """
    if not (isinstance(most, (int, float)) and 1 <= most < np.inf):
        raise InputError(f"Expected most as a number of at least 1. Received: {most!r}.")
    if isinstance(data, Manifest):
        data = data.split("train") if data.has("train") else data
        tasks, labels = data.tasks, data.labels()
    else:
        tasks, labels = _checked(data, tasks)
    return {t.name: _ratios(labels[t.name], most) for t in tasks if t.kind != "multiclass"}


def _ratios(labels: np.ndarray, most: float) -> list[float]:
    seen = known(labels)
    # float64: a float32 sum stops counting at 16 million.
    positives = np.where(seen, labels, 0).sum(axis=0, dtype="float64")
    negatives = np.where(seen, 1 - labels, 0).sum(axis=0, dtype="float64")
    both = (positives > 0) & (negatives > 0)
    ratios = np.divide(negatives, positives, out=np.ones_like(positives), where=both)
    return np.minimum(ratios, most).tolist()


def _checked(
    data: Any, tasks: Task | Iterable[Task] | None
) -> tuple[tuple[Task, ...], dict[str, np.ndarray]]:
    if not isinstance(data, Mapping) or tasks is None:
        missing = "no tasks" if isinstance(data, Mapping) else type(data).__name__
        raise InputError(
            "Expected a Manifest, or label arrays by task name and their tasks=. "
            f"Received: {missing}."
        )
    found = as_tasks(tasks)
    absent = [f"{t.name}: there are no labels" for t in found if t.name not in data]
    if absent:
        raise InputError("Expected label arrays for every task.", absent)
    return found, {t.name: label_array(t, data[t.name], len(data[t.name])) for t in found}


COLUMNS = ("task", "label", "split", "known", "positive", "unannotated", "uncertain")

WHOLE = "all"
"""The split's name where a manifest has no splits."""

RARE = 10
"""A label with fewer positives in train than this is worth a note."""

SHOWN = 60
"""As many labels does the table in words have."""


@dataclass(frozen=True, eq=False)
class LabelReport:
    """The counts of each label in each split, and which labels they are too few for.

    Attributes:
        frame: One row a label and split, with the columns of `COLUMNS`. The label of
            a binary task is its second class. Of a multiclass task each class has a
            row: `positive` counts the class, the other counts are the task's. A soft
            label is positive from 0.5 on. What uncertain labels stand for in
            training changes no count.
        notes: Labels that cannot be learnt, cannot be scored, or are rare; and what
            uncertain labels stand for in training.
    """

    frame: pd.DataFrame
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """The report as plain JSON values."""
        return {"labels": self.frame.to_dict("records"), "notes": list(self.notes)}

    def __str__(self) -> str:
        """A line a label: positive/known in each split, then its unknown labels in all."""
        return "\n".join([*_table(self.frame), *(f"note: {note}" for note in self.notes)])


def label_report(manifest: Manifest) -> LabelReport:
    """Count the known, positive, unannotated and uncertain labels of each split.

    Args:
        manifest: The pictures and their labels.

    Returns:
        The counts, and notes on the labels that they are too few for: one without a
        known positive or a known negative in train cannot be learnt, one without them
        in the held-out part (test, or else val) cannot be scored.

    Example:
        >>> frame = pd.DataFrame({"image": list("abcd"), "defect": [0, 1, -1, -2]})
        >>> manifest = Manifest(frame, Task("defect", ["fine", "broken"], kind="binary"))
        >>> print(label_report(manifest.with_uncertain(0.5)))
        task    label   all  unannotated  uncertain
        defect  broken  1/2            1          1
        note: defect: fewer than 10 positives in all: broken (1 of 2 known)
        note: defect: fewer than 10 negatives in all: fine (1 of 2 known)
        note: 1 uncertain label of defect trains as 0.5
    """
    parts = {s: manifest.split(s).frame for s in manifest.splits} or {WHOLE: manifest.frame}
    rows = [
        (task.name, label, split, *counts)
        for task in manifest.tasks
        for split, part in parts.items()
        for label, *counts in _counts(task, part)
    ]
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    return LabelReport(frame, tuple(_notes(manifest, frame)))


def _counts(task: Task, part: pd.DataFrame) -> Iterator[tuple[str, int, int, int, int]]:
    """Label, known, positive, unannotated and uncertain, for each label of a task."""
    codes = part[list(task.columns)].to_numpy(dtype="float64")
    for i, label in enumerate(_labels(task)):
        own = codes[:, 0 if task.kind == "multiclass" else i]
        positive = own == i if task.kind == "multiclass" else own >= 0.5
        each = (known(own), positive, own == UNKNOWN, own == UNCERTAIN)
        yield (label, *(int(np.count_nonzero(flags)) for flags in each))


def _labels(task: Task) -> Sequence[str]:
    return task.classes[1:] if task.kind == "binary" else task.classes


def _notes(manifest: Manifest, frame: pd.DataFrame) -> Iterator[str]:
    there = manifest.splits or (WHOLE,)
    train = next((s for s in (SPLITS[0], WHOLE) if s in there), "")
    held_out = next((s for s in reversed(SPLITS[1:]) if s in there), "")
    for task in manifest.tasks:
        rows = frame[frame["task"] == task.name]
        part = rows[rows["split"] == train]
        trained = _trained(task, part, manifest)
        yield from _lacking(f"{task.name}: cannot be learnt", train, trained)
        yield from _lacking(
            f"{task.name}: cannot be scored", held_out, rows[rows["split"] == held_out]
        )
        yield from _rare(task, train, part)
        yield from _standing(task, part, manifest)


def _trained(task: Task, part: pd.DataFrame, manifest: Manifest) -> pd.DataFrame:
    """The counts of train with uncertain labels as what they stand for."""
    values = [manifest.uncertain.get(c, -1.0) for c in _columns(task, part)]
    extra = part["uncertain"].where(np.array(values) >= 0, 0)
    return part.assign(
        known=part["known"] + extra,
        positive=part["positive"] + extra.where(np.array(values) >= 0.5, 0),
    )


def _columns(task: Task, rows: pd.DataFrame) -> list[str]:
    """The manifest's column of each row's label."""
    if task.kind != "multilabel":
        return [task.name] * len(rows)
    return [f"{task.name}.{label}" for label in rows["label"]]


def _lacking(what: str, split: str, rows: pd.DataFrame) -> Iterator[str]:
    none = rows[rows["positive"] == 0]
    if len(none):
        yield f"{what}, without a known positive in {split}: {_listed(none)}"
    only = rows[(rows["positive"] > 0) & (rows["positive"] == rows["known"])]
    if len(only):
        yield f"{what}, without a known negative in {split}: {_listed(only)}"


def _rare(task: Task, split: str, rows: pd.DataFrame) -> Iterator[str]:
    sides = [("positive", rows)]
    if task.kind == "binary":
        sides += [("negative", rows.assign(positive=rows["known"] - rows["positive"],
                                           label=task.classes[0]))]  # fmt: skip
    for side, counts in sides:
        few = counts[counts["positive"].between(1, RARE - 1)]
        if len(few):
            yield f"{task.name}: fewer than {RARE} {side}s in {split}: {_listed(few)}"


def _standing(task: Task, rows: pd.DataFrame, manifest: Manifest) -> Iterator[str]:
    for column, n in zip(_columns(task, rows), rows["uncertain"], strict=True):
        if n and column in manifest.uncertain:
            what = f"{n} uncertain label of {column} trains" if n == 1 else (
                f"{n} uncertain labels of {column} train"
            )  # fmt: skip
            yield f"{what} as {manifest.uncertain[column]:g}"


def _listed(rows: pd.DataFrame) -> str:
    counts = zip(rows["label"], rows["positive"], rows["known"], strict=True)
    return ", ".join(shorten([f"{label} ({n} of {k} known)" for label, n, k in counts], most=10))


def _table(frame: pd.DataFrame) -> list[str]:
    splits = list(dict.fromkeys(frame["split"]))
    lines = [["task", "label", *splits, "unannotated", "uncertain"]]
    for (task, label), rows in frame.groupby(["task", "label"], sort=False):
        shares = [f"{p}/{k}" for p, k in zip(rows["positive"], rows["known"], strict=True)]
        unknown = rows[["unannotated", "uncertain"]].sum()
        lines.append([task, label, *shares, *map(str, unknown)])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    aligned = [
        "  ".join(
            c.ljust(w) if i < 2 else c.rjust(w)
            for i, (c, w) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    ]
    return shorten(aligned, most=SHOWN + 1)
