"""What a run was fitted and tuned on: which picture, and which group, was in which part."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd

from kerastl.data.batches import ordered_map
from kerastl.data.manifest import SPLITS, Manifest
from kerastl.data.splits import together
from kerastl.errors import InputError
from kerastl.files import content_digest, replacing

FILE = "division.csv"
"""The file's name in the folder of a run."""

HELD_OUT = "test"
COLUMNS = ("content", "split", "group")


def run_of(model: Path) -> Path | None:
    """The folder of the run that a model or an exported file lies in, if there is one."""
    places = (model, *model.parents[:3])  # OpenVINO's files and trials lie in folders of their own
    return next((place for place in places if (place / FILE).is_file()), None)


@dataclass(frozen=True)
class Division:
    """The part that each picture of a run was in, by the content of its file, and each group.

    A copy, a renamed file and a file in another folder are the same picture. Where copies were in
    several parts, the picture counts for the one that training saw most of: train, val, test. So
    does a group, of which only a digest of the name is kept.

    Args:
        parts: By digest in hex, "train", "val" or "test".
        groups: The same by the digest of a group's name.

    Example:
        >>> import tempfile
        >>> from kerastl.data.tasks import Task
        >>> paths = [os.path.join(tempfile.mkdtemp(), name) for name in ("a", "b")]
        >>> for path in paths:
        ...     size = Path(path).write_text(path)
        >>> frame = pd.DataFrame({"image": paths, "split": ["train", "test"], "t": [0, 1]})
        >>> run = Manifest(frame, Task("t", ["x", "y"]))
        >>> again = replace(run, frame=frame.assign(split=["test", "train"]), drawn=True)
        >>> divided, seen = Division.of(run).applied(again)
        >>> divided.frame["split"].tolist(), seen
        (['train', 'test'], 1)
    """

    parts: Mapping[str, str]
    groups: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, manifest: Manifest) -> Division:
        """The division of a manifest; without splits all was trained on.

        A file that cannot be read is in no part.
        """
        splits = list(manifest.frame.get("split", [SPLITS[0]] * len(manifest)))
        return cls(_most(_digests(manifest), splits), _most(_groups(manifest), splits))

    @classmethod
    def read(cls, path: str | Path) -> Division:
        """The division that `write` wrote.

        Raises:
            InputError: For a file that cannot be read, or is no division.
        """
        try:
            table = pd.read_csv(path, dtype=str, keep_default_na=False)
        except (OSError, ValueError) as error:
            raise InputError(f"The division {path} cannot be read: {error}.") from error
        if tuple(table.columns) != COLUMNS or not table["split"].isin(SPLITS).all():
            raise InputError(
                f"Expected {path} with the columns {', '.join(COLUMNS)}, and a split of "
                f"{', '.join(SPLITS)} in each line. Without the file nothing is known to be held "
                "out: train again, or evaluate the model's file in a folder of its own."
            )
        splits = table["split"].tolist()
        return cls(_most(table["content"], splits), _most(table["group"], splits))

    def write(self, path: str | Path) -> None:
        """Write it as a table: `split` for each `content`, and for each `group`."""
        rows = [(content, part, "") for content, part in sorted(self.parts.items())]
        rows += [("", part, group) for group, part in sorted(self.groups.items())]
        with replacing(path) as unfinished:
            pd.DataFrame(rows, columns=list(COLUMNS)).to_csv(unfinished, index=False)

    def applied(self, manifest: Manifest) -> tuple[Manifest, int]:
        """The same pictures, each in the part that it was in, and how many of them were seen.

        Seen is what was trained or tuned on, the parts train and val, and each picture of a group
        of which one was. A picture that the run did not have is held out, unless the data come
        with a division of their own that holds some of these out: then it is where that puts it.
        """
        known = self._known(manifest)
        before = [HELD_OUT] * len(manifest)
        if "split" in manifest.frame and not manifest.drawn:
            given = list(manifest.frame["split"])
            new = {split for split, part in zip(given, known, strict=True) if part is None}
            before = given if HELD_OUT in new else before
        parts = [part or other for part, other in zip(known, before, strict=True)]
        frame = manifest.frame.assign(split=np.array(parts, dtype=object))
        seen = sum(part not in (None, HELD_OUT) for part in known)
        return replace(manifest, frame=frame, drawn=False), seen

    def spared(self, manifest: Manifest) -> tuple[Manifest, int]:
        """Data to train a seen network on, nothing held out that it saw, and how many were.

        In a division that was drawn, each picture that is known is in the part where it was, and
        so are those of its group. Of one that the data came with, what was seen is left out of
        val and test.
        """
        known = self._known(manifest)
        seen = np.array([part not in (None, HELD_OUT) for part in known], bool)
        split = manifest.frame["split"].to_numpy(dtype=object)
        if not manifest.drawn:
            out = seen & (split != SPLITS[0])
            return manifest.take(np.flatnonzero(~out)), int(out.sum())
        out = seen & (split == HELD_OUT)
        split = np.array([part or drawn for part, drawn in zip(known, split, strict=True)], object)
        for rows in together(manifest.frame, None):
            split[rows] = _first(*split[rows])
        return replace(manifest, frame=manifest.frame.assign(split=split)), int(out.sum())

    def with_earlier(self, other: Division) -> Division:
        """This division, and what another saw before it."""
        both = [(*self.parts.items(), *other.parts.items())]
        both += [(*self.groups.items(), *other.groups.items())]
        return Division(*(_most(*zip(*pairs, strict=True)) if pairs else {} for pairs in both))

    def _known(self, manifest: Manifest) -> list[str | None]:
        """By picture the part that it, a copy or one of its group was in; None for a new one."""
        digests, groups = _digests(manifest), _groups(manifest)
        own = [
            _first(self.parts.get(digest), self.groups.get(group))
            for digest, group in zip(digests, groups, strict=True)
        ]
        for rows in together(manifest.frame, None):
            shared = _first(*(own[row] for row in rows))
            for row in rows if shared not in (None, HELD_OUT) else ():
                own[row] = _first(own[row], shared)
        return own


def _first(*parts: str | None) -> str | None:
    """The one that training saw most of."""
    return min((part for part in parts if part), key=SPLITS.index, default=None)


def _most(names: Iterable[str], parts: Iterable[str]) -> dict[str, str]:
    """By name the part that training saw most of; a blank is no name."""
    found: dict[str, str] = {}
    for name, part in zip(names, parts, strict=True):
        if name:
            found[name] = _first(found.get(name), part) or part
    return found


def _digests(manifest: Manifest) -> list[str]:
    """By picture its file's digest in hex; "" where it cannot be read."""
    paths = [os.fspath(path) for path in manifest.frame["image"]]
    return [digest.hex() if digest else "" for digest in ordered_map(content_digest, paths)]


def _groups(manifest: Manifest) -> list[str]:
    """By picture the digest of its group's name; "" where it has none."""
    names = manifest.frame.get("group", pd.Series([""] * len(manifest))).fillna("").astype(str)
    return [
        hashlib.blake2b(name.encode("utf-8", "surrogateescape"), digest_size=8).hexdigest()
        if name
        else ""
        for name in names
    ]
