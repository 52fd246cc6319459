"""Checking a table of pictures: every fault found at once, each with its place.

First the cells, line by line; then the table as a whole: whether every class is where it has to be.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from kerastl.data.manifest import SPLITS, Policy, name_faults, policy_values, standing
from kerastl.data.readers.cells import (
    Words,
    expected,
    in_tags,
    infer,
    label_columns,
    read_label,
    read_tags,
)
from kerastl.data.tasks import UNKNOWN, Task, as_tasks, known
from kerastl.errors import InputError, nearest

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


SPLIT_WORDS = {s: s for s in SPLITS} | {"valid": "val", "validation": "val"}


@dataclass(frozen=True)
class Table:
    """A table as it was written.

    Attributes:
        title: What to call it in errors.
        text: Every cell as text.
        places: Where each row is: "line 7" or "row 5".
        folder: What relative paths of pictures start from.
        faults: Faults found while it was read, as (row, words).
    """

    title: str
    text: pd.DataFrame
    places: list[str]
    folder: str
    faults: list[tuple[int, str]] = field(default_factory=list)


@dataclass(frozen=True)
class Columns:
    """The names of the columns that are no labels."""

    image: str
    split: str
    group: str


@dataclass(frozen=True)
class Checked:
    """A table without faults: a manifest's frame, the names the user wrote, and notes.

    `uncertain` is what uncertain labels stand for in training, by column.
    """

    frame: pd.DataFrame
    tasks: tuple[Task, ...]
    names: list[str]
    notes: list[str]
    uncertain: dict[str, float]


def check_table(
    table: Table,
    columns: Columns,
    tasks: Task | str | Iterable[Task | str] | None,
    words: Words,
    uncertain: Policy = "ignore",
) -> Checked:
    """Turn a table into a manifest's frame, or raise one error that lists every fault.

    Args:
        table: The table.
        columns: Which columns hold the image, the split and the group.
        tasks: Tasks, or names of columns whose words are the classes; None takes
            every remaining column.
        words: The words that are no labels.
        uncertain: What uncertain labels stand for in training.

    Returns:
        The frame with codes; rows that repeat another are left out, with a note.

    Raises:
        InputError: With all faults in the order of the table.
    """
    faults = list(table.faults)
    notes: list[str] = []
    frame = pd.DataFrame(index=range(len(table.text)))
    names = _images(table, columns.image, frame, faults)
    _splits_and_groups(table, columns, frame, faults)
    wanted = _wanted(table, columns, tasks, words, faults, notes)
    values = _values(wanted, uncertain, faults)
    clean = [t for t in wanted if _codes(table, t, words, frame, faults)]
    if "image" in frame:
        kept = _repeats(table, frame, names, faults, notes)
        faults += coverage_faults(frame, clean, table.places, values)
    if faults:
        raise _error(table, faults)
    rows = np.flatnonzero(kept)
    frame = frame.iloc[rows].reset_index(drop=True)
    return Checked(frame, as_tasks(wanted), [names[r] for r in rows], notes, values)


def _error(table: Table, faults: list[tuple[int, str]]) -> InputError:
    placed = [f"{table.places[row]}: {text}" if row >= 0 else text for row, text in sorted(faults)]
    plural = "" if len(placed) == 1 else "s"
    return InputError(f"{table.title} has {len(placed)} fault{plural}.", placed)


def _missing(table: Table, name: str) -> str:
    columns = list(table.text.columns)
    there = ", ".join(columns)
    return f"column {name!r} is missing; the columns are {there}.{nearest(name, columns)}"


def _images(table: Table, column: str, frame: pd.DataFrame, faults: list) -> list[str]:
    if column not in table.text:
        faults.append((-1, _missing(table, column)))
        return []
    names = table.text[column].tolist()
    frame["image"] = [os.path.normpath(os.path.join(table.folder, n)) for n in names]
    for row, (name, path) in enumerate(zip(names, frame["image"], strict=True)):
        fault = _path_fault(name, path)
        if fault:
            faults.append((row, fault))
    return names


def _path_fault(name: str, path: str) -> str:
    if not name:
        return "the image is empty, expected a path"
    if "\0" in path or not os.path.exists(path):
        return f"no file {name!r}" if not name.isprintable() else f"no file {name}"
    return "" if os.path.isfile(path) else f"{name} is a folder, expected a picture"


def _splits_and_groups(table: Table, columns: Columns, frame: pd.DataFrame, faults: list) -> None:
    if columns.group in table.text:
        frame["group"] = table.text[columns.group]
    if columns.split not in table.text or not table.text[columns.split].any():
        return
    written = table.text[columns.split].tolist()
    frame["split"] = [SPLIT_WORDS.get(word.lower()) for word in written]
    for row, (word, split) in enumerate(zip(written, frame["split"], strict=True)):
        if split not in SPLITS:
            hint = nearest(word, SPLITS)
            faults.append((row, f"split is {word!r}, expected train, val or test.{hint}"))
    if "train" not in set(frame["split"]):
        faults.append((-1, f"column {columns.split!r} has no train, so nothing to learn from"))


def _wanted(
    table: Table,
    columns: Columns,
    tasks: Task | str | Iterable[Task | str] | None,
    words: Words,
    faults: list,
    notes: list,
) -> list[Task]:
    tasks = [tasks] if isinstance(tasks, (Task, str)) else tasks
    together = tasks is None
    if tasks is None:
        taken = (columns.image, columns.split, columns.group)
        tasks = [c for c in table.text.columns if c not in taken]
        if not tasks:
            faults.append((-1, "there is no column of labels beside the image"))
    tasks = list(tasks)
    named = [t for t in tasks if isinstance(t, str)]
    faults += [(-1, _missing(table, name)) for name in named if name not in table.text]
    there = [n for n in dict.fromkeys(named) if n in table.text]
    inferred = infer(table.text[there], words, together)
    notes += inferred.notes
    faults += [(-1, fault) for fault in inferred.faults]
    found = [task for t in tasks for task in ([t] if isinstance(t, Task) else inferred.of(t))]
    faults += [(-1, fault) for fault in name_faults(found)]
    for name, n in Counter(t.name for t in found).items():
        if n > 1:
            faults.append((-1, f"task {name!r} is given {n} times"))
    return found


def _values(tasks: list[Task], uncertain: Policy, faults: list) -> dict[str, float]:
    try:
        return policy_values(tasks, uncertain)
    except InputError as error:
        faults += [(-1, fault) for fault in error.faults]
        return {}


def _codes(table: Table, task: Task, words: Words, frame: pd.DataFrame, faults: list) -> bool:
    """Put a task's codes into the frame; False where a cell or a column is at fault."""
    before = len(faults)
    there = list(table.text.columns)
    if in_tags(task, there):
        _tag_codes(table, task, words, frame, faults)
        return len(faults) == before
    for column, target in zip(label_columns(task, there), task.columns, strict=True):
        if column not in table.text:
            faults.append((-1, _missing(table, column)))
            continue
        cells = table.text[column].tolist()
        codes = {cell: read_label(task, cell, words) for cell in set(cells)}
        wrong = {c: expected(task, c) for c, code in codes.items() if code is None}
        faults += _cell_faults(column, cells, wrong)
        frame[target] = [UNKNOWN if cell in wrong else codes[cell] for cell in cells]
    return len(faults) == before


