"""Dividing pictures into train, val and test: stratified, seeded, and blind to the row order.

The pictures that must stay together (a group, or copies of one file) are a unit.
Units are laid in a line: sorted by their rarest label, then by the combination of
all labels, then by a hash of seed and name. Going along the line, each unit goes to
the split that lacks most of its share so far. No split is then ever a whole picture
off its share, on the whole line, and less than two on any stretch of it, so that
each combination is divided in proportion; one too rare to be divided counts with its
neighbours, which share its rarest label.

A label that occurs in many combinations lies in many stretches, and with holes nearly
every row is a combination of its own. So units are then exchanged between splits until
each label's positives, and its known labels, have their share.

Exchanging units between splits until every count is near its target.

A unit is what must stay together, one picture or several; its profile counts what it
holds of each label. With D the counts of a split less their targets, exchanging unit a
of split s for unit b of split t changes the sum of w * D^2 over splits and counts by

    2 * sum_j w_j * d_j * (D_sj - D_tj + d_j),   d = profile of b - profile of a

Each step does the best exchange within a block of units of two splits, as long as one
lowers the sum: a descent on the aim of iterative stratification (Sechidis, Tsoumakas and
Vlahavas, On the Stratification of Multi-label Data, ECML PKDD 2011). Targets are
rounded to a thousandth, so that all arithmetic is on whole numbers, and alike on any
machine.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd

from kerastl.data.manifest import SPLITS
from kerastl.data.tasks import UNKNOWN, Task
from kerastl.errors import InputError

BLOCK = 192
"""Units of each of the two splits that one step looks at."""

STEPS = 6000
"""Steps at most."""

FINE = 1000
"""What targets are rounded to: parts of one."""

FAR = 2 * FINE
"""A count this far off its target sets the exchange going."""


def exchanged(
    profiles: np.ndarray, places: Sequence[int], targets: np.ndarray, weights: np.ndarray
) -> list[int]:
    """Places that bring each count near its target, with as many units in each split.

    Where no count is two off its target, the places stay as they are.

    Args:
        profiles: `[units, counts]` of whole numbers. The order of the units decides
            between equals.
        places: The split of each unit, to begin with.
        targets: `[splits, counts]`: what each split is to hold.
        weights: `[counts]`: how much each counts, a whole number.

    Returns:
        The split of each unit.

    Example:
        >>> profiles = np.array([[2], [2], [0], [0]])
        >>> exchanged(profiles, [0, 0, 1, 1], np.array([[2], [2]]), np.array([1]))
        [1, 0, 0, 1]
    """
    found = np.array(places)
    pairs = list(combinations(sorted(set(found.tolist())), 2))
    excess = _excess(profiles, found, targets)
    if not pairs or np.abs(excess).max() < FAR:
        return found.tolist()
    idle, wait = 0, len(pairs) * (1 + len(found) // BLOCK)
    for step in range(STEPS):
        (s, t), turn = pairs[step % len(pairs)], step // len(pairs)
        a, b = (_block(np.flatnonzero(found == place), turn) for place in (s, t))
        cost = _cost(profiles[a], profiles[b], weights, excess[s] - excess[t])
        row, column = np.unravel_index(np.argmin(cost), cost.shape)
        idle = idle + 1 if cost[row, column] >= 0 else 0
        if idle > wait:
            break
        if not idle:
            d = FINE * (profiles[b[column]] - profiles[a[row]])
            excess[[s, t]] += np.stack([d, -d])
            found[a[row]], found[b[column]] = t, s
    return found.tolist()


def _excess(profiles: np.ndarray, places: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """`[splits, counts]`: what each split has above its targets, in thousandths."""
    held = [profiles[places == place].sum(axis=0) for place in range(len(targets))]
    return FINE * np.stack(held) - np.rint(FINE * targets)


def _block(members: np.ndarray, turn: int) -> np.ndarray:
    return np.roll(members, -(turn * BLOCK % len(members)))[:BLOCK]


def _cost(a: np.ndarray, b: np.ndarray, weights: np.ndarray, between: np.ndarray) -> np.ndarray:
    """Half the change of the sum for each pair of a unit of `a` and one of `b`."""
    a, b, w = (values.astype("float64") for values in (a, b, weights))
    own_a = FINE * (a * a) @ w - a @ (w * between)
    own_b = FINE * (b * b) @ w + b @ (w * between)
    return own_a[:, None] + own_b[None, :] - 2 * FINE * (a * w) @ b.T


FRACTIONS = (0.7, 0.15, 0.15)

LARGEST = 20_000_000
"""Entries that the table of the exchange may have; above it the line alone divides."""

Label = tuple[str, int]


@dataclass(frozen=True)
class Unit:
    """Pictures that must stay together: their rows, their labels and their place."""

    rows: tuple[int, ...]
    labels: frozenset[Label]
    counts: Counter[Label]
    combination: tuple[tuple[Label, ...], ...]
    key: bytes


def split_frame(
    frame: pd.DataFrame,
    tasks: Sequence[Task],
    fractions: Sequence[float] = FRACTIONS,
    seed: int = 0,
    *,
    names: Sequence[str] | None = None,
    same: Sequence[int] | None = None,
) -> np.ndarray:
    """A split for each row, stratified over the labels of all tasks at once.

    A class has at least one picture in train; with three or more pictures (or
    groups) it has one in every split, as long as that takes no other class's last.

    Args:
        frame: A manifest's frame. Rows of one `group`, where the column is there
            and not empty, stay in one split.
        tasks: The tasks whose labels are to be spread evenly.
        fractions: The shares of train, val and test; a share of 0 leaves it out.
        seed: Another seed, another split; the same one, the same on any machine.
        names: What each picture is called, to be placed by; `image` by default.
        same: Rows with an equal number here stay in one split.

    Returns:
        `[len(frame)]` of "train", "val" and "test".

    Raises:
        InputError: For fractions that are no shares of a whole.

    Example:
        >>> names = [f"{i}.png" for i in range(20)]
        >>> frame = pd.DataFrame({"image": names, "label": [0, 1] * 10})
        >>> split = split_frame(frame, [Task("label", ["cat", "dog"])], (0.6, 0.2, 0.2))
        >>> pd.crosstab(frame["label"], split).to_numpy().tolist()
        [[2, 6, 2], [2, 6, 2]]
    """
    shares = np.array(check_fractions(fractions))
    units = units_of(frame, tasks, seed, names=names, same=same)
    rarity = Counter(label for u in units for label in u.labels)
    units.sort(key=lambda u: (_rarest(u, rarity), u.combination, u.key))
    places = _exchanged(units, _spread(units, shares), shares, rarity)
    _guarantee(units, places, [i for i in range(3) if shares[i] > 0], rarity)
    found = np.empty(len(frame), dtype=object)
    for unit, place in zip(units, places, strict=True):
        found[list(unit.rows)] = SPLITS[place]
    return found


def check_fractions(fractions: Sequence[float]) -> tuple[float, float, float]:
    """The shares of train, val and test as three floats, or an InputError."""
    try:
        shares = tuple(float(f) for f in fractions)
    except (TypeError, ValueError):
        shares = ()
    whole = len(shares) == 3 and min(shares) >= 0 and abs(sum(shares) - 1) < 1e-6
    if not whole or shares[0] == 0:
        expected = "Expected fractions=(train, val, test), each 0 or more, train above 0, sum 1."
        raise InputError(f"{expected} Received: fractions={fractions!r}.")
    return shares


def units_of(
    frame: pd.DataFrame,
    tasks: Sequence[Task],
    seed: int = 0,
    *,
    names: Sequence[str] | None = None,
    same: Sequence[int] | None = None,
) -> list[Unit]:
    """What must stay together: the rows of a group, and those of one content.

    Args:
        frame: A manifest's frame.
        tasks: Its tasks.
        seed: Goes into the units' keys.
        names: As in `split_frame`.
        same: As in `split_frame`.
    """
    names = frame["image"].tolist() if names is None else list(names)
    labels = _labels(frame, tasks)
    keys = [_key(seed, name) for name in names]
    return [
        Unit(
            rows=tuple(rows),
            labels=frozenset(label for r in rows for label in labels[r] if label[1] >= 0),
            counts=Counter(label for r in rows for label in labels[r] if label[1] >= 0),
            combination=tuple(sorted(labels[r] for r in rows)),
            key=min(keys[r] for r in rows),
        )
        for rows in together(frame, same)
    ]


def _labels(frame: pd.DataFrame, tasks: Sequence[Task]) -> list[tuple[Label, ...]]:
    columns = {}
    for task in tasks:
        for name in task.columns:
            codes = frame[name].to_numpy(dtype="float64")
            hard = codes if task.kind == "multiclass" else codes >= 0.5
            columns[name] = np.where(codes < 0, UNKNOWN, hard)
    codes = np.column_stack(list(columns.values())).astype(int).tolist()
    return [tuple(zip(columns, row, strict=True)) for row in codes]


def _key(seed: int, name: str) -> bytes:
    text = f"{seed}\n{name}".encode("utf-8", "surrogateescape")
    return hashlib.blake2b(text, digest_size=16).digest()


def together(frame: pd.DataFrame, same: Sequence[int] | None) -> list[list[int]]:
    """The rows joined by a group or by equal content, directly or through others.

    Args:
        frame: A manifest's frame.
        same: Rows with an equal number here belong together.
    """
    parent = list(range(len(frame)))

    def root(row: int) -> int:
        while parent[row] != row:
            parent[row] = parent[parent[row]]
            row = parent[row]
        return row

    ties = [] if same is None else [list(same)]
    if "group" in frame:
        ties.append([g or None for g in frame["group"].fillna("").astype(str)])
    for tie in ties:
        first: dict[object, int] = {}
        for row, value in enumerate(tie):
            if value is not None:
                parent[root(row)] = root(first.setdefault(value, row))
    units: dict[int, list[int]] = {}
    for row in range(len(frame)):
        units.setdefault(root(row), []).append(row)
    return list(units.values())


def _rarest(unit: Unit, rarity: Counter) -> tuple:
    return min(((rarity[label], *label) for label in unit.labels), default=(np.inf,))


def _spread(units: Sequence[Unit], shares: np.ndarray) -> list[int]:
    given, total, places = np.zeros(3), 0, []
    for unit in units:
        total += len(unit.rows)
        place = int(np.argmax(np.round(shares * total - given, 9)))  # ties alike on any machine
        given[place] += len(unit.rows)
        places.append(place)
    return places


def _exchanged(
    units: Sequence[Unit], places: list[int], shares: np.ndarray, rarity: Counter[Label]
) -> list[int]:
    """Places with each label's share: its positives count four times its known ones."""
    counts = [label for label in sorted(rarity) if label[1] > 0]
    known = sorted({name for name, _ in rarity})
    if len(units) * (len(counts) + len(known) + 1) > LARGEST:
        return places
    order = sorted(range(len(units)), key=lambda i: units[i].key)
    profiles = np.array([_profile(units[i], counts, known) for i in order], dtype="int32")
    weights = np.array([4] * len(counts) + [1] * len(known) + [4])
    targets = np.outer(shares, profiles.sum(axis=0))
    for i in range(len(counts)):
        targets[:, i] = _target(targets[:, i], shares)
    moved = exchanged(profiles, [places[i] for i in order], targets, weights)
    return [moved[i] for i in np.argsort(order)]


