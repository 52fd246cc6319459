"""Checking a table of pictures: every fault found at once, each with its place."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from kerastl.cells import Words, expected, label_columns, read_label
from kerastl.coverage import coverage_faults
from kerastl.errors import InputError, nearest
from kerastl.inferred import infer
from kerastl.manifest import SPLITS, name_faults
from kerastl.tags import in_tags, read_tags
from kerastl.tasks import UNKNOWN, Task, as_tasks
from kerastl.uncertain import Policy, policy_values

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
