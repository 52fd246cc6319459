"""Images of floats that plain Keras calls give to a model of uint8: taken as they are meant."""

from __future__ import annotations

from typing import Any

import keras


def take_floats(model: keras.Model) -> keras.Model:
    """Have a model of uint8 take images of floats too: from 0 to 255, or from 0 to 1.

    Keras would cut off their fractions, and an image from 0 to 1 would be black. What is done
    instead is seen in each image by itself, and so does not depend on the others in its batch;
    nothing of it is in the graph, in files that are saved or exported, or in the way of uint8.

    Args:
        model: A model of one input; one that takes floats itself is left as it is.

    Returns:
        The same model.

    Example:
        >>> x = keras.Input((1, 1, 3), dtype="uint8")
        >>> model = take_floats(keras.Model(x, keras.layers.Rescaling(1.0)(x)))
        >>> import numpy as np
        >>> half = np.full((1, 1, 1, 3), 0.5)
        >>> [float(model(images)[0, 0, 0, 0]) for images in (half, half * 255, half * 510)]
        [128.0, 128.0, 255.0]
    """
    if "call" in vars(model) or model.inputs[0].dtype != "uint8":
        return model
    plain = model.call

    def call(inputs: Any, *args: Any, **options: Any) -> Any:
        return plain(keras.tree.map_structure(_pixels, inputs), *args, **options)

    model.call = call
    return model


def _pixels(images: Any) -> Any:
    if "float" not in keras.backend.standardize_dtype(getattr(images, "dtype", "uint8")):
        return images
    values = keras.ops.cast(images, "float32")
    top = keras.ops.max(values, axis=list(range(1, len(values.shape))), keepdims=True)
    values = keras.ops.where(top <= 1, values * 255, values)
    return keras.ops.cast(keras.ops.clip(keras.ops.round(values), 0, 255), "uint8")
