"""Pillow's bilinear resizing in TensorFlow operators, bit for bit.

Pillow resizes 8-bit images in integers: the weights of each new row or column are
rounded to 22 bits. All sums stay below 2^53, so float64 holds them exactly. The image
is rounded between the two passes, so their order shows in the result: older Pillows
resize the columns first, newer ones the rows where that saves enough.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import tensorflow as tf
from PIL import Image

ONE = 2.0**22


def resize(image: Any, size: Any, box: Any) -> Any:
    """Stretch a box of an image to a size, bilinear with antialiasing.

    Args:
        image: uint8 `[height, width, 3]`.
        size: The new height and width, int64 `[2]`.
        box: What is taken of the image from its upper left corner: height and width
            in pixels, float64 `[2]`. The far edges may lie within a pixel.

    Returns:
        uint8 `[*size, 3]`.

    Example:
        >>> grey = tf.constant([0, 100, 200, 255], tf.uint8)[None, :, None]
        >>> image, size = tf.repeat(grey, 3, axis=-1), tf.constant([1, 2], tf.int64)
        >>> resize(image, size, tf.constant([1.0, 4.0], tf.float64))[0, :, 0].numpy().tolist()
        [71, 209]
    """
    rows_first = tf.logical_and(_pillow_may_begin_with_rows(), _saves(image, size))
    return tf.cond(
        rows_first,
        lambda: _columns(_rows(image, size, box), size, box),
        lambda: _rows(_columns(image, size, box), size, box),
    )


@cache
def _pillow_may_begin_with_rows() -> bool:
    """Whether the installed Pillow chooses the order, seen on an image where it shows."""
    grey = Image.fromarray(np.array([[3, 5], [2, 6], [6, 5]], "uint8"))
    made = grey.resize((3, 1), Image.Resampling.BILINEAR)
    return np.asarray(made).tolist() == [[3, 4, 5]]  # columns first: 3, 5, 5


def _saves(image: Any, size: Any) -> Any:
    """Pillow's own rule, found by trying: the rows shrink, by over twice what the columns do."""
    shrinks = tf.shape(image, out_type=tf.int64)[:2] - size
    return (shrinks[0] > 0) & (shrinks[0] > 2 * shrinks[1])


def _columns(image: Any, size: Any, box: Any) -> Any:
    turned = tf.transpose(image, [1, 0, 2])
    return tf.transpose(_rows(turned, size[::-1], box[::-1]), [1, 0, 2])


def _rows(image: Any, size: Any, box: Any) -> Any:
    shape = tf.shape(image)
    flat = tf.reshape(tf.cast(image, tf.float64), [shape[0], -1])
    sums = _weights(tf.cast(shape[0], tf.float64), size[0], box[0]) @ flat
    rounded = tf.clip_by_value(tf.floor((sums + ONE / 2) / ONE), 0, 255)
    return tf.reshape(tf.cast(rounded, tf.uint8), [-1, shape[1], 3])


def _weights(have: Any, count: Any, extent: Any) -> Any:
    """Whole numbers `[count, have]`: of each new pixel, its shares of the old ones."""
    scale = extent / tf.cast(count, tf.float64)
    support = tf.maximum(scale, 1.0)
    centre = ((tf.range(tf.cast(count, tf.float64), dtype=tf.float64) + 0.5) * scale)[:, None]
    first = tf.maximum(tf.floor(centre - support + 0.5), 0)
    last = tf.minimum(tf.floor(centre + support + 0.5), have)
    at = tf.range(have, dtype=tf.float64)[None]
    share = tf.maximum(1 - tf.abs((at - centre + 0.5) * (1 / support)), 0)
    share = tf.where((at >= first) & (at < last), share, 0)
    return tf.floor(share / tf.reduce_sum(share, axis=1, keepdims=True) * ONE + 0.5)
