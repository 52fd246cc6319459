"""Cells of a table: from a person's words to a task's codes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from kerastl.errors import nearest, shorten
from kerastl.tasks import UNKNOWN, Task

ALWAYS_UNKNOWN = frozenset({"", "-1", "-1.0", "nan", "NaN"})
YES_NO = {"yes": 1.0, "true": 1.0, "no": 0.0, "false": 0.0}


def read_label(task: Task, cell: str, unknown: Collection[str]) -> float | None:
    """The code that a cell stands for, or None where it stands for none.

    A class of the task goes before every other meaning of the word.

    Args:
        task: The task the column belongs to.
        cell: The cell's text.
        unknown: Words that say the label is unknown; blank, -1 and NaN always do.

    Example:
        >>> task = Task("defect", ["fine", "broken"], kind="binary")
        >>> [read_label(task, c, {"?"}) for c in ("broken", "0.25", "?", "brokn")]
        [1.0, 0.25, -1.0, None]
    """
    if task.kind != "multilabel" and cell in task.classes:
        return float(task.classes.index(cell))
    if cell in ALWAYS_UNKNOWN or cell in unknown:
        return float(UNKNOWN)
    return None if task.kind == "multiclass" else _share(cell)


def _share(cell: str) -> float | None:
    try:
        value = YES_NO.get(cell.lower())
        value = float(cell) if value is None else value
    except ValueError:
        return None
    return value if 0 <= value <= 1 else None


def expected(task: Task, cell: str) -> str:
    """What a cell of this task may hold, and the class nearest to what it does hold."""
    classes = ", ".join(shorten(task.classes, most=10))
    if task.kind == "multilabel":
        return "expected yes, no, or a number from 0 to 1"
    number = ", or a number from 0 to 1" if task.kind == "binary" else ""
    return f"expected one of {classes}{number}.{nearest(cell, task.classes)}"


def distinct_words(cells: Iterable[str], unknown: Collection[str]) -> list[str]:
    """The words of a column that are not unknown: numbers in their order, else sorted.

    Example:
        >>> distinct_words(["10", "9", "?", "", "10"], {"?"})
        ['9', '10']
    """
    words = sorted({c for c in cells if c not in unknown and c not in ALWAYS_UNKNOWN})
    try:
        return sorted(words, key=float)
    except ValueError:
        return words


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
