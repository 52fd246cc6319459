"""Small manifests of synthetic pictures that the tests of trials and policies share."""

import keras
import numpy as np
import pandas as pd
from PIL import Image

from kerastl.data.manifest import Manifest
from kerastl.data.tasks import Task

WAY = Task("way", ["across", "down"], "binary")
SHADE = Task("shade", ["dark", "light"])


def _saved(root, number, image):
    path = root / f"{number}.png"
    Image.fromarray(np.clip(image, 0, 255).astype("uint8")).save(path)
    return str(path)


def _splits(train, val, test):
    return ["train"] * train + ["val"] * val + ["test"] * test


def striped_manifest(root, train=48, val=16, test=32):
    """Pictures with stripes of two ways (`way`, binary) and two shades (`shade`)."""
    draw, count = np.random.default_rng(0), train + val + test
    way, shade = draw.integers(2, size=(2, count))
    paths = []
    for i, (w, s) in enumerate(zip(way, shade, strict=True)):
        wave = 100 + 60 * np.sin(np.arange(16) * np.pi / 2) + 40 * s
        image = np.broadcast_to(wave if w else wave[:, None], (16, 16))
        paths.append(_saved(root, i, image[..., None] + draw.normal(0, 15, (16, 16, 3))))
    columns = {"image": paths, "split": _splits(train, val, test), "way": way, "shade": shade}
    return Manifest(pd.DataFrame(columns), (WAY, SHADE))


def coloured_frame(root, train=240, val=160):
    """Plain pictures whose red and green are drawn; columns image, split, red, green."""
    draw, count = np.random.default_rng(1), train + val
    red, green = draw.normal(size=(2, count))
    paths = []
    for i, (r, g) in enumerate(zip(red, green, strict=True)):
        image = np.array([128 + 40 * r, 128 + 40 * g, 128]) + draw.normal(0, 10, (16, 16, 3))
        paths.append(_saved(root, i, image))
    columns = {"image": paths, "split": _splits(train, val, 0), "red": red, "green": green}
    return pd.DataFrame(columns)


def colour_network():
    """A backbone whose features are linear in the picture's mean colours, of size 1."""
    keras.utils.set_random_seed(0)
    image = keras.Input((16, 16, 3))
    x = keras.layers.Rescaling(1 / 40, -128 / 40, name="rescale")(image)
    return keras.Model(image, keras.layers.Conv2D(8, 1, name="mix")(x), name="colour")


def backbone(size=16, dropout=0):
    """Three small layers, and a cut after each."""
    keras.utils.set_random_seed(0)
    image = keras.Input((size, size, 3))
    x = keras.layers.Rescaling(1 / 127.5, -1, name="rescale")(image)
    for i, filters in enumerate((4, 6, 8)):
        x = keras.layers.Conv2D(filters, 3, strides=2, padding="same", name=f"conv{i}")(x)
        x = keras.layers.ReLU(name=f"relu{i}")(x)
        if dropout and i == 0:
            x = keras.layers.Dropout(dropout, seed=1, name="drop")(x)
    return keras.Model(image, x, name="tiny")
