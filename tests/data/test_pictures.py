"""Reading pictures: values against oracles, and causes in plain words."""

import io
import os
import struct
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from kerastl.data import pictures
from kerastl.data.pictures import PictureError, as_size, load_picture
from kerastl.errors import InputError

ROTATED = np.arange(2 * 3 * 3, dtype="uint8").reshape(2, 3, 3) * 10


def encode(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def noise(height=20, width=30, channels=3, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype="uint8")


WHOLE = [encode(Image.fromarray(noise()), k) for k in ("JPEG", "PNG", "GIF", "BMP", "WEBP", "PPM")]


def png16(values, colour):
    """A 16-bit PNG made by hand, as Pillow cannot write 16-bit RGB."""
    height, width = values.shape[:2]
    body = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    head = struct.pack(">IIBBBBB", width, height, 16, colour, 0, 0, 0)
    parts = [(b"IHDR", head), (b"IDAT", zlib.compress(body)), (b"IEND", b"")]
    chunks = [
        struct.pack(">I", len(d)) + n + d + struct.pack(">I", zlib.crc32(n + d)) for n, d in parts
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def cause(source, **options):
    with pytest.raises(PictureError) as caught:
        load_picture(source, **options)
    return caught.value.cause


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM"])
def test_lossless_kinds_give_the_pixels_back(kind):
    pixels = noise()
    np.testing.assert_array_equal(load_picture(encode(Image.fromarray(pixels), kind)), pixels)


def test_lossless_webp_gives_the_pixels_back():
    pixels = noise()
    data = encode(Image.fromarray(pixels), "WEBP", lossless=True)
    np.testing.assert_array_equal(load_picture(data), pixels)


def test_first_frame_of_an_animation():
    frames = [Image.new("RGB", (5, 4), c) for c in ("red", "blue")]
    for kind in ("GIF", "WEBP", "TIFF", "PNG"):
        options = {"lossless": True} if kind == "WEBP" else {}
        data = encode(frames[0], kind, save_all=True, append_images=frames[1:], **options)
        assert load_picture(data)[0, 0].tolist() == [255, 0, 0], kind


@pytest.mark.parametrize("mode", ["L", "1"])
def test_grey_fills_three_equal_channels(mode):
    image = Image.fromarray(noise()[:, :, 0]).convert(mode)
    expected = np.repeat(np.asarray(image.convert("L"))[:, :, None], 3, axis=2)
    np.testing.assert_array_equal(load_picture(encode(image, "PNG")), expected)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparent_parts_become_white(mode):
    image = Image.new(mode, (3, 1), 0)
    image.putpixel((1, 0), (100, 50, 200, 255) if mode == "RGBA" else (100, 255))
    image.putpixel((2, 0), (0, 0, 0, 51) if mode == "RGBA" else (0, 51))
    colour = [100, 50, 200] if mode == "RGBA" else [100] * 3
    assert load_picture(encode(image, "PNG")).tolist() == [[[255] * 3, colour, [204] * 3]]


def test_palette_with_transparency():
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 200, 100, 0])
    image.putpixel((1, 0), 1)
    for transparency in (0, b"\x00\xff"):
        data = encode(image, "PNG", transparency=transparency)
        assert load_picture(data).tolist() == [[[255, 255, 255], [200, 100, 0]]]
    assert load_picture(encode(image, "GIF")).tolist() == [[[10, 20, 30], [200, 100, 0]]]


def test_cmyk_jpeg_has_its_colours():
    image = Image.new("CMYK", (16, 16), (0, 255, 255, 0))
    pixels = load_picture(encode(image, "JPEG", quality=95))
    assert np.abs(pixels.astype(int) - [255, 0, 0]).max() <= 4


def test_16_bit_grey_is_scaled_and_not_clipped():
    values = np.array([[0, 128, 257, 32768, 65535]], dtype="uint16")
    found = load_picture(png16(values, colour=0))
    assert found[0, :, 0].tolist() == [0, 0, 1, 128, 255]
    assert found.shape == (1, 5, 3)
    for kind in ("TIFF", "PNG"):
        data = encode(Image.fromarray(values), kind)
        np.testing.assert_array_equal(load_picture(data), found)


