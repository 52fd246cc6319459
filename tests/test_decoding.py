"""Decoding in a graph: the image that `load_picture` gives, byte for byte."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from kerastl.decoding import decode_picture
from kerastl.pictures import PictureError, load_picture

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
    png[16:24] = struct.pack(">II", 20000, 20000)
    png[29:33] = struct.pack(">I", zlib.crc32(png[12:29]))
    start = jpeg.index(b"\xff\xc0") + 5
    jpeg[start : start + 4] = struct.pack(">HH", 20000, 20000)
    for data in (bytes(png), bytes(jpeg)):
        with pytest.raises(PictureError, match="too large"):
            load_picture(data, SIZE)
        with pytest.raises(tf.errors.InvalidArgumentError, match="Expected at most"):
            DECODE(data)
