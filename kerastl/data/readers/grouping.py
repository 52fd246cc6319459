"""Pictures that belong together, as those of a patient do: given, or proposed and counted."""

from __future__ import annotations

import fnmatch
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from kerastl.data.manifest import Manifest
from kerastl.data.readers.choosing import MOST, REPEATS, numbered_alike
from kerastl.data.readers.naming import group_rank, names_labels
from kerastl.errors import InputError


@dataclass(frozen=True)
class Proposal:
    """What may be a group that nobody named: a column, or a pattern of folders.

    Attributes:
        name: What `group=` takes.
        values: The group of each row; blank is none.
    """

    name: str
    values: list[str]

    def note(self, split: Sequence[str]) -> str:
        """How many groups the splits divide, and what keeps them whole; nothing for none.

        Example:
            >>> Proposal("patient", ["a", "a", "b", "b"]).note(["train", "test", "val", "val"])[:52]
            'patient groups pictures: 1 of its 2 groups lies in m'
        """
        there = pd.DataFrame({"group": self.values, "split": split})
        parts = there[there["group"] != ""].groupby("group")["split"].nunique()
        divided = int((parts > 1).sum())
        if not divided:
            return ""
        return (
            f"{self.name} groups pictures: {divided} of its {len(parts)} groups "
            f"{'lies' if divided == 1 else 'lie'} in more than one split, which makes scores too "
            f"good; --group {_quoted(self.name)} (group=) keeps each in one"
        )

    def kept(self, rows: np.ndarray) -> Proposal:
        """The same for some of the rows."""
        return Proposal(self.name, [self.values[row] for row in rows])


def _quoted(name: str) -> str:
    return name if name.replace("_", "").isalnum() else f"'{name}'"


def propose(
    columns: Mapping[str, Sequence[str]],
    names: Sequence[str],
    labels: Sequence[Sequence[str]] = (),
) -> Proposal | None:
    """The column or the part of the paths that most likely groups a table's pictures.

    Args:
        columns: The cells of the columns that look like groups, by name.
        names: The paths of the pictures as written.
        labels: The cells of columns of labels: folders that name classes are no groups.

    Example:
        >>> names = [f"patient{i // 3:05}/study1/view{i}.jpg" for i in range(30)]
        >>> propose({}, names).name, propose({"slide": names, "patient": names}, names).name
        ('patient*', 'patient')
    """
    if columns:
        ranks = {name: group_rank(name) for name in columns}
        best = min(columns, key=lambda c: (ranks[c] is None, ranks[c] or 0))
        return Proposal(best, list(columns[best]))
    return _of_paths(names, labels)


def _of_paths(names: Sequence[str], labels: Sequence[Sequence[str]]) -> Proposal | None:
    folders = [_folders(name) for name in names]
    for level in range(max(map(len, folders), default=0)):
        counts = Counter(parts[level] for parts in folders if len(parts) > level)
        front = numbered_alike(counts)
        times = sum(counts.values()) / len(counts)
        if front and not names_labels(front) and REPEATS <= times <= MOST:
            pattern = f"{front}*"
            groups = groups_of_paths(pattern, names)
            if not any(_alike(groups, of) for of in labels):
                return Proposal(pattern, groups)
    return None


def _alike(groups: Sequence[str], labels: Sequence[str]) -> bool:
    """Whether each group is a class of its own."""
    pairs = {(group, label) for group, label in zip(groups, labels, strict=True) if label}
    return len(pairs) == len({group for group, _ in pairs}) == len({label for _, label in pairs})


def groups_of_paths(pattern: str, names: Sequence[str]) -> list[str]:
    """By path its first folder after a pattern, as "patient*"; blank where there is none.

    Example:
        >>> groups_of_paths("patient*", ["train/patient7/a.jpg", "other/b.jpg"])
        ['patient7', '']
    """
    like = re.compile(fnmatch.translate(pattern)).match
    return [next(filter(like, _folders(name)), "") for name in names]


def _folders(name: str) -> list[str]:
    """The folders in a path that is written with either slash."""
    return re.split(r"[/\\]", name)[:-1]


def check_groups(frame: pd.DataFrame, pattern: str) -> None:
    """Raise where a pattern of folders gives no group, or one that lies in two splits."""
    groups = frame[frame["group"] != ""]
    if groups.empty:
        raise InputError(f"No folder in the paths of the pictures is as {pattern!r} (group=).")
    if "split" not in frame:
        return
    parts = groups.groupby("group")["split"].unique()
    divided = [
        f"group {name!r} is in {' and '.join(of)}" for name, of in parts.items() if len(of) > 1
    ]
    if divided:
        raise InputError("No split may divide a group. Move its pictures into one.", divided)


def with_proposal(manifest: Manifest, proposal: Proposal | None) -> Manifest:
    """The manifest with a note of what may be its groups, where its splits divide some."""
    told = proposal.note(manifest.frame["split"]) if proposal else ""
    return replace(manifest, notes=(*manifest.notes, told)) if told else manifest
