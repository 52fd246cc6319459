"""fit: heads first, then the tail, on features of the frozen prefix computed once."""

from __future__ import annotations

import copy
import hashlib
import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import pandas as pd

from kerastl.errors import InputError
from kerastl.features.extract import length
from kerastl.models.graph import named_losses, weights_digest
from kerastl.models.spec import Trainable, spec_of, with_spec
from kerastl.models.trainable import Movement, movement, moving_weights, set_trainable
from kerastl.terminal import tell, warn
from kerastl.training.augmentation import Augment
from kerastl.training.callbacks import (
    Drawn,
    EpochBar,
    KeepState,
    Order,
    Rate,
    Resume,
    Unwatched,
)
from kerastl.training.data import parts, training_digest
from kerastl.training.mirrored import over_devices, strategy_of
from kerastl.training.optimizers import (
    DepthwiseAdamW,
    chosen_rates,
    compiled_with,
    depth_multipliers,
    is_default,
    schedule,
)
from kerastl.training.sampling import Gathered, hasten
from kerastl.training.sources import Options, Source
from kerastl.training.user_callbacks import Users, check_callbacks

log = logging.getLogger("kerastl")


@dataclass(frozen=True)
class Phase:
    """One stretch of training: what trains, how long and how fast."""

    name: str
    trainable: Trainable
    epochs: int
    learning_rate: float


@dataclass(frozen=True)
class Recipe:
    """The numbers of a fit that its phases share."""

    batch_size: int
    warmup: float
    weight_decay: float
    depth_decay: float
    patience: int
    seed: int
    verbose: int


