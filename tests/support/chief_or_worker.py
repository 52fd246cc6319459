"""A process of a KerasTuner search, the chief or a worker by its environment: `TABLE FOLDER`.

It tells of every epoch by a line in FOLDER/epochs. With a third argument it stops for good
as the second epoch of its first trial begins, and makes that known by FOLDER/stopped; a
worker without it waits for that before its first trial.
"""

import sys
import time
from pathlib import Path

import keras_tuner
import pandas as pd

import kerastl
from kerastl.data.manifest import Manifest
from tests.support.networks import small_network
from tests.support.two_tasks import SHADE

TRIALS, HEADS, EPOCHS = 4, 1, 3
MOST = 240.0
"""Seconds to wait for another process."""


class Told(keras_tuner.RandomSearch):
    """KerasTuner's, which tells of its epochs through the hooks that it has for that."""

    stops = False

    def on_trial_begin(self, trial):
        stopped = Path(self.directory) / "stopped"
        end = time.monotonic() + MOST
        while not self.stops and not stopped.exists() and time.monotonic() < end:
            time.sleep(0.1)

    def on_epoch_begin(self, trial, model, epoch, logs=None):
        if self.stops and epoch == 1:
            (Path(self.directory) / "stopped").write_text(trial.trial_id)
            time.sleep(MOST)

    def on_epoch_end(self, trial, model, epoch, logs=None):
        with open(Path(self.directory) / "epochs", "a") as file:
            file.write(f"{self.tuner_id} {trial.trial_id} {epoch}\n")


def tuner(folder):
    """The same in every process; features and unfinished fits lie in the shared folder."""
    hypermodel = kerastl.UnfreezeHyperModel(
        small_network(0.1), SHADE, depths=["heads", "stage1"], learning_rate=(1e-3, 3e-2),
        cache=folder / "features", engine="keras", head_epochs=HEADS, patience=9, batch_size=16,
    )  # fmt: skip
    return Told(
        hypermodel, "val_loss", max_trials=TRIALS, seed=1, overwrite=False,
        directory=folder, project_name="trials",
    )  # fmt: skip


def main(table, folder, *stops):
    found = tuner(Path(folder))
    found.stops = bool(stops)
    found.search(Manifest(pd.read_csv(table), (SHADE,)), epochs=EPOCHS, verbose=0)


if __name__ == "__main__":
    main(*sys.argv[1:])
