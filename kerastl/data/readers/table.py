"""Checking a table of pictures: every fault found at once, each with its place.

First the cells, line by line; then the table as a whole: whether every class is where it has to be.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from kerastl.data.manifest import SPLITS, Policy, name_faults, policy_values, standing
from kerastl.data.readers.cells import (
    Words,
    expected,
    in_tags,
    label_columns,
    number,
    read_label,
    read_tags,
)
from kerastl.data.readers.columns import Chosen, Columns, Table, choose, settle
from kerastl.data.readers.grouping import Proposal, groups_of_paths, propose
from kerastl.data.readers.naming import split_of
from kerastl.data.readers.places import locate
from kerastl.data.tasks import UNKNOWN, Task, as_tasks, known
from kerastl.errors import InputError, nearest

Fault = tuple[int, str]

SHOWN_EACH = 3
"""Rows that are all at fault alike have one cause; so many are few enough to be told each."""


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


@dataclass(frozen=True)
class Checked:
    """A table without faults: a manifest's frame, the names the user wrote, and notes.

    `uncertain` is what uncertain labels stand for in training, by column; `proposal` what
    groups the pictures, where no group was given.
    """

    frame: pd.DataFrame
    tasks: tuple[Task, ...]
    names: list[str]
    notes: list[str]
    uncertain: dict[str, float]
    proposal: Proposal | None = None


def check_table(
    table: Table,
    columns: Columns,
    tasks: Task | str | Iterable[Task | str] | None,
    words: Words,
    uncertain: Policy = "ignore",
    *,
    to_train: bool = True,
) -> Checked:
    """Turn a table into a manifest's frame, or raise one error that lists every fault.

    Args:
        table: The table.
        columns: Which columns hold the image, the split and the group.
        tasks: Tasks, or names of columns whose words are the classes; None takes
            every remaining column.
        words: The words that are no labels.
        uncertain: What uncertain labels stand for in training.
        to_train: Whether every class has to be there, and a train part where there are splits.

    Returns:
        The frame with codes; rows that repeat another are left out, with a note.

    Raises:
        InputError: With all faults in the order of the table.
    """
    if table.faults and any(row < 0 for row, _ in table.faults):
        raise _error(table, table.faults)
    faults, notes = list(table.faults), list(table.notes)
    tasks = [tasks] if isinstance(tasks, (Task, str)) else tasks
    tasks = None if tasks is None else list(tasks)
    columns = settle(table, columns, _columns_of(tasks, table), faults, notes)
    frame = pd.DataFrame(index=range(len(table.text)))
    names = _images(table, columns.image, frame, faults, notes)
    _splits_and_groups(table, columns, names, frame, faults)
    if to_train and "split" in frame and "train" not in set(frame["split"]):
        faults.append((-1, f"column {columns.split!r} has no train, so nothing to learn from"))
    found = choose(table, columns, tasks, words, faults, notes)
    wanted = _wanted(found, faults)
    notes += _words_nowhere(wanted, found.text, words)
    proposal = None
    if "group" not in frame and names:
        labels = [found.text[c].tolist() for c in found.text if c in found.inferred.tasks]
        proposal = propose({c: table.text[c].tolist() for c in found.groups}, names, labels)
    table = replace(table, text=found.text)
    values = _values(wanted, uncertain, faults)
    clean = [t for t in wanted if _codes(table, t, words, frame, faults)]
    if "image" in frame:
        kept = _repeats(table, frame, names, faults, notes)
        faults += coverage_faults(frame, clean, table.places, values) if to_train else []
    if faults:
        raise _error(table, faults)
    rows = np.flatnonzero(kept)
    frame = frame.iloc[rows].reset_index(drop=True)
    proposal = proposal and proposal.kept(rows)
    return Checked(frame, as_tasks(wanted), [names[r] for r in rows], notes, values, proposal)


def _columns_of(tasks: list[Task | str] | None, table: Table) -> set[str]:
    """The columns that tasks were named for."""
    there = list(table.text.columns)
    plain = {t for t in tasks or () if isinstance(t, str)}
    given = [t for t in tasks or () if isinstance(t, Task)]
    return plain | {c for t in given for c in (t.name, *label_columns(t, there))}


def _error(table: Table, faults: list[tuple[int, str]]) -> InputError:
    placed = [f"{table.places[row]}: {text}" if row >= 0 else text for row, text in sorted(faults)]
    plural = "" if len(placed) == 1 else "s"
    return InputError(f"{table.title} has {len(placed)} fault{plural}.", placed)


def _images(table: Table, column: str, frame: pd.DataFrame, faults: list, notes: list) -> list[str]:
    if column not in table.text:
        return []
    names = table.text[column].tolist()
    found = locate(names, table.folder)
    frame["image"] = [path or os.path.normpath(table.folder) for path in found.paths]
    notes += [found.note] if found.note else []
    wrong = {}
    for row, (name, path) in enumerate(zip(names, frame["image"], strict=True)):
        fault = _path_fault(name, path)
        if fault:
            wrong[row] = fault
    if len(wrong) == len(names) > SHOWN_EACH:
        faults.append((-1, _none_there(table.folder)))
    faults += wrong.items()
    return names


def _none_there(folder: str) -> str:
    return (
        f"none of the pictures is there, seen from {folder or 'the working folder'}: lay the table "
        "where its paths start from, or name that folder (images=)"
    )


def _path_fault(name: str, path: str) -> str:
    if not name:
        return "the image is empty, expected a path"
    if "\0" in path or not os.path.exists(path):
        return f"no file {name!r}" if not name.isprintable() else f"no file {name}"
    return "" if os.path.isfile(path) else f"{name} is a folder, expected a picture"


def _splits_and_groups(
    table: Table, columns: Columns, names: list[str], frame: pd.DataFrame, faults: list
) -> None:
    if columns.group in table.text:
        frame["group"] = table.text[columns.group]
    elif "*" in columns.group and names:
        frame["group"] = groups_of_paths(columns.group, names)
        if not frame["group"].any():
            faults.append((-1, f"no folder in the paths of the pictures is as {columns.group!r}"))
    if columns.split not in table.text or not table.text[columns.split].any():
        return
    written = table.text[columns.split].tolist()
    frame["split"] = [split_of(word) for word in written]
    for row, (word, split) in enumerate(zip(written, frame["split"], strict=True)):
        if split not in SPLITS:
            hint = nearest(word, SPLITS)
            faults.append((row, f"split is {word!r}, expected train, val or test.{hint}"))


def _wanted(chosen: Chosen, faults: list) -> list[Task]:
    found = chosen.all()
    faults += [(-1, fault) for fault in name_faults(found)]
    for name, n in Counter(t.name for t in found).items():
        if n > 1:
            faults.append((-1, f"task {name!r} is given {n} times"))
    return found


def _words_nowhere(tasks: list[Task], text: pd.DataFrame, words: Words) -> Iterator[str]:
    """A note for each word of the unknown or the unsure that no label column has."""
    there: set[str] = set()
    for task in tasks:
        columns = [task.name, *label_columns(task, list(text.columns))]
        cells = [cell for c in columns if c in text for cell in set(text[c])]
        there |= {part.strip() for cell in cells for part in (cell, *cell.split(words.tags))}
    usual = Words().unsure
    for meaning, given in (("unknown", words.unknown), ("unsure", words.unsure - usual)):
        lacking = {word for word in given if word not in there}
        present = {number(word) for word in given - lacking} - {None}
        for word in sorted(w for w in lacking if number(w) is None or number(w) not in present):
            yield (
                f"{word!r} is given as {meaning}, but occurs nowhere in the labels."
                f"{nearest(word, there)}"
            )


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
            faults.append((-1, table.missing(column)))
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
    again = []
    for row in np.flatnonzero(~kept):
        earlier = first[frame["image"].iloc[row]]
        if labels[row] != labels[earlier] and names[row]:
            place = table.places[earlier]
            what = _difference(frame, row, earlier)
            words = f"picture {names[row]} is listed again with {what} (first at {place})"
            again.append((int(row), words))
    faults += again[:1] if len(again) > SHOWN_EACH else again
    if len(again) > SHOWN_EACH:
        faults.append((-1, _row_a_label(len(again))))
    if not kept.all():
        notes.append(f"{(~kept).sum()} rows repeat a picture with the same labels; kept once")
    return kept


def _row_a_label(n: int) -> str:
    return (
        f"{n} rows list a picture again with other labels: expected a row a picture. Several "
        "labels stand in one cell, as 'disc;outdoor', or in a column each of yes and no"
    )


def _difference(frame: pd.DataFrame, row: int, earlier: int) -> str:
    differs = [c for c in frame if frame[c].iloc[row] != frame[c].iloc[earlier]]
    others = [c for c in differs if c not in ("split", "group")]
    return "other labels" if others else f"another {differs[0]}"
