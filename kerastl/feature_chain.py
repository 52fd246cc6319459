"""A chain of cuts: features at one after the other, the pictures read for the first one only.

An engine that is not Keras differs from it by what was measured at the first cut. How far
that has grown at a later cut is measured there, against Keras from the pictures, before
anything is stored.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import keras
import numpy as np

from kerastl.augmentation import Augmenter
from kerastl.batches import iter_batches
from kerastl.cuts import split
from kerastl.engine_record import settled_name
from kerastl.engines import SAMPLE, TOLERANCE, Engine, canonical, difference, forward
from kerastl.feature_recipe import Recipe
from kerastl.features import Features, extract_features
from kerastl.filling import Progress
from kerastl.manifest import Manifest
from kerastl.store import Store
from kerastl.tasks import Task

log = logging.getLogger("kerastl")


@dataclass
class Part:
    """One part of the data.

    Attributes:
        data: Its pictures.
        augment: What changes them.
        views: Copies of each.
        found: Features at the cut made last.
    """

    data: Manifest
    augment: Augmenter | None = None
    views: int = 1
    found: Features | None = None


@dataclass
class Chain:
    """Features of some parts at one cut after the other.

    Attributes:
        model: The model, under the policy that its features are known by.
        parts: Of the data, the largest first: the engine is chosen by it.
        cache: The folder that keeps features.
        engine: As in `extract_features`.
        tasks: Whose labels go along.
        budget: Bytes that the folder may take.
    """

    model: keras.Model
    parts: Sequence[Part]
    cache: Path
    engine: str
    tasks: tuple[Task, ...]
    budget: int | None = None
    _made_by: str = field(default="keras", init=False)

    def make(
        self, layer: str, before: keras.Model | None, copies: Sequence[int], progress: Progress
    ) -> None:
        """Make what is missing at the next cut.

        Args:
            layer: The cut's.
            before: The network from the cut made last to this one; None at the first.
            copies: How many views are wanted of a part that has views, each on its own.
            progress: Called with the pictures done and in all, of all parts.
        """
        prefix = split(self.model, layer).prefix
        near = before is None or self._near(prefix, before, copies)
        ready, done = None, 0
        for part in self.parts:
            recipes = self._recipes(prefix, part, copies)
            earlier = None if before is None or not near else (part.found, before)
            for recipe in recipes:
                told = _after(progress, done) if recipe is recipes[-1] else None
                part.found = self._extract(recipe, part, earlier, ready, told)
            if earlier is None:
                ready = ready or part.found.engine
            done += len(part.data)
            progress(done, done)
        if before is None or not near:
            self._made_by = self._name(self._recipes(prefix, self.parts[0], copies)[-1], ready)

    def _extract(
        self, recipe: Recipe, part: Part, earlier: tuple[Features, keras.Model] | None,
        ready: Engine | None, progress: Progress | None,
    ) -> Features:  # fmt: skip
        return extract_features(
            recipe.prefix, part.data, engine=ready or self.engine, tasks=self.tasks,
            views=recipe.views, augment=part.augment, cache=self.cache, budget=self.budget,
            earlier=earlier, progress=progress,
        )  # fmt: skip

    def _recipes(self, prefix: keras.Model, part: Part, copies: Sequence[int]) -> list[Recipe]:
        """What a part's features at a cut are known by, those of most views last."""
        views = sorted({min(n, part.views) for n in copies})
        return [Recipe(prefix, self.engine, n, part.augment) for n in views]

    def _name(self, recipe: Recipe, ready: Engine | None) -> str:
        """The engine that made features: the one at hand, or the one recorded with them."""
        if ready is not None:
            return ready.name
        return canonical(settled_name(recipe, self.cache / recipe.key) or "keras")

    def _near(self, prefix: keras.Model, before: keras.Model, copies: Sequence[int]) -> bool:
        """Whether features made of the earlier cut's are as near to Keras as they have to be."""
        if self._made_by == "keras" or not self._missing(prefix, copies):
            return True
        part = next((part for part in self.parts if part.augment is None), None)
        if part is None:  # nothing to compare with pictures as they are
            return False
        images, rows = _first_images(part, prefix.input_shape[1:3])
        made = forward(before)(np.asarray(part.found.values[rows, 0]))
        apart = difference(forward(prefix)(images), made)
        most = TOLERANCE[self._made_by.partition(":")[2]]
        log.info("Features through %s differ by %.1e at the next cut.", self._made_by, apart)
        return apart <= most

    def _missing(self, prefix: keras.Model, copies: Sequence[int]) -> bool:
        for part in self.parts:
            for recipe in self._recipes(prefix, part, copies):
                place = self.cache / recipe.key
                store = Store(place, recipe.shape, recipe.dtype, recipe.about)
                if store.missing(part.found.keys):
                    return True
        return False


def _first_images(part: Part, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """The first pictures that have features, and where those are."""
    rows = part.found.rows[:SAMPLE]
    batch = next(iter(iter_batches(part.data.take(rows), (), size, len(rows))))
    return batch.images, np.asarray(batch.rows)


def _after(progress: Progress, before: int) -> Progress:
    return lambda done, _: progress(before + done, 0)
