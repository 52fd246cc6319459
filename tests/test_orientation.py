"""Orientation: found where Pillow finds it, and 1 for whatever is broken."""

from __future__ import annotations

import io
import struct
import zlib

import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from kerastl.orientation import jpeg_orientation, png_chunks

BYTES = tf.TensorSpec((None,), tf.uint8)
JPEG = tf.function(jpeg_orientation, input_signature=[BYTES], autograph=False)
PNG = tf.function(png_chunks, input_signature=[BYTES], autograph=False)


def of_jpeg(data):
    return int(JPEG(tf.io.decode_raw(data, tf.uint8)))


def of_png(data):
    orientation, clear = PNG(tf.io.decode_raw(data, tf.uint8))
    return int(orientation), bool(clear)


def encoded(form, **options):
    file = io.BytesIO()
    Image.new("RGB", (4, 3), "red").save(file, form, **options)
    return file.getvalue()


def tiff(order, entries):
    """EXIF data with a directory of (tag, type, count, packed value)."""
    sign = {"II": "<", "MM": ">"}[order]
    body = b"".join(struct.pack(f"{sign}HHI", *e[:3]) + e[3].ljust(4, b"\0") for e in entries)
    head = order.encode() + struct.pack(f"{sign}HIH", 42, 8, len(entries))
    return b"Exif\0\0" + head + body + bytes(4)


def seen_by_pillow(data):
    return Image.open(io.BytesIO(data)).getexif().get(0x0112, 1)


@pytest.mark.parametrize("value", range(1, 9))
@pytest.mark.parametrize("order", ["II", "MM"])
def test_every_orientation_in_either_byte_order(order, value):
    packed = struct.pack({"II": "<H", "MM": ">H"}[order], value)
    other = (0x010F, 2, 4, b"abc\0")
    exif = tiff(order, [other, (0x0112, 3, 1, packed)])
    jpeg, png = encoded("JPEG", exif=exif), encoded("PNG", exif=exif)
    assert seen_by_pillow(jpeg) == seen_by_pillow(png) == value
    assert of_jpeg(jpeg) == value
    assert of_png(png) == (value, False)


def test_none_is_upright():
    assert of_jpeg(encoded("JPEG")) == 1
    assert of_png(encoded("PNG")) == (1, False)
    assert of_png(encoded("PNG", transparency=(255, 0, 0))) == (1, True)


def test_segments_and_padding_in_front_are_passed_over():
    jpeg = encoded("JPEG", exif=tiff("MM", [(0x0112, 3, 1, b"\0\6")]), comment=b"Exif\0\0")
    padded = jpeg[:2] + b"\xff\xe5" + struct.pack(">H", 60002) + bytes(60000) + b"\xff" + jpeg[2:]
    assert of_jpeg(jpeg) == of_jpeg(padded) == seen_by_pillow(padded) == 6


@pytest.mark.parametrize(
    "entry",
    [
        (0x0112, 3, 1, struct.pack("<H", 9)),
        (0x0112, 3, 1, bytes(2)),
        (0x0112, 1, 1, b"\6"),
        (0x0113, 3, 1, struct.pack("<H", 6)),
    ],
)
def test_what_turns_nothing_in_pillow_turns_nothing_here(entry):
    jpeg = encoded("JPEG", exif=tiff("II", [entry]))
    assert seen_by_pillow(jpeg) not in range(2, 9)
    assert of_jpeg(jpeg) == 1


def test_two_numbers_are_no_orientation():
    jpeg = encoded("JPEG", exif=tiff("II", [(0x0112, 3, 2, struct.pack("<HH", 6, 6))]))
    assert of_jpeg(jpeg) == 1  # Pillow raises here, which `load_picture` takes for upright


def test_a_long_is_a_number_too():
    jpeg = encoded("JPEG", exif=tiff("II", [(0x0112, 4, 1, struct.pack("<I", 8))]))
    assert of_jpeg(jpeg) == seen_by_pillow(jpeg) == 8


@settings(deadline=None, max_examples=80)
@given(st.binary(min_size=1, max_size=200), st.booleans())
def test_garbage_is_upright_or_a_number_and_always_ends(junk, behind_exif):
    start = b"\xff\xd8\xff\xe1" + struct.pack(">H", len(junk) + 8) + b"Exif\0\0"
    assert of_jpeg(start + junk if behind_exif else junk) in range(1, 9)
    chunk = struct.pack(">I", len(junk)) + b"eXIf" + junk
    chunk += struct.pack(">I", zlib.crc32(chunk[4:]))
    assert of_png(b"\x89PNG\r\n\x1a\n" + chunk)[0] in range(1, 9)
