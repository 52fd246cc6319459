"""Parts of data, each within the next larger one, that hold every class in its share."""

from __future__ import annotations

import numbers
from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence

import numpy as np

from kerastl.errors import InputError
from kerastl.manifest import Manifest


def nested_subsets(
    strata: Sequence[Hashable],
    sizes: Sequence[int],
    *,
    needed: Mapping[Hashable, Sequence[int]] | None = None,
    seed: int = 0,
) -> dict[int, np.ndarray]:
    """Draw a part of the examples for each size, the smaller ones inside the larger ones.

    Args:
        strata: What each example belongs to: every part has of each stratum its share, to
            within two examples, beside those that are needed.
        sizes: How many examples each part has.
        needed: By name, the examples of which every part has at least one, such as those
            of a class.
        seed: Another seed draws other parts.

    Returns:
        By size, ascending, the numbers of its examples, ascending.

    Raises:
        InputError: For sizes that are larger than the data, or too small for what is
            needed; all of them at once.

    Example:
        >>> found = nested_subsets(["a"] * 90 + ["b"] * 10, [10, 20])
        >>> [int((rows >= 90).sum()) for rows in found.values()]
        [1, 2]
        >>> set(found[10]) < set(found[20])
        True
    """
    rng = np.random.default_rng(seed)
    first = _cover(needed or {}, rng)
    _check(sizes, len(strata), len(first))
    rank = np.empty(len(strata))
    for rows in by_stratum(strata).values():
        # In a prefix of the whole order, each stratum is as far as its random start lets it.
        rank[rng.permutation(rows)] = (np.arange(len(rows)) + rng.random()) / len(rows)
    rank[first] -= 2
    order = np.argsort(rank, kind="stable")
    return {int(size): np.sort(order[:size]) for size in sorted(sizes)}


def by_stratum(strata: Sequence[Hashable]) -> dict[Hashable, np.ndarray]:
    """The numbers of the examples of each stratum.

    Example:
        >>> by_stratum("aba")
        {'a': array([0, 2]), 'b': array([1])}
    """
    rows: dict[Hashable, list[int]] = defaultdict(list)
    for row, stratum in enumerate(strata):
        rows[stratum].append(row)
    return {stratum: np.array(found) for stratum, found in rows.items()}


def strata_of(manifest: Manifest) -> tuple[list[Hashable], dict[str, np.ndarray]]:
    """The joint labels of each picture, and by class the pictures that have it.

    Args:
        manifest: Pictures with labels; unknown is a value like any other.

    Returns:
        What `nested_subsets` takes: strata, and what is needed. A class that no picture
        has is not needed.

    Example:
        >>> import pandas as pd
        >>> from kerastl.tasks import Task
        >>> frame = pd.DataFrame({"image": ["x", "y", "z"], "pet": [0, 1, -1]})
        >>> strata, needed = strata_of(Manifest(frame, Task("pet", ["cat", "dog"])))
        >>> strata, {name: rows.tolist() for name, rows in needed.items()}
        ([(0.0,), (1.0,), (-1.0,)], {'pet: cat': [0], 'pet: dog': [1]})
    """
    labels = manifest.certain().labels()
    columns = [labels[task.name].reshape(len(manifest), -1) for task in manifest.tasks]
    strata = [tuple(row) for row in np.hstack(columns).astype("float64").tolist()]
    needed = {}
    for task, codes in zip(manifest.tasks, columns, strict=True):
        for number, name in enumerate(task.classes):
            has = codes[:, number] >= 0.5 if task.kind == "multilabel" else _has(codes, number)
            if has.any():
                needed[f"{task.name}: {name}"] = np.flatnonzero(has)
    return strata, needed


def _has(codes: np.ndarray, number: int) -> np.ndarray:
    """Which pictures have a class; a soft binary label counts for the likelier one."""
    return (codes[:, 0] >= 0) & (np.floor(codes[:, 0] + 0.5) == number)


def _cover(needed: Mapping[Hashable, Sequence[int]], rng: np.random.Generator) -> list[int]:
    """Examples, as few as come easily, that have one of each: the rarest first."""
    chosen: list[int] = []
    for rows in sorted(needed.values(), key=len):
        if not set(chosen) & set(np.asarray(rows).tolist()):
            chosen.append(int(rng.choice(rows)))
    return chosen


def _check(sizes: Sequence[int], count: int, least: int) -> None:
    faults = []
    for size in sizes:
        if isinstance(size, bool) or not isinstance(size, numbers.Integral) or size < 1:
            faults.append(f"{size!r}: expected a whole number, 1 or more")
        elif size > count:
            faults.append(f"{size}: there are only {count} examples")
        elif size < least:
            faults.append(f"{size}: too small for every class; {least} examples have one of each")
    if len(set(sizes)) < len(sizes):
        faults.append("a size is named twice")
    if faults or not len(sizes):
        what = f"Expected sizes from {least or 1} to {count}, each once."
        raise InputError(f"{what} Received: {', '.join(map(str, sizes)) or 'none'}.", faults)