def _tag_codes(table: Table, task: Task, words: Words, frame: pd.DataFrame, faults: list) -> None:
    cells = table.text[task.name].tolist()
    codes = {cell: read_tags(task, cell, words) for cell in set(cells)}
    wrong = {cell: code for cell, code in codes.items() if isinstance(code, str)}
    faults += _cell_faults(task.name, cells, wrong)
    for i, target in enumerate(task.columns):
        frame[target] = [UNKNOWN if cell in wrong else codes[cell][i] for cell in cells]


def _cell_faults(column: str, cells: list[str], wrong: Mapping[str, str]) -> list[tuple[int, str]]:
    return [(r, f"{column} is {c!r}, {wrong[c]}") for r, c in enumerate(cells) if c in wrong]


def _repeats(
    table: Table, frame: pd.DataFrame, names: list[str], faults: list, notes: list
) -> np.ndarray:
    """Which rows to keep: the first of each path."""
    labels = frame.drop(columns="image").astype(object).to_numpy().tolist()
    first: dict[str, int] = {}
    kept = np.array([first.setdefault(p, r) == r for r, p in enumerate(frame["image"])], bool)
    for row in np.flatnonzero(~kept):
        earlier = first[frame["image"].iloc[row]]
        if labels[row] != labels[earlier] and names[row]:
            place = table.places[earlier]
            what = _difference(frame, row, earlier)
            words = f"picture {names[row]} is listed again with {what} (first at {place})"
            faults.append((int(row), words))
    if not kept.all():
        notes.append(f"{(~kept).sum()} rows repeat a picture with the same labels; kept once")
    return kept


def _difference(frame: pd.DataFrame, row: int, earlier: int) -> str:
    differs = [c for c in frame if frame[c].iloc[row] != frame[c].iloc[earlier]]
    others = [c for c in differs if c not in ("split", "group")]
    return "other labels" if others else f"another {differs[0]}"