def fit(
    model: keras.Model,
    train: Any,
    validation_data: Any = None,
    *,
    epochs: int = 20,
    head_epochs: int | None = None,
    batch_size: int | None = None,
    learning_rate: float | None = None,
    head_learning_rate: float | None = None,
    depth_decay: float | None = None,
    weight_decay: float | None = None,
    warmup: float | None = None,
    patience: int | None = None,
    augment: Augment | None = None,
    views: int = 1,
    cache: bool | str | Path = "auto",
    engine: str = "auto",
    budget: int | None = None,
    resume: str | Path | None = None,
    seed: int = 0,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    class_weight: Any = None,
    verbose: int = 1,
) -> keras.callbacks.History:
    """Train a kerastl model: its heads first, then its tail.

    Heads are fitted alone until they are sensible, so that their first, random gradients do
    not spoil the pretrained layers; then all that is trainable is fitted at a smaller rate,
    smaller still for deeper stages. Random weights have nothing to be spoilt: for them there
    are head_epochs=0, depth_decay=1 and a larger rate. The frozen prefix runs once.

    A model built under `tf.distribute.MirroredStrategy` trains on all its devices, with
    the loss of the whole batch: the weights are those of one device within rounding, but
    where dropout draws or BatchNorm trains, which each device does for its own examples.

    Args:
        model: A kerastl model; its `trainable` policy says what the tail is. It
            keeps the losses and metrics that it was compiled with. An optimizer that
            you compiled, with its rate or schedule, trains in place of fit's AdamW:
            anew from its configuration in each phase, the same for all layers.
        train: A Manifest (a whole one brings its train and val parts), arrays
            `(images, labels)`, or a batched `tf.data.Dataset`, in the same order each
            time it is read: fit shuffles it, in batches of its own. With cache=False a
            dataset that is shuffled, weighted or over 2 GiB keeps its order and batches.
        validation_data: The same forms. Where no label of it is known it is as if there
            were none. Known labels alone make `val_loss`, the same in whatever batches
            they come; the History has no validation figure of a task that has none.
        epochs: Epochs of the tail, at most; of the heads where nothing else trains.
        head_epochs: Epochs of the heads before the tail, at most; by default as
            many as `epochs`. 0 leaves the phase out.
        batch_size: Examples in a batch; by default 32, and fewer where that would
            make less than eight steps an epoch.
        learning_rate: Highest rate of the tail's last stage, by default 3e-4. This and the
            four that follow are of fit's own AdamW, and refused beside one of yours.
        head_learning_rate: Highest rate of the heads' own phase, by default 3e-3.
        depth_decay: Factor of the rate from one stage to the one in front of it, by
            default 0.7.
        weight_decay: AdamW's, by default 1e-4.
        warmup: Share of the steps in which the rate rises, by default 0.1; a cosine follows.
        patience: Epochs without a better validation loss before a phase ends
            with its best weights; by default a quarter of its epochs, at least 3.
        augment: Keras layers that change training images at random.
        views: Augmented copies of each picture that are stored, of which an
            epoch draws one; the heads' own phase uses the first.
        cache: "auto" stores features wherever that gives the same as not to;
            False never; True demands it; a folder keeps a manifest's features
            there for the next call.
        engine: What runs the frozen prefix: "keras", "openvino", or "auto", the
            fastest that is installed and agrees with Keras on these pictures.
        budget: Bytes that stored features may take, in memory or in the folder with
            what is there already; None for no such limit.
        resume: A folder for the state after every epoch. Called again with the
            same arguments, fit goes on from there.
        seed: Seed of the order of examples and of views. A run with the same
            seed, data and machine repeats.
        callbacks: Keras callbacks, who see one training: epochs count on from the heads'
            phase to the tail's, and one that sets `stop_training` ends the whole fit, where
            `patience` ends a phase. Their `self.model` is the whole model, also where its
            tail trains: it predicts from and saves with pictures.
        class_weight: Refused, with what there is in its place.
        verbose: 1 shows progress, 0 nothing.

    Returns:
        A Keras History over both phases: `pandas.DataFrame(history.history)` is
        a row an epoch, with its phase and learning rate. `history.movement`
        says which weights moved.

    Raises:
        InputError: For data that do not fit the model's tasks, for options that exclude
            each other, and for callbacks that a fit cannot have.

    Reference:
        Kumar et al., Fine-Tuning can Distort Pretrained Features, ICLR 2022 (LP-FT).
    """
    spec = spec_of(model)
    if not model.compiled:
        raise InputError(
            "The model is not compiled. Call kerastl.models.factories.compile_model(model)."
        )
    if class_weight is not None:
        raise InputError(
            "fit takes no class_weight. For rare positives of a binary or multilabel task give "
            "create_model positive_weights=kerastl.positive_weights(data). For the classes of a "
            "multiclass task give fit a tf.data.Dataset of (images, labels, weights) and "
            "cache=False."
        )
    strategy = strategy_of(model)
    compiled, optimizer = compiled_with(model)
    rates = {
        "learning_rate": learning_rate, "head_learning_rate": head_learning_rate,
        "depth_decay": depth_decay, "weight_decay": weight_decay, "warmup": warmup,
    }  # fmt: skip
    rates = chosen_rates(rates, model, optimizer)
    check_callbacks(callbacks, optimizer)
    batch_size = batch_size or _batch_size(length(parts(train, None)[0]))
    phases = _phases(
        spec.trainable, epochs, head_epochs, rates["learning_rate"], rates["head_learning_rate"]
    )
    recipe = Recipe(
        batch_size, rates["warmup"], rates["weight_decay"], rates["depth_decay"], patience or 0,
        seed, int(bool(verbose)),
    )  # fmt: skip
    if resume is not None and cache == "auto":
        cache = Path(resume) / "features" if augment is None or views > 1 else cache
    options = Options(batch_size, seed, augment, views, cache, engine, budget, bool(verbose))
    source = Source(model, train, validation_data, options)
    known = None if resume is None else source.digest
    settings = {"model": _model_digest(model), "data": known, "views": views}
    settings |= {"phases": phases, "augment": augment is not None, **vars(recipe)}
    settings.pop("verbose")
    if optimizer is not None:
        settings["optimizer"] = compiled["optimizer"]
        tell(f"Trained by {type(optimizer).__name__}, as the model is compiled.", options.show)
    before, trained = weights_digest(model), set[str]()
    state, users = Resume(resume, settings), Users(callbacks, model)
    _remember(model, source)
    histories: list[tuple[Phase, dict[str, list]]] = []
    try:
        for number, phase in enumerate(phases):
            done = sum(len(found.get("loss", ())) for _, found in histories)
            users.phase(done, [p.epochs for p in phases[number:]])
            with strategy.scope():
                set_trainable(model, phase.trainable)
                trained |= moving_weights(model)
                found = _run(model, source, phase, recipe, state, users, compiled)
            histories.append((phase, found))
            if users.stopped or state.ended:
                break
    finally:
        source.close()
        with strategy.scope():
            set_trainable(model, spec.trainable)
            model.compile_from_config(compiled)
            named_losses(model, spec.tasks)
        _forget_thresholds(model)
    if len(histories) < len(phases):
        _say_ended(histories[-1])
    return _history(model, histories, _checked(movement(model, before, trained)))


def _say_ended(last: tuple[Phase, dict[str, list]]) -> None:
    phase, found = last
    warn(
        f"A callback ended the fit in epoch {len(found.get('loss', ()))} of the {phase.name}: what "
        "follows them was not trained. patience= ends a phase alone."
    )


