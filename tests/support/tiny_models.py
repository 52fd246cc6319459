"""A small model of three tasks and pictures for it, shared by the tests of exported files."""

from __future__ import annotations

import keras
import numpy as np
import pandas as pd
from PIL import Image

from kerastl.data.manifest import Manifest
from kerastl.data.tasks import Task
from kerastl.models.factories import create_model

SIZE = 16
TASKS = (
    Task("zone", ["a", "b", "c"]),
    Task("alarm", ["no", "yes"], "binary"),
    Task("marks", ["u", "v"], "multilabel"),
)


def tiny(tasks=TASKS, seed=0, filters=8):
    """A convolution, a pooling and one head per task, with weights drawn by `seed`."""
    keras.utils.set_random_seed(seed)
    x = keras.Input((None, None, 3))
    h = keras.layers.Rescaling(1 / 127.5, -1)(x)
    h = keras.layers.Conv2D(filters, 3, strides=2, activation="relu")(h)
    return create_model(keras.Model(x, h), tasks, image_size=SIZE, seed=seed)


def patches(n=40, seed=0):
    """Images of four patches each, uint8 `[n, 16, 16, 3]`."""
    coarse = np.random.default_rng(seed).integers(0, 256, (n, 2, 2, 3), dtype="uint8")
    return coarse.repeat(SIZE // 2, axis=1).repeat(SIZE // 2, axis=2)


def on_disk(folder, n=40, seed=0):
    """The same as PNG files, and a Manifest with labels: the last 16 are the test part."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [str(folder / f"{i:03}.png") for i in range(n)]
    for path, image in zip(paths, patches(n, seed), strict=True):
        Image.fromarray(image).save(path)
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "image": paths,
            "split": ["train"] * (n - 16) + ["test"] * 16,
            "zone": rng.integers(-1, 3, n),
            "alarm": rng.integers(-1, 2, n),
            "marks.u": rng.integers(-1, 2, n),
            "marks.v": rng.integers(0, 2, n),
        }
    )
    return Manifest(frame, TASKS)
