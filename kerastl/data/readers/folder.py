"""From a folder of class folders to a manifest."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath

import pandas as pd

from kerastl.data.manifest import RESERVED, Manifest
from kerastl.data.pictures import PICTURE_SUFFIXES
from kerastl.data.readers.assembly import assemble
from kerastl.data.readers.cells import in_order
from kerastl.data.readers.grouping import check_groups, groups_of_paths, propose, with_proposal
from kerastl.data.readers.naming import SPLIT_WORDS, split_of, splits_of
from kerastl.data.readers.spelling import Findings, one_spelling
from kerastl.data.splits import FRACTIONS, check_fractions
from kerastl.data.tasks import Task
from kerastl.errors import InputError, nearest

IGNORED = frozenset({"__macosx", "thumbs.db", "desktop.ini"})
LAYOUT = "Expected <folder>/<class>/<picture>, or <folder>/train/<class>/<picture>."


@dataclass
class Found:
    """What a walk through the class folders has found so far.

    `rows` are (split or "", class, path), `skipped` the files that are no
    pictures by their suffix, `faults` what is wrong with the folders, `notes`
    what their names were taken for.
    """

    rows: list[tuple[str, str, str]] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def read_folder(
    path: str | os.PathLike,
    *,
    task: str = "label",
    group: str | None = None,
    fractions: Sequence[float] = FRACTIONS,
    seed: int = 0,
) -> Manifest:
    """Read pictures from class folders, or from train, val and test folders above them.

    A class folder's name is the class; the classes are sorted, as numbers where
    all are numbers. Pictures in folders
    inside a class folder count to that class. Hidden files are passed over; a file
    whose suffix is none of a picture is put in `skipped`. Where train and test are
    given but val is not, it is taken from train, `val / (train + val)` of it; where
    val is given but test is not, there is none. Folders that are called splits in
    other words ("Training" and "Testing", "seg_train", "test set", "dev") are splits
    too, and a note says so. Classes whose names differ in case or blanks are one.

    Args:
        path: The folder.
        task: Name of the task to make of the classes.
        group: A pattern of the folders that are groups which no split may divide, as
            "patient*".
        fractions: The shares of train, val and test.
        seed: Seed of the division.

    Returns:
        The manifest, split.

    Raises:
        InputError: For a folder that is missing, empty or laid out otherwise, with
            every fault.

    Example:
        >>> import pathlib, tempfile
        >>> root = pathlib.Path(tempfile.mkdtemp())
        >>> for name in ("cat/1.png", "cat/2.png", "dog/1.png"):
        ...     (root / name).parent.mkdir(exist_ok=True)
        ...     n = (root / name).write_bytes(name.encode())
        >>> m = read_folder(root)
        >>> m.tasks[0].classes, m.frame["label"].tolist()
        (('cat', 'dog'), [0, 0, 1])
    """
    check_fractions(fractions)
    if task in RESERVED:
        raise InputError(f"Expected a task of another name than {', '.join(RESERVED)}.")
    root = os.fspath(path)
    _check_root(root)
    found = _walk(root)
    if found.faults:
        raise InputError(f"The folder {root} cannot be used. {LAYOUT}", found.faults)
    classes = in_order({row[1] for row in found.rows})
    labels = Task(task, tuple(classes))
    frame = pd.DataFrame(
        {
            "image": [r[2] for r in found.rows],
            "split": [r[0] for r in found.rows],
            task: [classes.index(r[1]) for r in found.rows],
        }
    )
    names = [PurePath(os.path.relpath(r[2], root)).as_posix() for r in found.rows]
    if not frame["split"].any():
        frame = frame.drop(columns="split")
    proposal = propose({}, names, [frame[task].tolist()])
    if group is not None:
        frame["group"], proposal = groups_of_paths(group, names), None
        check_groups(frame, group)
    manifest = assemble(
        frame,
        [labels],
        fractions=fractions,
        seed=seed,
        names=names,
        notes=found.notes,
        skipped=found.skipped,
    )
    return with_proposal(manifest, proposal)


def _check_root(root: str) -> None:
    if not os.path.exists(root):
        above, name = os.path.split(os.path.abspath(root))
        hint = nearest(name, _visible(above)[0]) if os.path.isdir(above) else ""
        raise InputError(f"There is no folder {root}.{hint}")
    if not os.path.isdir(root):
        raise InputError(f"{root} is a file, expected a folder of class folders.")


def _visible(folder: str) -> tuple[list[str], list[str]]:
    """The names of the folders and of the files in a folder, hidden ones left out."""
    try:
        with os.scandir(folder) as entries:
            shown = [e for e in entries if e.name[0] != "." and e.name.lower() not in IGNORED]
            folders = sorted(e.name for e in shown if e.is_dir())
            return folders, sorted(e.name for e in shown if not e.is_dir())
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise InputError(f"The folder {folder} cannot be read: {why}.") from error


def _walk(root: str) -> Found:
    folders, files = _visible(root)
    found = Found()
    if not folders:
        found.faults.append(_without_classes(files))
        return found
    splits = splits_of(folders)
    if _is_division(folders, splits):
        _walk_splits(root, folders, splits, found)
        return found
    found.faults += _beside_classes(root, folders, splits)
    _walk_classes(root, "", found)
    _join_spellings(found)
    if splits:
        listed = ", ".join(repr(name) for name in splits)
        found.notes.append(f"read as a class like the others, and not as a split: {listed}")
    return found


def _is_division(folders: Sequence[str], splits: dict[str, str]) -> bool:
    """Whether folders are splits: a class may be called "test", but not beside a train folder."""
    different = set(splits.values())
    if len(splits) == len(folders):
        return len(different) > 1 or all(split_of(f) for f in folders)
    return len(different) > 1 and "train" in different


def _beside_classes(root: str, folders: Sequence[str], splits: dict[str, str]) -> Iterator[str]:
    """A fault for a split folder, with the classes in it, that lies beside the same classes."""
    for folder in splits:
        both = set(_visible(os.path.join(root, folder))[0]) & (set(folders) - {folder})
        if both:
            yield (
                f"{folder} lies beside {', '.join(sorted(both))}, and holds folders of the same "
                "names. Move those beside it into a folder train"
            )


def _without_classes(files: Sequence[str]) -> str:
    pictures = [f for f in files if _suffix(f) in PICTURE_SUFFIXES]
    if pictures:
        return f"{len(pictures)} pictures lie in it without a class folder, such as {pictures[0]}"
    return "it is empty" if not files else f"no class folder and no picture, only {files[0]}"


def _walk_splits(root: str, folders: Sequence[str], splits: dict[str, str], found: Found) -> None:
    others = [f for f in folders if f not in splits]
    there = ", ".join(splits)
    if others:
        found.faults.append(
            f"{there} lie beside other folders: {', '.join(others)}. Move these elsewhere; "
            "or rename the first, if they are classes"
        )
    if "train" not in splits.values():
        found.faults.append(f"there is no train folder, only {there}. Rename one to train")
    for split in dict.fromkeys(splits.values()):
        same = [name for name, of in splits.items() if of == split]
        if len(same) > 1:
            both = " and ".join(same)
            found.faults.append(f"{both} are both {split}. Join them, or move one elsewhere")
    told = [
        f"{name} as {split}" for name, split in splits.items() if name.lower() not in SPLIT_WORDS
    ]
    if told:
        found.notes.append(f"folders read as splits: {', '.join(told)}")
    for folder, split in splits.items():
        _walk_classes(os.path.join(root, folder), split, found)
    _join_spellings(found)
    seen = {row[1] for row in found.rows if row[0] == "train"}
    if "train" not in splits.values():
        return
    for split in sorted({row[0] for row in found.rows} - {"train"}):
        for name in sorted({row[1] for row in found.rows if row[0] == split} - seen):
            found.faults.append(f"class {name!r} is in {split}, but never in train")


def _walk_classes(folder: str, split: str, found: Found) -> None:
    classes, files = _visible(folder)
    loose = [name for name in files if _suffix(name) in PICTURE_SUFFIXES]
    found.skipped |= dict.fromkeys(
        (os.path.join(folder, n) for n in loose), "not in a class folder"
    )
    if split and loose and not classes:
        found.notes.append(
            f"{os.path.basename(folder)} has no class folders: its {len(loose)} pictures have no "
            "labels and were left out"
        )
    for name in classes:
        pictures = _pictures(os.path.join(folder, name), found)
        found.rows += [(split, name, path) for path in pictures]
        if not pictures and split in ("", "train"):
            found.faults.append(f"empty class: {os.path.join(folder, name)} has no picture")
    if len(classes) < 2 and split in ("", "train"):
        found.faults.append(_too_few(folder, split, classes))


def _too_few(folder: str, split: str, classes: Sequence[str]) -> str:
    if not classes:
        other = f": read as {split} by its name. Rename it if it is a class" if split else ""
        return f"{folder} has no class folder{other}"
    inside = _visible(os.path.join(folder, classes[0]))[0]
    hint = f" Did you mean {os.path.join(folder, classes[0])}?" if len(inside) > 1 else ""
    return f"only one class, {classes[0]!r}; expected two or more.{hint}"


def _pictures(folder: str, found: Found) -> list[str]:
    folders, files = _visible(folder)
    pictures = []
    for name in files:
        path = os.path.join(folder, name)
        if _suffix(name) in PICTURE_SUFFIXES:
            pictures.append(path)
        else:
            found.skipped[path] = f"not a picture: {_named(_suffix(name))}"
    for name in folders:
        inner = os.path.join(folder, name)
        if not os.path.islink(inner):  # a link could lead back up
            pictures += _pictures(inner, found)
    return pictures


def _join_spellings(found: Found) -> None:
    """Give one name to the classes whose names differ in case and blanks."""
    findings = Findings()
    names = one_spelling(Counter(row[1] for row in found.rows), "class folders", findings)
    found.rows = [(split, names.get(name, name), path) for split, name, path in found.rows]
    found.notes += findings.lines()


def _suffix(name: str) -> str:
    return os.path.splitext(name)[1].lower()


def _named(suffix: str) -> str:
    return f"suffix {suffix}" if suffix else "no suffix"
