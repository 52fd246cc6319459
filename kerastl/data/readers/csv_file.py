"""From a CSV file to a table of text: its encoding, what stands between cells, its lines."""

from __future__ import annotations

import codecs
import csv
import io
import os
import re
from collections.abc import Sequence

import pandas as pd

from kerastl.data.kinds import PICTURE_SUFFIXES, suffix_of
from kerastl.data.readers.table import Table
from kerastl.errors import InputError, nearest

SEPARATORS = (",", ";", "\t", "|")


def csv_table(path: str, sep: str | None, folder: str) -> Table:
    """Read a CSV file, every cell as text.

    Args:
        path: The file, in UTF-8, UTF-16 with its mark, or else cp1252 as Windows writes it.
        sep: What stands between two cells; None takes what the first line shows.
        folder: What relative paths of pictures start from.

    Raises:
        InputError: For a file that cannot be read or is no table.

    Example:
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp(), "labels.csv")
        >>> n = path.write_text("image;kind\\na.png;x\\n;\\n")
        >>> table = csv_table(str(path), None, "")
        >>> table.text.to_dict("list"), table.notes
        ({'image': ['a.png'], 'kind': ['x']}, ["read with ';' between the cells"])
    """
    text, notes = _content(path)
    usual = "\t" if path.lower().endswith(".tsv") else ","
    between = sep or _separator(text, usual)
    if sep is None and between != usual:
        notes.append(f"read with {between!r} between the cells")
    rows, lines = _rows(path, text, between)
    if len(rows) < 2:
        raise InputError(f"{path} has no rows, expected a line of columns and then one a picture.")
    return _table(path, between, folder, rows, lines, notes)


def _separator(text: str, usual: str) -> str:
    """The usual one, if the first line has it, or another that is there."""
    header = next((line for line in text.splitlines() if line.strip()), "")
    return next((c for c in (usual, *SEPARATORS) if c in header), usual)


def _rows(path: str, text: str, sep: str) -> tuple[list[list[str]], list[int]]:
    """The lines that are not blank, and the number that each begins with."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=sep)
    rows, lines, last = [], [], 0
    try:
        for cells in reader:
            stripped = [c.strip() for c in cells]
            if any(stripped):
                rows.append(stripped)
                lines.append(last + 1)  # a quoted cell may go over several lines
            last = reader.line_num
    except csv.Error as error:
        raise InputError(f"{path} is no CSV file: line {reader.line_num}: {error}.") from error
    return rows, lines


def _table(
    path: str,
    sep: str,
    folder: str,
    rows: list[list[str]],
    lines: list[int],
    notes: list[str],
) -> Table:
    header, *body = rows
    header = [name.replace("\u200b", "").replace("\ufeff", "").strip() for name in header]
    other = next((c for c in SEPARATORS if c != sep and c in header[0]), None)
    if len(header) == 1 and other:
        raise InputError(f"{path} has only one column, {header[0]!r}. Try sep={other!r}.")
    pairs = zip(map(suffix_of, header), map(suffix_of, [*body, header][0]), header, strict=False)
    named = next((h for top, below, h in pairs if top in PICTURE_SUFFIXES and top == below), "")
    if named:
        raise InputError(
            f"{path} begins with a picture, {named}. Expected a first line with the names of the "
            "columns, such as image,label."
        )
    faults = repeated_columns(header)
    for row, cells in enumerate(body):
        if len(cells) < len(header) or any(cells[len(header) :]):
            faults.append((row, f"{len(cells)} cells, expected {len(header)}"))
    full = [(*cells, *[""] * len(header))[: len(header)] for cells in body]
    columns = {name: [cells[i] for cells in full] for i, name in enumerate(header) if name}
    nameless = [i for i, name in enumerate(header) if not name and any(c[i] for c in full)]
    if nameless:
        what = "a column" if len(nameless) == 1 else f"{len(nameless)} columns"
        notes.append(f"{what} without a name passed over")
    places = [f"line {n}" for n in lines[1:]]
    return Table(path, pd.DataFrame(columns, dtype=object), places, folder, faults, notes)


def repeated_columns(names: Sequence[str]) -> list[tuple[int, str]]:
    """A fault for each name that several columns have."""
    repeated = sorted({n for n in names if n and list(names).count(n) > 1})
    return [
        (-1, f"column {n!r} is there {list(names).count(n)} times; rename one") for n in repeated
    ]


def _content(path: str) -> tuple[str, list[str]]:
    """A file's text, and a note where its encoding was guessed."""
    try:
        with open(path, "rb") as file:
            raw = file.read()
    except FileNotFoundError:
        raise InputError(f"There is no file {path}.{_neighbour(path)}") from None
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise InputError(f"{path} cannot be read: {why}.") from error
    text, notes = _decoded(path, raw)
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        raise InputError(
            f"{path} holds NUL bytes from line {line} on: it is damaged, or no text. Delete "
            "what is no text, or save it as UTF-8."
        )
    return text, notes


def _decoded(path: str, raw: bytes) -> tuple[str, list[str]]:
    utf16 = raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        return raw.decode("utf-16" if utf16 else "utf-8-sig"), []
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        byte = f"byte 0x{raw[error.start]:02x} in line {line}"
    try:
        text = raw.decode("cp1252")
    except UnicodeDecodeError:
        raise InputError(f"{path} is not UTF-8 ({byte}). Save it as UTF-8.") from None
    word = re.search(r"\w*[^\x00-\x7f]\w*", text)[0]
    return text, [f"not UTF-8 ({byte}), so read as cp1252, as Windows writes it: {word!r}"]


def _neighbour(path: str) -> str:
    folder, name = os.path.split(path)
    return nearest(name, os.listdir(folder or ".") if os.access(folder or ".", os.R_OK) else [])
