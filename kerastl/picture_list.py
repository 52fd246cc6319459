"""Pictures without their labels: from what a command names to a manifest of every picture."""

from __future__ import annotations

import os
from collections.abc import Sequence

import pandas as pd

from kerastl.errors import InputError, nearest
from kerastl.manifest import Manifest
from kerastl.prediction import find_pictures
from kerastl.runs import open_data
from kerastl.tasks import UNKNOWN, Task

TABLES = {".csv": ",", ".tsv": "\t"}
NO_LABELS = Task("label", ("no", "yes"), kind="binary")


def list_pictures(data: str) -> Manifest:
    """Every picture that a command names, all labels unknown.

    Args:
        data: A folder, searched also below; a .csv or .tsv table, of which the column
            `image` is read; or tfds:NAME.

    Raises:
        InputError: For data that cannot be read, or have no picture.

    Example:
        >>> import pathlib, tempfile
        >>> root = pathlib.Path(tempfile.mkdtemp())
        >>> for name in ("a.png", "b.jpg", "notes.txt"):
        ...     (root / name).touch()
        >>> len(list_pictures(str(root)))
        2
    """
    if data.startswith("tfds:"):
        return open_data(data)
    suffix = os.path.splitext(data)[1].lower()
    paths = _column(data, TABLES[suffix]) if suffix in TABLES else _below(data)
    frame = pd.DataFrame({"image": paths, NO_LABELS.name: UNKNOWN})
    return Manifest(frame.drop_duplicates(ignore_index=True), (NO_LABELS,))


def _below(data: str) -> Sequence[str]:
    if not os.path.isdir(data):
        above, name = os.path.split(os.path.abspath(data))
        hint = nearest(name, os.listdir(above)) if os.path.isdir(above) else ""
        raise InputError(f"There is no folder {data}.{hint}")
    return find_pictures(data)


def _column(path: str, sep: str) -> Sequence[str]:
    """The column `image`: paths from the table's folder on."""
    try:
        table = pd.read_csv(path, sep=sep, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except (OSError, ValueError) as error:  # pandas' own errors are ValueErrors
        raise InputError(f"The table {path} cannot be read: {error}.") from error
    if "image" not in table:
        there = ", ".join(map(str, table.columns))
        raise InputError(f"{path}: column 'image' is missing; the columns are {there}.")
    names = table["image"].str.strip()
    folder = os.path.dirname(path)
    return [os.path.normpath(os.path.join(folder, name)) for name in names if name]
