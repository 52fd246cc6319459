"""What a run was fitted and tuned on: which picture, by content, was in which part."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from kerastl.data.batches import ordered_map
from kerastl.data.manifest import SPLITS, Manifest
from kerastl.errors import InputError
from kerastl.files import content_digest, replacing

FILE = "division.csv"
"""The file's name in the folder of a run."""

HELD_OUT = "test"
COLUMNS = ("content", "split")


@dataclass(frozen=True)
class Division:
    """The part that each picture of a run was in, by the content of its file.

    A copy, a renamed file and a file in another folder are the same picture. Where copies were in
    several parts, the picture counts for the one that training saw most of: train, val, test.

    Args:
        parts: By digest in hex, "train", "val" or "test".

    Example:
        >>> import tempfile
        >>> from kerastl.data import Task
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

    @classmethod
    def of(cls, manifest: Manifest) -> Division:
        """The division of a manifest; without splits all was trained on.

        A file that cannot be read is in no part.
        """
        splits = manifest.frame.get("split", [SPLITS[0]] * len(manifest))
        parts: dict[str, str] = {}
        for digest, part in zip(_digests(manifest), splits, strict=True):
            if digest:
                parts[digest] = min(parts.get(digest, part), part, key=SPLITS.index)
        return cls(parts)

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
        return cls(dict(zip(table["content"], table["split"], strict=True)))

    def write(self, path: str | Path) -> None:
        """Write it as a table with the columns `content` and `split`."""
        with replacing(path) as unfinished:
            pd.DataFrame(sorted(self.parts.items()), columns=list(COLUMNS)).to_csv(
                unfinished, index=False
            )

    def applied(self, manifest: Manifest) -> tuple[Manifest, int]:
        """The same pictures, each in the part that it was in, and how many of them were seen.

        Seen is what was trained or tuned on: the parts train and val. A picture that the run did
        not have is held out, unless the data come with a division of their own: then it is where
        that puts it.
        """
        given = "split" in manifest.frame and not manifest.drawn
        before = list(manifest.frame["split"]) if given else [HELD_OUT] * len(manifest)
        digests = _digests(manifest)
        parts = [self.parts.get(d, b) for d, b in zip(digests, before, strict=True)]
        frame = manifest.frame.assign(split=np.array(parts, dtype=object))
        seen = sum(self.parts.get(digest, HELD_OUT) != HELD_OUT for digest in digests)
        return replace(manifest, frame=frame, drawn=False), seen


def _digests(manifest: Manifest) -> list[str]:
    """By picture its file's digest in hex; "" where it cannot be read."""
    paths = [os.fspath(path) for path in manifest.frame["image"]]
    return [digest.hex() if digest else "" for digest in ordered_map(content_digest, paths)]
