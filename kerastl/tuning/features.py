"""Features of every depth of a search, made once: each cut's from those of the cut before it.

An engine that is not Keras differs from it by what was measured at the first cut. How far
that has grown at a later cut is measured there, against Keras from the pictures, before
anything is stored.
"""

from __future__ import annotations

import contextlib
import logging
import numbers
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kerastl.data.batches import iter_batches, tell_remarks
from kerastl.data.manifest import Manifest
from kerastl.data.tasks import Task
from kerastl.errors import InputError
from kerastl.features.engines import SAMPLE, TOLERANCE, Engine, canonical, difference, forward
from kerastl.features.extract import Features, extract_features, feature_bytes
from kerastl.features.extraction import OVERHEAD, Progress
from kerastl.features.recipe import Recipe, settled_name
from kerastl.features.store.store import Store
from kerastl.features.store.upkeep import size
from kerastl.models.cuts import Cut, between, find_cut, split
from kerastl.models.spec import spec_of
from kerastl.models.trainable import set_trainable
from kerastl.training.augmentation import Augment, Augmenter, augmenter
from kerastl.training.data import parts
from kerastl.training.sources import worthwhile_cut
from kerastl.tuning.space import depth_policy

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


SMALL_FILES = 4096
"""Bytes of a folder of features beside the features and their keys, at most."""


@dataclass(frozen=True)
class StorePlan:
    """Which depths train on stored features.

    Attributes:
        stored: Words of those that do.
        live: Words of the others, whose tails run the whole network in each epoch. Their
            phase of the heads alone has stored features.
        needed: Bytes that the features take, at most.
        cuts: By word, the layer at which `fit(cache=)` first needs features. Where
            everything trains, that is the heads' own. Depths whose features do not fit are
            missing here: their tails need `cache=False`.
        heads: The layer in front of the heads.
    """

    stored: tuple[str, ...]
    live: tuple[str, ...]
    needed: int
    cuts: Mapping[str, str]
    heads: str


def plan_features(
    model: keras.Model,
    depths: Sequence[str],
    train_count: int,
    validation_count: int,
    *,
    views: int = 1,
    budget: int | None = None,
) -> StorePlan:
    """Choose the depths whose features are stored within a budget, the smallest first.

    Args:
        model: A kerastl model; its policy is the same afterwards.
        depths: Words of depths.
        train_count: Pictures that train.
        validation_count: Pictures that are scored.
        views: Augmented copies of each picture that trains.
        budget: Bytes that features may take; None for no limit.

    Raises:
        InputError: For a budget that the features of the heads alone would pass.

    Example:
        >>> from kerastl.models import create_model
        >>> from kerastl.data.tasks import Task
        >>> model = create_model("MobileNet", Task("a", ["b", "c"]), weights=None, image_size=32)
        >>> plan = plan_features(model, ["heads", "stage4", "all"], 100, 20)
        >>> plan.stored, plan.live
        (('heads', 'stage4'), ('all',))
    """
    found = _first_cuts(model, depths)
    heads = find_cut(model, spec_of(model).features)
    rows = [(train_count, views), (validation_count, 1)]
    # The phase of the heads takes one view of each picture, and that of a search's own may all.
    again = [(train_count, 1)] if views > 1 else []
    needed = _bytes(model, heads.layer, rows + again)
    _check(budget, needed)
    layers = dict.fromkeys(cut.layer for cut in found.values() if cut is not None)
    more = {layer: _bytes(model, layer, rows) for layer in layers if layer != heads.layer}
    chosen = {heads.layer}
    for layer in sorted(more, key=more.__getitem__):
        if budget is None or needed + more[layer] <= budget:
            needed += more[layer]
            chosen.add(layer)
    # Everything trains: no prefix, but a phase of the heads before.
    begins = {word: heads.layer if cut is None else cut.layer for word, cut in found.items()}
    stored = [word for word in depths if found[word] is not None and begins[word] in chosen]
    return StorePlan(
        tuple(stored),
        tuple(word for word in depths if word not in stored),
        needed,
        {word: layer for word, layer in begins.items() if layer in chosen},
        heads.layer,
    )


