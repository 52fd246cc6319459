"""From checked rows to a manifest: the split, and the findings worth a note."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from kerastl.data.manifest import SPLITS, Manifest
from kerastl.data.splits import FRACTIONS, check_fractions, split_frame
from kerastl.data.tasks import Task
from kerastl.files import same_content

EXAMPLES = 3


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

    Returns:
        The manifest, split.
    """
    train, val, _ = check_fractions(fractions)
    names = np.array(frame["image"] if names is None else names, dtype=object)
    same = same_content(frame["image"].tolist())
    found, drawn = list(notes), "split" not in frame
    if not drawn:
        found += _leaks(frame, names, same)
        if val and "val" not in set(frame["split"]):
            shares = (train / (train + val), val / (train + val), 0)
            frame = _val_from_train(frame, tasks, shares, seed, names, same)
    else:
        split = split_frame(frame, tasks, fractions, seed, names=names, same=same)
        frame = frame.assign(split=split)
    found += _contradictions(frame, tasks, names, same)
    skipped = {} if skipped is None else skipped
    return Manifest(frame, tuple(tasks), skipped, tuple(found), uncertain or {}, drawn)


def _val_from_train(
    frame: pd.DataFrame,
    tasks: Sequence[Task],
    shares: tuple[float, float, float],
    seed: int,
    names: np.ndarray,
    same: np.ndarray,
) -> pd.DataFrame:
    rows = np.flatnonzero(frame["split"] == "train")
    part = frame.iloc[rows]
    split = frame["split"].to_numpy(dtype=object, copy=True)
    split[rows] = split_frame(part, tasks, shares, seed, names=names[rows], same=same[rows])
    return frame.assign(split=split)


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
                yield f"leakage: {_examples(each)}"


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