def _target(share: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """A label's share of each split, and one at least where there is enough for that."""
    least = np.where(shares > 0, np.maximum(share, 1), 0)
    spare = share.sum() - least[1:].sum()
    return np.array([spare, *least[1:]]) if share.sum() >= 3 else share


def _profile(unit: Unit, counts: Sequence[Label], known: Sequence[str]) -> list[int]:
    of_column = Counter()
    for (name, _), n in unit.counts.items():
        of_column[name] += n
    return [*(unit.counts[c] for c in counts), *(of_column[c] for c in known), len(unit.rows)]


def _guarantee(
    units: Sequence[Unit], places: list[int], active: Sequence[int], rarity: Counter
) -> None:
    """Move single units until each class is where it must be, the rarest class first."""
    there = [Counter() for _ in SPLITS]
    for unit, place in zip(units, places, strict=True):
        there[place].update(unit.labels)
    for label in sorted(rarity, key=lambda x: (rarity[x], x)):
        for place in active:
            wanted = place == 0 or rarity[label] >= 3
            if wanted and not there[place][label]:
                _bring(label, place, units, places, there)


def _bring(
    label: Label, to: int, units: Sequence[Unit], places: list[int], there: list[Counter]
) -> None:
    """Bring one unit with `label` to the split `to`, and give one back in its stead."""
    able = [
        i
        for i, u in enumerate(units)
        if places[i] != to and label in u.labels and (to == 0 or _spare(u, there[places[i]]))
    ]
    if not able:
        return
    moved = min(able, key=lambda i: (-there[places[i]][label], len(units[i].rows), units[i].key))
    source = places[moved]
    _move(moved, to, units, places, there)
    size = len(units[moved].rows)
    back = [
        i
        for i, u in enumerate(units)
        if places[i] == to and len(u.rows) == size and _spare(u, there[to])
    ]
    if back:
        _move(min(back, key=lambda i: units[i].key), source, units, places, there)


def _spare(unit: Unit, there: Counter) -> bool:
    return all(there[label] > 1 for label in unit.labels)


def _move(
    index: int, to: int, units: Sequence[Unit], places: list[int], there: list[Counter]
) -> None:
    there[places[index]].subtract(units[index].labels)
    there[to].update(units[index].labels)
    places[index] = to
