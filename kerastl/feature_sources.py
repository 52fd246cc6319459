"""What stored features are made of: pictures, here or in blocks elsewhere, or an earlier cut's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np

from kerastl.blocks import in_blocks
from kerastl.content_index import contents
from kerastl.engines import forward
from kerastl.extraction import Prepare, maker, through
from kerastl.feature_recipe import Recipe
from kerastl.filling import Work, held, storing
from kerastl.manifest import Manifest
from kerastl.store import Store

Source = tuple[Sequence[bytes | None], Work]
"""The content key of each picture of the data, and the work that makes features of some."""


def from_pictures(recipe: Recipe, images: Manifest, store: Store, prepare: Prepare) -> Source:
    """Features of pictures, made in this process."""
    paths = images.frame["image"].tolist()
    found = contents(paths, store.folder.parent)
    make = held(maker(recipe, images, prepare), paths, found)
    return found.keys, storing(store, found.keys, make)


def from_blocks(recipe: Recipe, images: Manifest, store: Store, ray: str | None) -> Source:
    """Features of pictures, made block by block as `run_blocks` has it."""
    found = contents(images.frame["image"].tolist(), store.folder.parent)
    return found.keys, in_blocks(recipe, images, found, store, ray)


def from_earlier(
    recipe: Recipe, earlier: Any, middle: keras.Model, store: Store, count: int
) -> Source:
    """Features made of an earlier cut's.

    Args:
        recipe: How.
        earlier: The earlier cut's `Features`, from a store.
        middle: The model from the earlier cut to the later one.
        store: Where they go.
        count: Pictures in the data.
    """
    keys: list[bytes | None] = [None] * count
    for row, key in zip(earlier.rows, earlier.keys, strict=True):
        keys[row] = key

    def make(rows: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        rows = rows[np.isin(rows, earlier.rows)]
        at = np.searchsorted(earlier.rows, rows)
        run = forward(middle) if len(at) else None
        for here, values in through(run, earlier.values, at, recipe.views, recipe.batch_size):
            yield earlier.rows[here], values

    return keys, storing(store, keys, make)
