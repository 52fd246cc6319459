"""A Keras model as a SavedModel, which servers load: images in, or picture files as they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from kerastl.conversion import archive, image_spec, in_float32, scoring
from kerastl.decoding import decode_picture
from kerastl.litert import SIGNATURE
from kerastl.spec import spec_of

BYTES_SIGNATURE = "serve_bytes"
BYTES_INPUT = "encoded"


def write_saved_model(model: keras.Model, folder: str | Path) -> None:
    """Write a SavedModel that needs neither kerastl nor Keras.

    It has two signatures over the same weights. Both give by task name the scores
    `[batch, classes]`, float32, one per class name (two for a binary task):

    - `serving_default` takes `images`, uint8 RGB `[batch, height, width, 3]`;
    - `serve_bytes` takes `encoded`, strings `[batch]`: the bytes of JPEG and PNG files,
      which it decodes, turns upright and resizes as `kerastl.predict` does. One bad
      picture fails its batch. What differs from `predict` is told at `decode_picture`;
      other kinds of files are refused.

    Args:
        model: A kerastl model.
        folder: A folder that is not there yet.

    Raises:
        InputError: For a model of no fixed image size.

    Example:
        >>> import tempfile
        >>> from kerastl.models import classifier
        >>> x = keras.Input((8, 8, 3))
        >>> own = keras.Model(x, keras.layers.Conv2D(2, 3, name="conv")(x))
        >>> folder = Path(tempfile.mkdtemp(), "saved_model")
        >>> write_saved_model(classifier(own, ["cat", "dog"], image_size=8), folder)
        >>> calls = tf.saved_model.load(str(folder)).signatures
        >>> grey = tf.fill([5, 6, 3], tf.constant(99, tf.uint8))
        >>> calls["serve_bytes"](encoded=tf.io.encode_png(grey)[None])["label"].shape
        TensorShape([1, 2])
    """
    images = image_spec(model, tf.uint8, None)
    model = in_float32(model)
    score = scoring(model, spec_of(model).tasks)

    def score_bytes(encoded: Any) -> dict[str, Any]:
        size, one = images.shape[1:3], tf.TensorSpec(images.shape[1:], tf.uint8)
        decoded = tf.map_fn(
            lambda picture: decode_picture(picture, tuple(size)), encoded, fn_output_signature=one
        )
        return score(decoded)

    encoded = tf.TensorSpec((None,), tf.string, name=BYTES_INPUT)
    calls = {
        SIGNATURE: tf.function(score, input_signature=[images], autograph=False),
        BYTES_SIGNATURE: tf.function(score_bytes, input_signature=[encoded], autograph=False),
    }
    archive(model, folder, calls)
