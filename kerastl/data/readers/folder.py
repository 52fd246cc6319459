"""From a folder of class folders to a manifest."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath

import pandas as pd

from kerastl.data.manifest import RESERVED, Manifest, path_column
from kerastl.data.readers.assembly import assemble
from kerastl.data.readers.cells import in_order
from kerastl.data.readers.grouping import check_groups, groups_of_paths, propose, with_proposal
from kerastl.data.readers.naming import SPLIT_WORDS, split_of, splits_of
from kerastl.data.readers.spelling import Findings, folded, one_spelling
from kerastl.data.splits import FRACTIONS, check_fractions
from kerastl.data.tasks import Task
from kerastl.data.walking import is_picture, level, walk
from kerastl.errors import InputError, nearest

LAYOUT = "Expected <folder>/<class>/<picture>, or <folder>/train/<class>/<picture>."


@dataclass
class Found:
    """What a walk through the class folders has found so far.

    `rows` are (split or "", class, path), `skipped` the files that give no
    picture, with their causes, `faults` what is wrong with the folders, `notes`
    what their names were taken for. `known` are the classes that there may be, of
    which some may be missing.
    """

    rows: list[tuple[str, str, str]] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    known: Sequence[str] | None = None


def read_folder(
    path: str | os.PathLike,
    *,
    task: str | Task = "label",
    group: str | None = None,
    fractions: Sequence[float] = FRACTIONS,
    seed: int = 0,
    stable: bool = True,
) -> Manifest:
    """Read pictures from class folders, or from train, val and test folders above them.

    A class folder's name is the class; the classes are sorted, as numbers where
    all are numbers. Pictures in folders inside a class folder count to that class.
    Links are followed. Hidden files are passed over; a file that is no picture, or one
    of a kind that is not read (such as HEIC without pillow-heif), is put in `skipped`
    with its cause. Where train and test are given but val is not, it is taken from train,
    `val / (train + val)` of it; where val is given but test is not, there is none.
    Folders that are called splits in other words ("Training" and "Testing",
    "seg_train", "test set", "dev") are splits too, and a note says so. Classes whose
    names differ in case or blanks are one.

    Args:
        path: The folder.
        task: Name of the task to make of the classes; or a task whose classes the folders
            are, of which not all have to be there.
        group: A pattern of the folders that are groups which no split may divide, as
            "patient*".
        fractions: The shares of train, val and test.
        seed: Seed of the division.
        stable: As in `read_csv`.

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
    known = task.classes if isinstance(task, Task) else None
    name = task.name if isinstance(task, Task) else task
    if name in RESERVED:
        raise InputError(f"Expected a task of another name than {', '.join(RESERVED)}.")
    root = os.fspath(path)
    _check_root(root)
    found = _walk(root, Found(known=known))
    if found.faults:
        raise InputError(f"The folder {root} cannot be used. {LAYOUT}", found.faults)
    classes = known or in_order({row[1] for row in found.rows})
    labels = task if isinstance(task, Task) else Task(task, tuple(classes))
    frame = pd.DataFrame(
        {
            "image": path_column(r[2] for r in found.rows),
            "split": [r[0] for r in found.rows],
            name: [classes.index(r[1]) for r in found.rows],
        }
    )
    names = [PurePath(os.path.relpath(r[2], root)).as_posix() for r in found.rows]
    if not frame["split"].any():
        frame = frame.drop(columns="split")
    proposal = propose({}, names, [frame[name].tolist()])
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
        stable=stable,
    )
    return with_proposal(manifest, proposal)


def _check_root(root: str) -> None:
    if not os.path.exists(root):
        above, name = os.path.split(os.path.abspath(root))
        hint = nearest(name, level(above).folders) if os.path.isdir(above) else ""
        raise InputError(f"There is no folder {root}.{hint}")
    if not os.path.isdir(root):
        raise InputError(f"{root} is a file, expected a folder of class folders.")


def _walk(root: str, found: Found) -> Found:
    here = level(root)
    folders = here.folders
    if not folders:
        found.faults.append(_without_classes(here.files))
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
        both = set(level(os.path.join(root, folder)).folders) & (set(folders) - {folder})
        if both:
            yield (
                f"{folder} lies beside {', '.join(sorted(both))}, and holds folders of the same "
                "names. Move those beside it into a folder train"
            )


def _without_classes(files: Sequence[str]) -> str:
    pictures = [f for f in files if is_picture(f)]
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
    if "train" not in splits.values() and not found.known:
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
    if "train" not in splits.values() or found.known:
        return
    for split in sorted({row[0] for row in found.rows} - {"train"}):
        for name in sorted({row[1] for row in found.rows if row[0] == split} - seen):
            found.faults.append(f"class {name!r} is in {split}, but never in train")


def _walk_classes(folder: str, split: str, found: Found) -> None:
    here = level(folder)
    for name in here.files:
        path = os.path.join(folder, name)
        if not os.path.exists(path):
            found.skipped[path] = "a link to nothing"
        elif is_picture(name):
            found.skipped[path] = "not in a class folder"
    loose = [name for name in here.files if is_picture(name)]
    if split and loose and not here.folders:
        found.notes.append(
            f"{os.path.basename(folder)} has no class folders: its {len(loose)} pictures have no "
            "labels and were left out"
        )
    for name in here.back:
        found.skipped[os.path.join(folder, name)] = "a link to a folder above"
    for name in here.folders:
        inside = walk(os.path.join(folder, name))
        pictures = [path for path in inside.pictures if path not in inside.unread]
        found.rows += [(split, name, path) for path in pictures]
        found.skipped |= inside.skipped
        if not pictures and split in ("", "train") and not found.known:
            found.faults.append(_empty(os.path.join(folder, name), inside.unread))
    if len(here.folders) < 2 and split in ("", "train") and not (found.known and here.folders):
        found.faults.append(_too_few(folder, split, here.folders))


def _empty(folder: str, unread: dict[str, str]) -> str:
    if not unread:
        return f"empty class: {folder} has no picture"
    path, cause = next(iter(unread.items()))
    return f"empty class: of {len(unread)} pictures in {folder} none is read; {path}: {cause}"


def _too_few(folder: str, split: str, classes: Sequence[str]) -> str:
    if not classes:
        other = f": read as {split} by its name. Rename it if it is a class" if split else ""
        return f"{folder} has no class folder{other}"
    inside = level(os.path.join(folder, classes[0])).folders
    hint = f" Did you mean {os.path.join(folder, classes[0])}?" if len(inside) > 1 else ""
    return f"only one class, {classes[0]!r}; expected two or more.{hint}"


def _join_spellings(found: Found) -> None:
    """Give one name to the classes whose names differ in case and blanks, a known one where known.

    A class that is none of the known ones is a fault.
    """
    findings = Findings()
    counts = Counter(row[1] for row in found.rows)
    names = one_spelling(counts, "class folders", findings)
    if found.known:
        known = {folded(name): name for name in found.known}
        names = {name: known.get(folded(name), name) for name in counts if name not in found.known}
        for odd in sorted(set(names.values()) - set(found.known)):
            path = next(path for _, name, path in found.rows if name == odd)
            hint = nearest(odd, found.known)
            found.faults.append(f"{os.path.dirname(path)} is none of the model's classes.{hint}")
    found.rows = [(split, names.get(name, name), path) for split, name, path in found.rows]
    found.notes += findings.lines()
