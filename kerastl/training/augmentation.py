"""Random changes to images, made by Keras layers and drawn by seed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerastl.errors import InputError

Augment = keras.layers.Layer | Sequence[keras.layers.Layer]


class Augmenter:
    """Layers as one function from uint8 images to uint8 images; `augmenter` makes it.

    Attributes:
        key: What it draws, in text.
    """

    def __init__(self, layers: Sequence[keras.layers.Layer], seed: int):
        self._layers, self._seed = tuple(layers), seed
        self.key = json.dumps([seed, *map(_described, layers)], default=repr)
        _start(self._layers, seed)

    def __call__(self, images: Any) -> tf.Tensor:
        x = tf.cast(images, tf.float32)
        for layer in self._layers:
            x = layer(x, training=True)
        x = tf.clip_by_value(tf.round(tf.cast(x, tf.float32)), 0, 255)
        return tf.ensure_shape(tf.cast(x, tf.uint8), images.shape)

    def begin(self, at: int) -> None:
        """Draw from here on what is drawn at a position of the data, whatever went before.

        It restarts Keras' own generators. A layer that draws elsewhere is not repeated:
        of Keras' layers that is AugMix, which asks Python's.

        Args:
            at: The position, 0 or more.
        """
        _start(self._layers, self._seed, at)

    def __reduce__(self) -> tuple:
        # To a worker on another machine goes what the layers are, and no code.
        told = keras.saving.serialize_keras_object(list(self._layers))
        _restored(told, self._seed)  # here, where an error still reaches the caller
        return _restored, (told, self._seed)


def augmenter(augment: Augment, seed: int = 0) -> Augmenter:
    """One function of the given layers, from uint8 images to uint8 images.

    Args:
        augment: A Keras layer or several, called in order with `training=True`.
            Their own seeds are set from `seed`.
        seed: Seed of all that they draw.

    Returns:
        A function of images `[batch, h, w, 3]`; its result is rounded and
        clipped back to uint8. Its attribute `key` says in text what it draws,
        and `begin(at)` makes its draws those of a position in the data.

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
    return Augmenter(layers, seed)


def _restored(layers: Any, seed: int) -> Augmenter:
    try:
        return Augmenter(keras.saving.deserialize_keras_object(layers, safe_mode=True), seed)
    except (TypeError, ValueError) as error:
        names = ", ".join(layer["class_name"] for layer in layers)
        raise InputError(
            f"Keras cannot make one of the layers {names} again on another machine. Expected "
            "layers with a whole get_config, and own ones under register_keras_serializable."
        ) from error


def _described(layer: keras.layers.Layer) -> list[Any]:
    """A layer's class and options, and those of layers within it."""
    return [type(layer).__name__, _plain(layer.get_config())]


def _plain(value: Any) -> Any:
    """A configuration without names, which Keras counts up, seeds and what a first call adds."""
    if isinstance(value, dict):
        passing = ("name", "seed", "build_config", "build_input_shape")
        return {k: _plain(v) for k, v in value.items() if k not in passing}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value if not _is_input(v)]
    return value


def _is_input(value: Any) -> bool:
    return isinstance(value, dict) and value.get("class_name") == "InputLayer"


def _start(layers: Sequence[keras.layers.Layer], seed: int, *at: int) -> None:
    """Start the layers' random numbers from `seed`, each from its own place."""
    flat = [x for layer in layers for x in layer._flatten_layers()]
    generators = [
        v for x in flat for v in vars(x).values() if isinstance(v, keras.random.SeedGenerator)
    ]
    for place, generator in enumerate(generators):
        start = np.random.SeedSequence([seed, place, *at]).generate_state(1)[0]
        generator.state.assign(np.array([start, 0], dtype="uint32"))
