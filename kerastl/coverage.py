"""Whether every class is where it has to be: faults of a table as a whole."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from kerastl.manifest import SPLITS
from kerastl.tasks import Task

Fault = tuple[int, str]


def coverage_faults(
    frame: pd.DataFrame, tasks: Sequence[Task], places: Sequence[str]
) -> Iterator[Fault]:
    """Classes without a picture, classes that train lacks, groups in two splits.

    Args:
        frame: A manifest's frame; `split` may hold None where it is at fault.
        tasks: The tasks whose codes are without a fault.
        places: Where each row is, in words.

    Returns:
        Faults as (row, words); the row is -1 for one of the whole table.
    """
    for task in tasks:
        present = class_rows(frame, task)
        if not any(rows.size for rows in present.values()):
            yield -1, f"{task.name} has no known label"
            continue
        yield from _empty(task, present)
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


def _empty(task: Task, present: dict[str, np.ndarray]) -> Iterator[Fault]:
    for name, rows in present.items():
        if not rows.size:
            yield -1, f"class {name!r} of {task.name} has no picture"


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
