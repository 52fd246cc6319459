"""The manifest: one frame of pictures, splits and label codes, and the tasks that explain it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from kerastl.errors import InputError, nearest, shorten
from kerastl.files import replacing
from kerastl.tasks import UNKNOWN, Task, as_tasks, known

SPLITS = ("train", "val", "test")
RESERVED = ("image", "split", "group")


@dataclass(frozen=True, eq=False)
class Manifest:
    """Pictures with their labels and splits, as plain codes in a pandas frame.

    Args:
        frame: One row a picture. Columns: `image` (path, absolute or relative to
            the working folder), optionally `split` ("train", "val" or "test") and
            `group`, and the columns of each task with its codes: the class number
            for a multiclass task, 0 to 1 for a binary or multilabel one, and -1
            wherever the label is unknown.
        tasks: The tasks that the codes belong to.
        skipped: Path and cause of each picture that could not be used. A manifest
            shares it with its parts, and reading the pictures adds to it.
        notes: Findings that stop nothing, such as leakage between splits.

    Raises:
        InputError: For a column that is missing, or codes that the task does not have.

    Example:
        >>> task = Task("label", ["cat", "dog"])
        >>> frame = pd.DataFrame({"image": ["a.png", "b.png"], "label": [1, -1]})
        >>> Manifest(frame, (task,)).decoded()["label"].tolist()
        ['dog', '?']
    """

    frame: pd.DataFrame
    tasks: tuple[Task, ...]
    skipped: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __post_init__(self):
        object.__setattr__(self, "tasks", as_tasks(self.tasks))
        object.__setattr__(self, "notes", tuple(self.notes))
        faults = list(_faults(self.frame, self.tasks))
        if faults:
            raise InputError("The frame is not a manifest's.", faults)
        object.__setattr__(self, "frame", _coded(self.frame, self.tasks))

    def __len__(self) -> int:
        return len(self.frame)

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that have a picture, in the order train, val, test."""
        if "split" not in self.frame:
            return ()
        there = set(self.frame["split"])
        return tuple(s for s in SPLITS if s in there)

    def has(self, name: str) -> bool:
        """Whether the split `name` has a picture."""
        return name in self.splits

    def split(self, name: str) -> Manifest:
        """The part of one split.

        Raises:
            InputError: Naming the splits there are, where `name` is none of them.

        Example:
            >>> frame = pd.DataFrame({"image": ["a", "b"], "split": ["train", "val"], "t": [0, 1]})
            >>> m = Manifest(frame, Task("t", ["x", "y"]))
            >>> m.split("val").frame["image"].tolist()
            ['b']
        """
        if not self.has(name):
            there = ", ".join(self.splits) or "none"
            hint = nearest(name, self.splits)
            raise InputError(f"There is no split {name!r}. The splits are: {there}.{hint}")
        return self.take(np.flatnonzero(self.frame["split"] == name))

    def take(self, positions: Sequence[int] | np.ndarray) -> Manifest:
        """The rows at these positions, in this order; `skipped` is shared."""
        rows = np.asarray(positions, dtype="int64")
        return replace(self, frame=self.frame.iloc[rows])

    def labels(self) -> dict[str, np.ndarray]:
        """The codes as arrays by task name.

        Returns:
            int32 `[n]` for a multiclass task, float32 `[n, 1]` for a binary one
            and float32 `[n, labels]` for a multilabel one; -1 is unknown.

        Example:
            >>> frame = pd.DataFrame({"image": ["a", "b"], "t": [0.25, -1]})
            >>> Manifest(frame, Task("t", ["no", "yes"], kind="binary")).labels()["t"].tolist()
            [[0.25], [-1.0]]
        """
        return {t.name: _array(self.frame, t) for t in self.tasks}

    def decoded(self) -> pd.DataFrame:
        """The frame in the user's words: class names, "?" for unknown.

        A binary task has its class names where the label is 0 or 1 and the number
        where it is between; a multilabel task has numbers.
        """
        words = {c: _words(self.frame[c], t) for t in self.tasks for c in t.columns}
        return self.frame.assign(**words)

    def summary(self) -> str:
        """The pictures of each split, each task's classes, the notes and what was skipped."""
        return "\n".join(_summary(self))

    def to_csv(self, path: str | os.PathLike) -> None:
        """Write the manifest in the user's words; `read_csv(path, tasks=tasks)` reads it back.

        Paths of pictures below the file's folder are written relative to it,
        other paths absolute. The file appears whole or not at all.
        """
        folder = os.path.dirname(os.path.abspath(path))
        ours = [c for c in RESERVED if c in self.frame]
        frame = self.decoded()[[*ours, *(c for t in self.tasks for c in t.columns)]]
        frame = frame.assign(image=[_written(p, folder) for p in frame["image"]])
        with replacing(path) as unfinished:
            frame.to_csv(unfinished, index=False, encoding="utf-8")


