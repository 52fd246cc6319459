"""Decoding in a graph: the image that `load_picture` gives, byte for byte.

Orientation: found where Pillow finds it, and 1 for whatever is broken.

Resizing: Pillow's own bytes, whatever the sizes.
"""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from kerastl.data.pictures import PictureError, load_picture
from kerastl.deploy.decoding import decode_picture, jpeg_orientation, png_chunks, resize

SIZE = (24, 32)
DECODE = tf.function(
    lambda encoded: decode_picture(encoded, SIZE),
    input_signature=[tf.TensorSpec((), tf.string)],
    autograph=False,
)


def picture(width=61, height=47, seed=0):
    """Smooth shapes and noise: JPEG's blocks and colour planes all have work."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    waves = [127 + 90 * np.sin(x / (3 + c) + y / (5 - c)) for c in range(3)]
    noisy = np.stack(waves, -1) + rng.normal(0, 20, (height, width, 3))
    return Image.fromarray(np.clip(noisy, 0, 255).astype("uint8"))


def encoded(image, form, **options):
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def difference(data):
    ours, theirs = DECODE(data).numpy().astype(int), load_picture(data, SIZE).astype(int)
    assert ours.shape == (*SIZE, 3)
    return np.abs(ours - theirs).max()


@pytest.mark.parametrize(
    "size", [(32, 24), (7, 5), (61, 47), (96, 72), (97, 143), (193, 145), (385, 289), (801, 777)]
)
def test_a_jpeg_at_every_scale(size):
    assert difference(encoded(picture(*size), "JPEG", quality=90)) == 0


@pytest.mark.parametrize(
    "options",
    [{"subsampling": 0}, {"subsampling": 2}, {"progressive": True}, {"quality": 30}],
    ids=str,
)
def test_every_way_of_writing_a_jpeg(options):
    assert difference(encoded(picture(150, 211), "JPEG", **options)) == 0


@pytest.mark.parametrize("turn", range(1, 9))
def test_a_turned_picture_stands_upright(turn):
    exif = Image.Exif()
    exif[0x0112] = turn
    for image, form in [(picture(260, 130), "JPEG"), (picture(), "PNG")]:
        assert difference(encoded(image, form, exif=exif)) == 0


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "P", "1"])
def test_every_kind_of_png(mode):
    image = picture()
    image.putalpha(
        Image.fromarray(np.arange(47 * 61, dtype="uint16").astype("uint8").reshape(47, 61))
    )
    assert difference(encoded(image.convert(mode), "PNG")) == 0


def test_transparent_colours():
    grey, few = picture().convert("L"), picture().quantize(8)
    assert difference(encoded(grey, "PNG", transparency=int(np.asarray(grey)[0, 0]))) == 0
    assert difference(encoded(few, "PNG", transparency=3)) == 0
    assert difference(encoded(few, "PNG", transparency=bytes([0, 90, 255]))) == 0
    assert difference(encoded(few, "PNG", transparency=3, bits=4)) == 0
    colour = tuple(np.asarray(picture())[0, 0].tolist())
    assert difference(encoded(picture(), "PNG", transparency=colour)) == 0


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_sixteen_bits(channels):
    deep = np.random.default_rng(0).integers(0, 65536, (40, 50, channels), dtype="uint16")
    assert difference(tf.io.encode_png(deep).numpy()) == 0


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    ("low", "high"),
    [(0, 200), (0, 1000), (9, 4000), (0, 16383), (32768, 36863), (32000, 34000), (32700, 36000)],
)
def test_less_than_sixteen_bits_in_sixteen(channels, low, high):
    deep = np.random.default_rng(0).integers(low, high + 1, (40, 50, channels), dtype="uint16")
    assert difference(tf.io.encode_png(deep).numpy()) == 0


def test_a_grey_jpeg_and_one_for_print():
    assert difference(encoded(picture().convert("L"), "JPEG")) == 0
    assert difference(encoded(picture().convert("CMYK"), "JPEG")) <= 1


@pytest.mark.parametrize("form", ["GIF", "BMP", "WEBP"])
def test_other_kinds_are_refused(form):
    with pytest.raises(tf.errors.InvalidArgumentError, match="Expected JPEG or PNG bytes"):
        DECODE(encoded(picture(), form))


@pytest.mark.parametrize("form", ["JPEG", "PNG"])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.1, 0.7])
def test_what_load_picture_refuses_is_refused(form, share):
    data = encoded(picture(), form)
    data = data[: int(share * len(data))]
    with pytest.raises(PictureError):
        load_picture(data, SIZE)
    with pytest.raises(tf.errors.InvalidArgumentError):
        DECODE(data)


def test_too_many_pixels_are_refused_before_they_are_decoded():
    png, jpeg = bytearray(encoded(picture(), "PNG")), bytearray(encoded(picture(), "JPEG"))
    png[16:24] = struct.pack(">II", 30000, 30000)
    png[29:33] = struct.pack(">I", zlib.crc32(png[12:29]))
    start = jpeg.index(b"\xff\xc0") + 5
    jpeg[start : start + 4] = struct.pack(">HH", 30000, 30000)
    for data in (bytes(png), bytes(jpeg)):
        with pytest.raises(PictureError, match="too large"):
            load_picture(data, SIZE)
        with pytest.raises(tf.errors.InvalidArgumentError, match="Expected at most"):
            DECODE(data)


BYTES = tf.TensorSpec((None,), tf.uint8)
JPEG = tf.function(jpeg_orientation, input_signature=[BYTES], autograph=False)
PNG = tf.function(png_chunks, input_signature=[BYTES], autograph=False)


def of_jpeg(data):
    return int(JPEG(tf.io.decode_raw(data, tf.uint8)))


def of_png(data):
    orientation, clear = PNG(tf.io.decode_raw(data, tf.uint8))
    return int(orientation), bool(clear)


def turned(form, **options):
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
    jpeg, png = turned("JPEG", exif=exif), turned("PNG", exif=exif)
    assert seen_by_pillow(jpeg) == seen_by_pillow(png) == value
    assert of_jpeg(jpeg) == value
    assert of_png(png) == (value, False)


def test_none_is_upright():
    assert of_jpeg(turned("JPEG")) == 1
    assert of_png(turned("PNG")) == (1, False)
    assert of_png(turned("PNG", transparency=(255, 0, 0))) == (1, True)


def test_segments_and_padding_in_front_are_passed_over():
    jpeg = turned("JPEG", exif=tiff("MM", [(0x0112, 3, 1, b"\0\6")]), comment=b"Exif\0\0")
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
    jpeg = turned("JPEG", exif=tiff("II", [entry]))
    assert seen_by_pillow(jpeg) not in range(2, 9)
    assert of_jpeg(jpeg) == 1


def test_two_numbers_are_no_orientation():
    jpeg = turned("JPEG", exif=tiff("II", [(0x0112, 3, 2, struct.pack("<HH", 6, 6))]))
    assert of_jpeg(jpeg) == 1  # Pillow raises here, which `load_picture` takes for upright


def test_a_long_is_a_number_too():
    jpeg = turned("JPEG", exif=tiff("II", [(0x0112, 4, 1, struct.pack("<I", 8))]))
    assert of_jpeg(jpeg) == seen_by_pillow(jpeg) == 8


@settings(deadline=None, max_examples=80)
@given(st.binary(min_size=1, max_size=200), st.booleans())
def test_garbage_is_upright_or_a_number_and_always_ends(junk, behind_exif):
    start = b"\xff\xd8\xff\xe1" + struct.pack(">H", len(junk) + 8) + b"Exif\0\0"
    assert of_jpeg(start + junk if behind_exif else junk) in range(1, 9)
    chunk = struct.pack(">I", len(junk)) + b"eXIf" + junk
    chunk += struct.pack(">I", zlib.crc32(chunk[4:]))
    assert of_png(b"\x89PNG\r\n\x1a\n" + chunk)[0] in range(1, 9)


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
