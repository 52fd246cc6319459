"""The one way through a folder: links are followed, hidden files passed over, the rest counted."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field

from kerastl.data.kinds import OTHER_SUFFIXES, PICTURE_SUFFIXES, cause_of, suffix_of
from kerastl.errors import InputError, shorten

IGNORED = frozenset(
    {"__macosx", "thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r"}
    | {"@eadir", "$recycle.bin", "system volume information"}
)
"""What systems leave in folders, in lower case, beside names that begin with a dot."""

BACK = "what is read already, or to a folder above"
NAMED = 3
"""As many files are named in a line that counts them."""


@dataclass
class Level:
    """What lies in one folder, without what is hidden: names, sorted.

    Attributes:
        folders: Those that are to be entered, links to folders among them.
        files: All others.
        back: Links to the folder itself or to one above it, which are not to be entered.
        links: Those of the folders and files that are links.
    """

    folders: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    back: list[str] = field(default_factory=list)
    links: set[str] = field(default_factory=set)


@dataclass
class Walked:
    """What lies in a folder and below it.

    The order is that of the names, a folder's files before its folders.

    Attributes:
        pictures: Files that are pictures by their suffix.
        unread: Those of them that are of no use, with the cause: a kind that is not read,
            a link to nothing.
        others: Files that are no pictures, with the cause.
        repeated: Links to what is read already, or to a folder above them.
    """

    pictures: list[str] = field(default_factory=list)
    unread: dict[str, str] = field(default_factory=dict)
    others: dict[str, str] = field(default_factory=dict)
    repeated: list[str] = field(default_factory=list)

    @property
    def skipped(self) -> dict[str, str]:
        """All that is of no use, with the causes."""
        return {**self.unread, **self.without_pictures}

    @property
    def without_pictures(self) -> dict[str, str]:
        """All that is not among the pictures, with the causes."""
        return {**self.others, **dict.fromkeys(self.repeated, f"a link to {BACK}")}

    def told(self) -> list[str]:
        """A line for the files that are no pictures, and one for the links that lead back."""
        lines = []
        if self.others:
            what = "1 file is no picture" if len(self.others) == 1 else "files are no pictures"
            lines.append(_line(what, list(self.others)))
        if self.repeated:
            what = "1 link leads" if len(self.repeated) == 1 else "links lead"
            lines.append(_line(f"{what} to {BACK}", self.repeated))
        return lines


def level(folder: str | os.PathLike) -> Level:
    """What lies in one folder.

    Args:
        folder: The folder.

    Raises:
        InputError: For one that cannot be read.

    Example:
        >>> import pathlib, tempfile
        >>> root = pathlib.Path(tempfile.mkdtemp())
        >>> for name in ("a.png", ".DS_Store", "cat"):
        ...     (root / name).touch() if "." in name else (root / name).mkdir()
        >>> level(root)
        Level(folders=['cat'], files=['a.png'], back=[], links=set())
    """
    found, here = Level(), os.path.realpath(folder)
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name[0] != "." and entry.name.lower() not in IGNORED:
                    _sort(entry, here, found)
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise InputError(f"The folder {os.fspath(folder)} cannot be read: {why}.") from error
    for names in (found.folders, found.files, found.back):
        names.sort()
    return found


def _sort(entry: os.DirEntry, here: str, found: Level) -> None:
    linked, is_folder = entry.is_symlink(), entry.is_dir()
    if linked and is_folder and _is_above(os.path.realpath(entry.path), here):
        found.back.append(entry.name)
        return
    (found.folders if is_folder else found.files).append(entry.name)
    if linked:
        found.links.add(entry.name)


def walk(folder: str | os.PathLike) -> Walked:
    """Go through a folder and all below it.

    Links are followed. A picture that is reached twice is given once, under the path that
    has no link in it where there is one.

    Args:
        folder: The folder.

    Returns:
        Every file that is not hidden, in one of the lists.

    Raises:
        InputError: For a folder that cannot be read, here or below.

    Example:
        >>> import pathlib, tempfile
        >>> root = pathlib.Path(tempfile.mkdtemp())
        >>> for name in ("b.jpg", "notes.txt"):
        ...     size = (root / name).write_bytes(b"")
        >>> (root / "again").symlink_to(root)
        >>> found = walk(root)
        >>> [os.path.basename(p) for p in (*found.pictures, *found.others, *found.repeated)]
        ['b.jpg', 'notes.txt', 'again']
    """
    root = os.fspath(folder)
    here, order = os.path.realpath(root), _Order(root)
    found, seen = Walked(), set()
    links = _enter(root, here, seen, found)
    while links:  # after all else, so that a picture goes by its own path
        links = [more for link in links for more in _follow(link, here, seen, found)]
    return Walked(
        sorted(found.pictures, key=order),
        {path: found.unread[path] for path in sorted(found.unread, key=order)},
        {path: found.others[path] for path in sorted(found.others, key=order)},
        sorted(found.repeated, key=order),
    )


def gather(given: Iterable[str | os.PathLike]) -> Walked:
    """Files as they are given, and what lies in folders, in the order given.

    Args:
        given: Files and folders.

    Raises:
        InputError: Naming each folder that has no picture, or cannot be read.

    Example:
        >>> gather(["b.png", "a.txt"]).pictures
        ['b.png', 'a.txt']
    """
    found, empty, seen = Walked(), [], set()
    for path in map(os.fspath, given):
        inside = walk(path) if os.path.isdir(path) else Walked([path])
        if not inside.pictures:
            empty.append("; ".join([path, *inside.told()]))
        for picture in inside.pictures:  # given twice, it is one
            real = os.path.realpath(picture)
            if real not in seen:
                found.pictures.append(picture)
            seen.add(real)
        found.unread |= inside.unread
        found.others |= inside.others
        found.repeated += inside.repeated
    if empty:
        kinds = ", ".join(sorted(PICTURE_SUFFIXES))
        raise InputError(f"Expected folders with pictures ({kinds}). Without one:", empty)
    return found


def is_picture(name: str) -> bool:
    """Whether a file is a picture by its suffix, whatever its kind.

    Example:
        >>> [is_picture(name) for name in ("a.JPG", "b.heic", "c.txt")]
        [True, True, False]
    """
    return suffix_of(name) in PICTURE_SUFFIXES or suffix_of(name) in OTHER_SUFFIXES


def named(suffix: str) -> str:
    """A suffix in words."""
    return f"suffix {suffix}" if suffix else "no suffix"


def _line(what: str, paths: list[str]) -> str:
    count = "" if len(paths) == 1 else f"{len(paths):,} "
    return f"{count}{what}: {', '.join(shorten(paths, most=NAMED))}."


def _follow(link: str, root: str, seen: set[str], found: Walked) -> list[str]:
    """Take what a link leads to, and give the links that were met."""
    real = os.path.realpath(link)
    if real in seen or _is_above(real, root):
        found.repeated.append(link)
        return []
    if os.path.isdir(real):
        return _enter(link, real, seen, found)
    if not os.path.exists(real):
        _note(link, "a link to nothing", found)
    else:
        _take(link, real, seen, found)
    return []


def _enter(path: str, real: str, seen: set[str], found: Walked) -> list[str]:
    """Take what lies in a folder and below it, and give the links that were met."""
    links, folders = [], [(path, real)]
    while folders:
        path, real = folders.pop()
        if real in seen:
            found.repeated.append(path)
            continue
        seen.add(real)
        here = level(path)
        found.repeated += [os.path.join(path, name) for name in here.back]
        links += [os.path.join(path, name) for name in sorted(here.links)]
        inside = [name for name in here.folders if name not in here.links]
        folders += [(os.path.join(path, name), os.path.join(real, name)) for name in inside]
        for name in here.files:
            if name not in here.links:
                _take(os.path.join(path, name), os.path.join(real, name), seen, found)
    return links


def _take(path: str, real: str, seen: set[str], found: Walked) -> None:
    if real in seen:
        found.repeated.append(path)
        return
    seen.add(real)
    _note(path, cause_of(path) if suffix_of(path) in OTHER_SUFFIXES else "", found)


def _note(path: str, cause: str, found: Walked) -> None:
    """Put a file into its list; the cause is why it is of no use."""
    if not is_picture(path):
        found.others[path] = cause or f"not a picture: {named(suffix_of(path))}"
        return
    found.pictures.append(path)
    if cause:
        found.unread[path] = cause


def _is_above(real: str, here: str) -> bool:
    """Whether a folder is another one, or one above it."""
    return here == real or here.startswith(os.path.join(real, ""))


class _Order:
    """The key by which a folder's files come before what lies in its folders."""

    def __init__(self, root: str):
        self._start = len(root)

    def __call__(self, path: str) -> list[tuple[bool, str]]:
        *folders, name = path[self._start :].strip(os.sep).split(os.sep)
        return [*((True, part) for part in folders), (False, name)]
