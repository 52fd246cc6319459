"""A fit in a process of its own, which test_killed.py kills: `PICTURES FOLDER OUT VIEWS`.

It tells of every epoch that is done and saved by a line in OUT.epochs, and leaves the
weights and the history in OUT.
"""

import json
import sys
import time
from pathlib import Path

import keras
import numpy as np

import kerastl
import kerastl.features.store.store
from tests.support.networks import small_network

EPOCHS = {"head_epochs": 3, "epochs": 7}


class Tell(keras.callbacks.Callback):
    """Notes each epoch, and takes its time over each batch, so that a kill meets it there."""

    def __init__(self, path: Path):
        super().__init__()
        self.path = path

    def on_train_batch_end(self, batch, logs=None):
        time.sleep(0.005)

    def on_epoch_end(self, epoch, logs=None):
        with open(self.path, "a") as file:
            file.write("done\n")


def main(pictures, folder, out, views):
    kerastl.features.store.store.SHARD_ROWS = 32
    data = kerastl.read_folder(pictures)
    model = kerastl.classifier(small_network(0.3), data.tasks[0].classes, trainable="stage1")
    changes = [keras.layers.RandomTranslation(0.2, 0.2), keras.layers.RandomFlip()]
    history = kerastl.fit(
        model,
        data,
        **EPOCHS,
        patience=9,
        batch_size=16,
        resume=Path(folder),
        cache=Path(folder).parent / f"features-{Path(folder).name.partition('-')[0]}",
        augment=changes if int(views) > 1 else None,
        views=int(views),
        callbacks=[Tell(Path(f"{out}.epochs"))],
        verbose=0,
    )
    weights = {f"{n:03}": weight for n, weight in enumerate(model.get_weights())}
    np.savez(f"{out}.npz", history=json.dumps(history.history), **weights)


if __name__ == "__main__":
    main(*sys.argv[1:])
