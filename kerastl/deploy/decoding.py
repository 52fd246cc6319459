"""JPEG and PNG bytes to images in TensorFlow operators, as `pictures.load_picture` reads them.

How a camera held a picture is read from its EXIF data. Pillow's bilinear resizing is done bit for
bit: it resizes 8-bit images in integers, the weights of each new row or column rounded to 22 bits.
All sums stay below 2^53, so float64 holds them exactly. The image is rounded between the two
passes, so their order shows in the result: older Pillows resize the columns first, newer ones the
rows where that saves enough.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import tensorflow as tf
from PIL import Image

from kerastl.data.depths import OFFSET, REACH, SLIGHT
from kerastl.data.pictures import MAX_PIXELS, REDUCTION_GAP

TAG = 0x0112
SHORT, LONG = 3, 4
EXIF = b"Exif\0\0"

START_OF_SCAN, APP1 = 0xDA, 0xE1
PNG_HEAD = 8


def jpeg_orientation(data: Any) -> Any:
    """The orientation, 1 to 8, that a JPEG's EXIF data give.

    Args:
        data: The file, uint8 `[bytes]`.

    Returns:
        int64, a scalar; 1, upright, where there are none or they are broken.
    """

    def step(at: Any, exif: Any) -> tuple[Any, Any]:
        marker, length = _number(data, at + 1, 1), _number(data, at + 2, 2)
        found = (marker == APP1) & tf.reduce_all(_bytes(data, at + 4, 6) == list(EXIF))
        exif = tf.where(found, at + 4 + len(EXIF), exif)
        # 0xFF may be repeated in front of a marker.
        following = tf.where(marker == 0xFF, at + 1, at + 2 + tf.maximum(length, 2))
        return tf.where(marker == START_OF_SCAN, _size(data), following), exif

    def more(at: Any, exif: Any) -> Any:
        return (exif < 0) & (at + 4 <= _size(data)) & (_number(data, at, 1) == 0xFF)

    return _orientation(data, _walk(more, step, 2)[1])


def png_chunks(data: Any) -> tuple[Any, Any]:
    """The orientation that a PNG's EXIF chunk gives, and whether a colour is transparent.

    Args:
        data: The file, uint8 `[bytes]`.

    Returns:
        int64, a scalar, as `jpeg_orientation`; and a boolean, a scalar. Chunks behind
        the first one of pixels are not looked at.
    """

    def step(at: Any, exif: Any, clear: Any) -> tuple[Any, Any, Any]:
        kind, following = _number(data, at + 4, 4), at + 12 + _number(data, at, 4)
        exif = tf.where(kind == _code(b"eXIf"), at + 8, exif)
        clear = clear | (kind == _code(b"tRNS"))
        return tf.where(kind == _code(b"IDAT"), _size(data), following), exif, clear

    def more(at: Any, exif: Any, clear: Any) -> Any:
        return at + 12 <= _size(data)

    _, exif, clear = _walk(more, step, PNG_HEAD, False)
    return _orientation(data, exif), clear


def _walk(more: Any, step: Any, start: int, *state: Any) -> Any:
    first = (tf.constant(start, tf.int64), tf.constant(-1, tf.int64))
    return tf.while_loop(more, step, (*first, *map(tf.constant, state)), parallel_iterations=1)


def _orientation(data: Any, exif: Any) -> Any:
    upright = tf.constant(1, tf.int64)
    return tf.cond(exif < 0, lambda: upright, lambda: _in_directory(data, exif))


def _in_directory(data: Any, exif: Any) -> Any:
    """Look the tag up in the first directory of the TIFF structure that begins at `exif`."""
    little = _number(data, exif, 2) == _code(b"II")
    directory = exif + _number(data, exif + 4, 4, little)
    count = tf.where(directory + 2 <= _size(data), _number(data, directory, 2, little), 0)
    entries = directory + 2 + 12 * tf.range(count)
    tag, kind = _number(data, entries, 2, little), _number(data, entries + 2, 2, little)
    short, long = (_number(data, entries + 8, n, little) for n in (2, 4))
    value = tf.where(kind == SHORT, short, tf.where(kind == LONG, long, 1))
    whole = (_number(data, entries + 4, 4, little) == 1) & (entries + 12 <= _size(data))
    found = tf.boolean_mask(value, (tag == TAG) & whole)
    last = tf.concat([[tf.constant(1, tf.int64)], found], 0)[-1]
    return tf.where((last >= 1) & (last <= 8), last, 1)


def _number(data: Any, at: Any, count: int, little: Any = False) -> Any:
    """The unsigned numbers of `count` bytes that begin at the positions `at`."""
    read = _bytes(data, at, count)
    read = tf.where(little, tf.reverse(read, [-1]), read)
    return tf.reduce_sum(read * [256**n for n in reversed(range(count))], axis=-1)


def _bytes(data: Any, at: Any, count: int) -> Any:
    """Bytes as int64; past the end of the file the last one again."""
    places = tf.expand_dims(at, -1) + tf.range(count, dtype=tf.int64)
    return tf.cast(tf.gather(data, tf.clip_by_value(places, 0, _size(data) - 1)), tf.int64)


def _size(data: Any) -> Any:
    return tf.size(data, out_type=tf.int64)


def _code(word: bytes) -> int:
    return int.from_bytes(word, "big")


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


JPEG, PNG = b"\xff\xd8\xff", b"\x89PNG"
GREY, RGB, GREY_ALPHA, RGB_ALPHA = 0, 2, 4, 6
"""Colour types of a PNG."""


def decode_picture(encoded: Any, image_size: tuple[int, int]) -> Any:
    """One picture as 8-bit RGB, upright, resized: in a graph, without Python.

    The image is that of `load_picture`, bit for bit, also where a JPEG is decoded at
    a lower scale, is turned by its EXIF data, or a PNG is transparent, has a palette
    or 16 bits. Not so: a CMYK JPEG may differ by one grey level; an orientation that
    stands in XMP, or in a PNG behind its pixels, is not seen; a transparent colour
    of a 16-bit PNG (not its alpha channel) is compared in 8 bits. An animated PNG
    gives its default image, which is the first frame nearly always. A JPEG of more than
    100 megapixels is refused, which `load_picture` reads at a lower scale.

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
            ((bits == 16) & (colour == RGB) & ~clear, lambda: _deep_rgb(encoded)),
            (transparent, lambda: _on_white(tf.io.decode_png(encoded, channels=4))),
        ],
        default=lambda: tf.io.decode_png(encoded, channels=3),
    )
    full = tf.cast(tf.shape(image)[:2], tf.float64)
    return _turned(resize(image, _as_stored(image_size, orientation), full), orientation)


