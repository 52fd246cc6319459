"""A small network, and striped images that it can tell apart."""

from __future__ import annotations

import keras
import numpy as np

SIZE = 16


def small_network(dropout: float = 0.0, seed: int = 0) -> keras.Model:
    """Two stages with BatchNorm and a residual: a backbone that trains in seconds."""
    keras.utils.set_random_seed(seed)
    image = keras.Input((SIZE, SIZE, 3), name="photo")
    x = keras.layers.Rescaling(1 / 127.5, -1, name="rescale")(image)
    x = keras.layers.Conv2D(8, 3, strides=2, padding="same", name="conv1")(x)
    x = keras.layers.BatchNormalization(name="norm1")(x)
    x = keras.layers.ReLU(name="relu1")(x)
    y = keras.layers.Conv2D(8, 3, padding="same", name="branch")(x)
    x = keras.layers.Add(name="add")([x, y])
    if dropout:
        x = keras.layers.Dropout(dropout, seed=1, name="drop")(x)
    x = keras.layers.Conv2D(12, 3, strides=2, padding="same", name="conv2")(x)
    x = keras.layers.BatchNormalization(name="norm2")(x)
    x = keras.layers.ReLU(name="relu2")(x)
    return keras.Model(image, x, name="small")


def stripes(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Noisy images with horizontal (0) or vertical (1) stripes, and their codes."""
    draw = np.random.default_rng(seed)
    codes = draw.integers(2, size=count).astype("int32")
    wave = 127 + 90 * np.sin(np.arange(SIZE) * 2 * np.pi / 4)
    images = np.where(codes[:, None, None] == 1, wave[None, None, :], wave[None, :, None])
    images = images[..., None] + draw.normal(0, 20, (count, SIZE, SIZE, 3))
    return np.clip(images, 0, 255).astype("uint8"), codes