def test_16_bit_rgb():
    values = np.array([[[0, 32768, 65535], [257 * 7, 257 * 100, 257 * 200]]], dtype="uint16")
    assert load_picture(png16(values, colour=2)).tolist() == [[[0, 128, 255], [7, 100, 200]]]


def test_12_bit_rgb_in_16():
    values = np.linspace(0, 4095, 8 * 8 * 3).astype("uint16").reshape(8, 8, 3)
    expected = np.rint(values * (255 / 4095))
    np.testing.assert_array_equal(load_picture(png16(values, colour=2)), expected)


def test_32_bit_grey_and_floats():
    large = Image.fromarray(np.array([[0, 2**30, 2**31 - 1]], dtype="int32"))
    assert load_picture(encode(large, "TIFF"))[0, :, 0].tolist() == [0, 128, 255]
    unit = Image.fromarray(np.array([[0, 0.5, 1]], dtype="float32"))
    assert load_picture(encode(unit, "TIFF"))[0, :, 0].tolist() == [0, 128, 255]
    wide = Image.fromarray(np.array([[-5, 99.6, 300, np.nan]], dtype="float32"))
    assert load_picture(encode(wide, "TIFF"))[0, :, 0].tolist() == [0, 25, 75, 0]


@pytest.mark.parametrize(
    ("orientation", "turn"),
    [
        (1, lambda a: a),
        (2, np.fliplr),
        (3, lambda a: np.rot90(a, 2)),
        (4, np.flipud),
        (5, lambda a: a.transpose(1, 0, 2)),
        (6, lambda a: np.rot90(a, -1)),
        (7, lambda a: np.rot90(a, 2).transpose(1, 0, 2)),
        (8, np.rot90),
    ],
)
def test_exif_orientation(orientation, turn):
    exif = Image.Exif()
    exif[0x0112] = orientation
    for kind in ("PNG", "TIFF"):
        data = encode(Image.fromarray(ROTATED), kind, exif=exif)
        np.testing.assert_array_equal(load_picture(data), turn(ROTATED), err_msg=kind)


def test_rotated_phone_photograph():
    exif = Image.Exif()
    exif[0x0112] = 6
    image = Image.new("RGB", (64, 32), "black")
    image.paste("white", (0, 0, 32, 32))
    found = load_picture(encode(image, "JPEG", exif=exif))
    assert found.shape == (64, 32, 3)
    assert found[8, 16].min() > 240
    assert found[56, 16].max() < 15


def test_broken_exif_is_no_reason_to_lose_the_picture():
    data = encode(Image.fromarray(ROTATED), "PNG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    np.testing.assert_array_equal(load_picture(data), ROTATED)


def test_resizing_is_pillows_antialiased_bilinear():
    pixels = noise(64, 96)
    resized = Image.fromarray(pixels).resize((20, 10), Image.Resampling.BILINEAR)
    expected = np.asarray(resized)
    np.testing.assert_array_equal(
        load_picture(encode(Image.fromarray(pixels), "PNG"), (10, 20)), expected
    )
    stripes = np.zeros((64, 64, 3), "uint8")
    stripes[:, ::2] = 255  # without antialiasing a reduction by 8 would give 0 or 255
    small = load_picture(encode(Image.fromarray(stripes), "PNG"), 8)
    assert small.shape == (8, 8, 3)
    assert np.abs(small.astype(int) - 127).max() < 15


def test_causes_of_files(tmp_path):
    (tmp_path / "empty.jpg").write_bytes(b"")
    (tmp_path / "text.jpg").write_text("this is no picture")
    assert cause(tmp_path / "empty.jpg") == "empty file"
    assert cause(tmp_path / "text.jpg") == "not a picture"
    assert cause(tmp_path / "gone.jpg") == "no such file"
    assert cause(tmp_path / "text.jpg" / "x.jpg") == "no such file"
    assert cause("a\0b.png") == "no such file"
    (tmp_path / "link.jpg").symlink_to(tmp_path / "gone.jpg")
    assert cause(tmp_path / "link.jpg") == "a link to nothing"
    assert cause(tmp_path) == "a folder"
    os.mkfifo(tmp_path / "pipe.png")
    assert cause(tmp_path / "pipe.png") == "not a file"


def test_no_permission(unprivileged):
    path = unprivileged / "a.png"
    path.write_bytes(encode(Image.fromarray(noise()), "PNG"))
    path.chmod(0)
    assert cause(path) == "cannot be read: permission denied"


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "TIFF", "WEBP"])
@pytest.mark.parametrize("share", [0.03, 0.5, 0.9])
def test_truncated(kind, share):
    data = encode(Image.fromarray(noise(200, 200)), kind)
    assert cause(data[: int(len(data) * share)]) == "truncated"


