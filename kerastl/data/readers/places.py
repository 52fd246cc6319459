"""Where the pictures of a table are: what its cells name, and where those files lie."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PureWindowsPath

from kerastl.data.kinds import PICTURE_SUFFIXES
from kerastl.data.readers.naming import names_pictures

DEEP, MANY = 6, 200_000
"""Folders are searched so deep, and for so many files and folders."""

LOOKS = 200
"""So many cells of a column show whether it names pictures."""


@dataclass(frozen=True)
class Places:
    """Where each named picture is.

    Attributes:
        paths: A path by row, there or not.
        note: How the files were found, where that was not by their names as written.
    """

    paths: list[str]
    note: str = ""


def picture_column(columns: Mapping[str, Sequence[str]], folder: str) -> list[str]:
    """The columns that are called as pictures are, and name files: different ones each.

    Args:
        columns: Cells by column.
        folder: What relative paths start from.

    Example:
        >>> import pathlib, tempfile
        >>> folder = tempfile.mkdtemp()
        >>> pathlib.Path(folder, "a.png").touch()
        >>> columns = {"Path": ["a.png"], "file": ["b.png"], "kind": ["a.png"]}
        >>> picture_column(columns, folder)
        ['Path']
    """
    different: dict[tuple[str, ...], str] = {}
    for column in filter(names_pictures, columns):
        paths = locate(columns[column][:LOOKS], folder).paths
        if 2 * sum(map(os.path.isfile, paths)) > len(paths):
            different.setdefault(tuple(paths), column)
    return list(different.values())


def locate(names: Sequence[str], folder: str) -> Places:
    """Find the files that a table names.

    As written, from `folder` on; with "/" for a backslash; with a picture's suffix. Where none is
    found so, below the folder: each by the end of its path, if just one file has it and all that
    name a folder were moved alike.

    Args:
        names: The paths as written.
        folder: What relative ones start from.

    Example:
        >>> import pathlib, tempfile
        >>> folder = tempfile.mkdtemp()
        >>> pathlib.Path(folder, "in").mkdir()
        >>> pathlib.Path(folder, "in", "a.png").touch()
        >>> [os.path.relpath(p, folder).replace(os.sep, "/") for p in locate(["a"], folder).paths]
        ['in/a.png']
    """
    written = [_joined(folder, name) for name in names]
    missing = [i for i, path in enumerate(written) if names[i] and not os.path.isfile(path)]
    if not missing or any("\0" in name for name in names):
        return Places(written)
    found: dict[int, str] = {}
    how: dict[str, int] = defaultdict(int)
    listing = _Listing()
    for i in missing:
        plain = _joined(folder, names[i].replace("\\", "/"))
        if os.path.isfile(plain):
            found[i] = plain
            how["with '/' for '\\'"] += 1
        elif len(suffixed := listing.with_suffix(plain)) == 1:
            found[i] = suffixed[0]
            how["with a suffix added"] += 1
    if not found and len(missing) == sum(map(bool, names)):
        found = _below(names, folder)
        if found:
            how[f"by the ends of their paths, {_example(names, found, folder)}"] += len(found)
    paths = [found.get(i, path) for i, path in enumerate(written)]
    told = [f"{n} picture{' was' if n == 1 else 's were'} found {what}" for what, n in how.items()]
    return Places(paths, "; ".join(told))


def _example(names: Sequence[str], found: Mapping[int, str], folder: str) -> str:
    first = min(found)
    return f"as {names[first]} at {os.path.relpath(found[first], folder or '.')}"


def _joined(folder: str, name: str) -> str:
    return os.path.normpath(os.path.join(folder, name)) if name else ""


class _Listing:
    """Folders' pictures by their names without suffix, each folder read once."""

    def __init__(self):
        self.read: dict[str, dict[str, list[str]]] = {}

    def with_suffix(self, path: str) -> list[str]:
        """The pictures that have a path with a suffix behind it."""
        folder, name = os.path.split(path)
        if folder not in self.read:
            by_stem: dict[str, list[str]] = defaultdict(list)
            for file in _files(folder):
                stem, suffix = os.path.splitext(file)
                if suffix.lower() in PICTURE_SUFFIXES:
                    by_stem[stem].append(os.path.join(folder, file))
            self.read[folder] = by_stem
        return self.read[folder].get(name, [])


def _files(folder: str) -> list[str]:
    try:
        return os.listdir(folder or ".")
    except OSError:
        return []


def _below(names: Sequence[str], folder: str) -> dict[int, str]:
    """The file below a folder for each name, or nothing where that is not clear for all."""
    there: dict[str, list[tuple[str, ...]]] = defaultdict(list)
    for parts in _pictures_below(folder or ".") or ():
        there[os.path.splitext(parts[-1])[0].casefold()].append(parts)
    found: dict[int, str] = {}
    moves = set()
    for i, name in enumerate(names):
        if not name:
            continue
        wanted = [part.casefold() for part in PureWindowsPath(name).parts]
        best = _nearest(wanted, there)
        if best is None:
            return {}
        found[i], same = os.path.join(folder, *best), _common_end(wanted, best)
        if len(wanted) > 1:
            moves.add((tuple(wanted[: len(wanted) - same]), best[: len(best) - same]))
    return found if len(moves) <= 1 else {}


def _nearest(
    wanted: Sequence[str], there: Mapping[str, list[tuple[str, ...]]]
) -> tuple[str, ...] | None:
    """The one file whose path ends most like what is wanted; None for several."""
    stem, suffix = os.path.splitext(wanted[-1])
    named = suffix in PICTURE_SUFFIXES
    files = there.get(stem if named else wanted[-1], [])
    files = [f for f in files if not named or f[-1].casefold() == wanted[-1]]
    if not files:
        return None
    ends = [_common_end(wanted, f) for f in files]
    best = [f for f, end in zip(files, ends, strict=True) if end == max(ends)]
    return best[0] if len(best) == 1 else None


def _common_end(wanted: Sequence[str], parts: Sequence[str]) -> int:
    """How many parts two paths have in common at their ends; the file itself is one."""
    pairs = zip(reversed(wanted[:-1]), reversed(parts[:-1]), strict=False)
    n = 1
    for a, b in pairs:
        if a != b.casefold():
            break
        n += 1
    return n


def _pictures_below(folder: str) -> list[tuple[str, ...]] | None:
    """The pictures below a folder as the parts of their paths, hidden ones left out.

    None where there is more than can be looked through.
    """
    found: list[tuple[str, ...]] = []
    seen = 0
    for place, inner, files in os.walk(folder):
        seen += len(inner) + len(files)
        if seen > MANY:
            return None
        parts = () if place == folder else tuple(os.path.relpath(place, folder).split(os.sep))
        inner[:] = sorted(d for d in inner if d[0] != "." and len(parts) < DEEP)
        shown = (f for f in sorted(files) if f[0] != ".")
        found += [(*parts, f) for f in shown if _suffix(f) in PICTURE_SUFFIXES]
    return found


def _suffix(name: str) -> str:
    return os.path.splitext(name)[1].lower()
