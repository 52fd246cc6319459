"""Where a phase of training gets its examples: the features at its cut, or the pictures.

How the examples of a fit are made, and whether their features may be stored.
"""

from __future__ import annotations

import hashlib
import logging
import numbers
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from kerastl.data.batches import check_pictures, tell_remarks
from kerastl.data.manifest import Manifest
from kerastl.errors import InputError
from kerastl.features.engines import Engine
from kerastl.features.extract import Features, extract_features, feature_bytes, length
from kerastl.features.store.upkeep import size
from kerastl.models.cuts import Cut, between, find_cut, split, trained_cut
from kerastl.models.spec import spec_of
from kerastl.terminal import counting, tell
from kerastl.training.augmentation import Augment, augmenter
from kerastl.training.data import checked, content, learnable, parts, steps, watchable
from kerastl.training.known_means import even_weights, evened, uneven_tasks
from kerastl.training.sampling import Gathered, Sampler, gathers, read_array, read_pictures
from kerastl.training.tfdata import check_storable, formed, held, most_examples


@dataclass(frozen=True)
class Options:
    """How the examples are made, the same for every phase."""

    batch_size: int
    seed: int
    augment: Augment | None = None
    views: int = 1
    cache: bool | str | Path = "auto"
    engine: str = "auto"
    budget: int | None = None
    show: bool = False

    @property
    def folder(self) -> Path | None:
        """The user's own folder for features."""
        own = not isinstance(self.cache, bool) and self.cache != "auto"
        return Path(self.cache) if own else None


def use_features(options: Options) -> bool:
    """Whether the options let features be stored.

    Raises:
        InputError: For options that exclude each other.

    Example:
        >>> use_features(Options(32, 0)), use_features(Options(32, 0, cache=False))
        (True, False)
    """
    budget = options.budget
    if budget is not None and (not _whole(budget) or budget < 0):
        raise InputError(f"Expected budget= in bytes, 0 or more. Received: {budget!r}.")
    if options.views > 1 and options.augment is None:
        raise InputError(f"views={options.views} needs augment=: views are its stored results.")
    changing = options.augment is not None and options.views == 1
    if options.cache is False:
        return False
    if changing and options.cache != "auto":
        raise InputError(
            "Random augmentation and stored features exclude each other. Give views=k to "
            "store k augmented copies of each picture, or cache=False."
        )
    if changing:
        tell(
            "Every epoch runs the whole network: augmentation changes the pictures each time. "
            "views=k would store k augmented copies of each.",
            options.show,
        )
    return not changing


def _whole(value: Any) -> bool:
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


log = logging.getLogger("kerastl")

IN_MEMORY = 2 * 1024**3
"""Bytes of features up to which they stay in memory; more go to a file."""


class Inputs(NamedTuple):
    """What a phase fits: the net that trains, its data, the steps of an epoch, what orders it."""

    net: keras.Model
    train: Any
    validation: Any
    steps: int
    feed: Sampler | Gathered | None = None


