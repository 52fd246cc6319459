"""Engines: what runs a frozen network forward. Keras is the reference."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerastl.graph import functional


def forward(model: keras.Model) -> Callable[[np.ndarray], Any]:
    """A model in inference mode as a function of NumPy arrays, traced once.

    Args:
        model: A model with one input.

    Returns:
        A function of `[batch, ...]` for any batch, whose result has the
        structure of the model's outputs, as NumPy arrays.

    Example:
        >>> x = keras.Input((2,))
        >>> run = forward(keras.Model(x, keras.layers.Rescaling(2.0)(x)))
        >>> run(np.ones((3, 2), "float32")).tolist()
        [[2.0, 2.0], [2.0, 2.0], [2.0, 2.0]]
    """
    taken = functional(model).inputs[0]
    # Without XLA, which runs depthwise convolutions many times slower on a CPU.
    traced = tf.function(lambda x: model(x, training=False), autograph=False)
    call = traced.get_concrete_function(tf.TensorSpec(taken.shape, taken.dtype))

    def run(values: np.ndarray) -> Any:
        found = call(tf.cast(values, taken.dtype))
        return keras.tree.map_structure(lambda tensor: tensor.numpy(), found)

    return run
