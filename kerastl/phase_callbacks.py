"""Callbacks of a trial: a tuner's hear of its last phase only, and a loss has to be finite."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import keras_tuner
import numpy as np
from keras_tuner.src.engine.tuner_utils import SaveBestEpoch

from kerastl.resume import FILE
from kerastl.spec import Trainable, spec_of

HOOKS = tuple(
    f"on_{what}_{when}"
    for what in ("train", "epoch", "train_batch", "test", "test_batch")
    for when in ("begin", "end")
)


class InPhase(keras.callbacks.Callback):
    """Passes on what its callbacks are told while one policy trains, and nothing else.

    The heads' phase comes before the tail's. What it reaches is no result of the depth
    that a trial tries, so a tuner must not take it for one.

    Args:
        callbacks: Those that are told.
        policy: The policy of the phase.
        kept: What a tuner's checkpoint keeps the weights of: the model's own layers.
        folder: Where the fit's state is, if it may go on from one.
    """

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


def _passing(hook: str) -> Callable[..., None]:
    def told(self: InPhase, *arguments: Any, logs: Any = None) -> None:
        self.tell(hook, *arguments, *([] if logs is None else [logs]))

    return told


for _hook in HOOKS:
    setattr(InPhase, _hook, _passing(_hook))


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
