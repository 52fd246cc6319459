"""One trial's fit: where its features are, where it was left, and what a tuner is told of it.

Callbacks of a trial: a tuner's hear of its last phase only, and a loss has to be finite.
"""

from __future__ import annotations

import contextlib
import hashlib
import inspect
import json
import math
import shutil
import weakref
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import keras_tuner
import numpy as np
from keras_tuner.src.engine.objective import DefaultObjective
from keras_tuner.src.engine.tuner_utils import SaveBestEpoch

from kerastl.errors import InputError, nearest
from kerastl.models.graph import named_losses, network_key, outputs
from kerastl.models.spec import Trainable, spec_of
from kerastl.models.trainable import set_trainable
from kerastl.training.augmentation import augmenter
from kerastl.training.callbacks import FILE
from kerastl.training.fitting import fit
from kerastl.training.user_callbacks import Relay


class InPhase(Relay):
    """Passes on what its callbacks are told while one policy trains, and nothing else.

    The heads' phase comes before the tail's. What it reaches is no result of the depth
    that a trial tries, so a tuner must not take it for one.

    Args:
        callbacks: Those that are told.
        policy: The policy of the phase.
        kept: What a tuner's checkpoint keeps the weights of: the model's own layers.
        folder: Where the fit's state is, if it may go on from one.
    """

    by_phase = True

    def __init__(
        self,
        callbacks: Sequence[keras.callbacks.Callback],
        policy: Trainable,
        kept: keras.Model,
        folder: Path | None = None,
    ):
        super().__init__()
        self.callbacks, self.policy, self.kept, self.folder = list(callbacks), policy, kept, folder

    def set_model(self, model: keras.Model) -> None:
        """Keras' hook."""
        super().set_model(model)
        for callback in self.callbacks:
            callback.set_model(self.kept if isinstance(callback, SaveBestEpoch) else model)

    def set_params(self, params: Mapping[str, Any]) -> None:
        """Keras' hook."""
        super().set_params(params)
        for callback in self.callbacks:
            callback.set_params(params)

    def tell(self, hook: str, *told: Any) -> None:
        """Pass one of Keras' hooks on, where the phase is the one."""
        if spec_of(self.model).trainable == self.policy:
            for callback in self.callbacks:
                getattr(callback, hook)(*told)
                if hook == "on_train_begin" and isinstance(callback, SaveBestEpoch):
                    _remind(callback, self._epochs())

    def _epochs(self) -> list[dict[str, float]]:
        """The logs of the phase's epochs that were done before."""
        if self.folder is None or not (self.folder / FILE).is_file():
            return []
        with open(self.folder / FILE, "rb") as file, np.load(file, allow_pickle=False) as kept:
            about = json.loads(str(kept["about"]))
        columns = about["history"].get("tail" if self.policy else "heads", {})
        return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _remind(checkpoint: SaveBestEpoch, epochs: Sequence[Mapping[str, float]]) -> None:
    """Tell a new checkpoint of the epochs before: it would take the next one for the best.

    The last one's weights are the model's now, and may not have been written.
    """
    objective = checkpoint.objective
    for logs in epochs[:-1] if Path(checkpoint.filepath).is_file() else ():
        if objective.has_value(logs):
            values = objective.get_value(logs), checkpoint.best_value
            checkpoint.best_value = values[0] if objective.better_than(*values) else values[1]
    if epochs:
        checkpoint.on_epoch_end(len(epochs) - 1, epochs[-1])


class Finite(keras.callbacks.Callback):
    """Ends a trial whose loss is no number any more: KerasTuner marks it and goes on."""

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Keras' hook."""
        for name in ("loss", "val_loss"):
            value = (logs or {}).get(name, 0.0)
            if not math.isfinite(value):
                raise keras_tuner.errors.FailedTrialError(
                    f"diverged: {name} is {value}, not finite, in epoch {epoch + 1}"
                )


