"""The data that a learning curve divides: a manifest's train part, or examples of any kind.

Its parts lie each within the next larger one, and hold every class in its share.
"""

from __future__ import annotations

import hashlib
import json
import numbers
from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from kerastl.data.manifest import Manifest
from kerastl.errors import InputError
from kerastl.training.data import training_digest


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
        >>> from kerastl.data.tasks import Task
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


@dataclass(frozen=True)
class CurveData:
    """Examples of which parts are drawn.

    Attributes:
        data: A Manifest, a list, an array, a frame, or a tuple of arrays.
        whole: What of it is divided: of a Manifest the train part.
        strata: What each example belongs to.
        needed: By name, the examples of which every part has at least one.
    """

    data: Any
    whole: Any
    strata: Sequence[Hashable]
    needed: Mapping[Hashable, np.ndarray]

    @classmethod
    def of(cls, data: Any, strata: Sequence[Hashable] | None) -> CurveData:
        """Data as a user gives them; a Manifest's strata are its joint labels.

        Raises:
            InputError: For data of another kind, and for as many strata as do not fit.

        Example:
            >>> part = CurveData.of((np.arange(9), np.arange(9) % 3), None).take(np.array([1, 2]))
            >>> [one.tolist() for one in part]
            [[1, 2], [1, 2]]
        """
        if isinstance(data, Manifest):
            whole = data.split("train") if data.has("train") else data
            own, needed = strata_of(whole)
            return cls(data, whole, _checked(own if strata is None else strata, len(whole)), needed)
        count = _count(data)
        strata = _checked([0] * count if strata is None else strata, count)
        return cls(data, data, strata, by_stratum(strata))

    def parts(self, sizes: Sequence[int], seed: int) -> dict[int, np.ndarray]:
        """By size, the examples that a seed draws, as `nested_subsets` does."""
        return nested_subsets(self.strata, sizes, needed=self.needed, seed=seed)

    def take(self, rows: np.ndarray) -> Any:
        """Some of the examples; those of a Manifest with the whole's val and test parts."""
        data = self.data
        if isinstance(data, Manifest):
            return self._pictures(rows)
        if isinstance(data, tuple):
            return tuple(one[rows] for one in data)
        if isinstance(data, pd.DataFrame):
            return data.iloc[rows]
        return data[rows] if isinstance(data, np.ndarray) else [data[row] for row in rows]

    def _pictures(self, rows: np.ndarray) -> Manifest:
        part, split = self.whole.take(rows), self.data.frame.get("split")
        if split is None:
            return part
        others = self.data.frame[split != "train"]
        frame = pd.concat([part.frame.assign(split="train"), others], ignore_index=True)
        return replace(self.data, frame=frame)

    def digest(self) -> str:
        """Of what decides the parts, in their order, and what a Manifest is scored on."""
        digest, data = hashlib.sha256(repr(self.strata).encode()), self.data
        if isinstance(data, Manifest):
            names = [Path(path).name for path in self.whole.frame["image"]]
            parts = [data.split(part) for part in ("val", "test") if data.has(part)]
            told = [training_digest(part, data.tasks) for part in (self.whole, *parts)]
            digest.update(json.dumps([names, told]).encode("utf-8", "surrogateescape"))
        else:
            for block in _bytes(data):
                digest.update(block)
        return digest.hexdigest()


def _count(data: Any) -> int:
    """How many examples there are."""
    if isinstance(data, list | pd.DataFrame) or _is_array(data):
        return len(data)
    arrays = isinstance(data, tuple) and bool(data) and all(map(_is_array, data))
    if arrays and len({len(one) for one in data}) == 1:
        return len(data[0])
    raise InputError(
        "Expected data= a Manifest, a list, an array, a frame, or a tuple of arrays of one length. "
        f"Received: {_told(data)}."
    )


def _is_array(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.ndim > 0


def _told(data: Any) -> str:
    if not isinstance(data, tuple):
        return f"an array of no dimension, {data}" if isinstance(data, np.ndarray) else (
            type(data).__name__)  # fmt: skip
    shapes = [str(list(one.shape)) if isinstance(one, np.ndarray) else type(one).__name__
              for one in data]  # fmt: skip
    return f"a tuple of {', '.join(shapes) or 'nothing'}"


def _checked(strata: Iterable[Hashable], count: int) -> list[Hashable]:
    strata = list(strata)
    if len(strata) != count:
        raise InputError(f"Expected strata= for {count} examples. Received: {len(strata)}.")
    return strata


def _bytes(data: Any) -> Iterator[bytes]:
    if isinstance(data, tuple):
        for one in data:
            yield from _bytes(one)
    elif isinstance(data, pd.DataFrame):
        yield data.to_csv().encode()
    elif isinstance(data, np.ndarray) and data.dtype != object:
        yield f"{data.shape} {data.dtype}".encode() + np.ascontiguousarray(data).tobytes()
    else:
        yield json.dumps(list(data), default=repr).encode()
