"""Stores of features, and pictures with views to fill them from."""

from __future__ import annotations

import keras
import numpy as np
import pandas as pd

from kerastl.data.manifest import Manifest
from kerastl.data.tasks import Task
from kerastl.features.blocks import in_blocks
from kerastl.features.extraction import complete
from kerastl.features.recipe import Recipe
from kerastl.features.store.index import contents
from kerastl.features.store.store import Store
from kerastl.models.cuts import split
from kerastl.training.augmentation import augmenter
from tests.support.networks import small_network

COUNT = 30

TASK = Task("t", ["a", "b"])


def key(number):
    return b"%016d" % number


def values(*numbers, shape=(1, 3)):
    """Features that tell which picture they are of."""
    return np.array([np.full(shape, n) for n in numbers], "float32").reshape(-1, *shape)


def listed(folder, count=COUNT):
    paths = [str(folder / f"{n}.png") for n in range(count)]
    return Manifest(pd.DataFrame({"image": paths, "t": np.arange(count) % 2}), TASK)


def drawing(views=2, engine="auto", batch_size=4):
    prefix = split(small_network(), "add").prefix
    layers = [keras.layers.RandomFlip(), keras.layers.RandomTranslation(0.3, 0.3)]
    return Recipe(prefix, engine, views, augmenter(layers, 5), batch_size)


def options(recipe):
    return {n: getattr(recipe, n) for n in ("engine", "views", "augment", "batch_size")}


def worked(recipe, data, cache, **how):
    """Features from a store that blocks filled in this process, by position."""
    store = Store(cache / recipe.key, recipe.shape, recipe.dtype, recipe.about)
    found = contents(data.frame["image"].tolist(), cache)
    rows = complete(store, found.keys, in_blocks(recipe, data, found, store, None), **how)
    return rows, np.asarray(store.array([found.keys[n] for n in rows]))
