"""From a table or a folder to a manifest."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Collection, Iterable, Sequence

import pandas as pd

from kerastl.data.manifest import Manifest, Policy
from kerastl.data.readers.assembly import assemble
from kerastl.data.readers.cells import Words
from kerastl.data.readers.folder import read_folder
from kerastl.data.readers.table import Checked, Columns, Table, check_table
from kerastl.data.splits import FRACTIONS, check_fractions
from kerastl.data.tasks import Task
from kerastl.errors import InputError, nearest

__all__ = ["read_csv", "read_folder", "read_frame"]

UNSURE = ("?",)
"""The words by which an annotator says to be unsure, unless others are given."""


def read_csv(
    path: str | os.PathLike,
    *,
    image: str = "image",
    tasks: Task | str | Iterable[Task | str] | None = None,
    split: str = "split",
    group: str = "group",
    images: str | os.PathLike | None = None,
    unknown: str | Collection[str] = (),
    unsure: str | Collection[str] = UNSURE,
    uncertain: Policy = "ignore",
    tags: str = ";",
    sep: str = ",",
    fractions: Sequence[float] = FRACTIONS,
    seed: int = 0,
) -> Manifest:
    """Read a table of pictures and labels from a CSV file in UTF-8.

    Every cell is text: "NA" and "None" are words like others, and "007" keeps its
    zeros. Two kinds of unknown label are kept apart: blank, -1 and NaN are labels
    that nobody gave; "?" is one that the annotator was unsure of.

    The cells of a binary task are its class words, or yes, no, true, false or numbers
    from 0 to 1. A multilabel task has a column for each label, `<label>` or
    `<task>.<label>`, of yes, no, true, false or numbers from 0 to 1; or one column of
    its own name with the tags of each picture. "cat;dog?" is a cat, perhaps a dog and
    no other label; "none" is none of them.

    Args:
        path: The file. Its first line names the columns.
        image: The column of picture paths.
        tasks: Tasks, or names of columns. A column's distinct words are the classes
            of a multiclass task (in numeric order where all are numbers); one of yes
            and no is a binary task; one with tags a multilabel task. None takes each
            column that is not one of the others, and makes the columns of yes and no,
            where there are several, the labels of one multilabel task, `labels`.
        split: The column of train, val and test, if there is one.
        group: The column of groups that no split may divide, if there is one.
        images: The folder that relative paths start from; the file's own by default.
        unknown: Further words that say that nobody gave a label.
        unsure: The words that say that the annotator was unsure. These two go
            before the meaning that a word has otherwise: `unsure=("-1", "-1.0")`.
        uncertain: What uncertain labels stand for in training: "ignore", "positive",
            "negative" or a number from 0 to 1, or a mapping to these by task, label
            or column; see `Manifest.with_uncertain`.
        tags: What stands between the tags of a cell.
        sep: What stands between two cells.
        fractions: The shares of train, val and test. A table that gives splits but
            no val has val taken from train, `val / (train + val)` of it.
        seed: Seed of the division.

    Returns:
        The manifest, split. Its notes say what was made of the columns.

    Raises:
        InputError: One error with every fault and its line; the first line is 1.

    Example:
        >>> import pathlib, tempfile
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> for name in "abcd":
        ...     n = (folder / f"{name}.png").write_bytes(name.encode())
        >>> lines = ["image,label", "a.png,cat", "b.png,dog", "c.png,cat", "d.png,"]
        >>> n = (folder / "labels.csv").write_text("\\n".join(lines))
        >>> m = read_csv(folder / "labels.csv")
        >>> m.tasks[0].classes, m.frame["label"].tolist()
        (('cat', 'dog'), [0, 1, 0, -1])
    """
    check_fractions(fractions)
    folder = os.path.dirname(os.fspath(path)) if images is None else os.fspath(images)
    table = _csv_table(os.fspath(path), sep, folder)
    words = Words.given(unknown, unsure, tags)
    found = check_table(table, Columns(image, split, group), tasks, words, uncertain)
    return _manifest(found, fractions, seed)


def read_frame(
    frame: pd.DataFrame,
    *,
    image: str = "image",
    tasks: Task | str | Iterable[Task | str] | None = None,
    split: str = "split",
    group: str = "group",
    images: str | os.PathLike = "",
    unknown: str | Collection[str] = (),
    unsure: str | Collection[str] = UNSURE,
    uncertain: Policy = "ignore",
    tags: str = ";",
    fractions: Sequence[float] = FRACTIONS,
    seed: int = 0,
) -> Manifest:
    """Read a table of pictures and labels from a pandas frame; see `read_csv`.

    Relative paths start from `images`, or else from the working folder. Errors
    name rows by their position, from 0, and by their index where that differs.

    Example:
        >>> df = pd.DataFrame({"image": ["gone.png"], "label": ["cat"]})
        >>> read_frame(df)
        Traceback (most recent call last):
        kerastl.errors.InputError: The frame has 2 faults.
          label has only one class, 'cat'; expected two or more
          row 0: no file gone.png
    """
    check_fractions(fractions)
    if not isinstance(frame, pd.DataFrame):
        raise InputError(f"Expected a pandas frame. Received: {type(frame).__name__}.")
    names = [str(c) for c in frame.columns]
    text = pd.DataFrame(
        {n: [_text(v) for v in frame.iloc[:, i]] for i, n in enumerate(names)}, dtype=object
    )
    places = [_place(position, label) for position, label in enumerate(frame.index)]
    faults = _header_faults(names)
    if frame.empty:
        raise InputError("The frame has no rows.")
    table = Table("The frame", text, places, os.fspath(images), faults)
    words = Words.given(unknown, unsure, tags)
    found = check_table(table, Columns(image, split, group), tasks, words, uncertain)
    return _manifest(found, fractions, seed)


def _manifest(found: Checked, fractions: Sequence[float], seed: int) -> Manifest:
    return assemble(
        found.frame,
        found.tasks,
        fractions=fractions,
        seed=seed,
        names=found.names,
        notes=found.notes,
        uncertain=found.uncertain,
    )


def _place(position: int, label: object) -> str:
    return f"row {position}" if label == position else f"row {position} (index {label!r})"


def _text(value: object) -> str:
    if value is None or (pd.api.types.is_scalar(value) and pd.isna(value)):
        return ""
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else repr(float(value))
    return str(value).strip()


def _header_faults(names: Sequence[str]) -> list[tuple[int, str]]:
    repeated = sorted({n for n in names if n and names.count(n) > 1})
    return [(-1, f"column {n!r} is there {names.count(n)} times") for n in repeated]


def _csv_table(path: str, sep: str, folder: str) -> Table:
    reader = csv.reader(io.StringIO(_content(path), newline=""), delimiter=sep)
    rows, lines, last = [], [], 0
    try:
        for cells in reader:
            if cells:
                rows.append([c.strip() for c in cells])
                lines.append(last + 1)  # a quoted cell may go over several lines
            last = reader.line_num
    except csv.Error as error:
        raise InputError(f"{path} is no CSV file: line {reader.line_num}: {error}.") from error
    if len(rows) < 2:
        raise InputError(f"{path} has no rows, expected a line of columns and then one a picture.")
    return _table(path, sep, folder, rows, lines)


def _table(path: str, sep: str, folder: str, rows: list[list[str]], lines: list[int]) -> Table:
    header, *body = rows
    if len(header) == 1:
        other = next((c for c in ",;\t" if c != sep and c in header[0]), None)
        if other:
            raise InputError(f"{path} has only one column, {header[0]!r}. Try sep={other!r}.")
    faults = _header_faults(header)
    for row, cells in enumerate(body):
        if len(cells) != len(header):
            faults.append((row, f"{len(cells)} cells, expected {len(header)}"))
    full = [(*cells, *[""] * len(header))[: len(header)] for cells in body]
    columns = {name: [cells[i] for cells in full] for i, name in enumerate(header) if name}
    places = [f"line {n}" for n in lines[1:]]
    return Table(path, pd.DataFrame(columns, dtype=object), places, folder, faults)


def _content(path: str) -> str:
    try:
        with open(path, "rb") as file:
            raw = file.read()
    except FileNotFoundError:
        raise InputError(f"There is no file {path}.{_neighbour(path)}") from None
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise InputError(f"{path} cannot be read: {why}.") from error
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        byte = f"byte 0x{raw[error.start]:02x} in line {line}"
        raise InputError(f"{path} is not UTF-8 ({byte}). Save it as UTF-8.") from error


def _neighbour(path: str) -> str:
    folder, name = os.path.split(path)
    return nearest(name, os.listdir(folder or ".") if os.path.isdir(folder or ".") else [])