@settings(deadline=None, max_examples=200)
@given(st.data())
def test_damaged_files_never_end_in_anything_but_a_cause(data):
    whole = data.draw(st.sampled_from(WHOLE))
    damaged = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    with suppress(PictureError):
        assert load_picture(bytes(damaged), 4).shape == (4, 4, 3)


def test_formats_that_run_other_programs_are_refused():
    assert cause(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 1 1\n") == (
        "PostScript: not read, convert it to JPEG or PNG"
    )


def test_too_large_is_told_from_the_header():
    head = b"P6 20000 10000 255 "  # no pixels follow, so decoding would say truncated
    more = " (--max-pixels raises it)"
    assert cause(head) == f"too large: 200 megapixels, limit 100{more}"
    assert cause(b"P6 10000 9500 255 ", max_pixels=90_000_000) == (
        f"too large: 95 megapixels, limit 90{more}"
    )
    assert cause(b"P6 100 100 255 ", max_pixels=9999) == (
        f"too large: 0.01 megapixels, limit 0.009999{more}"
    )


def test_pillows_own_limit_holds_unless_more_is_asked_for(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)  # it refuses twice that
    kinds = ("PNG", "GIF", "BMP", "WEBP", "TIFF", "PPM", "AVIF", "JPEG2000")
    data = [encode(Image.fromarray(noise()), kind) for kind in kinds]
    assert {cause(d) for d in data} == {
        "too large: 0.0006 megapixels, limit 0.0002 (--max-pixels raises it)"
    }
    monkeypatch.setattr(pictures, "MAX_PIXELS", 100)
    assert {load_picture(d, max_pixels=600).shape for d in data} == {(20, 30, 3)}
    assert Image.MAX_IMAGE_PIXELS == 300


def test_the_limit_may_be_set_for_all(monkeypatch):
    data = encode(Image.fromarray(noise()), "PNG")
    monkeypatch.setenv("KERASTL_MAX_PIXELS", "599")
    assert cause(data).startswith("too large: 0.0006 megapixels")
    assert load_picture(data, max_pixels=600).shape == (20, 30, 3)
    monkeypatch.setenv("KERASTL_MAX_PIXELS", "600")
    assert load_picture(data).shape == (20, 30, 3)
    monkeypatch.setenv("KERASTL_MAX_PIXELS", "many")
    with pytest.raises(InputError, match="KERASTL_MAX_PIXELS with a number of pixels.*'many'"):
        load_picture(data)


def test_huge_text_chunk_ends_as_a_cause():
    text = PngImagePlugin.PngInfo()
    text.add_text("comment", "a" * (PngImagePlugin.MAX_TEXT_CHUNK + 1), zip=True)
    data = encode(Image.fromarray(noise()), "PNG", pnginfo=text)
    assert cause(data) == "its metadata is too large"


def test_no_warning_gets_out_in_threads_and_the_filters_come_back(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 500)  # Pillow warns above it
    big = encode(Image.fromarray(noise()), "PNG")
    with pytest.warns(Image.DecompressionBombWarning):
        Image.open(io.BytesIO(big)).close()
    before = list(warnings.filters)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: load_picture(big, 4).shape, range(50)))
    assert found == [(4, 4, 3)] * 50
    assert warnings.filters == before


def test_error_names_the_path(tmp_path):
    with pytest.raises(PictureError, match="no such file") as caught:
        load_picture(tmp_path / "gone.png")
    assert caught.value.path == str(tmp_path / "gone.png")


@pytest.mark.parametrize("size", [0, -1, 2.5, (1, 2, 3), (0, 5), "big", True])
def test_image_sizes_that_are_none(size):
    with pytest.raises(InputError, match="Expected an image_size"):
        as_size(size)
