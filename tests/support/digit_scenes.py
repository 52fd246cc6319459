"""Real digits of 8x8 pixels in larger scenes, and a pipeline that finds and reads them."""

from __future__ import annotations

import keras
import numpy as np
from sklearn.datasets import load_digits

from kerastl.models.factories import classifier
from kerastl.pipelines.stages import Stage
from kerastl.pipelines.types import ImageType
from kerastl.training.fitting import fit

SIDE, DIGIT = 24, 8
CLASSES = [str(i) for i in range(10)]
SCENE, CROP = ImageType(SIDE, SIDE), ImageType(DIGIT, DIGIT)
TRAIN, TEST = slice(0, 1200), slice(1200, 1797)


def digits(part):
    """Images uint8 `[n, 8, 8, 3]` and codes of scikit-learn's digits."""
    data = load_digits()
    images = (data.images[part] * 15).astype("uint8")
    return np.repeat(images[..., None], 3, axis=-1), data.target[part].astype("int32")


def scenes(part, seed=0):
    """Scenes uint8 `[n, 24, 24, 3]` with one digit each, the true crops and the codes."""
    crops, codes = digits(part)
    draw = np.random.default_rng(seed)
    found = draw.integers(0, 60, (len(crops), SIDE, SIDE, 3), dtype="uint8")
    for scene, crop, at in zip(found, crops, places(len(crops), seed), strict=True):
        window(scene, at)[:] = crop
    return found, crops, codes


def places(count, seed=0):
    """Row and column of the upper left corner of each scene's digit."""
    return np.random.default_rng([seed, 1]).integers(0, SIDE - DIGIT + 1, (count, 2))


def window(scene, at):
    return scene[at[0] : at[0] + DIGIT, at[1] : at[1] + DIGIT]


def corner(scene):
    """Where the window lies that varies most: a digit's strokes and its black paper."""
    windows = np.lib.stride_tricks.sliding_window_view(scene[..., 0], (DIGIT, DIGIT))
    at = windows.astype("float64").std(axis=(2, 3)).argmax()
    return np.unravel_index(at, windows.shape[:2])


def find(scene):
    """The crop of a scene's digit; None where nothing is bright."""
    return window(scene, corner(scene)) if scene.max() > 120 else None


def finder(call=find):
    return Stage("find", call, SCENE, CROP, batched=False)


def reader(epochs=12):
    """A small classifier of digits, trained for some seconds."""
    keras.utils.set_random_seed(0)
    x = keras.Input((DIGIT, DIGIT, 3))
    h = keras.layers.Rescaling(1 / 255)(x)
    h = keras.layers.Conv2D(16, 3, activation="relu")(h)
    h = keras.layers.Conv2D(32, 3, activation="relu")(h)
    model = classifier(keras.Model(x, h), CLASSES, image_size=DIGIT, trainable=True)
    fit(model, digits(TRAIN), epochs=epochs, head_epochs=0, learning_rate=3e-3, verbose=0)
    return model