BUILT_WITH = ("dropout", "train_batch_norm", "preprocessing", "loss_weights", "positive_weights")
"""Options that go to `create_model`; the others go to `fit`."""

SET_HERE = (
    "model", "train", "validation_data", "epochs", "cache", "resume", "seed", "class_weight",
)  # fmt: skip
"""What `fit` takes that is no option of a trial."""

NO_OPTIONS = {*SET_HERE, "dropout", "callbacks", "verbose", "budget"}
"""What `fit` and `create_model` take that a search sets itself, or takes by its own name."""


class FatalInputError(InputError, keras_tuner.errors.FatalError):
    """A fault of the user's data, which KerasTuner passes on: it swallows other errors."""


@contextlib.contextmanager
def fatal() -> Iterator[None]:
    """Within it, an InputError is one that KerasTuner passes on."""
    try:
        yield
    except InputError as error:
        raise FatalInputError(error.message, error.faults) from error


@contextlib.contextmanager
def deleted_after(folder: Path | None) -> Iterator[None]:
    """Within it a trial is fitted; the state is deleted when that is done or has failed."""
    try:
        yield
    except keras_tuner.errors.FailedTrialError:
        _delete(folder)
        raise
    _delete(folder)


def _delete(folder: Path | None) -> None:
    if folder is not None:
        shutil.rmtree(folder, ignore_errors=True)


def check_call(epochs: int, initial_epoch: int, others: Mapping[str, Any]) -> None:
    """Refuse what a tuner's `search` cannot pass on to a trial.

    Example:
        >>> check_call(3, 0, {"batch_size": 8})
        Traceback (most recent call last):
        kerastl.errors.InputError: A trial cannot be fitted so.
          batch_size: give it to UnfreezeHyperModel
    """
    faults = [f"{name}: give it to UnfreezeHyperModel" for name in others]
    if epochs <= initial_epoch:
        faults.append(f"epochs: expected at least {initial_epoch + 1}, received {epochs}")
    if faults:
        raise InputError("A trial cannot be fitted so.", faults)


def options_apart(given: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any], list[str]]:
    """Options of `create_model`, those of `fit`, and a line for each that is none.

    Example:
        >>> options_apart({"loss_weights": None, "batch_size": 8})
        ({'loss_weights': None}, {'batch_size': 8}, [])
    """
    every = [*BUILT_WITH, *inspect.signature(fit).parameters]
    there = [name for name in every if name not in NO_OPTIONS]
    faults = [f"there is no option {n!r}.{nearest(n, there)}" for n in given if n not in there]
    built = {n: v for n, v in given.items() if n in BUILT_WITH}
    return built, {n: v for n, v in given.items() if n in there and n not in built}, faults


def state_name(
    model: keras.Model, values: Mapping[str, Any], options: Mapping[str, Any], data: bytes
) -> str:
    """What an unfinished fit is known by: the same fit, and no other, goes on from its state.

    Args:
        model: As the fit begins.
        values: The trial's.
        options: Of `create_model` and `fit`.
        data: What the data are known by.
    """
    plain = {n: v for n, v in options.items() if n not in ("callbacks", "cache", "verbose")}
    if plain.get("augment") is not None:
        plain["augment"] = augmenter(plain["augment"], plain["seed"]).key
    told = [network_key(model), dict(values), plain]
    digest = hashlib.blake2b(json.dumps(told, sort_keys=True, default=repr).encode(), digest_size=8)
    digest.update(data)
    return digest.hexdigest()


