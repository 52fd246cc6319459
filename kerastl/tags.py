"""Tags in one column: the labels of a multilabel task, written as "cat;dog"."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from kerastl.cells import Words, label_columns
from kerastl.errors import nearest
from kerastl.tasks import UNCERTAIN, Task

NONE = "none"
"""The cell of a picture that was looked at and has none of the labels."""

DOUBT = "?"
"""Behind a tag: the annotator was unsure of this one."""


def in_tags(task: Task, columns: Sequence[str]) -> bool:
    """Whether a table of these columns has the task's labels as tags in one column.

    Example:
        >>> task = Task("scene", ["sea", "hill"], kind="multilabel")
        >>> in_tags(task, ["image", "scene"]), in_tags(task, ["image", "scene", "sea"])
        (True, False)
    """
    if task.kind != "multilabel" or task.name not in columns:
        return False
    own = [c for c in label_columns(task, columns) if c in columns and c != task.name]
    return not own and task.classes != (task.name,)


def read_tags(task: Task, cell: str, words: Words) -> list[float] | str:
    """The code of each label of the task, or what is wrong with the cell.

    A label that is not among the tags of a cell is a no. A blank cell says nothing
    of any label, "?" alone is unsure of each, and "cat;dog?" is a cat and perhaps a
    dog. "none" says that there is no label, unless it is one.

    Args:
        task: A multilabel task.
        cell: The cell's text.
        words: The words that are no labels, and what stands between tags.

    Example:
        >>> task = Task("scene", ["sea", "hill", "fog"], kind="multilabel")
        >>> read_tags(task, "hill ; fog?", Words()), read_tags(task, "none", Words())
        ([0.0, 1.0, -2.0], [0.0, 0.0, 0.0])
        >>> read_tags(task, "hil", Words())
        "'hil' is no label of scene. Did you mean hill?"
    """
    if cell in task.classes:
        return [float(cell == label) for label in task.classes]
    code = 0.0 if cell.lower() == NONE else words.code(cell)
    if code is not None:
        return [code] * len(task.classes)
    found = _read(_tags(cell, words), task.classes, words)
    faults = [_fault(task, tag, words) for tag in found if tag not in task.classes]
    if faults or not found:
        return "; ".join(faults) or f"expected tags with {words.tags!r} between them"
    return [found.get(label, 0.0) for label in task.classes]


def has_tags(cells: Iterable[str], words: Words) -> bool:
    """Whether some cell of a column holds what stands between tags."""
    return any(words.tags in cell for cell in cells)


def distinct_tags(cells: Iterable[str], words: Words) -> list[str]:
    """The tags of a column, sorted, without the doubt behind them.

    Example:
        >>> distinct_tags(["cat;dog", "cow?;cat", "?", "", "none"], Words())
        ['cat', 'cow', 'dog']
    """
    cells = [c for c in cells if words.code(c) is None]
    found = {tag for cell in cells for tag in _read(_tags(cell, words), (), words)}
    return sorted(tag for tag in found if not _is_word(tag, words))


def _tags(cell: str, words: Words) -> list[str]:
    return [tag.strip() for tag in cell.split(words.tags) if tag.strip()]


def _read(tags: Sequence[str], labels: Sequence[str], words: Words) -> dict[str, float]:
    """1 or UNCERTAIN by tag; a tag given twice is as sure as its surest."""
    found: dict[str, float] = {}
    for tag in tags:
        doubt = DOUBT in words.unsure and tag.endswith(DOUBT) and tag not in labels
        name = tag[: -len(DOUBT)].rstrip() if doubt else tag
        found[name] = max(found.get(name, UNCERTAIN), UNCERTAIN if doubt else 1.0)
    return {name: float(code) for name, code in found.items()}


def _is_word(tag: str, words: Words) -> bool:
    return words.code(tag) is not None or tag.lower() == NONE


def _fault(task: Task, tag: str, words: Words) -> str:
    if _is_word(tag, words):
        return f"{tag or DOUBT!r} stands alone in a cell, or not at all"
    return f"{tag!r} is no label of {task.name}.{nearest(tag, task.classes)}"
