"""Random changes to images, made by Keras layers and drawn by seed."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerastl.errors import InputError

Augment = keras.layers.Layer | Sequence[keras.layers.Layer]


def augmenter(augment: Augment, seed: int = 0) -> Callable[[Any], tf.Tensor]:
    """One function of the given layers, from uint8 images to uint8 images.

    Args:
        augment: A Keras layer or several, called in order with `training=True`.
            Their own seeds are set from `seed`.
        seed: Seed of all that they draw.

    Returns:
        A function of images `[batch, h, w, 3]`; its result is rounded and
        clipped back to uint8. Its attribute `key` says in text what it draws.

    Raises:
        InputError: For something that is no Keras layer.

    Example:
        >>> turn = augmenter(keras.layers.RandomFlip("horizontal"), seed=1)
        >>> turn(np.zeros((1, 2, 2, 3), "uint8")).dtype.name
        'uint8'
    """
    layers = list(augment) if isinstance(augment, (list, tuple)) else [augment]
    wrong = [x for x in layers if not isinstance(x, keras.Layer)]
    if wrong:
        raise InputError(f"Expected augment= as Keras layers. Received: {wrong[0]!r}.")
    _seed(layers, seed)

    def change(images: Any) -> tf.Tensor:
        x = tf.cast(images, tf.float32)
        for layer in layers:
            x = layer(x, training=True)
        x = tf.clip_by_value(tf.round(tf.cast(x, tf.float32)), 0, 255)
        return tf.ensure_shape(tf.cast(x, tf.uint8), images.shape)

    change.key = json.dumps([seed, *map(_described, layers)], default=repr)
    return change


def _described(layer: keras.layers.Layer) -> list[Any]:
    """A layer's class and options; its name, which Keras counts up, is none of them."""
    options = {k: v for k, v in layer.get_config().items() if k not in ("name", "seed")}
    return [type(layer).__name__, options]


def _seed(layers: Sequence[keras.layers.Layer], seed: int) -> None:
    """Start the layers' random numbers from `seed`, each from its own place."""
    flat = [x for layer in layers for x in layer._flatten_layers()]
    generators = [
        v for x in flat for v in vars(x).values() if isinstance(v, keras.random.SeedGenerator)
    ]
    for place, generator in enumerate(generators):
        start = np.random.SeedSequence([seed, place]).generate_state(1)[0]
        generator.state.assign(np.array([start, 0], dtype="uint32"))