def fit_trial(
    model: keras.Model, train: Any, validation_data: Any, *, folder: Path | None, cache: Any,
    live: bool, callbacks: Sequence[keras.callbacks.Callback], **options: Any,
) -> keras.callbacks.History:  # fmt: skip
    """Train a trial's network.

    Args:
        model: The network, under the trial's depth.
        train: As in `kerastl.fit`.
        validation_data: As in `kerastl.fit`.
        folder: For the state after every epoch; None keeps none.
        cache: As in `kerastl.fit`.
        live: Whether the tail's features are not stored. The heads' are, for their phase.
        callbacks: A tuner's, told of the last phase only.
        **options: Further options of `kerastl.fit`.

    Returns:
        The History of the last phase.
    """
    data, policy = (model, train, validation_data), spec_of(model).trainable
    told = [Finite(), *([InPhase(callbacks, policy, _twin(model), folder)] if callbacks else [])]
    options["cache"] = cache
    if live:
        _heads_alone(data, folder and folder / "heads", options)
        options |= {"cache": False, "head_epochs": 0}
    return _last_phase(fit(*data, resume=folder, callbacks=told, **options))


def _twin(model: keras.Model) -> keras.Model:
    """The same layers, with an optimizer of their own as the model has it before a fit.

    What is kept of it is loaded into what `build` makes.
    """
    twin = keras.Model(model.inputs[0], outputs(model))
    twin.compile_from_config(model.get_compile_config())
    return named_losses(twin, spec_of(model).tasks)


def head_epochs(options: Mapping[str, Any]) -> int:
    """Epochs of the heads' phase, as `fit` counts them.

    Example:
        >>> head_epochs({"epochs": 8}), head_epochs({"epochs": 8, "head_epochs": 2})
        (8, 2)
    """
    given = options.get("head_epochs")
    return options["epochs"] if given is None else given


def _heads_alone(data: tuple[Any, ...], folder: Path | None, options: dict[str, Any]) -> None:
    """The first phase as a fit of its own."""
    model, epochs = data[0], head_epochs(options)
    policy = spec_of(model).trainable
    if not epochs:
        return
    set_trainable(model, False)
    try:
        fit(*data, resume=folder, callbacks=[Finite()], **{**options, "epochs": epochs})
    finally:
        set_trainable(model, policy)


class Executions:
    """Counts a trial's executions: a tuner's checkpoint is one for all of them."""

    def __init__(self):
        self._number, self._last = 0, lambda: None

    def next(self, callbacks: Sequence[keras.callbacks.Callback]) -> int:
        """The number of the execution that begins, from 0."""
        mark = _checkpoint_of(callbacks)
        if mark is None:
            return 0
        self._number = self._number + 1 if self._last() is mark else 0
        self._last = weakref.ref(mark)  # the callback holds the trial's network
        return self._number


def check_objective(
    callbacks: Sequence[keras.callbacks.Callback], history: keras.callbacks.History
) -> None:
    """Refuse an objective of a tuner that no epoch has.

    Raises:
        InputError: Naming what there is. KerasTuner would call three trials failed first.
    """
    mark = _checkpoint_of(callbacks)
    if mark is None or isinstance(mark.objective, DefaultObjective):
        return
    objectives = getattr(mark.objective, "objectives", [mark.objective])
    there = [name for name in history.history if name != "learning_rate"]
    missing = [o.name for o in objectives if o.name not in there]
    if missing:
        val = any(name.startswith("val_") for name in there)
        raise InputError(
            f"Trials cannot be compared by {missing[0]!r}.{nearest(missing[0], there)} There are: "
            f"{', '.join(there)}."
            + ("" if val else " The data have no val part with known labels: give one.")
        )


def _checkpoint_of(callbacks: Sequence[keras.callbacks.Callback]) -> SaveBestEpoch | None:
    """A tuner's callback that keeps the best epoch's weights, one for all of a trial's fits."""
    return next((c for c in callbacks if isinstance(c, SaveBestEpoch)), None)


def _last_phase(history: keras.callbacks.History) -> keras.callbacks.History:
    """A fit's History without the phases before its last one."""
    phases = history.history.pop("phase", [])
    kept = [i for i, phase in enumerate(phases) if phase == phases[-1]]
    history.history = {n: [v[i] for i in kept] for n, v in history.history.items()}
    history.epoch = list(range(len(kept)))
    return history
