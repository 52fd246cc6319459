"""Files called what they are, by their content."""

import io
import struct
import sys
import types

import numpy as np
import pytest
from PIL import Image, ImageFile, TiffImagePlugin

from kerastl.data import kinds
from kerastl.data.pictures import PictureError, load_picture

HEIC = struct.pack(">I", 24) + b"ftypheic" + b"\0\0\0\0" + b"mif1heic" + bytes(400)
HEIC_TOLD = "HEIC: needs the package pillow-heif (pip install pillow-heif)"
CONVERT = "not read, convert it to JPEG or PNG"


def encoded(kind, **options):
    file = io.BytesIO()
    red = Image.fromarray(np.full((16, 16, 3), (200, 40, 40), "uint8"))
    red.save(file, kind, **options)
    return file.getvalue()


@pytest.fixture(autouse=True)
def without_heif(monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (HEIC, HEIC_TOLD),
        (HEIC.replace(b"ftypheic", b"ftypmif1"), HEIC_TOLD),
        (b"\0\0\0\x0cJXL \r\n\x87\n", f"JPEG XL: {CONVERT}"),
        (b"8BPS\0\1" + bytes(20), f"Photoshop: {CONVERT}"),
        (b"II*\0\x10\0\0\0CR\2\0", f"a camera's raw file: {CONVERT}"),
        (b"\0\0\0\x18ftypcrx \0\0\0\1", f"a camera's raw file: {CONVERT}"),
        (bytes(128) + b"DICM", "DICOM: not read, convert it to PNG, as with pydicom"),
        (b"\n<?xml version='1.0'?><svg/>", f"SVG: {CONVERT}"),
        (b"<!DOCTYPE html><html><body>404", "not a picture: a web page"),
        (b"<?xml version='1.0'?><Error><Code>AccessDenied", "not a picture: XML"),
        (b"%PDF-1.7", "not a picture: PDF"),
        (b"PK\3\4\0\0", "not a picture: a zip archive"),
        (b"\0\0\0\x18ftypmp42\0\0\0\0isommp42", "not a picture: a video"),
        (b"RIFF\0\0\0\0WAVEfmt ", "not a picture: a recording"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00",
         "not a picture: a Git LFS pointer (git lfs pull fetches the picture)"),
        (b"BMW is a car", "not a picture"),
        (b"this is no picture", "not a picture"),
    ],
)  # fmt: skip
def test_what_is_not_read_is_called_what_it_is(content, told, tmp_path):
    path = tmp_path / "photo.jpg"
    path.write_bytes(content)
    with pytest.raises(PictureError) as caught:
        load_picture(path)
    assert caught.value.cause == told
    assert kinds.cause_of(path) == told


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF", "JPEG2000"])
@pytest.mark.parametrize("name", ["a.jpg", "a.heic", "a.jp2"])
def test_the_content_counts_and_not_the_suffix(kind, name, tmp_path):
    (tmp_path / name).write_bytes(encoded(kind))
    assert kinds.cause_of(tmp_path / name) == ""
    found = load_picture(tmp_path / name).reshape(-1, 3).mean(axis=0)
    np.testing.assert_allclose(found, (200, 40, 40), atol=6)


def test_avif_is_turned_as_its_exif_says():
    exif = Image.Exif()
    exif[0x0112] = 6
    file = io.BytesIO()
    Image.new("RGB", (32, 16)).save(file, "AVIF", exif=exif)
    assert load_picture(file.getvalue()).shape == (32, 16, 3)


@pytest.mark.parametrize("tags", [{50706: b"\1\4\0\0"}, {254: 1, 330: 8}])
def test_the_preview_in_a_raw_file_is_not_the_picture(tags):
    """DNG and NEF are TIFF files whose first page is a thumbnail."""
    info = TiffImagePlugin.ImageFileDirectory_v2()
    for tag, value in tags.items():
        info[tag] = value
        info.tagtype[tag] = 1 if isinstance(value, bytes) else 4
    with pytest.raises(PictureError, match=f"a camera's raw file: {CONVERT}"):
        load_picture(encoded("TIFF", tiffinfo=info))


def test_a_raw_file_is_known_by_its_suffix_too(tmp_path):
    (tmp_path / "a.NEF").write_bytes(encoded("TIFF"))
    assert kinds.cause_of(tmp_path / "a.NEF") == f"a camera's raw file: {CONVERT}"
    (tmp_path / "a.tga").write_bytes(bytes(30))
    assert kinds.cause_of(tmp_path / "a.tga") == f"TGA: {CONVERT}"


class Fake(ImageFile.ImageFile):
    format = "HEIF"

    def _open(self):
        self._size, self._mode = (4, 2), "RGB"
        self.tile = []
        self.im = Image.new("RGB", (4, 2), (1, 2, 3)).im


def test_heic_is_read_where_its_package_is_installed(monkeypatch):
    def register():
        Image.register_open("HEIF", Fake, lambda prefix: prefix[4:8] == b"ftyp")

    monkeypatch.setattr(Image, "OPEN", dict(Image.OPEN))
    monkeypatch.setattr(Image, "ID", list(Image.ID))
    module = types.SimpleNamespace(register_heif_opener=register)
    monkeypatch.setitem(sys.modules, "pillow_heif", module)
    assert load_picture(HEIC).tolist() == [[[1, 2, 3]] * 4] * 2
    assert kinds.why_not(HEIC) == ""


def test_a_pipe_does_not_wait(tmp_path):
    kinds.os.mkfifo(tmp_path / "a.heic")
    assert kinds.cause_of(tmp_path / "a.heic") == ""