def _deep_grey(encoded: Any) -> Any:
    return tf.repeat(_scaled(tf.io.decode_png(encoded, channels=1, dtype=tf.uint16)), 3, axis=-1)


def _deep_rgb(encoded: Any) -> Any:
    values = tf.io.decode_png(encoded, channels=3, dtype=tf.uint16)
    upper = tf.cast(tf.bitwise.right_shift(values, 8), tf.uint8)
    return tf.cond(tf.reduce_max(upper) >= 64, lambda: upper, lambda: _scaled(values))


def _scaled(values: Any) -> Any:
    """What `depths.to_grey` makes of 16 unsigned bits."""
    values = tf.cast(values, tf.int64)
    low, high = tf.reduce_min(values), tf.reduce_max(values)
    moved = (low >= OFFSET - REACH) & (high < OFFSET + REACH)
    base = tf.where(moved, tf.constant(OFFSET, tf.int64), 0)
    black = base - _least(base - low, [0, 256, 1024, 4096])
    black = tf.where(
        tf.cast(base - low, tf.float64) < SLIGHT * tf.cast(high - base, tf.float64), base, black
    )
    white = base + _least(high - base, [255, 1023, 4095, 16383, 65535])
    black, white = tf.cast(black, tf.float64), tf.cast(white, tf.float64)
    shares = (tf.clip_by_value(tf.cast(values, tf.float64), black, white) - black) * (
        255 / (white - black)
    )
    return tf.cast(tf.round(shares), tf.uint8)


def _least(value: Any, among: list[int]) -> Any:
    """The least of some numbers that is at least `value`."""
    numbers = tf.constant(among, tf.int64)
    return numbers[tf.searchsorted(numbers, [value])[0]]


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
