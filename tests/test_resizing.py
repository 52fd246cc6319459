"""Resizing: Pillow's own bytes, whatever the sizes."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from kerastl.resizing import resize

SIDES = st.integers(1, 70)
RESIZE = tf.function(
    resize,
    input_signature=[
        tf.TensorSpec((None, None, 3), tf.uint8),
        tf.TensorSpec((2,), tf.int64),
        tf.TensorSpec((2,), tf.float64),
    ],
    autograph=False,
)


def ours(image, size, box):
    return RESIZE(image, np.int64(size), np.float64(box)).numpy()


def pillows(image, size, box):
    box = (0, 0, box[1], box[0])
    resized = Image.fromarray(image).resize(size[::-1], Image.Resampling.BILINEAR, box=box)
    return np.asarray(resized)


@settings(deadline=None, max_examples=60)
@given(SIDES, SIDES, SIDES, SIDES, st.sampled_from([0, 0.25, 0.875]), st.integers(0, 99))
def test_it_is_pillows_resizing(height, width, rows, columns, short, seed):
    image = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype="uint8")
    box = (max(height - short, 0.5), max(width - short, 0.5))
    size = (rows, columns)
    np.testing.assert_array_equal(ours(image, size, box), pillows(image, size, box))


@pytest.mark.parametrize("size", [(224, 224), (31, 500)])
def test_a_large_picture_too(size):
    image = np.random.default_rng(0).integers(0, 256, (1031, 777, 3), dtype="uint8")
    box = image.shape[:2]
    np.testing.assert_array_equal(ours(image, size, box), pillows(image, size, box))


def test_its_own_size_is_the_same_image():
    image = np.random.default_rng(0).integers(0, 256, (9, 7, 3), dtype="uint8")
    np.testing.assert_array_equal(ours(image, (9, 7), (9, 7)), image)