def name_faults(tasks: Iterable[Task]) -> Iterator[str]:
    """Tasks whose columns would take the place of the manifest's own."""
    for task in tasks:
        if set(task.columns) & set(RESERVED):
            yield f"a task cannot be called {task.name!r}: the manifest has a column of that name"


def _faults(frame: pd.DataFrame, tasks: Sequence[Task]) -> Iterator[str]:
    yield from name_faults(tasks)
    columns = ["image", *(c for t in tasks for c in t.columns)]
    there = ", ".join(map(str, frame.columns))
    for name in columns:
        if name not in frame:
            yield f"column {name!r} is missing; the columns are {there}"
    if "image" in frame and not all(isinstance(p, str) and p for p in frame["image"]):
        yield "column 'image': expected paths as text"
    if "split" in frame and not frame["split"].isin(SPLITS).all():
        odd = frame["split"][~frame["split"].isin(SPLITS)].iloc[0]
        yield f"column 'split': expected train, val or test, received {odd!r}"
    for task in tasks:
        yield from _code_faults(frame, task)


def _code_faults(frame: pd.DataFrame, task: Task) -> Iterator[str]:
    top = len(task.classes) - 1 if task.kind == "multiclass" else 1
    what = f"codes 0 to {top}" if task.kind == "multiclass" else "numbers from 0 to 1"
    for column in task.columns:
        if column not in frame:
            continue
        codes = pd.to_numeric(frame[column], errors="coerce").to_numpy(dtype="float64")
        good = (codes == UNKNOWN) | ((codes >= 0) & (codes <= top))
        if task.kind == "multiclass":
            good &= codes == np.floor(codes)
        if not good.all():
            row = int(np.flatnonzero(~good)[0])
            value = frame[column].iloc[row]
            yield f"column {column!r}, row {row}: expected {what} or -1, received {value}"


def _coded(frame: pd.DataFrame, tasks: Sequence[Task]) -> pd.DataFrame:
    kinds = {c: "int64" if t.kind == "multiclass" else "float64" for t in tasks for c in t.columns}
    text = {c: frame[c].fillna("").astype(str) for c in RESERVED if c in frame}
    return frame.assign(**text).astype(kinds).reset_index(drop=True)


def _array(frame: pd.DataFrame, task: Task) -> np.ndarray:
    if task.kind == "multiclass":
        return frame[task.name].to_numpy(dtype="int32")
    return frame[list(task.columns)].to_numpy(dtype="float32")


def _words(codes: pd.Series, task: Task) -> list[str]:
    names = task.classes if task.kind != "multilabel" else ("0", "1")
    whole = {float(i): name for i, name in enumerate(names)} | {float(UNKNOWN): "?"}
    return [whole.get(code, repr(code)) for code in map(float, codes)]


def _written(path: str, folder: str) -> str:
    full = os.path.abspath(path)
    below = full.startswith(os.path.join(folder, ""))
    return os.path.relpath(full, folder) if below else full


def class_counts(task: Task, labels: np.ndarray) -> dict[str, int]:
    """How many pictures each class has, a soft label counting from 0.5 on.

    Example:
        >>> class_counts(Task("t", ["x", "y"]), np.array([0, 0, 1, -1]))
        {'x': 2, 'y': 1}
    """
    if task.kind == "multiclass":
        counts = np.bincount(labels[known(labels)], minlength=len(task.classes))
    else:
        counts = (labels >= 0.5).sum(axis=0)
        if task.kind == "binary":
            counts = [(known(labels) & (labels < 0.5)).sum(), counts[0]]
    return {name: int(n) for name, n in zip(task.classes, counts, strict=True)}


def _summary(manifest: Manifest) -> Iterator[str]:
    parts = {s: manifest.split(s) for s in manifest.splits} or {"all": manifest}
    each = ", ".join(f"{name} {len(part)}" for name, part in parts.items())
    yield f"{len(manifest)} pictures: {each}"
    for task in manifest.tasks:
        yield f"{task.name} ({task.kind})"
        yield from (f"  {line}" for line in _count_table(task, parts))
    yield from (f"note: {note}" for note in manifest.notes)
    bad = dict(manifest.skipped)  # a copy: threads that read pictures may add to it
    if bad:
        yield f"skipped: {len(bad)}"
        yield from (f"  {line}" for line in shorten([f"{p}: {c}" for p, c in bad.items()]))


def _count_table(task: Task, parts: dict[str, Manifest]) -> Iterable[str]:
    columns = {}
    for name, part in parts.items():
        labels = part.labels()[task.name]
        unknown = int((~known(labels)).sum())
        columns[name] = class_counts(task, labels) | {"unknown": unknown}
    table = pd.DataFrame(columns)
    if not table.loc["unknown"].any():
        table = table.drop(index="unknown")
    return table.to_string().splitlines()