def _batch_size(count: int | None) -> int:
    return 32 if count is None else min(32, max(4, count // 8))


def _phases(policy, epochs, head_epochs, rate, head_rate) -> list[Phase]:
    if policy is False or policy == 0:
        return [Phase("heads", False, epochs, head_rate)]
    heads = epochs if head_epochs is None else head_epochs
    both = [Phase("heads", False, heads, head_rate), Phase("tail", policy, epochs, rate)]
    return [phase for phase in both if phase.epochs > 0]


def _run(
    model, source: Source, phase, recipe, state: Resume, users: Users, compiled: Mapping[str, Any]
) -> dict[str, list]:
    """Train one phase, or what is left of it; returns its history."""
    if state.finished(phase.name):
        log.info("The %s are trained already.", phase.name)
        state.restore(phase.name, model)
        return state.history(phase.name)
    start = state.epoch(phase.name)
    inputs = source.inputs(model, epoch=start)
    net = inputs.net
    _compile(net, model, compiled, phase, recipe, steps=inputs.steps * phase.epochs)
    if isinstance(inputs.feed, Gathered) and users.async_safe:
        longest = max(inputs.steps, 0 if inputs.validation is None else len(inputs.validation))
        hasten(net, inputs.train, inputs.validation, longest)
    stopping = _stopping(inputs.validation is not None, phase, recipe)
    keep = KeepState(state, phase.name, stopping)
    shown = [EpochBar(phase.name, phase.epochs, start)] if recipe.verbose else []
    ordered = [Order(inputs.feed)] if inputs.feed else []
    own = [Drawn(recipe.seed), *ordered, Unwatched(source.unwatched, source.names), Rate()]
    own += [stopping, keep, *shown]
    told = {"epochs": phase.epochs, "steps": inputs.steps, "verbose": 0}
    net.stop_training = model.stop_training = False
    try:
        net.fit(
            inputs.train,
            validation_data=inputs.validation,
            epochs=phase.epochs,
            initial_epoch=phase.epochs if state.stopped(phase.name) else start,
            callbacks=keras.callbacks.CallbackList(
                [*own, users], add_history=True, model=net, **told
            ),
            shuffle=False,
            verbose=0,
        )
    finally:
        for bar in shown:
            bar.close()
    state.finish(phase.name, model, keep.history, ended=users.stopped)
    return keep.history


def _compile(net, model, compiled, phase: Phase, recipe: Recipe, steps: int) -> None:
    """Compile what trains, and the whole model, with its own losses and one optimizer."""
    optimizer = None
    if is_default(compiled):
        optimizer = DepthwiseAdamW(
            depth_multipliers(model, recipe.depth_decay),
            learning_rate=schedule(phase.learning_rate, steps, recipe.warmup),
            weight_decay=recipe.weight_decay,
        )
    for part in (model, net) if net is not model else (net,):
        # Deserialising may change what it is given.
        options = keras.saving.deserialize_keras_object(copy.deepcopy(dict(compiled)))
        loss = over_devices(options.pop("loss"), net.distribute_strategy)
        optimizer = optimizer or options["optimizer"]
        part.compile(**{**options, "optimizer": optimizer, "loss": loss})
        named_losses(part, spec_of(model).tasks)
    optimizer.build(net.trainable_variables)


def _stopping(validated: bool, phase: Phase, recipe: Recipe) -> keras.callbacks.EarlyStopping:
    patience = recipe.patience or max(3, math.ceil(phase.epochs / 4))
    return keras.callbacks.EarlyStopping(
        monitor="val_loss" if validated else "loss",
        patience=patience,
        mode="min",
        restore_best_weights=validated,
    )


def _model_digest(model: keras.Model) -> str:
    digests = "".join(weights_digest(model).values())
    return hashlib.blake2b(digests.encode(), digest_size=8).hexdigest()


def _checked(found: Movement) -> Movement:
    if found.moved:
        raise RuntimeError(f"Frozen weights changed in training. {found}")
    if found.still:
        log.warning("Some weights that were to train did not move. %s", found)
    else:
        log.info("%s", found)
    return found


def _forget_thresholds(model: keras.Model) -> None:
    """Thresholds that were tuned for other weights are not kept."""
    spec = spec_of(model)
    if spec.thresholds:
        log.info("The decision thresholds are 0.5 again: they were tuned before this fit.")
        with_spec(model, spec, thresholds={})


def _remember(model: keras.Model, source: Source) -> None:
    """Tell the model what it is trained on; the same data twice running are told once."""
    spec = spec_of(model)
    digest = training_digest(source.train, spec.tasks, source.options.folder)
    if spec.trained_on[-1:] != (digest,):
        with_spec(model, spec, trained_on=(*spec.trained_on, digest))


def _history(model, histories, found: Movement) -> keras.callbacks.History:
    frames = [pd.DataFrame(h).assign(phase=phase.name) for phase, h in histories]
    frame = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()
    history = keras.callbacks.History()
    history.set_model(model)
    history.epoch = list(range(len(frame)))
    history.history = {str(name): column.tolist() for name, column in frame.items()}
    history.movement = found
    return history
