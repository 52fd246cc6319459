"""JPEG and PNG bytes to images in TensorFlow operators, as `pictures.load_picture` reads them."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from kerastl.orientation import jpeg_orientation, png_chunks
from kerastl.pictures import MAX_PIXELS, REDUCTION_GAP
from kerastl.resizing import resize

JPEG, PNG = b"\xff\xd8\xff", b"\x89PNG"
GREY, GREY_ALPHA, RGB_ALPHA = 0, 4, 6
"""Colour types of a PNG."""


def decode_picture(encoded: Any, image_size: tuple[int, int]) -> Any:
    """One picture as 8-bit RGB, upright, resized: in a graph, without Python.

    The image is that of `load_picture`, bit for bit, also where a JPEG is decoded at
    a lower scale, is turned by its EXIF data, or a PNG is transparent, has a palette
    or 16 bits. Not so: a CMYK JPEG may differ by one grey level; an orientation that
    stands in XMP, or in a PNG behind its pixels, is not seen; a transparent colour
    of a 16-bit PNG (not its alpha channel) is compared in 8 bits. An animated PNG
    gives its default image, which is the first frame nearly always.

    A PNG is resized from its full size, in float64: 12 megapixels took a second and
    half a gigabyte, where a JPEG of that size took 50 ms.

    Args:
        encoded: The bytes of a JPEG or PNG file: a scalar of strings.
        image_size: Height and width, in pixels.

    Returns:
        uint8 `[height, width, 3]`. Running it raises TensorFlow's InvalidArgumentError
        for bytes of another kind, a damaged file, and more than 100 megapixels.

    Example:
        >>> white = tf.fill([4, 4, 3], tf.constant(255, tf.uint8))
        >>> decode_picture(tf.io.encode_png(white), (2, 1)).numpy().tolist()
        [[[255, 255, 255]], [[255, 255, 255]]]
    """
    data = tf.io.decode_raw(encoded, tf.uint8)
    is_png = tf.strings.substr(encoded, 0, len(PNG)) == PNG
    is_jpeg = tf.strings.substr(encoded, 0, len(JPEG)) == JPEG
    with tf.control_dependencies([tf.Assert(is_png | is_jpeg, ["Expected JPEG or PNG bytes."])]):
        is_png = tf.identity(is_png)
    image = tf.cond(
        is_png,
        lambda: _png(encoded, data, image_size),
        lambda: _jpeg(encoded, data, image_size),
    )
    return tf.ensure_shape(image, (*image_size, 3))


def _jpeg(encoded: Any, data: Any, image_size: tuple[int, int]) -> Any:
    orientation = jpeg_orientation(data)
    size = _as_stored(image_size, orientation)
    full = tf.cast(_checked(tf.io.extract_jpeg_shape(encoded)[:2]), tf.int64)
    wanted = REDUCTION_GAP * tf.cast(size, tf.float64)
    fits = tf.reduce_min(tf.floor(tf.cast(full, tf.float64) / wanted))
    step = tf.reduce_sum(tf.cast(fits >= [2.0, 4.0, 8.0], tf.int32))
    image = tf.switch_case(step, [_at_scale(encoded, 2**n) for n in range(4)])
    box = tf.cast(full, tf.float64) / tf.cast(tf.bitwise.left_shift(1, step), tf.float64)
    return _turned(resize(image, size, box), orientation)


def _at_scale(encoded: Any, ratio: int) -> Any:
    # The default method differs from Pillow's by up to 18 grey levels.
    return lambda: tf.io.decode_jpeg(
        encoded, channels=3, ratio=ratio, dct_method="INTEGER_ACCURATE"
    )


def _png(encoded: Any, data: Any, image_size: tuple[int, int]) -> Any:
    orientation, clear = png_chunks(data)
    data = tf.pad(data, [[0, 32]])  # a truncated file still has a header to look at
    bits, colour = data[24], data[25]
    header = tf.reshape(tf.cast(data[16:24], tf.int64), [2, 4])
    width_height = tf.reduce_sum(header * [256**3, 256**2, 256, 1], axis=1)
    with tf.control_dependencies([_checked(width_height)]):
        encoded = tf.identity(encoded)
    transparent = clear | (colour == GREY_ALPHA) | (colour == RGB_ALPHA)
    image = tf.case(
        [
            ((bits == 16) & (colour == GREY), lambda: _deep_grey(encoded)),
            (transparent, lambda: _on_white(tf.io.decode_png(encoded, channels=4))),
        ],
        default=lambda: tf.io.decode_png(encoded, channels=3),
    )
    full = tf.cast(tf.shape(image)[:2], tf.float64)
    return _turned(resize(image, _as_stored(image_size, orientation), full), orientation)


def _deep_grey(encoded: Any) -> Any:
    grey = tf.cast(tf.io.decode_png(encoded, channels=1, dtype=tf.uint16), tf.float64)
    return tf.repeat(tf.cast(tf.round(grey / 257), tf.uint8), 3, axis=-1)


def _on_white(image: Any) -> Any:
    """Pillow's `alpha_composite` over white, in its integers."""
    image = tf.cast(image, tf.int32)
    colours, alpha = image[..., :3], image[..., 3:]
    mixed = (colours * alpha + 255 * (255 - alpha)) * 128 + 0x80 * 128
    shifted = tf.bitwise.right_shift(tf.bitwise.right_shift(mixed, 8) + mixed, 15)
    return tf.cast(shifted, tf.uint8)


def _checked(size: Any) -> Any:
    pixels = tf.reduce_prod(tf.cast(size, tf.int64))
    small = tf.Assert(pixels <= MAX_PIXELS, ["Expected at most", MAX_PIXELS, "pixels:", pixels])
    with tf.control_dependencies([small]):
        return tf.identity(size)


def _as_stored(image_size: tuple[int, int], orientation: Any) -> Any:
    """The wanted height and width before the picture is turned upright."""
    size = tf.constant(image_size, tf.int64)
    return tf.where(orientation >= 5, size[::-1], size)


def _turned(image: Any, orientation: Any) -> Any:
    def among(*orientations: int) -> Any:
        return tf.reduce_any(orientation == orientations)

    image = tf.cond(orientation >= 5, lambda: tf.transpose(image, [1, 0, 2]), lambda: image)
    image = tf.cond(among(2, 3, 6, 7), lambda: image[:, ::-1], lambda: image)
    return tf.cond(among(3, 4, 7, 8), lambda: image[::-1], lambda: image)
