"""What decides features, but for the pictures: a recipe, and the engine that a folder records."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kerastl.errors import InputError
from kerastl.features.engines import WORTH, Engine, canonical, choose_engine
from kerastl.features.store.shards import publish
from kerastl.features.store.store import ENGINE
from kerastl.models.graph import network_key, nodes

Augment = Callable[[np.ndarray], np.ndarray]

VERSION = 3
"""Part of what features are known by; to be raised when pictures are decoded or views drawn
otherwise."""


@dataclass(frozen=True)
class Recipe:
    """How features are made, as `extract_features` takes it.

    Raises:
        InputError: For options that exclude each other, and an engine that is none.
    """

    prefix: keras.Model
    engine: str = "auto"
    views: int = 1
    augment: Augment | None = None
    batch_size: int = 32
    dtype: str = "float32"

    def __post_init__(self):
        object.__setattr__(self, "engine", canonical(self.engine))
        views, given = self.views, self.prefix.input_shape
        if views < 1 or (views > 1 and self.augment is None):
            expected = "Expected views=1, or augment= with views > 1."
            raise InputError(f"{expected} Received: views={views}.")
        if self.dtype not in ("float32", "float16"):
            raise InputError(f"Expected dtype= float32 or float16. Received: {self.dtype!r}.")
        if None in (*given[1:], *self.prefix.output_shape[1:]):
            raise InputError(
                f"Expected a prefix for one size of pictures. Received: one for {list(given[1:])}. "
                "Build the model with an image_size."
            )

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width of the pictures."""
        return tuple(self.prefix.input_shape[1:3])

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one picture's features, `[views, ...]`."""
        return (self.views, *self.prefix.output_shape[1:])

    @property
    def drawn(self) -> str | None:
        """What the augmentation draws, in text; None where there is none, or it does not say."""
        return getattr(self.augment, "key", None)

    @property
    def placed(self) -> bool:
        """Whether the augmentation draws by position in the data."""
        return hasattr(self.augment, "begin")

    @property
    def key(self) -> str:
        """What features are known by, but for the pictures."""
        options = (self.engine, self.views, self.drawn, self.dtype)
        told = [VERSION, network_key(self.prefix), self.image_size, options]
        return hashlib.blake2b(json.dumps(told).encode(), digest_size=16).hexdigest()

    @property
    def about(self) -> dict[str, Any]:
        """The same in words, for whoever looks into a cache folder."""
        return {
            "model": self.prefix.name.removesuffix("_prefix"),
            "layer": nodes(self.prefix)[-1].operation.name,
            "shape": "x".join(map(str, self.shape)),
            "dtype": self.dtype,
            "image_size": list(self.image_size),
            "engine": self.engine,
            "augment": self.drawn,
            "made": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        }


log = logging.getLogger("kerastl")


def settled_name(recipe: Recipe, folder: Path) -> str | None:
    """The engine asked for by name, or else the one recorded; None where neither is.

    Args:
        recipe: How features are made.
        folder: The prefix's own, within the cache folder.
    """
    return recipe.engine if recipe.engine != "auto" else _recorded(folder)


def settled_engine(recipe: Recipe, folder: Path, sample: np.ndarray, count: int) -> Engine:
    """The engine that all features in a folder are made with.

    Where the one recorded cannot run on this machine, another that agrees with Keras
    takes its place for this call, and a warning says so.

    Args:
        recipe: How features are made.
        folder: The prefix's own, within the cache folder.
        sample: The first pictures, `[batch, height, width, 3]`.
        count: Forward passes of single images for all of the data.

    Raises:
        InputError: For an engine asked for by name that cannot run.
    """
    found = _settled(recipe, folder, sample, count)
    return found._replace(asked=recipe.engine)


def _settled(recipe: Recipe, folder: Path, sample: np.ndarray, count: int) -> Engine:
    name = settled_name(recipe, folder)
    if name is None:
        return _chosen(recipe, folder, sample, count)
    try:
        return choose_engine(recipe.prefix, name, sample, count)
    except InputError as error:
        if recipe.engine != "auto":
            raise
        log.warning("Features in %s are of the engine %s, not so new ones: %s", folder, name, error)
        return choose_engine(recipe.prefix, "auto", sample, count)


def _chosen(recipe: Recipe, folder: Path, sample: np.ndarray, count: int) -> Engine:
    engine = choose_engine(recipe.prefix, "auto", sample, count)
    if count < WORTH:  # too few to choose by: those who come with more are not bound by them
        return engine
    if _recorded(folder) is None:
        publish(folder / ENGINE, [engine.name.encode()])
    name = _recorded(folder)
    if name in (engine.name, None):  # None: pruned meanwhile
        return engine
    return choose_engine(recipe.prefix, name, sample, count)  # another process was first


def _recorded(folder: Path) -> str | None:
    try:
        with open(folder / ENGINE, "rb") as file:
            return file.read(100).decode(errors="replace").strip() or None
    except FileNotFoundError:
        return None
