"""Dividing pictures that grow in number: a part by the hash of a picture's content or group.

A picture's place is a number from 0 to 1, the hash of the seed and of its group, or else of its
content. Below the share of test it is in test, then comes val, and the rest is train. So a picture
keeps its part when others come, when it is renamed and when the folder is moved, and whoever
divides the same picture with the same seed gives it the same part.

The price is chance: a part is as large as the hashes have it, and a class of few pictures may miss
one. A class with enough pictures is therefore brought into every part, and none loses most of its
pictures from train: the unit whose number lies nearest is moved, one of test last. Such a move is
undone when enough others have come; what a run has seen is kept by its `Division`, not by this.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pandas as pd

from kerastl.data.manifest import SPLITS
from kerastl.data.splits import FRACTIONS, Label, Unit, check_fractions, units_of
from kerastl.data.tasks import Task

ENOUGH = 5
"""Pictures of a class from which on it is brought into every part."""

SMALL, LEAST = 6, 0.4
"""Of so many units of a class all but one of each other part train; of more at least this share."""

TRAIN, VAL, TEST = range(3)


def hashed_split(
    frame: pd.DataFrame,
    tasks: Sequence[Task],
    fractions: Sequence[float] = FRACTIONS,
    seed: int = 0,
    *,
    contents: Sequence[str] | None = None,
) -> np.ndarray:
    """A split for each row, by the hash of its group or content.

    A class of five pictures or more, in three groups or more where there are groups, is in every
    part. Of fewer, all but one train. Where no class has so many and the test part would have
    less than five pictures, all of them train.

    Args:
        frame: A manifest's frame. Rows of one `group`, where the column is there
            and not empty, stay in one split.
        tasks: The tasks whose classes are brought into the parts.
        fractions: The shares of train, val and test; a share of 0 leaves it out.
        seed: Another seed, another split; the same one, the same on any machine.
        contents: What each picture is known by, alike for copies; `image` by default.

    Returns:
        `[len(frame)]` of "train", "val" and "test".

    Raises:
        InputError: For fractions that are no shares of a whole.

    Example:
        >>> frame = pd.DataFrame({"image": [f"{i}.png" for i in range(60)], "label": [0, 1] * 30})
        >>> task = Task("label", ["cat", "dog"])
        >>> more = hashed_split(frame, [task])
        >>> fewer = hashed_split(frame[:40], [task])
        >>> more[:40].tolist() == fewer.tolist(), sorted(Counter(more).items())
        (True, [('test', 6), ('train', 46), ('val', 8)])
    """
    shares = check_fractions(fractions)
    contents = frame["image"].tolist() if contents is None else list(contents)
    first = {content: row for row, content in reversed(list(enumerate(contents)))}
    groups = frame["group"].fillna("").astype(str).tolist() if "group" in frame else None
    units = units_of(frame, tasks, same=[first[content] for content in contents])
    numbers = [_number(seed, unit, contents, groups) for unit in units]
    found = np.empty(len(frame), dtype=object)
    for unit, place in zip(units, Places(units, numbers, shares).all(), strict=True):
        found[list(unit.rows)] = SPLITS[place]
    return found


def _number(seed: int, unit: Unit, contents: Sequence[str], groups: Sequence[str] | None) -> float:
    """From 0 to 1: the lowest hash of its groups, where it has some, else that of its content."""
    named = {f"group\n{groups[row]}" for row in unit.rows if groups and groups[row]}
    words = named or {f"content\n{contents[row]}" for row in unit.rows}
    digests = (
        hashlib.blake2b(f"{seed}\n{word}".encode("utf-8", "surrogateescape"), digest_size=8)
        for word in words
    )
    return min(int.from_bytes(digest.digest(), "big") for digest in digests) / 2**64


class Places:
    """The part of each unit by its number, and the few moves that classes need.

    Args:
        units: What must stay together.
        numbers: From 0 to 1, of each unit.
        shares: Of train, val and test.
    """

    def __init__(self, units: Sequence[Unit], numbers: Sequence[float], shares: Sequence[float]):
        self.units, self.numbers, self.shares = units, numbers, shares
        self.zones = {
            TEST: (0.0, shares[TEST]),
            VAL: (shares[TEST], shares[TEST] + shares[VAL]),
            TRAIN: (shares[TEST] + shares[VAL], 1.0),
        }
        self.places = [self._zone(number) for number in numbers]
        self.there = [Counter() for _ in SPLITS]
        for unit, place in zip(units, self.places, strict=True):
            self.there[place].update(unit.labels)

    def all(self) -> list[int]:
        """The part of each unit, 0 for train, 1 for val and 2 for test."""
        held = Counter(label for unit in self.units for label in unit.labels)
        pictures = sum((unit.counts for unit in self.units), Counter())
        full = {c for c, n in held.items() if pictures[c] >= ENOUGH and n >= len(SPLITS)}
        if not full and len(self.units) * max(self.shares[1:]) < ENOUGH:
            return [TRAIN] * len(self.units)
        self.least = {label: self._least(n, label in full) for label, n in held.items()}
        for label in sorted(held, key=lambda c: (held[c], c)):
            for place in (TRAIN, TEST, VAL):
                self._bring(label, place)
        return self.places

    def _least(self, held: int, full: bool) -> tuple[int, int, int]:
        """How many of a class's units each part has at least; most of a small class trains."""
        others = [int(full and share > 0) for share in self.shares[1:]]
        if not full:
            return max(1, held - any(self.shares[1:])), 0, 0
        most = held - sum(others)
        return most if held <= SMALL else int(held * min(LEAST, self.shares[TRAIN])), *others

    def _zone(self, number: float) -> int:
        return next(place for place in (TEST, VAL, TRAIN) if number < self.zones[place][1])

    def _bring(self, label: Label, to: int) -> None:
        """Move units with a label to a part until it has its least, the nearest number first."""
        while self.there[to][label] < self.least[label][to]:
            able = [
                n
                for n, unit in enumerate(self.units)
                if self.places[n] != to and label in unit.labels and (to == TRAIN or self._spare(n))
            ]
            if not able:
                return
            moved = min(able, key=lambda n: (self.places[n] == TEST, *self._distance(n, to)))
            self.there[self.places[moved]].subtract(self.units[moved].labels)
            self.there[to].update(self.units[moved].labels)
            self.places[moved] = to

    def _spare(self, number: int) -> bool:
        """Whether a unit's part has more than the least of each of its labels."""
        place = self.places[number]
        return all(self.there[place][c] > self.least[c][place] for c in self.units[number].labels)

    def _distance(self, unit: int, place: int) -> tuple[float, float]:
        (low, high), number = self.zones[place], self.numbers[unit]
        return max(low - number, number - high, 0.0), number
