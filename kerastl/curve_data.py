"""The data that a learning curve divides: a manifest's train part, or examples of any kind."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from kerastl.errors import InputError
from kerastl.manifest import Manifest
from kerastl.provenance import training_digest
from kerastl.subsets import by_stratum, nested_subsets, strata_of


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
