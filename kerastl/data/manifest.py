"""The manifest: one frame of pictures, splits and label codes, and the tasks that explain it.

A "?" has a code of its own in the frame; what it stands for in training is the policy `uncertain`,
column by column.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from kerastl.data.remarks import Remarks
from kerastl.data.tasks import UNCERTAIN, UNKNOWN, Task, as_tasks
from kerastl.errors import InputError, nearest, shorten
from kerastl.files import is_text, readable, replacing

WORDS = {"ignore": None, "positive": 1.0, "negative": 0.0}

Policy = str | float | Mapping[str, str | float]


def policy_values(tasks: Sequence[Task], policy: Policy) -> dict[str, float]:
    """The number in [0, 1] that an uncertain label of each column stands for.

    Args:
        tasks: The tasks the columns belong to.
        policy: "ignore", "positive", "negative" or a number in [0, 1], for every
            binary and multilabel task; or a mapping to one of these from the name
            of a task, a label or a column ("task.label"). A column goes before a
            label, a label before a task; what is not named is ignored.

    Returns:
        By column; one that is not there is ignored.

    Raises:
        InputError: With every fault: a name that is none, a value that is none, and
            a value for a multiclass task, whose uncertain labels can only be ignored.

    Example:
        >>> scene = Task("scene", ["sea", "hill"], kind="multilabel")
        >>> policy_values([scene], {"scene": "negative", "hill": 0.5})
        {'scene.sea': 0.0, 'scene.hill': 0.5}
        >>> policy_values([scene], "ignore")
        {}
    """
    if isinstance(policy, Mapping):
        faults = list(_mapping_faults(tasks, policy))
        chosen = {} if faults else _by_column(tasks, policy)
    else:
        faults = list(_value_faults("uncertain", policy))
        yes_no = [c for t in tasks if t.kind != "multiclass" for c in t.columns]
        if not yes_no and not faults and _value(policy) is not None:
            faults.append(f"uncertain={policy!r} needs a binary or multilabel task; there is none")
        chosen = {} if faults else {c: _value(policy) for c in yes_no}
    if faults:
        raise InputError("The policy for uncertain labels cannot be used.", faults)
    return {column: value for column, value in chosen.items() if value is not None}


def column_faults(tasks: Sequence[Task], values: Mapping[str, float]) -> Iterator[str]:
    """What is wrong with values by column, as a manifest holds them."""
    there = [c for t in tasks if t.kind != "multiclass" for c in t.columns]
    for column, value in values.items():
        if column not in there:
            yes_no = ", ".join(there) or "none"
            yield f"uncertain: {column!r} is no column of yes or no; those are: {yes_no}"
        elif not _is_share(value):
            yield f"uncertain: {column!r} has {value!r}, expected a number from 0 to 1"


def standing(column: str, codes: np.ndarray, values: Mapping[str, float]) -> np.ndarray:
    """Codes as training sees them: uncertain labels have their value, or are unknown."""
    return np.where(codes == UNCERTAIN, values.get(column, UNKNOWN), codes)


def _value(policy: str | float) -> float | None:
    return WORDS[policy] if isinstance(policy, str) else float(policy)


def _is_share(value: object) -> bool:
    return isinstance(value, (int, float, np.number)) and 0 <= value <= 1


def _value_faults(name: str, value: object) -> Iterator[str]:
    if (isinstance(value, str) and value in WORDS) or _is_share(value):
        return
    hint = nearest(value, WORDS) if isinstance(value, str) else ""
    yield f"{name}: expected {', '.join(WORDS)} or a number from 0 to 1, received {value!r}.{hint}"


def _columns_of(tasks: Sequence[Task], name: str) -> dict[int, list[str]]:
    """The columns that a name stands for, by how closely it names them."""
    pairs = [(t, c, label) for t in tasks for c, label in zip(t.columns, _labels(t), strict=True)]
    return {
        0: [c for t, c, _ in pairs if t.name == name],
        1: [c for _, c, label in pairs if label == name],
        2: [c for _, c, _ in pairs if c == name],
    }


def _labels(task: Task) -> Sequence[str | None]:
    return task.classes if task.kind == "multilabel" else [None]


def _mapping_faults(tasks: Sequence[Task], policy: Mapping) -> Iterator[str]:
    names = [n for t in tasks for n in (t.name, *t.columns, *filter(None, _labels(t)))]
    multiclass = {t.name for t in tasks if t.kind == "multiclass"}
    for name, value in policy.items():
        if name not in names:
            there = ", ".join(dict.fromkeys(names))
            yield f"{name!r} is no task or label; there are: {there}.{nearest(name, names)}"
            continue
        faults = list(_value_faults(repr(name), value))
        yield from faults
        if name in multiclass and not faults and _value(value) is not None:
            yield f"{name!r} is multiclass: its uncertain labels can only be ignored"


def _by_column(tasks: Sequence[Task], policy: Mapping) -> dict[str, float | None]:
    found: dict[str, float | None] = {}
    named = {name: _columns_of(tasks, name) for name in policy}
    for closeness in (0, 1, 2):
        for name, value in policy.items():
            found |= {c: _value(value) for c in named[name][closeness]}
    order = [c for t in tasks for c in t.columns]
    return {c: found[c] for c in order if c in found}


SPLITS = ("train", "val", "test")
RESERVED = ("image", "split", "group")

NAMED = 10
"""As many classes of a task does the summary name."""


@dataclass(frozen=True, eq=False)
class Manifest:
    """Pictures with their labels and splits, as plain codes in a pandas frame.

    Args:
        frame: One row a picture. Columns: `image` (path, absolute or relative to
            the working folder), optionally `split` ("train", "val" or "test") and
            `group`, and the columns of each task with its codes: the class number
            for a multiclass task, 0 to 1 for a binary or multilabel one; -1 where
            nobody gave a label, -2 where the annotator was unsure.
        tasks: The tasks that the codes belong to.
        skipped: Path and cause of each picture that could not be used. A manifest
            shares it with its parts, and reading the pictures adds to it.
        notes: Findings that stop nothing, such as leakage between splits.
        uncertain: Column name to the number in [0, 1] that an uncertain label of
            that column stands for in training; a column that is not there has its
            uncertain labels ignored. See `with_uncertain`.
        drawn: Whether the splits were drawn when the data were read, not given with them.
        remarks: What is said of pictures that could be read; shared as `skipped` is.

    Raises:
        InputError: For a column that is missing, or codes that the task does not have.

    Example:
        >>> task = Task("label", ["cat", "dog"])
        >>> frame = pd.DataFrame({"image": ["a.png", "b.png"], "label": [1, -1]})
        >>> Manifest(frame, (task,)).decoded()["label"].tolist()
        ['dog', '']
    """

    frame: pd.DataFrame
    tasks: tuple[Task, ...]
    skipped: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    uncertain: Mapping[str, float] = field(default_factory=dict)
    drawn: bool = False
    remarks: Remarks = field(default_factory=Remarks, repr=False)

    def __post_init__(self):
        object.__setattr__(self, "tasks", as_tasks(self.tasks))
        object.__setattr__(self, "notes", tuple(self.notes))
        object.__setattr__(self, "uncertain", dict(self.uncertain))
        faults = [*_faults(self.frame, self.tasks), *column_faults(self.tasks, self.uncertain)]
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

    @property
    def groups(self) -> np.ndarray | None:
        """int `[n]`, the group of each picture, one without being its own; None without groups.

        Example:
            >>> frame = pd.DataFrame({"image": ["a", "b", "c"], "group": ["p", "p", ""], "t": 0})
            >>> Manifest(frame, Task("t", ["x", "y"])).groups.tolist()
            [0, 0, 1]
        """
        if "group" not in self.frame:
            return None
        given = self.frame["group"].fillna("").astype(str).to_numpy(dtype=object)
        names = [name or number for number, name in enumerate(given)]
        return None if not any(given) else pd.factorize(np.array(names, dtype=object))[0]

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
        """The codes as arrays by task name, as training sees them.

        An uncertain label has its column's value of `uncertain` in the rows of the
        train split, or in every row where the frame has no split; all other labels
        that are not known are -1.

        Returns:
            int32 `[n]` for a multiclass task, float32 `[n, 1]` for a binary one
            and float32 `[n, labels]` for a multilabel one; -1 is unknown.

        Example:
            >>> frame = pd.DataFrame({"image": ["a", "b", "c"], "t": [0.25, -1, -2]})
            >>> m = Manifest(frame, Task("t", ["no", "yes"], kind="binary"))
            >>> m.labels()["t"].tolist()
            [[0.25], [-1.0], [-1.0]]
            >>> m.with_uncertain("positive").labels()["t"].tolist()
            [[0.25], [-1.0], [1.0]]
        """
        train = np.ones(len(self), dtype=bool)
        if "split" in self.frame:
            train = self.frame["split"].to_numpy() == SPLITS[0]
        return {t.name: _array(self, t, train) for t in self.tasks}

    def with_uncertain(self, policy: Policy) -> Manifest:
        """The same pictures, with uncertain labels standing for something in training.

        Args:
            policy: "ignore", "positive", "negative" or a number in [0, 1]; or a
                mapping to one of these from the name of a task, a label or a column
                ("task.label"), the closer name first. What is not named is ignored.

        Raises:
            InputError: Naming every fault of the policy.

        Example:
            >>> frame = pd.DataFrame({"image": ["a"], "t": [-2]})
            >>> m = Manifest(frame, Task("t", ["no", "yes"], kind="binary"))
            >>> m.with_uncertain({"t": 0.5}).uncertain
            {'t': 0.5}
        """
        return replace(self, uncertain=policy_values(self.tasks, policy))

    def certain(self) -> Manifest:
        """The same with every uncertain label unknown: what each score is made on."""
        return replace(self, uncertain={})

    def decoded(self) -> pd.DataFrame:
        """The frame in the user's words: "" where nobody gave a label, "?" for uncertain.

        A binary task has its class names where the label is 0 or 1 and the number
        where it is between; a multilabel task has numbers.
        """
        words = {c: _words(self.frame[c], t) for t in self.tasks for c in t.columns}
        return self.frame.assign(**words)

    def summary(self) -> str:
        """The pictures of each split, the tasks, the notes and what was skipped.

        The labels themselves are counted by `label_report`.
        """
        return "\n".join(_summary(self))

    def to_csv(self, path: str | os.PathLike) -> None:
        """Write the manifest in the user's words; `read_csv(path, tasks=tasks)` reads it back.

        Uncertain labels are written as "?"; what they stand for is not written.
        Paths of pictures below the file's folder are written relative to it,
        other paths absolute. The file appears whole or not at all.

        Raises:
            InputError: For names of files that are not UTF-8, which no table holds.
        """
        folder = os.path.dirname(os.path.abspath(path))
        ours = [c for c in RESERVED if c in self.frame]
        frame = self.decoded()[[*ours, *(c for t in self.tasks for c in t.columns)]]
        odd = [readable(p) for p in frame["image"] if not is_text(p)]
        if odd:
            raise InputError("Expected names of files in UTF-8, to be read back. Rename:", odd)
        frame = frame.assign(image=[_written(p, folder) for p in frame["image"]])
        with replacing(path) as unfinished:
            frame.to_csv(unfinished, index=False, encoding="utf-8")


def path_column(paths: Iterable[str]) -> pd.Index:
    """Paths as a column of a frame: pandas' own strings hold no name that is not UTF-8.

    Example:
        >>> frame = pd.DataFrame({"image": path_column([os.fsdecode(b"caf\\xe9.png")])})
        >>> os.fsencode(frame["image"][0])
        b'caf\\xe9.png'
    """
    return pd.Index([str(path) for path in paths], dtype=object)


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
        good = np.isin(codes, (UNKNOWN, UNCERTAIN)) | ((codes >= 0) & (codes <= top))
        if task.kind == "multiclass":
            good &= codes == np.floor(codes)
        if not good.all():
            row = int(np.flatnonzero(~good)[0])
            value = frame[column].iloc[row]
            yield f"column {column!r}, row {row}: expected {what}, -1 or -2, received {value}"


def _coded(frame: pd.DataFrame, tasks: Sequence[Task]) -> pd.DataFrame:
    kinds = {c: "int64" if t.kind == "multiclass" else "float64" for t in tasks for c in t.columns}
    text = {c: path_column(frame[c].fillna("")) for c in RESERVED if c in frame}
    return frame.assign(**text).astype(kinds).reset_index(drop=True)


def _array(manifest: Manifest, task: Task, train: np.ndarray) -> np.ndarray:
    codes = manifest.frame[list(task.columns)].to_numpy(dtype="float64", copy=True)
    for i, column in enumerate(task.columns):
        codes[train, i] = standing(column, codes[train, i], manifest.uncertain)
    codes = np.maximum(codes, UNKNOWN)
    return codes[:, 0].astype("int32") if task.kind == "multiclass" else codes.astype("float32")


def _words(codes: pd.Series, task: Task) -> list[str]:
    names = task.classes if task.kind != "multilabel" else ("0", "1")
    whole = {float(UNKNOWN): "", float(UNCERTAIN): "?"}
    whole |= {float(i): name for i, name in enumerate(names)}
    return [whole.get(code, repr(code)) for code in map(float, codes)]


def _written(path: str, folder: str) -> str:
    full = os.path.abspath(path)
    below = full.startswith(os.path.join(folder, ""))
    return os.path.relpath(full, folder) if below else full


def _summary(manifest: Manifest) -> Iterator[str]:
    each = [f"{s} {(manifest.frame['split'] == s).sum()}" for s in manifest.splits]
    yield f"{len(manifest)} pictures" + (f": {', '.join(each)}" if each else "")
    for task in manifest.tasks:
        yield f"{task.name} ({task.kind}): {', '.join(shorten(task.classes, most=NAMED))}"
    yield from (f"note: {note}" for note in manifest.notes)
    paths = manifest.frame["image"].tolist()
    yield from (f"note: {line}" for line in manifest.remarks.lines(paths))
    bad = dict(manifest.skipped)  # a copy: threads that read pictures may add to it
    if bad:
        yield f"skipped: {len(bad)}"
        yield from (f"  {line}" for line in shorten([f"{p}: {c}" for p, c in bad.items()]))
