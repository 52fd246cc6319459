"""Checking a table of pictures: every fault found at once, each with its place."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from kerastl.cells import distinct_words, expected, label_columns, read_label
from kerastl.coverage import coverage_faults
from kerastl.errors import InputError, nearest
from kerastl.manifest import SPLITS, name_faults
from kerastl.tasks import Task, as_tasks

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
    """A table without faults: a manifest's frame, the names the user wrote, and notes."""

    frame: pd.DataFrame
    tasks: tuple[Task, ...]
    names: list[str]
    notes: list[str]


def check_table(
    table: Table,
    columns: Columns,
    tasks: Task | str | Iterable[Task | str] | None,
    unknown: Collection[str],
) -> Checked:
    """Turn a table into a manifest's frame, or raise one error that lists every fault.

    Args:
        table: The table.
        columns: Which columns hold the image, the split and the group.
        tasks: Tasks, or names of columns whose words are the classes; None takes
            every remaining column.
        unknown: Words that say a label is unknown.

    Returns:
        The frame with codes; rows that repeat another are left out, with a note.

    Raises:
        InputError: With all faults in the order of the table.
    """
    unknown = frozenset(word.strip() for word in unknown)
    faults = list(table.faults)
    notes: list[str] = []
    frame = pd.DataFrame(index=range(len(table.text)))
    names = _images(table, columns.image, frame, faults)
    _splits_and_groups(table, columns, frame, faults)
    wanted = _wanted(table, columns, tasks, unknown, faults, notes)
    clean = [t for t in wanted if _codes(table, t, unknown, frame, faults)]
    if "image" in frame:
        kept = _repeats(table, frame, names, faults, notes)
        faults += coverage_faults(frame, clean, table.places)
    if faults:
        raise _error(table, faults)
    rows = np.flatnonzero(kept)
    frame = frame.iloc[rows].reset_index(drop=True)
    return Checked(frame, as_tasks(wanted), [names[r] for r in rows], notes)


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
    unknown: Collection[str],
    faults: list,
    notes: list,
) -> list[Task]:
    if isinstance(tasks, (Task, str)):
        tasks = [tasks]
    if tasks is None:
        taken = (columns.image, columns.split, columns.group)
        tasks = [c for c in table.text.columns if c not in taken]
        if not tasks:
            faults.append((-1, "there is no column of labels beside the image"))
    found = []
    for task in tasks:
        found += [task] if isinstance(task, Task) else _inferred(table, task, unknown, faults)
        if found and found[-1] is not task and (table.text[task].isin({"-1", "-1.0"})).any():
            notes.append(f"{task}: -1 was read as unknown")
    faults += [(-1, fault) for fault in name_faults(found)]
    for name, n in Counter(t.name for t in found).items():
        if n > 1:
            faults.append((-1, f"task {name!r} is given {n} times"))
    return found


def _inferred(table: Table, column: str, unknown: Collection[str], faults: list) -> Iterator[Task]:
    if column not in table.text:
        faults.append((-1, _missing(table, column)))
        return
    words = distinct_words(table.text[column], unknown)
    if len(words) > 1:
        yield Task(column, tuple(words))
    elif words:
        faults.append((-1, f"{column} has only one class, {words[0]!r}; expected two or more"))
    else:
        faults.append((-1, f"{column} has no known label"))


def _codes(
    table: Table, task: Task, unknown: Collection[str], frame: pd.DataFrame, faults: list
) -> bool:
    """Put a task's codes into the frame; False where a cell or a column is at fault."""
    before = len(faults)
    columns = label_columns(task, list(table.text.columns))
    for column, target in zip(columns, task.columns, strict=True):
        if column not in table.text:
            faults.append((-1, _missing(table, column)))
            continue
        cells = table.text[column].tolist()
        codes = {cell: read_label(task, cell, unknown) for cell in set(cells)}
        for row, cell in enumerate(cells):
            if codes[cell] is None:
                faults.append((row, f"{column} is {cell!r}, {expected(task, cell)}"))
        known = {cell: -1.0 if code is None else code for cell, code in codes.items()}
        frame[target] = [known[cell] for cell in cells]
    return len(faults) == before


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
