"""From checked rows to a manifest: the split, and the findings worth a note."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from kerastl.data.batches import ordered_map
from kerastl.data.hashed_splits import hashed_split
from kerastl.data.manifest import SPLITS, Manifest
from kerastl.data.splits import FRACTIONS, check_fractions, split_frame, together
from kerastl.data.tasks import Task
from kerastl.files import content_digest

EXAMPLES = 3
FAR = 0.15
"""A part this far from its share is said."""


def assemble(
    frame: pd.DataFrame,
    tasks: Sequence[Task],
    *,
    fractions: Sequence[float] = FRACTIONS,
    seed: int = 0,
    names: Sequence[str] | None = None,
    notes: Sequence[str] = (),
    skipped: dict[str, str] | None = None,
    uncertain: Mapping[str, float] | None = None,
    stable: bool = True,
) -> Manifest:
    """Split what is not split yet, look for leakage, and make the manifest.

    A frame without `split` is divided by `fractions`. In one that has train but
    no val, val is taken from train: the part `val / (train + val)` of it.

    Args:
        frame: A manifest's frame, with codes.
        tasks: Its tasks.
        fractions: The shares of train, val and test.
        seed: Seed of the division.
        names: What the user calls each picture; the division depends on it, so
            that it is the same wherever the folder lies.
        notes: Findings so far.
        skipped: Files left out so far, with their causes.
        uncertain: What uncertain labels stand for in training, by column.
        stable: Whether a picture keeps its part when others come, by `hashed_split`;
            False divides as evenly as can be, by `split_frame`: for data that stay as they are.

    Returns:
        The manifest, split.
    """
    train, val, _ = shares = check_fractions(fractions)
    names = np.array(frame["image"] if names is None else names, dtype=object)
    contents = _contents(frame["image"].tolist(), names)
    same = _first_of(contents)
    found, drawn = list(notes), "split" not in frame

    def divided(rows: np.ndarray, shares: Sequence[float]) -> np.ndarray:
        part = frame.iloc[rows]
        if stable:
            return hashed_split(part, tasks, shares, seed, contents=contents[rows])
        return split_frame(part, tasks, shares, seed, names=names[rows], same=same[rows])

    if not drawn:
        found += _leaks(frame, names, same)
        frame = frame.assign(split=_kept_together(frame, same))
        if val and "val" not in set(frame["split"]):
            split = frame["split"].to_numpy(dtype=object, copy=True)
            rows = np.flatnonzero(split == "train")
            split[rows] = divided(rows, (train / (train + val), val / (train + val), 0))
            frame = frame.assign(split=split)
    else:
        frame = frame.assign(split=divided(np.arange(len(frame)), shares))
        found += _shares(frame, shares)
    found += _contradictions(frame, tasks, names, same)
    skipped = {} if skipped is None else skipped
    return Manifest(frame, tuple(tasks), skipped, tuple(found), uncertain or {}, drawn)


def _contents(paths: Sequence[str], names: np.ndarray) -> np.ndarray:
    """What each picture is known by: its content; its name where that is nothing."""
    empty = content_digest(os.devnull)
    digests = ordered_map(content_digest, paths)
    return np.array(
        [digest.hex() if digest not in (None, empty) else f"name {name}"
         for digest, name in zip(digests, names, strict=True)],
        dtype=object,
    )  # fmt: skip


def _first_of(contents: np.ndarray) -> np.ndarray:
    """By row the first row of the same content."""
    first: dict[str, int] = {}
    return np.array([first.setdefault(content, row) for row, content in enumerate(contents)], int)


def _shares(frame: pd.DataFrame, shares: Sequence[float]) -> Iterator[str]:
    """What was drawn, where that is far from what was asked for."""
    counts = [int((frame["split"] == name).sum()) for name in SPLITS]
    if shares[2] and not counts[2]:
        yield (
            f"nothing is held out: {len(frame)} pictures are too few; about five of a class, of "
            "several groups where there are groups, would allow a score"
        )
    elif any(
        abs(count / len(frame) - share) > FAR for count, share in zip(counts, shares, strict=True)
    ):
        asked = ", ".join(f"{share:.0%}" for share in shares)
        real = ", ".join(f"{count / len(frame):.0%}" for count in counts)
        yield f"train, val and test are {real} of the pictures, not {asked}"


def _pairs(same: np.ndarray) -> Iterator[tuple[int, int]]:
    """Each row that repeats an earlier one's content, behind that one."""
    return ((int(first), row) for row, first in enumerate(same) if first != row)


def _leaks(frame: pd.DataFrame, names: np.ndarray, same: np.ndarray) -> Iterator[str]:
    split = frame["split"].to_numpy()
    places: dict[int, dict[str, int]] = {}
    for row, first in enumerate(same):
        places.setdefault(int(first), {}).setdefault(split[row], row)
    for i, a in enumerate(SPLITS):
        for b in SPLITS[i + 1 :]:
            both = [p for p in places.values() if a in p and b in p]
            if both:
                each = [f"{names[p[a]]} is in {a} and {b} as {names[p[b]]}" for p in both]
                yield f"leakage, counted for {a}: {_examples(each)}"


def _kept_together(frame: pd.DataFrame, same: np.ndarray) -> np.ndarray:
    """A given division with copies, and pictures of a group, in the part that training saw most."""
    split = frame["split"].to_numpy(dtype=object, copy=True)
    for rows in together(frame, same):
        split[rows] = min(split[rows], key=SPLITS.index)
    return split


def _contradictions(
    frame: pd.DataFrame, tasks: Sequence[Task], names: np.ndarray, same: np.ndarray
) -> Iterator[str]:
    codes = frame[[c for t in tasks for c in t.columns]].to_numpy(dtype="float64")
    odd = [
        f"{names[a]} and {names[b]}"
        for a, b in _pairs(same)
        if ((codes[a] != codes[b]) & (codes[a] >= 0) & (codes[b] >= 0)).any()
    ]
    if odd:
        yield f"the same picture has contradictory labels: {_examples(odd)}"


def _examples(each: Sequence[str]) -> str:
    rest = len(each) - EXAMPLES
    shown = "; ".join(each[:EXAMPLES])
    return f"{shown}; and {rest} more" if rest > 0 else shown
