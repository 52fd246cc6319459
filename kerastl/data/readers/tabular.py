"""From a table or a folder to a manifest."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Sequence

import pandas as pd

from kerastl.data.manifest import Manifest, Policy
from kerastl.data.readers.assembly import assemble
from kerastl.data.readers.cells import Words
from kerastl.data.readers.columns import settle
from kerastl.data.readers.csv_file import csv_table, repeated_columns
from kerastl.data.readers.folder import read_folder
from kerastl.data.readers.grouping import with_proposal
from kerastl.data.readers.places import locate
from kerastl.data.readers.table import Checked, Columns, Table, check_table
from kerastl.data.splits import FRACTIONS, check_fractions
from kerastl.data.tasks import Task
from kerastl.errors import InputError

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
    sep: str | None = None,
    fractions: Sequence[float] = FRACTIONS,
    seed: int = 0,
    stable: bool = True,
    to_train: bool = True,
) -> Manifest:
    """Read a table of pictures and labels from a CSV file.

    Every cell is text, and "007" keeps its zeros. Two kinds of unknown label are kept
    apart: blank, -1 and NaN are labels that nobody gave, as is "N/A" beside two classes;
    "?" is one that the annotator was unsure of.

    In a column without a Task, words that differ in case or blanks are one class, and
    tags may be written as lists or with "|" or ", " between them, where each of them is
    known from other cells. Notes say what was taken for what.

    The cells of a binary task are its class words, or yes, no, true, false or numbers
    from 0 to 1. A multilabel task has a column for each label, `<label>` or
    `<task>.<label>`, of yes, no, true, false or numbers from 0 to 1; or one column of
    its own name with the tags of each picture. "cat;dog?" is a cat, perhaps a dog and
    no other label; "none" is none of them.

    Args:
        path: The file. Its first line names the columns.
        image: The column of picture paths; where there is none, the one that is called
            as such columns are ("Path", "file_name", "image_id") and names files.
        tasks: Tasks, or names of columns. A column's distinct words are the classes
            of a multiclass task (in numeric order where all are numbers); one of yes
            and no is a binary task; one with tags a multilabel task. None takes each
            column that may hold labels (no ids, dates, ages, file names or free text),
            and makes the columns of yes and no, where there are several, the labels of
            one multilabel task, `labels`.
        split: The column of train, val and test, if there is one.
        group: The column of groups that no split may divide, if there is one; or a
            pattern of the folders in the paths that are groups, as "patient*".
        images: The folder that relative paths start from; the file's own by default.
        unknown: Further words that say that nobody gave a label.
        unsure: The words that say that the annotator was unsure. These two go
            before the meaning that a word has otherwise: `unsure=("-1", "-1.0")`.
        uncertain: What uncertain labels stand for in training: "ignore", "positive",
            "negative" or a number from 0 to 1, or a mapping to these by task, label
            or column; see `Manifest.with_uncertain`.
        tags: What stands between the tags of a cell.
        sep: What stands between two cells; by default what the first line shows.
        fractions: The shares of train, val and test. A table that gives splits but
            no val has val taken from train, `val / (train + val)` of it.
        seed: Seed of the division.
        stable: Whether a picture keeps its part when others are added: it follows from the
            hash of its group or content. False divides evenly, class by class, for data that
            stay as they are.
        to_train: Whether it has to have every class, and a train part where it is divided;
            False for what a model is only scored on.

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
    table = csv_table(os.fspath(path), sep, folder)
    words = Words.given(unknown, unsure, tags)
    found = check_table(
        table, Columns(image, split, group), tasks, words, uncertain, to_train=to_train
    )
    return _manifest(found, fractions, seed, stable)


def picture_paths(path: str | os.PathLike, image: str = "image") -> list[str]:
    """The pictures that a CSV file names, whatever else it holds: a path each, there or not.

    Args:
        path: The file.
        image: The column of picture paths, as in `read_csv`.

    Raises:
        InputError: For a file that is no table, or has no such column.

    Example:
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp(), "labels.csv")
        >>> n = path.write_text("image,kind\\na.png,x\\n")
        >>> [os.path.basename(p) for p in picture_paths(path)]
        ['a.png']
    """
    table = csv_table(os.fspath(path), None, os.path.dirname(os.fspath(path)))
    faults: list = []
    usual = Columns(image, "split", "group")
    column = settle(table, usual, (), faults, []).image
    if column not in table.text:
        raise InputError(f"{table.title} cannot be used.", [text for _, text in faults])
    return [p for p in locate(table.text[column].tolist(), table.folder).paths if p]


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
    stable: bool = True,
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
    faults = repeated_columns(names)
    if frame.empty:
        raise InputError("The frame has no rows.")
    table = Table("The frame", text, places, os.fspath(images), faults)
    words = Words.given(unknown, unsure, tags)
    found = check_table(table, Columns(image, split, group), tasks, words, uncertain)
    return _manifest(found, fractions, seed, stable)


def _manifest(found: Checked, fractions: Sequence[float], seed: int, stable: bool) -> Manifest:
    manifest = assemble(
        found.frame,
        found.tasks,
        fractions=fractions,
        seed=seed,
        names=found.names,
        notes=found.notes,
        uncertain=found.uncertain,
        stable=stable,
    )
    return with_proposal(manifest, found.proposal)


def _place(position: int, label: object) -> str:
    return f"row {position}" if label == position else f"row {position} (index {label!r})"


def _text(value: object) -> str:
    if value is None or (pd.api.types.is_scalar(value) and pd.isna(value)):
        return ""
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else repr(float(value))
    return str(value).strip()
