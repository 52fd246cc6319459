"""Which column of a table is what: the pictures, the splits, the groups and the labels."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import pandas as pd

from kerastl.data.readers.cells import Inferred, Words, infer, label_columns
from kerastl.data.readers.choosing import (
    GROUP,
    REPEATS,
    UNIQUE,
    is_group,
    known_counts,
    left_out_note,
    too_many_classes,
    why_no_labels,
)
from kerastl.data.readers.naming import group_rank, split_column
from kerastl.data.readers.places import picture_column
from kerastl.data.readers.spelling import Findings, spell, spell_as
from kerastl.data.tasks import Task
from kerastl.errors import nearest

Fault = tuple[int, str]

FEW = 12
"""A column of splits has so many words at most."""


@dataclass(frozen=True)
class Table:
    """A table as it was written.

    Attributes:
        title: What to call it in errors.
        text: Every cell as text.
        places: Where each row is: "line 7" or "row 5".
        folder: What relative paths of pictures start from.
        faults: Faults found while it was read, as (row, words).
        notes: What was taken for what while it was read.
    """

    title: str
    text: pd.DataFrame
    places: list[str]
    folder: str
    faults: list[Fault] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def missing(self, name: str) -> str:
        """That a column is missing, with those that are there."""
        columns = list(self.text.columns)
        there = ", ".join(columns)
        return f"column {name!r} is missing; the columns are {there}.{nearest(name, columns)}"


@dataclass(frozen=True)
class Columns:
    """The names of the columns that are no labels; `group` may be a pattern of folders."""

    image: str
    split: str
    group: str


USUAL = Columns("image", "split", "group")


def settle(
    table: Table, columns: Columns, named: Iterable[str], faults: list[Fault], notes: list[str]
) -> Columns:
    """The columns of pictures, splits and groups as a table calls them.

    A name that a person gave has to be there; for the usual ones a column of another name may
    stand in, where there is just one, and a note says so.

    Args:
        table: The table.
        columns: What the columns are called.
        named: The columns that were named as tasks; they stand in for nothing.
        faults: Where faults go.
        notes: Where notes go.
    """
    text, named = table.text, set(named)
    found = {}
    for what in ("split", "group"):
        name, usual = getattr(columns, what), getattr(USUAL, what)
        alike = [c for c in text if c.casefold() == name and c not in named]
        if name not in text and name != usual and not (what == "group" and "*" in name):
            faults.append((-1, table.missing(name)))
        elif name not in text and len(alike) == 1:
            found[what] = alike[0]
    if columns.split == USUAL.split and not {"split", found.get("split")} & set(text):
        words = {c: set(text[c]) for c in text if c not in named and text[c].nunique() <= FEW}
        subset = split_column(words)
        if subset is not None:
            found["split"] = subset
            notes.append(f"the column {subset!r} was read as the splits")
    if columns.image not in text:
        there = []
        if columns.image == USUAL.image:
            free = [c for c in text if c not in named]
            there = picture_column({c: text[c].tolist() for c in free}, table.folder)
        if len(there) == 1:
            found["image"] = there[0]
            notes.append(f"the column {there[0]!r} was read as the pictures")
        elif there:
            listed = " and ".join(map(repr, there))
            faults.append((-1, f"{listed} both name pictures: say which (image=, --image)"))
        else:
            faults.append((-1, table.missing(columns.image)))
    return replace(columns, **found)


@dataclass(frozen=True)
class Chosen:
    """The columns of labels in one spelling, what they turned out to be, and others.

    Attributes:
        text: The table's cells, those of the labels in one spelling.
        tasks: Tasks, and names of columns whose tasks are in `inferred`.
        inferred: The tasks of columns.
        groups: The columns that look like groups and are no tasks.
    """

    text: pd.DataFrame
    tasks: list[Task | str]
    inferred: Inferred
    groups: list[str]

    def all(self) -> list[Task]:
        """The tasks in their order; a column at fault has none."""
        return [
            task
            for t in self.tasks
            for task in ([t] if isinstance(t, Task) else self.inferred.of(t))
        ]


def choose(
    table: Table,
    columns: Columns,
    tasks: list[Task | str] | None,
    words: Words,
    faults: list[Fault],
    notes: list[str],
) -> Chosen:
    """The columns of labels: those named, or all that may be labels.

    Args:
        table: The table.
        columns: Which columns hold the picture, the split and the group.
        tasks: Tasks and names of columns; None chooses.
        words: The words that are no labels.
        faults: Where faults go.
        notes: Where notes go.
    """
    taken = (columns.image, columns.split, columns.group)
    free = [c for c in table.text.columns if c not in taken]
    named = [t for t in (free if tasks is None else tasks) if isinstance(t, str)]
    faults += [(-1, table.missing(name)) for name in named if name not in table.text]
    there = [n for n in dict.fromkeys(named) if n in table.text]
    findings = {name: Findings() for name in there}
    spelt = {name: spell(name, table.text[name], words, findings[name]) for name in there}
    text = table.text.copy()
    for name in there:
        text[name] = pd.Series(spelt[name].cells, text.index, dtype=object)
    for task in (t for t in tasks or () if isinstance(t, Task)):
        whole = [task.name] if task.name in text else label_columns(task, list(text.columns))
        for name in (name for name in whole if name in text):
            findings.setdefault(name, Findings())
            cells = spell_as(task, name, text[name], words, findings[name])
            text[name] = pd.Series(cells, text.index, dtype=object)
    if tasks is None:
        there = _labels(text[there], words, faults, notes)
    of_tasks = {c for t in tasks or () if isinstance(t, Task) for c in (t.name, *t.classes)}
    told = Findings()
    for name in findings if tasks is not None else there:
        told.take(findings[name])
    single = too_many_classes(text[there], words, told)
    faults += [(-1, fault) for fault in single if tasks is not None]
    notes += single if tasks is None else []
    written = {name: spelt[name].written for name in there if spelt[name].written}
    inferred = infer(text[there], words, tasks is None, written)
    notes += [*told.lines(), *inferred.notes]
    faults += [(-1, fault) for fault in inferred.faults]
    others = [c for c in free if c not in there and c not in of_tasks]
    groups = [c for c in others if _groups(c, table.text[c], words)]
    return Chosen(text, there if tasks is None else tasks, inferred, groups)


def _labels(text: pd.DataFrame, words: Words, faults: list[Fault], notes: list[str]) -> list[str]:
    """The columns that may be labels; a note names the others, a fault where there are no more."""
    reasons = {column: why_no_labels(column, text[column], words) for column in text}
    labels = [column for column, reason in reasons.items() if not reason]
    looks = [c for c, why in reasons.items() if why in (GROUP, UNIQUE) and group_rank(c) is None]
    if not labels and len(looks) == 1 and text[looks[0]].duplicated().any():
        labels = looks  # there is nothing else that could be meant
    reasons = {column: reasons[column] for column in reasons if column not in labels}
    if labels and reasons:
        notes.append(left_out_note(reasons))
    elif not reasons and not labels:
        faults.append((-1, "there is no column of labels beside the image"))
    elif not labels:
        for column, reason in reasons.items():
            faults.append((-1, _alone(column, reason)))
    return labels


def _alone(column: str, reason: str) -> str:
    if reason.startswith("only "):
        return f"{column} has only one class, {reason[5:]}; expected two or more"
    if reason == "no known label":
        return f"{column} has {reason}"
    return f"{column} is left out ({reason}): name it to take it all the same (tasks=[...], --task)"


def _groups(column: str, cells: Iterable[str], words: Words) -> bool:
    counts = known_counts(cells, words)
    return is_group(column, counts) and sum(counts.values()) >= REPEATS * len(counts)