class Source:
    """Examples for the phases of one fit.

    `validation` is None where none of its labels is known; `unwatched` has the tasks of which it
    knows no label.

    Features are computed at the cut of the model's own policy when a phase
    first asks for them; a phase with a later cut has its own made from these.

    Args:
        model: The model, under its own `trainable` policy.
        train: Training data in any form that `fit` takes.
        validation_data: The same forms, or None.
        options: How the examples are made.

    Raises:
        InputError: For data that do not fit the tasks, and for options that
            exclude each other.
    """

    def __init__(self, model: keras.Model, train: Any, validation_data: Any, options: Options):
        self.spec = spec_of(model)
        self.options = options
        self.devices = model.distribute_strategy.num_replicas_in_sync
        train, validation = parts(train, validation_data)
        tasks = self.spec.tasks
        self.train = learnable(checked(train, self.spec), tasks)
        self.validation, self.unwatched = None, ()
        if validation is not None:
            validation = checked(validation, self.spec)
            self.validation, self.unwatched = watchable(validation, tasks, again=options.show)
        self.uneven = uneven_tasks(model, tasks)
        self.cached = use_features(options)
        self.base = self._first_base(model) if self.cached else None
        self.folder: Any = None
        self._features: dict[tuple[str, str], Features] = {}
        self._engine: Engine | None = None
        self._pictures: dict[str, Any] = {}
        self._arrays: dict[str, Any] = {}

    @property
    def names(self) -> list[str]:
        """The tasks' names."""
        return [task.name for task in self.spec.tasks]

    @property
    def digest(self) -> str:
        """What these examples are known by when a fit is taken up again: content and labels."""
        digest = hashlib.blake2b(digest_size=8)
        for data in (self.train, self.validation):
            digest.update(content(data, self.options.folder))
        return digest.hexdigest()

    def inputs(self, model: keras.Model, epoch: int) -> Inputs:
        """The net, the data and the steps for the model's present policy.

        Args:
            model: The model; what is trainable now decides the cut.
            epoch: The epoch to begin with.
        """
        cut = worthwhile_cut(model) if self.cached else None
        if cut is None:
            net, make = model, self._live
        else:
            net, make = split(model, cut.layer).tail, self._at_cut(model, cut)
        train = make("train", epoch)
        validation = None if self.validation is None else make("validation", 0)
        tell_remarks(self.train, self.validation)
        feed = train if isinstance(train, (Sampler, Gathered)) else None
        train, validation = (
            data.dataset if isinstance(data, Gathered) else data for data in (train, validation)
        )
        return Inputs(net, train, validation, steps(train), feed)

    def close(self) -> None:
        """Delete features that were kept for this fit only."""
        self._features.clear()
        self._arrays.clear()
        if self.folder is not None:
            self.folder.cleanup()

    def _first_base(self, model: keras.Model) -> Cut:
        """The earliest cut at which features are needed: the policy's, or the heads'."""
        return worthwhile_cut(model) or find_cut(model, self.spec.features)

    def _at_cut(self, model: keras.Model, cut: Cut) -> Callable[[str, int], Sampler | Gathered]:
        def make(part: str, epoch: int) -> Sampler | Gathered:
            found = self._at(model, part, cut)
            sampler = self._sampler(
                part, epoch, read_array(found.values), found.labels, found.values
            )
            return Gathered(sampler, found.values) if gathers(sampler, found.values) else sampler

        return make

    def _live(self, part: str, epoch: int) -> Any:
        data = self._held(part)
        if isinstance(data, tf.data.Dataset):
            data = formed(data, self.spec.tasks, self.devices)
            if part == "train":
                return self._augmented(data)
            weighed = len(data.element_spec) == 3 or not self.uneven
            return data if weighed else evened(data, self.spec.tasks, self.uneven)
        if isinstance(data, Manifest):
            return self._sampler(part, epoch, *self._readable(part, data))
        images, labels = data
        return self._sampler(part, epoch, read_array(images[:, None]), labels, images[:, None])

    def _sampler(self, part: str, epoch: int, read, labels, like) -> Sampler:
        training, options = part == "train", self.options
        live = training and like.dtype == np.uint8 and options.augment is not None
        sampler = Sampler(
            read,
            len(like),
            labels,
            options.batch_size,
            shuffle=training,
            seed=options.seed,
            epoch=epoch,
            views=like.shape[1],
            augment=augmenter(options.augment, options.seed) if live else None,
            devices=self.devices,
        )
        if not training:
            sampler.weights = even_weights(labels, self.uneven, options.batch_size, sampler.sizes)
        return sampler

    def _augmented(self, data: tf.data.Dataset) -> tf.data.Dataset:
        if self.options.augment is None:
            return data
        change = augmenter(self.options.augment, self.options.seed)
        return data.map(lambda images, *others: (change(images), *others))

    def _held(self, part: str) -> Any:
        """The data; a dataset as arrays where it can be, to be drawn as any others are."""
        data = getattr(self, part)
        if not isinstance(data, tf.data.Dataset):
            return data
        if part not in self._arrays:
            self._arrays[part] = held(data, self.spec, IN_MEMORY)
            if part == "train" and self._arrays[part] is data:
                why = f"The dataset is shuffled, weighted or over {size(IN_MEMORY)}"
                tell(f"{why}: it trains in its own order and batches.", self.options.show)
        return self._arrays[part]

    def _readable(self, part: str, manifest: Manifest) -> tuple[Any, Any, Any]:
        """Reader and labels of the pictures that can be read, looked through once."""
        if part not in self._pictures:
            good = check_pictures(manifest)
            if not len(good):
                raise InputError("There is no picture that could be read.")
            self._pictures[part] = good
        good = self._pictures[part]
        paths = good.frame["image"].tolist()
        like = np.broadcast_to(np.uint8(0), (len(paths), 1))
        return read_pictures(paths, self.spec.image_size), good.labels(), like

    def _at(self, model: keras.Model, part: str, cut: Cut) -> Features:
        if (part, cut.layer) not in self._features:
            earlier = None
            if cut.layer != self.base.layer:
                middle = between(model, self.base.layer, cut.layer)
                earlier = self._at(model, part, self.base), middle
            self._features[part, cut.layer] = self._extract(model, part, cut, earlier)
        return self._features[part, cut.layer]

    def _extract(self, model: keras.Model, part: str, cut: Cut, earlier: Any) -> Features:
        options, data = self.options, getattr(self, part)
        if isinstance(data, tf.data.Dataset) and earlier is None:
            check_storable(data, part)
        training = part == "train" and options.augment is not None
        prefix = split(model, cut.layer).prefix
        # Heads need one view: their phase only brings them near the tail's.
        views = options.views if training and earlier is None else 1
        log.info("Features of the %s pictures at %s.", part, cut.layer)
        folder, budget = self._place(data, prefix, views)
        what = f"features {part}" if earlier is None else f"features {part}, for the heads"
        with counting(what, options.show) as progress:
            found = extract_features(
                prefix,
                data,
                engine=self._engine or options.engine,
                tasks=self.spec.tasks,
                views=views,
                augment=augmenter(options.augment, options.seed) if training else None,
                cache=folder,
                budget=budget,
                earlier=earlier,
                progress=progress,
            )
        self._engine = self._engine or found.engine
        return found

    def _place(self, data: Any, prefix: keras.Model, views: int) -> tuple[Path | None, int | None]:
        """The folder that keeps the features, None for memory, and what it may take."""
        budget, count = self.options.budget, length(data)
        if count is None:
            count = 0 if budget is None else most_examples(data)
        needed = feature_bytes(prefix, count, views)
        own = self.options.folder
        taken = sum(f.values.nbytes for f in self._features.values() if f.keys is None)
        if isinstance(data, Manifest) and (own or needed > IN_MEMORY):
            return own or self._temporary(), None if budget is None else max(budget - taken, 0)
        if budget is not None and taken + needed > budget:
            raise InputError(
                f"The features take {size(needed)}, and the budget is {size(budget)}, of which "
                f"{size(taken)} are taken. Choose a later cut or a larger budget. Or give "
                "fewer views=, or cache=False: every epoch then runs the whole network."
            )
        return None, None

    def _temporary(self) -> Path:
        self.folder = self.folder or tempfile.TemporaryDirectory(prefix="kerastl-features-")
        return Path(self.folder.name)


def worthwhile_cut(model: keras.Model) -> Cut | None:
    """The cut of the present policy, if its prefix is worth running only once.

    A prefix without weights is not: its features would be larger than the
    pictures and save nothing.
    """
    try:
        cut = trained_cut(model)
    except InputError:
        return None
    return cut if split(model, cut.layer).prefix.weights else None
