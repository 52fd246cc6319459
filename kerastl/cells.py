"""Cells of a table: from a person's words to a task's codes."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from kerastl.errors import InputError, nearest, shorten
from kerastl.tasks import UNCERTAIN, UNKNOWN, Task

UNANNOTATED = frozenset({"", "-1", "-1.0", "nan", "NaN"})
"""What always says that nobody gave a label."""

YES_NO = {"yes": 1.0, "true": 1.0, "no": 0.0, "false": 0.0}


@dataclass(frozen=True)
class Words:
    """The words of a table that are no labels, and what stands between tags.

    Attributes:
        unknown: Nobody gave a label; blank, -1 and NaN always say so.
        unsure: The annotator was unsure.
        tags: What stands between two tags of one cell.
    """

    unknown: frozenset[str] = frozenset()
    unsure: frozenset[str] = frozenset({"?"})
    tags: str = ";"

    @classmethod
    def given(cls, unknown: str | Iterable[str], unsure: str | Iterable[str], tags: str) -> Words:
        """From what a person gave: one word or several, with or without blanks around."""
        if not isinstance(tags, str) or not tags.strip():
            raise InputError(f"Expected tags= as what stands between tags. Received: {tags!r}.")
        both = ([w] if isinstance(w, str) else w for w in (unknown, unsure))
        return cls(*(frozenset(str(word).strip() for word in w) for w in both), tags.strip())

    def code(self, cell: str) -> float | None:
        """-1 or -2 for a word that is no label, None for any other.

        A person's own words go before what is always unannotated, so that -1 can be
        a word of the unsure.

        Example:
            >>> words = Words(unsure=frozenset({"?", "-1"}))
            >>> [words.code(c) for c in ("", "?", "-1", "cat")]
            [-1.0, -2.0, -2.0, None]
        """
        if cell in self.unknown:
            return float(UNKNOWN)
        if cell in self.unsure:
            return float(UNCERTAIN)
        return float(UNKNOWN) if cell in UNANNOTATED else None


def read_label(task: Task, cell: str, words: Words) -> float | None:
    """The code that a cell stands for, or None where it stands for none.

    A class of the task goes before every other meaning of the word.

    Args:
        task: The task the column belongs to.
        cell: The cell's text.
        words: The words that are no labels.

    Example:
        >>> task = Task("defect", ["fine", "broken"], kind="binary")
        >>> [read_label(task, c, Words()) for c in ("broken", "0.25", "", "?", "brokn")]
        [1.0, 0.25, -1.0, -2.0, None]
    """
    if task.kind != "multilabel" and cell in task.classes:
        return float(task.classes.index(cell))
    code = words.code(cell)
    if code is not None:
        return code
    return None if task.kind == "multiclass" else share(cell)


def share(cell: str) -> float | None:
    """The number from 0 to 1 that a cell of yes or no stands for, or None.

    Example:
        >>> [share(c) for c in ("Yes", "0.25", "1.5", "cat")]
        [1.0, 0.25, None, None]
    """
    value = YES_NO.get(cell.lower(), _number(cell))
    return value if value is not None and 0 <= value <= 1 else None


def _number(cell: str) -> float | None:
    try:
        return float(cell)
    except ValueError:
        return None


def expected(task: Task, cell: str) -> str:
    """What a cell of this task may hold, and the class nearest to what it does hold."""
    number = None if task.kind == "multiclass" else _number(cell)
    outside = "" if number is None or math.isnan(number) else "outside 0 to 1, "
    if task.kind == "multilabel":
        return f"{outside}expected yes, no, or a number from 0 to 1"
    classes = ", ".join(shorten(task.classes, most=10))
    or_number = ", or a number from 0 to 1" if task.kind == "binary" else ""
    return f"{outside}expected one of {classes}{or_number}.{nearest(cell, task.classes)}"


def distinct_words(cells: Iterable[str], words: Words) -> list[str]:
    """The words of a column that may be labels: numbers in their order, else sorted.

    Example:
        >>> distinct_words(["10", "9", "?", "", "10"], Words())
        ['9', '10']
    """
    found = sorted({c for c in cells if words.code(c) is None})
    try:
        return sorted(found, key=float)
    except ValueError:
        return found


def yes_no_classes(cells: Collection[str]) -> tuple[str, str]:
    """The two words, first the negative, of a column of yes or no.

    Example:
        >>> yes_no_classes(["FALSE", "true"]), yes_no_classes(["1"]), yes_no_classes(["0.5", "1"])
        (('false', 'true'), ('0', '1'), ('no', 'yes'))
    """
    lower = {c.lower() for c in cells}
    if lower <= {"false", "true"}:
        return "false", "true"
    return ("0", "1") if lower <= {"0", "1", "0.0", "1.0"} else ("no", "yes")


def label_columns(task: Task, columns: Sequence[str]) -> list[str]:
    """The columns of a user's table for this task; a label's own name will do.

    Example:
        >>> task = Task("scene", ["sea", "hill"], kind="multilabel")
        >>> label_columns(task, ["image", "sea", "scene.hill"])
        ['sea', 'scene.hill']
    """
    if task.kind != "multilabel":
        return [task.name]
    full = dict(zip(task.classes, task.columns, strict=True))
    return [full[c] if full[c] in columns or c not in columns else c for c in task.classes]
