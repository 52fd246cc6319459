"""Large JPEGs: decoded at a lower scale, within the tolerance that load_picture states."""

import io

import numpy as np
import pytest
from PIL import Image, ImageFilter, JpegImagePlugin
from sklearn.datasets import load_sample_image

from kerastl.data.pictures import PictureError, load_picture


def encode(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def noise(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype="uint8")


def full_then_resized(data, size):
    """The oracle: every pixel decoded, then the same antialiased resize."""
    full = Image.fromarray(load_picture(data))
    return np.asarray(full.resize((size[1], size[0]), Image.Resampling.BILINEAR)).astype(int)


def differences(data, size):
    return np.abs(load_picture(data, size).astype(int) - full_then_resized(data, size))


@pytest.fixture(scope="module")
def photograph():
    """A real photograph at 12 megapixels, with its own fine detail laid over it."""
    small = Image.fromarray(load_sample_image("china.jpg"))
    blurred = np.asarray(small.filter(ImageFilter.GaussianBlur(2)), "int16")
    detail = np.tile(np.asarray(small, "int16") - blurred, (8, 7, 1))[:3000, :4000]
    large = np.asarray(small.resize((4000, 3000), Image.Resampling.BICUBIC), "int16") + detail
    return Image.fromarray(np.clip(large, 0, 255).astype("uint8"))


# At 250 x 333 a scale of 1/8 is left with 1.5 times the size, at 500 x 666 one of 1/4: the worst.
@pytest.mark.parametrize("size", [(224, 224), (250, 333), (500, 666)])
@pytest.mark.parametrize("subsampling", [0, 2])
def test_a_large_photograph_is_within_the_tolerance_of_full_decoding(photograph, size, subsampling):
    found = differences(encode(photograph, "JPEG", quality=90, subsampling=subsampling), size)
    assert 0 < found.mean() <= 1.2
    assert np.percentile(found, 99) <= 6
    assert found.max() <= 16


def test_noise_in_a_large_jpeg_is_within_the_tolerance_of_full_decoding():
    blocks = Image.fromarray(noise(500, 667)).resize((2000, 1500), Image.Resampling.NEAREST)
    found = differences(encode(blocks, "JPEG", quality=90), (250, 333))
    assert 0 < found.mean() <= 4.9
    assert found.max() <= 26


def blurred_noise(width, height, mode="RGB"):
    """Something with no symmetry and no detail that a scale could lose."""
    coarse = Image.fromarray(noise(5, 7, seed=3)).convert(mode)
    return coarse.resize((width, height), Image.Resampling.BICUBIC)


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("progressive", [False, True])
def test_jpegs_of_every_mode_are_reduced_alike(mode, progressive):
    image = blurred_noise(803, 597, mode)  # no multiple of 8: the last pixels are partly filled
    data = encode(image, "JPEG", quality=95, progressive=progressive)
    assert differences(data, (60, 80)).max() <= 4
    assert differences(data, (60, 80)).any()  # full decoding would give 0


@pytest.mark.parametrize("orientation", range(1, 9))
def test_reduced_jpegs_are_turned_and_not_squeezed(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encode(blurred_noise(1600, 400), "JPEG", quality=95, exif=exif)
    size = (90, 60) if orientation > 4 else (60, 90)
    assert differences(data, size).max() <= 4


def test_a_turned_picture_keeps_the_scale_its_own_sides_allow(monkeypatch):
    seen = []
    draft = JpegImagePlugin.JpegImageFile.draft
    monkeypatch.setattr(
        JpegImagePlugin.JpegImageFile,
        "draft",
        lambda image, *given: seen.append(draft(image, *given)) or seen[-1],
    )
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encode(blurred_noise(1600, 400), "JPEG", exif=exif)  # upright: 1600 high, 400 wide
    for size, scale in [((266, 66), 4), ((133, 33), 8), ((50, 200), 1), ((534, 50), 1)]:
        load_picture(data, size)
        assert seen.pop()[1] == (0, 0, 1600 / scale, 400 / scale), size
    load_picture(data)
    assert seen == []  # without a size, every pixel is decoded


def test_the_first_of_a_cameras_several_pictures_is_reduced_too():
    image = blurred_noise(1600, 1200)
    data = encode(image, "MPO", save_all=True, append_images=[image.resize((160, 120))])
    assert 0 < differences(data, (50, 60)).max() <= 4


def test_a_jpeg_that_is_not_far_larger_is_decoded_fully():
    data = encode(Image.fromarray(noise(300, 400)), "JPEG")
    size = (101, 134)
    np.testing.assert_array_equal(load_picture(data, size), full_then_resized(data, size))
    assert differences(data, (100, 133)).any()


@pytest.mark.parametrize("share", [0.03, 0.5, 0.9])
@pytest.mark.parametrize("progressive", [False, True])
def test_a_large_jpeg_cut_short_is_truncated(share, progressive):
    data = encode(Image.fromarray(noise(800, 800)), "JPEG", progressive=progressive)
    with pytest.raises(PictureError, match="truncated"):
        load_picture(data[: int(len(data) * share)], 50)


@pytest.mark.parametrize("progressive", [False, True])
def test_over_the_limit_a_jpeg_is_decoded_at_a_lower_scale(progressive):
    data = encode(blurred_noise(1000, 1000), "JPEG", quality=95, progressive=progressive)
    whole = load_picture(data, 10)
    with pytest.raises(PictureError, match=r"too large: 1 megapixels, limit 1 \(--max-pixels"):
        load_picture(data, max_pixels=999_999)  # every pixel is asked for
    with pytest.raises(PictureError, match="too large"):
        load_picture(data, 600, max_pixels=999_999)  # no lower scale has so many
    with pytest.raises(PictureError, match="too large"):
        load_picture(data, 10, max_pixels=249_999)  # and not any size: a header may lie
    for limit in (999_999, 250_000):
        if progressive:  # libjpeg keeps the coefficients of all pixels
            with pytest.raises(PictureError, match="too large"):
                load_picture(data, 10, max_pixels=limit)
        else:
            np.testing.assert_array_equal(load_picture(data, 10, max_pixels=limit), whole)
    assert load_picture(data, 10, max_pixels=1_000_000).shape == (10, 10, 3)


def test_a_camera_of_108_megapixels():
    data = encode(Image.new("RGB", (12000, 9000), (0, 0, 255)), "JPEG", quality=50)
    blue = load_picture(data, 8)
    assert np.abs(blue.astype(int) - [0, 0, 255]).max() <= 2
    with pytest.raises(PictureError, match="too large: 108 megapixels, limit 100"):
        load_picture(data)
