"""UnfreezeHyperModel: how many layers train, and at which rates, for any Tuner of KerasTuner."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import logging
import shutil
import tempfile
import weakref
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import keras_tuner
import tensorflow as tf

from kerastl.data.manifest import Manifest
from kerastl.data.tasks import Task, as_tasks
from kerastl.errors import InputError
from kerastl.features.extraction import Progress
from kerastl.models.factories import Backbone, create_model
from kerastl.models.spec import Trainable, spec_of
from kerastl.training.data import checked, content, learnable, parts
from kerastl.tuning.bases import Bases, depths_there, layers_under
from kerastl.tuning.features import StorePlan, plan_features, store_features
from kerastl.tuning.space import Range, SearchSpace, depth_policy, range_faults
from kerastl.tuning.trial_fits import (
    Executions,
    check_call,
    check_objective,
    deleted_after,
    fatal,
    fit_trial,
    head_epochs,
    options_apart,
    state_name,
)

log = logging.getLogger("kerastl")

HEADS_FASTER = 10.0
"""The heads' rate over the tail's: that of the defaults of `fit`."""


class UnfreezeHyperModel(keras_tuner.HyperModel):
    """How many layers of a backbone train, and at which rates: a HyperModel for any Tuner.

    A trial fits the heads and then the tail, as `kerastl.fit` does, on features of the
    frozen part. They are made once, for all depths, before the first trial, and all
    trials share them in one folder.

    Args:
        backbone: A name of `list_backbones()`, a Keras model of one's own, or several
            names to choose from.
        tasks: One task or several.
        depths: What may train beside the heads, each as in `set_trainable`; by default the
            heads alone and the last four stages.
        learning_rate: The tail's highest rate; the heads' is ten times it. A number is
            fixed, a list holds the values to choose from, a tuple is the lowest and highest.
        depth_decay: Factor of the rate from one stage to the one in front of it.
        dropout: In front of the heads.
        weight_decay: AdamW's.
        weights: The backbone's, as in `create_model`.
        image_size: In pixels, as in `create_model`; a list holds sizes to choose from.
        cache: The folder of the features and of the state of unfinished trials; by
            default a temporary one.
        budget: Bytes that features may take. The deepest depths run the whole network in
            every epoch where theirs would not fit.
        seed: Seed of new weights, of the order of pictures and of views.
        **options: Further options of `create_model` and of `fit`.

    Raises:
        InputError: Naming every depth that is none, every range that is none and every
            option that is none.

    Example:
        >>> image = keras.Input((8, 8, 3))
        >>> conv = keras.layers.Conv2D(4, 3, strides=2, name="conv")(image)
        >>> own = keras.Model(image, keras.layers.Conv2D(4, 3, name="last")(conv))
        >>> hypermodel = UnfreezeHyperModel(own, Task("label", ["a", "b"]), depths=[False, 1])
        >>> hp = keras_tuner.HyperParameters()
        >>> hypermodel.declare_hyperparameters(hp)
        >>> hp.values["trainable"], hypermodel.layers(hp)
        ('heads', 0)
    """

    def __init__(
        self,
        backbone: Backbone | Sequence[str],
        tasks: Task | Iterable[Task],
        *,
        depths: Sequence[Trainable] | None = None,
        learning_rate: Range = (3e-5, 3e-3),
        depth_decay: Range = (0.5, 1.0),
        dropout: Range = (0.0, 0.5),
        weight_decay: Range = (1e-6, 1e-2),
        weights: str | Path | None = "imagenet",
        image_size: int | tuple[int, int] | list[int] | None = None,
        cache: str | Path | None = None,
        budget: int | None = None,
        seed: int = 0,
        **options: Any,
    ):
        self.tasks = as_tasks(tasks)
        self._again = functools.partial(
            type(self), backbone, self.tasks, depths=depths, learning_rate=learning_rate,
            depth_decay=depth_decay, dropout=dropout, weight_decay=weight_decay, weights=weights,
            image_size=image_size, cache=cache, budget=budget, seed=seed, **options,
        )  # fmt: skip
        self.budget, self.seed = budget, seed
        built, self._fitted, faults = options_apart(options)
        self._bases = Bases(backbone, self.tasks, weights, image_size, seed, built)
        self._built = {name: value for name, value in built.items() if name != "preprocessing"}
        ranges = {"learning_rate": learning_rate, "depth_decay": depth_decay, "dropout": dropout,
                  "weight_decay": weight_decay}  # fmt: skip
        self.space = SearchSpace(
            depths_there(self._bases, depths, [*faults, *range_faults(ranges)]), **ranges,
            backbones=_choice(self._bases.backbones), image_sizes=_choice(self._bases.sizes),
        )  # fmt: skip
        self.shared = cache is not None
        self.cache = Path(tempfile.mkdtemp(prefix="kerastl-search-") if cache is None else cache)
        if not self.shared:
            weakref.finalize(self, shutil.rmtree, self.cache, ignore_errors=True)
        self.engine = self._fitted.get("engine", "auto")
        self._plans: dict[Any, StorePlan] = {}
        self._executions = Executions()
        super().__init__(name="unfreeze")

    def __reduce__(self):
        if not self.shared:
            raise InputError("Other processes cannot share a temporary folder: give cache=.")
        return self._again, ()

    def declare_hyperparameters(self, hp: keras_tuner.HyperParameters) -> None:
        """Declare the whole space, as KerasTuner's hook of this name."""
        self.space.declare(hp)

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        """The whole network of a trial, compiled, under its depth."""
        self.space.declare(hp)
        return self._network(hp.values, self.seed)

    def _network(self, values: Mapping[str, Any], seed: int) -> keras.Model:
        return create_model(
            self._bases.base(values), self.tasks, trainable=depth_policy(values["trainable"]),
            dropout=values["dropout"], seed=seed, **self._built,
        )  # fmt: skip

    def layers(self, hp: keras_tuner.HyperParameters) -> int:
        """How many layers of the backbone train in a trial."""
        return layers_under(self._bases.base(hp.values), hp.values["trainable"])

    def prepare(
        self,
        hp: keras_tuner.HyperParameters | None,
        data: Any,
        progress: Progress | None = None,
        validation_data: Any = None,
    ) -> StorePlan | None:
        """Make the features of all depths, where they are not there yet.

        Args:
            hp: Tells backbone and size; None for the first of each.
            data: As in `fit`.
            progress: Called with the pictures done and in all.
            validation_data: As in `fit`.

        Returns:
            Which depths are stored; None where nothing is, for other data than a
            Manifest or augmented without views.

        Raises:
            InputError: For a budget that even the heads' features would pass.
        """
        train, validation = parts(data, validation_data)
        changing = self._fitted.get("augment") is not None and self._fitted.get("views", 1) == 1
        if not isinstance(train, Manifest) or changing:
            return None
        base = self._bases.base({} if hp is None else hp.values)
        learnable(checked(train, spec_of(base)), self.tasks)
        key = base.name, spec_of(base).image_size, self._known_by(base, train, validation)
        if key not in self._plans:
            self._plans[key] = self._stored(base, train, validation, progress)
        return self._plans[key]

    def _stored(self, base: keras.Model, train: Manifest, validation: Any, progress) -> StorePlan:
        views = self._fitted.get("views", 1)
        counts = len(train), len(validation) if isinstance(validation, Manifest) else 0
        # Each backbone and size has its part: all may be tried.
        share = self.budget and self.budget // len(self._bases)
        plan = plan_features(base, self.space.depths, *counts, views=views, budget=share)
        if large := [word for word in plan.live if word not in plan.cuts]:
            log.info("No room for the features of %s: the whole network runs in every epoch.",
                     ", ".join(large))  # fmt: skip
        options = {k: v for k, v in self._fitted.items() if k in ("engine", "augment", "views")}
        store_features(
            base, plan, train, validation, cache=self.cache, budget=self.budget, seed=self.seed,
            progress=progress, **options,
        )  # fmt: skip
        return plan

    def fit(
        self,
        hp: keras_tuner.HyperParameters,
        model: keras.Model,
        train: Any,
        validation_data: Any = None,
        *,
        epochs: int = 20,
        initial_epoch: int = 0,
        callbacks: Sequence[keras.callbacks.Callback] = (),
        verbose: int = 0,
        execution: int | None = None,
        resume: str | Path | None = None,
        **others: Any,
    ) -> keras.callbacks.History:
        """Train a trial's network: KerasTuner's hook.

        Args:
            hp: The trial's values.
            model: What `build` made.
            train: As in `kerastl.fit`.
            validation_data: As in `kerastl.fit`.
            epochs: Epochs of the tail, at most. The heads alone get those of both phases:
                so every depth may see the pictures as often.
            initial_epoch: Epochs that the network has been trained already, by Hyperband:
                the heads' phase is left out then.
            callbacks: Told of the last phase only.
            verbose: 1 shows progress.
            execution: Which execution of the trial this is, from 0; by default counted.
                Each has first weights and an order of pictures of its own. Views, which
                are stored once for all, are drawn in the same order by each.
            resume: A folder for the state after every epoch; by default one in `cache`
                that is deleted when the fit is done. A `tf.data.Dataset` cannot be known
                again, so its fit begins anew where no folder is given.
            **others: None are taken: options of a fit are given to the constructor.

        Returns:
            The History of the last phase.

        Raises:
            InputError: For faults of the data; KerasTuner passes it on.
            FailedTrialError: For a loss that is not finite: KerasTuner marks the trial.
        """
        data = train, validation_data
        with fatal():
            check_call(epochs, initial_epoch, others)
            plan = self.prepare(hp, train, validation_data=validation_data)
            number = self._executions.next(callbacks) if execution is None else execution
            if number and not initial_epoch:
                model.set_weights(self._network(hp.values, self.seed + number).get_weights())
            options = self._options(hp.values, epochs - initial_epoch, number)
            if initial_epoch:
                options["head_epochs"] = 0
            elif depth_policy(hp.values["trainable"]) is False:
                options["epochs"] += head_epochs(options)
            folder = self._state(hp, model, data, options) if resume is None else Path(resume)
            with contextlib.nullcontext() if resume is not None else deleted_after(folder):
                history = fit_trial(
                    model, *data, folder=folder, callbacks=callbacks, verbose=verbose,
                    cache="auto" if plan is None else self.cache,
                    live=plan is not None and hp.values["trainable"] not in plan.cuts, **options,
                )  # fmt: skip
            check_objective(callbacks, history)
        return history

    def _options(self, values: Mapping[str, Any], epochs: int, execution: int) -> dict[str, Any]:
        """Of the fit of a trial's values."""
        rate, views = values["learning_rate"], self._fitted.get("views", 1)
        return {
            "learning_rate": rate, "head_learning_rate": HEADS_FASTER * rate,
            "depth_decay": values["depth_decay"], "weight_decay": values["weight_decay"],
            **self._fitted, "epochs": epochs, "seed": self.seed + (execution if views == 1 else 0),
        }  # fmt: skip

    def _state(self, hp, model: keras.Model, data: tuple[Any, Any], options: Any) -> Path | None:
        """The folder of an unfinished fit, which the same fit finds again."""
        train, validation = parts(*data)
        if any(isinstance(part, tf.data.Dataset) for part in (train, validation)):
            return None
        options = {**self._built, **options}
        name = state_name(model, hp.values, options, self._known_by(model, train, validation))
        return self.cache / "trials" / name

    def _known_by(self, model: keras.Model, train: Any, validation: Any) -> bytes:
        """What the data are known by."""
        digest = hashlib.blake2b(digest_size=16)
        for data in (train, validation):
            known = b"" if data is None else content(checked(data, spec_of(model)), self.cache)
            digest.update(known)
        return digest.digest()


def _choice(values: tuple[Any, ...]) -> tuple[Any, ...]:
    return values if len(values) > 1 else ()
