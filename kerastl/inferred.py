"""Tasks read off a table's own words, where a person named columns or nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pandas as pd

from kerastl.cells import Words, distinct_words, share, yes_no_classes
from kerastl.errors import shorten
from kerastl.tags import distinct_tags, has_tags
from kerastl.tasks import UNCERTAIN, Task

LABELS = "labels"
"""The multilabel task that several columns of yes and no make up."""

TYPING_ERRORS = 0.05
"""Up to this share of a column's known cells may be faults and not words of its own."""

NAMED = 10
"""As many columns or labels does a note name."""


@dataclass(frozen=True)
class Inferred:
    """What columns turned out to be: the task of each, findings and faults.

    `tasks` is by column; there is none for a column at fault, and several columns
    may share the task that stands at the first of them.
    """

    tasks: dict[str, Task]
    notes: list[str]
    faults: list[str]

    def of(self, column: str) -> list[Task]:
        """The task that stands at a column, or none."""
        return [self.tasks[column]] if column in self.tasks else []


def infer(text: pd.DataFrame, words: Words, together: bool) -> Inferred:
    """The tasks of a table's columns.

    A column in which some cell holds two tags is a multilabel task, one of yes and
    no (or numbers between) a binary one, any other a multiclass one. A few other words
    in a column of yes and no are left for `check_table` to find at fault.

    Args:
        text: The columns to look at, every cell as text.
        words: The words that are no labels, and what stands between tags.
        together: Whether several columns of yes and no are the labels of one
            multilabel task.

    Example:
        >>> text = pd.DataFrame({"sea": ["1", "0"], "fog": ["0", "1"], "kind": ["x", "y"]})
        >>> [(t.name, t.kind) for t in infer(text, Words(), together=True).tasks.values()]
        [('kind', 'multiclass'), ('labels', 'multilabel')]
        >>> [t.kind for t in infer(text, Words(), together=False).tasks.values()]
        ['binary', 'binary', 'multiclass']
    """
    distinct = {column: distinct_words(text[column], words) for column in text}
    tagged = [c for c in text if has_tags(text[c], words)]
    yes_no = [c for c in text if c not in tagged and _is_yes_no(distinct[c], text[c])]
    joined = yes_no if together and len(yes_no) > 1 else []
    found = Inferred({}, [], [])
    for column in text:
        found.notes.extend(_minus_one(column, text[column], words))
        if column in tagged:
            task, saying = _tagged(column, text[column], words)
            (found.faults if task is None else found.notes).append(saying)
        elif column in joined:
            task = None
            found.faults.extend(_never_negative(column, distinct[column], text[column], words))
        else:
            task = _column_task(column, distinct[column], column in yes_no, found.faults)
        if task is not None:
            found.tasks[column] = task
    if joined:
        found.tasks[joined[0]], saying = _labels(joined)
        found.notes.append(saying)
    return found


def _column_task(column: str, words: list[str], yes_no: bool, faults: list[str]) -> Task | None:
    if yes_no:
        known = [word for word in words if share(word) is not None]
        return Task(column, yes_no_classes(known), "binary")
    if len(words) > 1:
        return Task(column, tuple(words))
    only = f"only one class, {words[0]!r}; expected two or more" if words else "no known label"
    faults.append(f"{column} has {only}")
    return None


def _is_yes_no(words: Sequence[str], cells: pd.Series) -> bool:
    """Whether a column's words are yes, no and numbers between, but for a few typing errors.

    Whole numbers above 1 are none: a column of 0, 1 and 2 counts something.
    """
    odd = [word for word in words if share(word) is None]
    if not odd:
        return bool(words)
    both = {0.0, 1.0} <= {share(word) for word in words}
    rare = cells.isin(odd).sum() <= TYPING_ERRORS * cells.isin(words).sum()
    return both and bool(rare) and not any(word.isdigit() for word in odd)


def _minus_one(column: str, cells: pd.Series, words: Words) -> Iterator[str]:
    own = words.unknown | words.unsure
    if any(c in ("-1", "-1.0") and c not in own for c in cells):
        yield f"{column}: -1 was read as unknown"


def _never_negative(
    column: str, distinct: Sequence[str], cells: pd.Series, words: Words
) -> Iterator[str]:
    """A fault, unless uncertain cells could stand for the no."""
    unsure = any(words.code(c) == UNCERTAIN for c in cells)
    if not unsure and all(share(word) == 1 for word in distinct):
        yield f"{column} is never negative: each of its known cells is a yes"


def _tagged(column: str, cells: pd.Series, words: Words) -> tuple[Task | None, str]:
    """The multilabel task of a column of tags, or None; and what to say of it."""
    labels = distinct_tags(cells, words)
    if not labels:
        return None, f"{column} has no known label"
    listed = ", ".join(shorten(labels, most=NAMED))
    return Task(column, tuple(labels), "multilabel"), (
        f"{column}: read as tags with {words.tags!r} between them: {listed}. "
        "Give a Task in tasks=[...] to have it otherwise"
    )


def _labels(columns: Sequence[str]) -> tuple[Task, str]:
    """The one multilabel task of several columns of yes and no, and what to say of it."""
    listed = ", ".join(shorten(columns, most=NAMED))
    return Task(LABELS, tuple(columns), "multilabel"), (
        f"the columns of yes and no are the labels of one task, {LABELS!r}: {listed}. "
        "Name them (tasks=[...], --task) to have a task each"
    )
