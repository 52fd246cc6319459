"""A fit's own callbacks.

One of them keeps the state on disk after every epoch, from which a fit goes on where it was.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kerastl.errors import InputError
from kerastl.files import replacing
from kerastl.terminal import bar
from kerastl.training.sampling import Gathered, Sampler

FILE = "fit-state.npz"

DATA = "data: the pictures' content, their paths or their labels are not what they were then"


class Resume:
    """The folder in which a fit keeps its state.

    One file holds everything, so that it is either of one epoch or of the next:
    the phase, the epochs done, every variable of model and optimizer, what early
    stopping remembers, and the history.

    Args:
        folder: Where to keep it; None keeps nothing.
        settings: What must be the same when the fit is taken up again.

    Raises:
        InputError: When the folder holds the state of a fit with other settings.
    """

    def __init__(self, folder: str | Path | None, settings: dict[str, Any]):
        self.path = None if folder is None else Path(folder) / FILE
        self.settings = json.loads(json.dumps(settings, default=str))
        self.about: dict[str, Any] = {}
        self.arrays: dict[str, np.ndarray] = {}
        if self.path and self.path.is_file():
            self._read()

    def _read(self) -> None:
        try:
            with open(self.path, "rb") as file, np.load(file, allow_pickle=False) as stored:
                self.arrays = {name: stored[name] for name in stored.files}
            self.about = json.loads(str(self.arrays.pop("about")))
            kept = self.about["settings"]
        except (ValueError, OSError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise InputError(
                f"The state of a fit in {self.path} cannot be read ({error}). "
                "Delete the file to begin anew."
            ) from error
        changed = [
            f"{name}: then {kept.get(name)!r}, now {self.settings.get(name)!r}"
            for name in sorted({*kept, *self.settings})
            if kept.get(name) != self.settings.get(name)
        ]
        if changed:
            changed = [DATA if line.startswith("data:") else line for line in changed]
            raise InputError(
                f"The folder {self.path.parent} holds a fit with other settings. Give those "
                "again to go on with it, or another folder to begin anew.",
                changed,
            )

    def finished(self, phase: str) -> bool:
        """Whether this phase has been done already."""
        return phase in self.about.get("finished", [])

    def epoch(self, phase: str) -> int:
        """How many epochs of this phase are done."""
        return self.about["epoch"] if self.about.get("phase") == phase else 0

    def stopped(self, phase: str) -> bool:
        """Whether this phase had stopped early when its state was saved."""
        return self.epoch(phase) > 0 and bool(self.about["stopping"].get("stopped_epoch"))

    def history(self, phase: str) -> dict[str, list[Any]]:
        """The history of this phase as far as it went."""
        return self.about.get("history", {}).get(phase, {})

    @property
    def ended(self) -> bool:
        """Whether a callback ended the fit: no further phase follows."""
        return bool(self.about.get("ended"))

    def restore(self, phase: str, model: keras.Model) -> None:
        """Put a finished phase's weights back into its model."""
        for number, variable in enumerate(model.weights):
            variable.assign(self.arrays[f"{phase}/final/{number}"])

    def save(self, phase: str, epoch: int, arrays: dict[str, np.ndarray], history: Any) -> None:
        """Replace the state by that after `epoch` epochs of `phase`."""
        self.about.update(settings=self.settings, phase=phase, epoch=epoch)
        self.about.setdefault("history", {})[phase] = history
        finals = {name: a for name, a in self.arrays.items() if "/final/" in name}
        self._write({**finals, **arrays})

    def finish(self, phase: str, model: keras.Model, history: Any, ended: bool = False) -> None:
        """Note that a phase is done, with the weights it ended on, and whether the fit is."""
        if self.path is None:
            return
        self.about["ended"] = ended
        finals = {f"{phase}/final/{i}": v.numpy() for i, v in enumerate(model.weights)}
        self.about.setdefault("finished", []).append(phase)
        self.save(phase, self.epoch(phase), finals, history)

    def _write(self, arrays: dict[str, np.ndarray]) -> None:
        self.arrays = arrays
        with replacing(self.path) as unfinished, open(unfinished, "wb") as file:
            np.savez(file, about=np.array(json.dumps(self.about)), **arrays)


