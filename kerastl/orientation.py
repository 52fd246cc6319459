"""How a camera held a picture, read from its EXIF data in TensorFlow operators."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

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
