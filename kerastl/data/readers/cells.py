"""Cells of a table: from a person's words, one or many in a cell, to a task's codes.

Where a person named columns or nothing, tasks are read off the table's own words.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import pandas as pd

from kerastl.data.tasks import UNCERTAIN, UNKNOWN, Task
from kerastl.errors import InputError, nearest, shorten

UNANNOTATED = frozenset({"", "-1", "-1.0", "nan", "NaN"})
"""What always says that nobody gave a label."""

_WHOLE = re.compile(r"-?(0|[1-9]\d*)(\.0*)?")

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
        if not isinstance(tags, str) or not (tags.strip() or tags == " "):
            raise InputError(f"Expected tags= as what stands between tags. Received: {tags!r}.")
        both = ([w] if isinstance(w, str) else w for w in (unknown, unsure))
        return cls(*(frozenset(_spellings(w)) for w in both), tags.strip() or tags)

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


def _spellings(words: Iterable[str]) -> Iterator[str]:
    """Words without blanks around; whole numbers also with the decimals that tables give them."""
    for word in (str(word).strip() for word in words):
        yield word
        if _WHOLE.fullmatch(word):
            yield from (f"{float(word):.0f}", f"{float(word):.1f}")


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
    value = YES_NO.get(cell.lower(), number(cell))
    return value if value is not None and 0 <= value <= 1 else None


def number(cell: str) -> float | None:
    """The number that a cell is, or None; "1_0" is a word.

    Example:
        >>> number("0.5"), number("1_0")
        (0.5, None)
    """
    try:
        return None if "_" in cell else float(cell)
    except ValueError:
        return None


def expected(task: Task, cell: str) -> str:
    """What a cell of this task may hold, and the class nearest to what it does hold."""
    value = None if task.kind == "multiclass" else number(cell)
    outside = "" if value is None or math.isnan(value) else "outside 0 to 1, "
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
    return in_order({c for c in cells if words.code(c) is None})


def in_order(words: Collection[str]) -> list[str]:
    """Words sorted as numbers where all are numbers, else as words.

    Example:
        >>> in_order({"10", "9"}), in_order({"10", "9", "x"})
        (['9', '10'], ['10', '9', 'x'])
    """
    found = sorted(words)
    values = {word: number(word) for word in found}
    return found if None in values.values() else sorted(found, key=values.__getitem__)


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


def infer(
    text: pd.DataFrame,
    words: Words,
    together: bool,
    written: Mapping[str, str] = MappingProxyType({}),
) -> Inferred:
    """The tasks of a table's columns.

    A column in which some cell holds two tags is a multilabel task, one of yes and
    no (or numbers between) a binary one, any other a multiclass one. A few other words
    in a column of yes and no are left for `check_table` to find at fault.

    Args:
        text: The columns to look at, every cell as text.
        words: The words that are no labels, and what stands between tags.
        together: Whether several columns of yes and no are the labels of one
            multilabel task.
        written: How the tags of a column were written, where not with what `words` says.

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
        if column in tagged:
            task, saying = _tagged(column, text[column], words, written.get(column, ""))
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
    minus = [column for column in text if _has_minus_one(text[column], words)]
    if minus:
        found.notes.append(
            f"{', '.join(shorten(minus, most=NAMED))}: -1 was read as unknown, like a blank; "
            "--unsure -1 (unsure=) reads it as unsure, which it is in CheXpert"
        )
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


def _has_minus_one(cells: pd.Series, words: Words) -> bool:
    own = words.unknown | words.unsure
    return any(c in ("-1", "-1.0") and c not in own for c in cells)


def _never_negative(
    column: str, distinct: Sequence[str], cells: pd.Series, words: Words
) -> Iterator[str]:
    """A fault, unless uncertain cells could stand for the no."""
    unsure = any(words.code(c) == UNCERTAIN for c in cells)
    if not unsure and all(share(word) == 1 for word in distinct):
        yield f"{column} is never negative: each of its known cells is a yes"


def _tagged(column: str, cells: pd.Series, words: Words, written: str) -> tuple[Task | None, str]:
    """The multilabel task of a column of tags, or None; and what to say of it."""
    labels = distinct_tags(cells, words)
    if not labels:
        return None, f"{column} has no known label"
    listed = ", ".join(shorten(labels, most=NAMED))
    return Task(column, tuple(labels), "multilabel"), (
        f"{column}: read as tags {_as_written(words, written)}: {listed}. "
        "Give a Task in tasks=[...] to have it otherwise"
    )


def _as_written(words: Words, written: str) -> str:
    return "in lists" if written == "lists" else f"with {written or repr(words.tags)} between them"


def _labels(columns: Sequence[str]) -> tuple[Task, str]:
    """The one multilabel task of several columns of yes and no, and what to say of it."""
    listed = ", ".join(shorten(columns, most=NAMED))
    return Task(LABELS, tuple(columns), "multilabel"), (
        f"the columns of yes and no are the labels of one task, {LABELS!r}: {listed}. "
        "Name them (tasks=[...], --task) to have a task each"
    )