class KeepState(keras.callbacks.Callback):
    """Saves a phase's state after each epoch, and restores it where one was left.

    Args:
        resume: Where to.
        phase: The phase's name.
        stopping: The phase's early stopping, whose memory is part of the state.
    """

    REMEMBERED = ("wait", "best", "best_epoch", "stopped_epoch")

    def __init__(self, resume: Resume, phase: str, stopping: keras.callbacks.EarlyStopping):
        super().__init__()
        self.resume, self.phase, self.stopping = resume, phase, stopping
        self.history: dict[str, list[float]] = dict(resume.history(phase))

    def on_train_begin(self, logs=None):
        """Take up the state that was left, if there is one."""
        if not self.resume.epoch(self.phase):
            return
        arrays = self.resume.arrays
        for kind, variables in self._variables().items():
            for number, variable in enumerate(variables):
                variable.assign(arrays[f"{kind}/{number}"])
        for name, value in self.resume.about["stopping"].items():
            setattr(self.stopping, name, value)
        best = [name for name in arrays if name.startswith("best/")]
        if best:
            self.stopping.best_weights = [arrays[f"best/{i}"] for i in range(len(best))]

    def on_epoch_end(self, epoch, logs=None):
        """Save the state after this epoch."""
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(float(value))
        if self.resume.path is None:
            return
        arrays = {
            f"{kind}/{number}": variable.numpy()
            for kind, variables in self._variables().items()
            for number, variable in enumerate(variables)
        }
        best = self.stopping.best_weights or []
        arrays |= {f"best/{number}": value for number, value in enumerate(best)}
        remembered = {n: getattr(self.stopping, n) for n in self.REMEMBERED}
        self.resume.about["stopping"] = {
            n: None if v is None else float(v) for n, v in remembered.items()
        }
        self.resume.save(self.phase, epoch + 1, arrays, self.history)

    def _variables(self) -> dict[str, list[Any]]:
        """Weights and random states of the model, and the optimizer's variables."""
        metrics = {id(v) for m in self.model.metrics for v in m.variables}
        own = [v for v in self.model.variables if id(v) not in metrics]
        return {"model": own, "optimizer": list(self.model.optimizer.variables)}


class Unwatched(keras.callbacks.Callback):
    """Takes the validation figures of some tasks out of the logs: they are made of no label.

    Args:
        unwatched: The names of these tasks.
        tasks: The names of all.
    """

    def __init__(self, unwatched: Sequence[str], tasks: Sequence[str]):
        super().__init__()
        self.unwatched, self.tasks = unwatched, tasks

    def on_epoch_end(self, epoch, logs=None):
        """Take them out."""
        for name in list(logs):
            whose = [task for task in self.tasks if name.startswith(f"val_{task}_")]
            if whose and max(whose, key=len) in self.unwatched:
                del logs[name]


class Order(keras.callbacks.Callback):
    """Has each epoch's order drawn when the epoch begins.

    Args:
        feed: What draws it.
    """

    def __init__(self, feed: Sampler | Gathered):
        super().__init__()
        self.feed = feed

    def on_epoch_begin(self, epoch, logs=None):
        """Draw it."""
        self.feed.begin(epoch)


class Drawn(keras.callbacks.Callback):
    """Starts each dropout's random numbers from the seed and the layer's name.

    Keras advances them while it builds a model, a different number of times for
    the whole model and for its tail.

    Args:
        seed: The fit's.
    """

    def __init__(self, seed: int):
        super().__init__()
        self.seed = seed

    def on_train_begin(self, logs=None):
        """Set every generator's state."""
        for layer in self.model._flatten_layers():
            generator = getattr(layer, "seed_generator", None)
            if generator is not None:
                name = hashlib.blake2b(layer.name.encode(), digest_size=4).digest()
                start = [self.seed, int.from_bytes(name, "little")]
                generator.state.assign(np.random.SeedSequence(start).generate_state(2))


class Rate(keras.callbacks.Callback):
    """Puts the learning rate of each epoch's last step into its logs."""

    def on_epoch_end(self, epoch, logs=None):
        """Read it off the optimizer."""
        logs["learning_rate"] = float(
            keras.ops.convert_to_numpy(self.model.optimizer.learning_rate)
        )


class EpochBar(keras.callbacks.Callback):
    """A bar over the epochs of one phase, with the loss and its validation.

    Args:
        phase: What it is called.
        epochs: How many epochs there are at most.
        done: How many are done already.
    """

    def __init__(self, phase: str, epochs: int, done: int = 0):
        super().__init__()
        self.phase, self.epochs, self.done = phase, epochs, done

    def on_train_begin(self, logs=None):
        """Show the bar."""
        self.progress = bar()
        self.progress.start()
        self.task = self.progress.add_task(
            f"train {self.phase}", total=self.epochs, completed=self.done, note=""
        )

    def on_epoch_end(self, epoch, logs=None):
        """Move it on, and show the epoch's losses and accuracies."""
        logs = logs or {}
        part = "val_" if "val_loss" in logs else ""
        names = [n for n in logs if n == f"{part}loss" or n.endswith("accuracy")]
        chosen = [n for n in names if n.startswith("val_") == bool(part)]
        note = "  ".join(f"{n.removeprefix('val_')} {logs[n]:.3f}" for n in chosen)
        where = "validation: " if part else ""
        self.progress.update(self.task, advance=1, note=where + note)

    def on_train_end(self, logs=None):
        """Leave the finished bar on the screen."""
        self.close()

    def close(self) -> None:
        """Give the terminal back, also after an interruption."""
        self.progress.stop()
