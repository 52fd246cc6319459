"""Whether every class is where it has to be: faults of a table as a whole."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from kerastl.manifest import SPLITS
from kerastl.tasks import Task, known
from kerastl.uncertain import standing

Fault = tuple[int, str]


def coverage_faults(
    frame: pd.DataFrame,
    tasks: Sequence[Task],
    places: Sequence[str],
    uncertain: Mapping[str, float],
) -> Iterator[Fault]:
    """Labels never known or never positive, classes that train lacks, groups in two splits.

    Args:
        frame: A manifest's frame; `split` may hold None where it is at fault.
        tasks: The tasks whose codes are without a fault.
        places: Where each row is, in words.
        uncertain: What uncertain labels stand for in training, by column.

    Returns:
        Faults as (row, words); the row is -1 for one of the whole table.
    """
    frame = _as_trained(frame, tasks, uncertain)
    for task in tasks:
        present = class_rows(frame, task)
        if not known(frame[list(task.columns)]).any():
            yield -1, f"{task.name} has no known label"
            continue
        yield from ((-1, fault) for fault in _empty(frame, task, present))
        if "split" in frame:
            yield from _unseen(frame["split"].to_numpy(), task, present)
    if "split" in frame and "group" in frame:
        yield from _straddling(frame, places)


def class_rows(frame: pd.DataFrame, task: Task) -> dict[str, np.ndarray]:
    """The rows of each class, a soft label counting from 0.5 on."""
    codes = frame[list(task.columns)].to_numpy(dtype="float64")
    if task.kind == "multiclass":
        return {name: np.flatnonzero(codes[:, 0] == i) for i, name in enumerate(task.classes)}
    if task.kind == "binary":
        off = (codes[:, 0] >= 0) & (codes[:, 0] < 0.5)
        rows = (np.flatnonzero(off), np.flatnonzero(codes[:, 0] >= 0.5))
        return dict(zip(task.classes, rows, strict=True))
    return {name: np.flatnonzero(codes[:, i] >= 0.5) for i, name in enumerate(task.classes)}


def _as_trained(
    frame: pd.DataFrame, tasks: Sequence[Task], uncertain: Mapping[str, float]
) -> pd.DataFrame:
    train = frame["split"].to_numpy() == SPLITS[0] if "split" in frame else True
    columns = {}
    for column in (c for t in tasks for c in t.columns):
        codes = frame[column].to_numpy(dtype="float64")
        columns[column] = np.where(train, standing(column, codes, uncertain), codes)
    return frame.assign(**columns)


def _empty(frame: pd.DataFrame, task: Task, present: dict[str, np.ndarray]) -> Iterator[str]:
    counts = [int(known(frame[column]).sum()) for column in task.columns]
    if task.kind == "multiclass":
        yield from (f"class {name!r} of {task.name} has no picture" for name in _without(present))
    elif task.kind == "binary":
        for name in _without(present):
            way = "positive" if name == task.classes[1] else "negative"
            yield f"{task.name} is never {way}: none of its {counts[0]} known labels is {name!r}"
    else:
        of_label = dict(zip(task.classes, counts, strict=True))
        for name in _without(present):
            n = of_label[name]
            yield f"{name} of {task.name} is never " + (
                f"positive: none of its {n} known labels is a yes"
                if n
                else "known: each of its labels is blank or uncertain"
            )


def _without(present: dict[str, np.ndarray]) -> list[str]:
    return [name for name, rows in present.items() if not rows.size]


def _unseen(split: np.ndarray, task: Task, present: dict[str, np.ndarray]) -> Iterator[Fault]:
    for name, rows in present.items():
        parts = split[rows]
        there = [s for s in SPLITS[1:] if s in set(parts)]
        if there and "train" not in set(parts):
            row = int(rows[np.isin(parts, there)][0])
            where = " and ".join(there)
            yield row, f"class {name!r} of {task.name} is in {where}, but never in train"


def _straddling(frame: pd.DataFrame, places: Sequence[str]) -> Iterator[Fault]:
    first: dict[str, int] = {}
    told = set()
    for row, (group, split) in enumerate(zip(frame["group"], frame["split"], strict=True)):
        if not group or split is None:
            continue
        earlier = first.setdefault(group, row)
        other = frame["split"].iloc[earlier]
        if other != split and group not in told:
            told.add(group)
            yield row, f"group {group!r} is in {split}, but in {other} at {places[earlier]}"
