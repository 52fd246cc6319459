"""Which engine a folder's features are made with: under "auto" chosen once, and recorded there."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np

from kerastl.engines import WORTH, Engine, choose_engine
from kerastl.errors import InputError
from kerastl.feature_recipe import Recipe
from kerastl.shards import publish
from kerastl.store import ENGINE

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
