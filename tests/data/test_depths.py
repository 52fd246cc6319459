"""Which value is black and which one white, where there are more than 8 bits."""

import io

import numpy as np
import pytest
from PIL import Image

from kerastl.data.depths import span_of, to_grey
from kerastl.data.pictures import PictureError, load_picture, read_picture

RAMP = np.linspace(0, 65535, 64 * 64).reshape(64, 64)
"""All 16 bits; a quarter of the grey levels stands in each quarter of the rows."""

SAMPLE_FORMAT, MAX_VALUE, PHOTOMETRIC, BITS = 339, 281, 262, 258


def tiff(values, **tags):
    file = io.BytesIO()
    info = {int(tag[1:]): value for tag, value in tags.items()}
    Image.fromarray(values).save(file, "TIFF", tiffinfo=info)
    return file.getvalue()


def png(values):
    file = io.BytesIO()
    Image.fromarray(values).save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize(
    ("values", "span"),
    [
        (RAMP.astype("uint16"), (0, 65535)),
        ((RAMP // 4).astype("uint16"), (0, 16383)),
        ((RAMP // 16).astype("uint16"), (0, 4095)),
        ((RAMP // 64).astype("uint16"), (0, 1023)),
        ((RAMP // 256).astype("uint16"), (0, 255)),
        ((RAMP // 16 + 32768).astype("uint16"), (32768, 36863)),
        (RAMP.astype("int32"), (0, 65535)),
        ((RAMP / 65535).astype("float32"), (0, 1)),
        ((RAMP / 65535 * 255).astype("float32"), (0, 255)),
    ],
)
def test_a_ramp_over_its_own_depth_goes_from_black_to_white(values, span):
    kinds = [tiff, png] if values.dtype == np.uint16 else [tiff]
    for made in kinds:
        grey, found = read_picture(made(values))
        assert found == span
        assert np.abs(grey[:, :, 0] - np.rint(RAMP / 257)).max() <= 1
        assert (grey.min(), grey.max()) == (0, 255)


def test_floats_beyond_255_have_the_span_of_integers():
    grey, span = read_picture(tiff((RAMP / 65535 * 4000).astype("float32")))
    assert span == (0, 4095)
    assert grey.max() == round(4000 / 4095 * 255)


def test_one_value_is_one_grey_in_every_picture_of_a_depth():
    for brightest in (1100, 2500, 4095):
        picture = np.array([[0, 1000, brightest]], "uint16")
        assert load_picture(png(picture))[0, 1, 0] == round(1000 / 4095 * 255)


@pytest.mark.parametrize(
    ("low", "high", "dtype", "span"),
    [
        (-1024, 3071, "int16", (-1024, 4095)),
        (-32768, 32767, "int16", (-32768, 32767)),
        (-128, 127, "int8", (-128, 127)),
        (-1, 4000, "int16", (0, 4095)),  # -1 is often "no value"
        (31744, 36000, "uint16", (31744, 36863)),
        (28000, 36000, "uint16", (0, 65535)),
        (0, 2**31 - 1, "int32", (0, 2**31 - 1)),
        (0, 2**32 - 1, "uint32", (0, 2**32 - 1)),
        (0, 70000, "int32", (0, 2**18 - 1)),
        (-1.0, 1.0, "float32", (-1, 1)),
        (-2.5, 3.0, "float32", (-4, 4)),
        (-0.01, 1.02, "float32", (0, 1)),  # resampled
        (-5.0, 262.0, "float32", (0, 1023)),
    ],
)
def test_spans(low, high, dtype, span):
    assert span_of(low, high, np.dtype(dtype)) == span


def test_the_file_says_what_is_white():
    dark = np.array([[0, 100, 200]], "uint16")
    assert read_picture(tiff(dark))[1] == (0, 255)
    grey, span = read_picture(tiff(dark, _281=4095))
    assert span == (0, 4095)
    assert grey[0, :, 0].tolist() == [0, 6, 12]
    portable = b"P5 2 1 4095 " + np.array([10, 4095], ">u2").tobytes()
    assert load_picture(portable)[0, :, 0].tolist() == [1, 255]


def test_signed_numbers_keep_what_is_below_0():
    ramp = np.arange(-1024, 3072).reshape(64, 64)
    for values in (ramp.astype("int32"), ramp.astype("float32")):
        grey = load_picture(tiff(values))[:, :, 0]
        assert grey[0, 0] == 0
        assert np.all(np.diff(grey.ravel().astype(int)) >= 0)
        assert len(np.unique(grey)) > 200
    eight = tiff(np.arange(-128, 128).astype("int8").view("uint8").reshape(16, 16), _339=2)
    assert load_picture(eight)[:, :, 0].ravel().tolist() == list(range(256))


def test_what_is_no_number():
    values = np.array([[np.nan, np.inf, -np.inf, 0.5]], "float32")
    assert to_grey(values)[0].tolist() == [[0, 255, 0, 128]]
    assert to_grey(np.full((1, 2), np.nan, "float32"))[0].tolist() == [[0, 0]]


def test_white_is_zero():
    values = (RAMP // 16).astype("uint16")
    turned = load_picture(tiff(values, _262=0))
    np.testing.assert_array_equal(turned, 255 - load_picture(tiff(values)))


def test_a_kind_of_tiff_that_pillow_cannot_read_is_named():
    data = bytearray(tiff(np.zeros((2, 2), "float32")))
    entry = data.index(bytes([BITS & 255, BITS >> 8, 3, 0, 1, 0, 0, 0]))
    data[entry + 8] = 64
    with pytest.raises(PictureError, match="a TIFF of 1 x 64-bit floats, which Pillow cannot read"):
        load_picture(bytes(data))