def store_features(
    model: keras.Model,
    plan: StorePlan,
    train: Any,
    validation_data: Any,
    *,
    cache: str | Path,
    budget: int | None = None,
    engine: str = "auto",
    augment: Augment | None = None,
    views: int = 1,
    seed: int = 0,
    progress: Progress | None = None,
) -> None:
    """Make the features of a plan's cuts, where they are not there yet.

    The earliest cut's are made from the pictures, which are decoded once, and each later
    one's from those of the cut before it. Where those, made by a quick engine, would lead too
    far from Keras, the later one's are made from the pictures too. `kerastl.fit` with the
    same `cache`, `engine`, `augment`, `views` and `seed` finds all it needs.

    Nothing is stored of arrays and datasets, nor of pictures that change in every epoch.

    Args:
        model: A kerastl model; its policy is the same afterwards.
        plan: What `plan_features` gave.
        train: Training data in any form that `fit` takes; a whole Manifest brings both.
        validation_data: The same forms, or None.
        cache: The folder that keeps features.
        budget: Bytes that the folder may take.
        engine: As in `extract_features`.
        augment: As in `fit`.
        views: Augmented copies of each picture that trains.
        seed: Of the views.
        progress: Called with the pictures done and in all, counted at each cut anew.

    Raises:
        InputError: Where there is no room, or no picture that could be read.

    Example:
        >>> from kerastl.models import create_model
        >>> from kerastl.data.tasks import Task
        >>> model = create_model("MobileNet", Task("a", ["b", "c"]), weights=None, image_size=32)
        >>> plan = plan_features(model, ["stage4"], 2, 0)
        >>> store_features(model, plan, ("two images", "their labels"), None, cache="a folder")
    """
    train, validation_data = parts(train, validation_data)
    changing = augment is not None and views == 1
    if not isinstance(train, Manifest) or changing:
        return
    made = [Part(train, None if augment is None else augmenter(augment, seed), views)]
    if isinstance(validation_data, Manifest):
        made.append(Part(validation_data))
    with _policy_kept(model):
        # As in a fit: the rate of a random layer is part of what features are known by.
        set_trainable(model, False)
        chain = Chain(model, made, Path(cache), engine, spec_of(model).tasks, budget)
        _fill(chain, plan, views, progress)
    tell_remarks(*(part.data for part in made))


def _fill(chain: Chain, plan: StorePlan, views: int, progress: Progress | None) -> None:
    layers = _ordered(chain.model, {*plan.cuts.values(), plan.heads})
    count = sum(len(part.data) for part in chain.parts)
    for number, layer in enumerate(layers):
        before = None if number == 0 else between(chain.model, layers[number - 1], layer)
        told = _from(progress, number * count, len(layers) * count)
        chain.make(layer, before, _copies(plan, layer, views), told)


def _copies(plan: StorePlan, layer: str, views: int) -> list[int]:
    """How many views of each picture the fits want at a cut.

    The heads' phase of a fit that has features further in front takes one of each. Where they
    are its first features, it takes all.
    """
    if layer != plan.heads:
        return [views]
    further = any(cut != plan.heads for cut in plan.cuts.values())
    first = plan.live or plan.heads in plan.cuts.values()
    return sorted({*([1] if further else []), *([views] if first else [])})


def _ordered(model: keras.Model, layers: set[str]) -> list[str]:
    return sorted(layers, key=lambda layer: find_cut(model, layer).index)


def _first_cuts(model: keras.Model, depths: Sequence[str]) -> dict[str, Cut | None]:
    """Where each depth's tail begins; None where no frozen part is worth storing."""
    found = {}
    with _policy_kept(model):
        for word in depths:
            set_trainable(model, depth_policy(word))
            found[word] = worthwhile_cut(model)
    return found


@contextlib.contextmanager
def _policy_kept(model: keras.Model) -> Iterator[None]:
    policy = spec_of(model).trainable
    try:
        yield
    finally:
        set_trainable(model, policy)


def _bytes(model: keras.Model, layer: str, rows: Sequence[tuple[int, int]]) -> int:
    """Bytes of (pictures, views of each) at a cut, with all that is stored beside them."""
    prefix = split(model, layer).prefix
    return sum(
        feature_bytes(prefix, count, views) + count * OVERHEAD + SMALL_FILES
        for count, views in rows
        if count
    )


def _check(budget: Any, least: int) -> None:
    whole = isinstance(budget, numbers.Integral) and not isinstance(budget, bool)
    if budget is not None and (not whole or budget < 0):
        raise InputError(f"Expected budget= in bytes, 0 or more. Received: {budget!r}.")
    if budget is not None and budget < least:
        raise InputError(
            f"The features in front of the heads take {size(least)}, and every trial needs them. "
            f"Received: a budget of {size(budget)}. Give budget={least} or more. Or give fewer "
            "views=, or budget=None for no limit."
        )


def _from(progress: Progress | None, done: int, total: int) -> Progress:
    """Progress at one cut, told as that of all."""

    def told(here: int, _: int) -> None:
        if progress is not None:
            progress(done + here, total)

    return told
