"""The user's callbacks in a fit: they see one training of the whole model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras

from kerastl.errors import InputError

HOOKS = tuple(
    f"on_{what}_{when}"
    for what in ("train", "epoch", "train_batch", "test", "test_batch")
    for when in ("begin", "end")
)


class Relay(keras.callbacks.Callback):
    """Passes all that `fit` tells a callback on to `tell`."""

    def tell(self, hook: str, *told: Any) -> None:
        """One of Keras' hooks, with what it is told."""
        raise NotImplementedError


def _passing(hook: str) -> Callable[..., None]:
    def told(self: Relay, *arguments: Any, logs: Any = None) -> None:
        self.tell(hook, *arguments, *([] if logs is None else [logs]))

    return told


for _hook in HOOKS:
    setattr(Relay, _hook, _passing(_hook))


class Users(Relay):
    """The user's callbacks, who see one training of the whole model over all phases.

    They are told once that the training begins and once that it ends, and their epochs count on
    from one phase to the next. What one of them ends by `stop_training` is the whole fit. A
    callback with `by_phase = True` is told of each phase as of a training of its own.

    Args:
        callbacks: The user's.
        model: The whole model: what they save, and what they predict of pictures, is the same
            whether it trains or its tail does.
    """

    def __init__(self, callbacks: Sequence[keras.callbacks.Callback], model: keras.Model):
        super().__init__()
        self.callbacks, self.whole = list(callbacks), model
        # Or Keras would wait for the figures of every batch.
        self.async_safe = not any(map(counts_batches, callbacks))
        self.begun = self.stopped = self.last = False
        self.done = self.most = 0

    def phase(self, done: int, ahead: Sequence[int]) -> None:
        """A phase is to begin.

        Args:
            done: Epochs before it.
            ahead: Epochs at most, of it and of those behind it.
        """
        self.done, self.most, self.last = done, done + sum(ahead), len(ahead) == 1

    def set_model(self, model: keras.Model) -> None:
        """Keras' hook."""
        super().set_model(model)
        for callback in () if self.begun else self.callbacks:
            callback.set_model(self.whole)

    def set_params(self, params: Mapping[str, Any]) -> None:
        """Keras' hook."""
        super().set_params(params)
        for callback in self.callbacks:
            by_phase = getattr(callback, "by_phase", False)
            callback.set_params(params if by_phase else {**params, "epochs": self.most})

    def tell(self, hook: str, *told: Any) -> None:
        """Pass one of Keras' hooks on, and what a callback ends."""
        if "batch" in hook and self.async_safe:
            return
        ending = self.model.stop_training
        self.whole.stop_training = False
        for callback in self.callbacks:
            self._tell(callback, hook, *told)
        self.stopped |= self.whole.stop_training
        self.model.stop_training = self.whole.stop_training = ending or self.stopped
        self.begun = True

    def _tell(self, callback: keras.callbacks.Callback, hook: str, *told: Any) -> None:
        if not getattr(callback, "by_phase", False):
            if hook == "on_train_begin" and self.begun:
                return
            if hook == "on_train_end" and not (self.last or self.stopped):
                return
            if hook.startswith("on_epoch"):
                told = (told[0] + self.done, *told[1:])
        getattr(callback, hook)(*told)


def check_callbacks(
    callbacks: Sequence[keras.callbacks.Callback], optimizer: keras.optimizers.Optimizer | None
) -> None:
    """Refuse callbacks that do not go with a fit.

    Args:
        callbacks: The user's.
        optimizer: The one that the user compiled; None for fit's own.

    Raises:
        InputError: Naming each, with the way out.

    Example:
        >>> check_callbacks([keras.callbacks.ReduceLROnPlateau()], keras.optimizers.SGD(0.1))
        >>> check_callbacks([keras.callbacks.ReduceLROnPlateau()], None)
        Traceback (most recent call last):
        kerastl.errors.InputError: There are callbacks that this fit cannot have.
          ReduceLROnPlateau sets the learning rate, which follows a schedule here. Compile the \
model with an optimizer of a constant rate, such as kerastl.models.factories.compile_model(model, \
optimizer=keras.optimizers.AdamW(3e-4)).
    """
    settable = optimizer is not None and not isinstance(
        optimizer._learning_rate, keras.optimizers.schedules.LearningRateSchedule
    )
    faults = []
    for callback in callbacks:
        name = type(callback).__name__
        if isinstance(callback, keras.callbacks.BackupAndRestore):
            faults.append(
                f"{name} cannot restore a fit of two phases. Give resume=FOLDER, which goes on "
                "exactly where the fit was."
            )
        rates = keras.callbacks.LearningRateScheduler, keras.callbacks.ReduceLROnPlateau
        if isinstance(callback, rates) and not settable:
            faults.append(
                f"{name} sets the learning rate, which follows a schedule here. Compile the model "
                "with an optimizer of a constant rate, such as kerastl.models.factories."
                "compile_model(model, optimizer=keras.optimizers.AdamW(3e-4))."
            )
    if faults:
        raise InputError("There are callbacks that this fit cannot have.", faults)


def counts_batches(callback: keras.callbacks.Callback) -> bool:
    """Whether a callback wants to hear of single batches, not of epochs only.

    Example:
        >>> counts_batches(keras.callbacks.ModelCheckpoint("best.keras", save_freq=100))
        True
        >>> counts_batches(keras.callbacks.CSVLogger("epochs.csv"))
        False
    """
    base = keras.callbacks.Callback
    return any(
        # Of the object, not its class: a LambdaCallback puts functions there.
        getattr(getattr(callback, name), "__func__", None) is not getattr(base, name)
        for name in dir(base)
        if name.startswith("on_") and "batch" in name
    )
