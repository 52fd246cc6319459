"""Which columns of a table are labels, where nobody named any, and why the others are none."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

import pandas as pd

from kerastl.data.kinds import PICTURE_SUFFIXES
from kerastl.data.readers.cells import Words, share
from kerastl.data.readers.naming import (
    group_rank,
    names_age,
    names_labels,
    names_things,
    numbers_rows,
)
from kerastl.data.readers.spelling import Findings
from kerastl.errors import shorten

ENOUGH = 10
"""From so many known cells on, the values themselves say whether they are classes."""

MOST = 50
"""So often at most is each group there that only its looks give away."""

REPEATS = 2
"""The classes of a task are there so often on average, or hardly one is seen twice."""

_DATE = re.compile(
    r"(\d{4}[-./:]\d{1,2}[-./:]\d{1,2}|\d{1,2}[-./]\d{1,2}[-./](\d{4}|\d{2}))"
    r"([T ]\d{1,2}:\d{2}.*)?|\d{1,2}:\d{2}(:\d{2}([.,]\d+)?)?( ?[ap]m)?",
    re.I,
)
_NUMBER = re.compile(r"[+-]?(\d+([.,]\d*)?|[.,]\d+)(e[+-]?\d+)?", re.I)
_AGE = re.compile(r"\d{1,3}([.,]\d+)?\s*[a-z]?", re.I)
_NUMBERED = re.compile(r"([^\W\d][^\d]*?)\d+[A-Za-z]?")
_SUFFIXES = PICTURE_SUFFIXES | {".dcm", ".heic", ".avif", ".json", ".xml", ".txt", ".svs", ".mp4"}

UNIQUE = "hardly a value occurs twice"
GROUP = "groups of pictures"


def why_no_labels(column: str, cells: Iterable[str], words: Words) -> str:
    """Why a column's cells are no labels, in a few words; nothing where they may be.

    Args:
        column: Its name.
        cells: Its cells, in one spelling.
        words: The words that are no labels.

    Example:
        >>> why_no_labels("taken", ["2024-01-05", "2024-01-06 10:00"], Words())
        'dates'
        >>> why_no_labels("id", ["17", "18", "19"], Words())
        'hardly a value occurs twice'
        >>> why_no_labels("kind", ["disc", "bars", "disc"], Words())
        ''
    """
    if "/" in column or not column.isprintable():
        return "'/' cannot be in a task's name: rename the column"
    if column.count("[") != column.count("]"):
        return "a part of a name with a comma in it"
    counts = known_counts(cells, words)
    if not counts:
        return "no known label"
    n, times = sum(counts.values()), sum(counts.values()) / len(counts)
    if len(counts) == 1:
        return "" if _says_yes_alone(counts, cells) else f"only {next(iter(counts))!r}"
    if all(_DATE.fullmatch(word) for word in counts):
        return "dates"
    yes_no = _shares(counts)
    if is_group(column, counts):
        return GROUP if times >= REPEATS else UNIQUE
    if numbers_rows(column) and (times < REPEATS or not yes_no):
        return UNIQUE if times < REPEATS else "running numbers"
    if names_age(column) and len(counts) > ENOUGH and all(_AGE.fullmatch(w) for w in counts):
        return "ages"
    if n < ENOUGH:
        return ""
    if all(_is_file(word) for word in counts):
        return "names of files"
    if not yes_no and _measures(column, counts) and times < 5:
        return "measured numbers, no classes"
    return UNIQUE if times < REPEATS and not yes_no and not names_labels(column) else ""


def known_counts(cells: Iterable[str], words: Words) -> Counter:
    """How often each label is there, where a cell has several also each of these."""
    found: Counter = Counter()
    for cell, n in Counter(cells).items():
        if words.code(cell) is None:
            for tag in filter(None, map(str.strip, cell.split(words.tags))):
                found[tag] += n
    return found


def is_group(column: str, counts: Counter) -> bool:
    """Whether a column's values group pictures, as patients do: by its name, or as "p017" does.

    Example:
        >>> is_group("Patient ID", Counter({"1": 3, "2": 4, "3": 2}))
        True
        >>> names = Counter({f"p{i:03}": 3 for i in range(20)})
        >>> is_group("who", names), is_group("label", names)
        (True, False)
    """
    times = sum(counts.values()) / max(len(counts), 1)
    if len(counts) < 3 or names_labels(column) or _shares(counts):
        return False
    looks = names_things(column) or bool(numbered_alike(counts))
    return group_rank(column) is not None or (looks and REPEATS <= times <= MOST)


def numbered_alike(words: Iterable[str]) -> str:
    """What stands in front of the numbers of many words, "p" of "p017"; nothing for others."""
    found = [_NUMBERED.fullmatch(word) for word in words]
    fronts = {m[1] for m in found if m}
    width = max((len(re.sub(r"\D", "", m[0])) for m in found if m), default=0)
    alike = len(found) >= 5 and None not in found and len(fronts) == 1 and width > 1
    return fronts.pop() if alike else ""


def left_out_note(reasons: dict[str, str]) -> str:
    """One line for all columns that were left out, by their reasons."""
    columns: dict[str, list[str]] = {}
    for column, reason in reasons.items():
        columns.setdefault(reason, []).append(column)
    each = [f"{', '.join(shorten(of, 10))} ({reason})" for reason, of in columns.items()]
    return (
        f"columns that are no labels were left out: {'; '.join(each)}. Name a column (tasks=[...], "
        "--task) to take it all the same"
    )


def too_many_classes(columns: pd.DataFrame, words: Words, findings: Findings) -> list[str]:
    """What is wrong with columns that a person named, but in which no class occurs twice.

    Columns with classes that hardly do are findings.
    """
    faults = []
    for column in columns:
        counts = known_counts(columns[column], words)
        n = sum(counts.values())
        if n < ENOUGH or n >= REPEATS * len(counts) or _shares(counts):
            continue
        said = f"{len(counts)} classes for {n} known labels"
        if len(counts) == n:
            faults.append(f"{column} has {said}: no class occurs twice, so none can be learnt")
        else:
            findings.add("hardly a class occurs twice, so few can be learnt", f"{column} ({said})")
    return faults


def _says_yes_alone(counts: Counter, cells: Iterable[str]) -> bool:
    """Whether a column is of yes and blank: its no is missing, which is a fault to be told."""
    return share(next(iter(counts))) == 1 and sum(counts.values()) < len(list(cells))


def _is_file(word: str) -> bool:
    suffix = f".{word.rpartition('.')[2].lower()}"
    return word.startswith(("http://", "https://")) or ("." in word and suffix in _SUFFIXES)


def _measures(column: str, counts: Counter) -> bool:
    """Whether words are many numbers: some of them not whole, or more than classes have."""
    if len(counts) <= ENOUGH or not all(_NUMBER.fullmatch(word) for word in counts):
        return False
    whole = not any("." in word.rstrip("0").rstrip(".") for word in counts)
    return not whole or (len(counts) > 3 * ENOUGH and not names_labels(column))


def _shares(counts: Counter) -> bool:
    """Whether words are yes, no and shares of a yes, of which each may be another number."""
    return all(share(word) is not None for word in counts)
