"""Picture files: what counts as one, and reading one as an RGB array, whatever its inside is."""

from __future__ import annotations

import io
import os
import re
import stat
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

import numpy as np
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from kerastl.data.depths import Span, to_grey
from kerastl.data.kinds import (
    HEAD,
    HEIC,
    RAW,
    READ,
    kind_of,
    not_read,
    opens_heic,
    suffix_of,
    why_not,
)
from kerastl.errors import InputError

MAX_PIXELS = 100_000_000
"""The largest picture that is decoded, unless the environment variable `LIMIT` has another."""
LIMIT = "KERASTL_MAX_PIXELS"
SCALED = 4
"""How many times as large a JPEG may be that is decoded at a lower scale."""

ORIENTATION = 0x0112
BITS, PHOTOMETRIC, SAMPLE_FORMAT, MAX_VALUE = 258, 262, 339, 281
WHITE_IS_ZERO, SIGNED = 0, 2
KINDS = {1: "unsigned integers", SIGNED: "signed integers", 3: "floats"}
DNG_VERSION, SUB_FILES, SUBFILE_TYPE, PREVIEW = 50706, 330, 254, 1
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
SIDEWAYS = (5, 6, 7, 8)

# A JPEG is decoded at 1/2, 1/4 or 1/8 where that is still this many times the wanted size: at
# 1.5 a camera's 4000 x 3000 comes to 224 pixels by 1/8, which saves a fifth to a quarter of the
# time against 1/4. Against full decoding, features of EfficientNetLite0 then moved by 2 to 7 %
# of their length on five real photographs, and by 1 to 4 % at a gap of 2; moving a picture by
# one pixel moved them by 10 to 20 %. At a gap of 1 single values are off by twice as much.
REDUCTION_GAP = 1.5


class PictureError(ValueError):
    """A picture that cannot be read: its `path`, and the `cause` in plain words.

    Example:
        >>> load_picture(b"")
        Traceback (most recent call last):
        kerastl.data.pictures.PictureError: <bytes>: empty file
    """

    def __init__(self, path: str, cause: str):
        self.path, self.cause = path, cause
        super().__init__(f"{path}: {cause}")


def load_picture(
    path: str | os.PathLike | bytes,
    image_size: int | tuple[int, int] | None = None,
    *,
    max_pixels: int | None = None,
) -> np.ndarray:
    """Read one picture as 8-bit RGB, upright, resized on request.

    The EXIF orientation is applied. Transparent parts become white. Values of more
    than 8 bits, signed ones and floats are scaled from the span of their own depth,
    such as 0..4095 for 12 bits in 16, and not from each picture's own darkest to its
    own brightest: `depths.span_of` says how it is found. Of several frames or pages
    the first counts.

    Resizing is bilinear with antialiasing and stretches to the new size: nothing
    at the edges is lost, and a phone's runtime stretches too.

    A JPEG that is three or more times larger than `image_size` in both directions
    is decoded at the smallest of 1/8, 1/4 and 1/2 that leaves at least one and a half
    times `image_size` (libjpeg scales within its inverse DCT), which takes about a
    third of the time. Against full decoding, 12-megapixel photographs differed by at
    most 1.2 grey levels in the mean and 16 in any one value, noise by 4.9 and 26.

    Args:
        path: A file, or the encoded bytes.
        image_size: The new height and width: one number or (height, width).
        max_pixels: The largest picture to decode, in pixels; by default 100 million, or
            what the environment variable KERASTL_MAX_PIXELS says. It is held against
            the header, before decoding. A JPEG may be four times as large where it is
            decoded at a lower scale that is within the limit, unless it is progressive:
            that needs memory for all its pixels. Pillow's own limit (179 million unless
            `PIL.Image.MAX_IMAGE_PIXELS` is changed) holds as well, and is raised by more
            than 100 million here.

    Returns:
        uint8 `[height, width, 3]`.

    Raises:
        PictureError: With the path and a cause such as "truncated".

    Example:
        >>> load_picture(b"P6 2 1 255 " + bytes([255, 0, 0, 0, 0, 255])).tolist()
        [[[255, 0, 0], [0, 0, 255]]]
    """
    return read_picture(path, image_size, max_pixels=max_pixels)[0]


def read_picture(
    path: str | os.PathLike | bytes,
    image_size: int | tuple[int, int] | None = None,
    *,
    max_pixels: int | None = None,
) -> tuple[np.ndarray, Span | None]:
    """`load_picture`, and the span that its values were scaled from; None for 8 bits.

    Args:
        path: As in `load_picture`.
        image_size: As in `load_picture`.
        max_pixels: As in `load_picture`.

    Raises:
        PictureError: As `load_picture`.

    Example:
        >>> read_picture(b"P5 1 1 65535 " + bytes([255, 255]))
        (array([[[255, 255, 255]]], dtype=uint8), (0, 65535))
    """
    size = None if image_size is None else as_size(image_size)
    max_pixels = pixel_limit() if max_pixels is None else max_pixels
    name = "<bytes>" if isinstance(path, bytes) else os.fspath(path)
    _lift(max_pixels)
    with _open(path, name) as file, _quiet():
        try:
            return _decode(file, size, max_pixels)
        except Exception as error:  # Pillow's decoders raise nearly every type there is
            raise PictureError(name, _cause(error, file, name, max_pixels)) from error


def pixel_limit() -> int:
    """The largest picture that is decoded, in pixels.

    Raises:
        InputError: Where the environment variable KERASTL_MAX_PIXELS is no number.

    Example:
        >>> pixel_limit()
        100000000
    """
    word = os.environ.get(LIMIT, str(MAX_PIXELS))
    if not word.isdecimal() or not int(word):
        raise InputError(f"Expected {LIMIT} with a number of pixels. Received: {word!r}.")
    return int(word)


def _lift(max_pixels: int) -> None:
    """Have Pillow allow what is allowed beyond the usual: it refuses twice its own limit."""
    theirs = Image.MAX_IMAGE_PIXELS
    if max_pixels > MAX_PIXELS and theirs is not None and max_pixels > 2 * theirs:
        Image.MAX_IMAGE_PIXELS = (max_pixels + 1) // 2


def as_size(image_size: int | tuple[int, int]) -> tuple[int, int]:
    """A picture size as (height, width).

    Example:
        >>> as_size(224), as_size((240, 320))
        ((224, 224), (240, 320))
    """
    pair = image_size if isinstance(image_size, (tuple, list)) else (image_size, image_size)
    whole = [isinstance(n, (int, np.integer)) and not isinstance(n, bool) for n in pair]
    if len(pair) != 2 or not all(whole) or min(pair) < 1:
        expected = "Expected an image_size of one number or (height, width), each at least 1."
        raise InputError(f"{expected} Received: image_size={image_size!r}.")
    return int(pair[0]), int(pair[1])


def _open(path: str | os.PathLike | bytes, name: str) -> BinaryIO:
    if isinstance(path, bytes):
        if not path:
            raise PictureError(name, "empty file")
        return io.BytesIO(path)
    try:
        _check_file(os.stat(path), name)
        return open(path, "rb")
    except PictureError:
        raise
    except (FileNotFoundError, NotADirectoryError, ValueError):  # a null byte is a ValueError
        linked = "\0" not in name and os.path.islink(name)
        raise PictureError(name, "a link to nothing" if linked else "no such file") from None
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise PictureError(name, f"cannot be read: {why}") from error


def _check_file(found: os.stat_result, name: str) -> None:
    if stat.S_ISDIR(found.st_mode):
        raise PictureError(name, "a folder")
    if not stat.S_ISREG(found.st_mode):  # a pipe would wait for ever
        raise PictureError(name, "not a file")
    if not found.st_size:
        raise PictureError(name, "empty file")


def _decode(
    file: BinaryIO, size: tuple[int, int] | None, max_pixels: int
) -> tuple[np.ndarray, Span | None]:
    with _opened(file) as image:
        _check_whole(image)
        pixels = image.width * image.height
        box = None if size is None else _reduce(image, size)
        _check_pixels(pixels, image, max_pixels)
        deep = _is_deep_rgb(image)
        image.load()
        orientation = _orientation(image)  # after load(): Pillow turns TIFF files itself
        rgb, span = _deep_rgb(image, file) if deep else _rgb(image)
        if size is not None:
            rgb = rgb.resize(_as_stored(size, orientation), Image.Resampling.BILINEAR, box=box)
        turn = TURNS.get(orientation)
        return np.array(rgb if turn is None else rgb.transpose(turn)), span


def _opened(file: BinaryIO) -> Image.Image:
    kind = kind_of(file.read(HEAD))
    file.seek(0)
    heic = kind == HEIC and opens_heic()
    try:
        return Image.open(file, formats=("HEIF",) if heic else tuple(READ.values()))
    except Image.DecompressionBombError:
        if kind != "JPEG":  # which may be decoded at a lower scale, and is held against our limit
            raise
        file.seek(0)
        return Image.OPEN[kind][0](file, "")


def _check_whole(image: Image.Image) -> None:
    """Refuse a camera's raw file, of which Pillow would read the small preview."""
    if image.format == "TIFF":
        tags = image.tag_v2
        if DNG_VERSION in tags or (tags.get(SUBFILE_TYPE) == PREVIEW and SUB_FILES in tags):
            raise _Raw


def _reduce(image: Image.Image, size: tuple[int, int]) -> tuple[float, ...] | None:
    """Have a large JPEG decoded at a lower scale; the box that the picture will fill.

    A size that the scale does not divide is rounded up, and the box is not: its
    far edges lie within the last pixels.
    """
    if not isinstance(image, JpegImageFile):
        return None
    width, height = _as_stored(size, _orientation(image))
    drafted = image.draft(None, (REDUCTION_GAP * width, REDUCTION_GAP * height))
    return drafted and drafted[1]


def _as_stored(size: tuple[int, int], orientation: int | None) -> tuple[int, int]:
    """(height, width) of the upright picture as (width, height) of the one in the file."""
    return size if orientation in SIDEWAYS else size[::-1]


def _check_pixels(whole: int, image: Image.Image, max_pixels: int) -> None:
    """Hold what decoding takes against the limit: of a JPEG at a lower scale, what is left."""
    scaled = image.width * image.height
    most = max_pixels if "progressive" in image.info or scaled == whole else SCALED * max_pixels
    if scaled > max_pixels or whole > most:
        raise _TooLarge(whole)


class _TooLarge(Exception):
    """More pixels than may be decoded."""


class _Raw(Exception):
    """A camera's raw file."""


def _orientation(image: Image.Image) -> int | None:
    try:
        return image.getexif().get(ORIENTATION)
    except Exception:  # broken EXIF says nothing about the orientation, and the pixels are good
        return None


def _rgb(image: Image.Image) -> tuple[Image.Image, Span | None]:
    if (stored := _beyond_8_bits(image)) is not None:
        grey, span = to_grey(stored, _top(image))
        if _tag(image, PHOTOMETRIC) == WHITE_IS_ZERO and image.mode != "L":
            grey = 255 - grey  # Pillow turns only 8-bit grey round
        return Image.fromarray(grey).convert("RGB"), span
    if image.has_transparency_data:
        above = image.convert("RGBA")
        white = Image.new("RGBA", above.size, "white")
        return Image.alpha_composite(white, above).convert("RGB"), None
    return image.convert("RGB"), None


def _beyond_8_bits(image: Image.Image) -> np.ndarray | None:
    """Grey values that are more than 8 bits, signed or floats, as the file has them."""
    bits, signed = _tag(image, BITS), _tag(image, SAMPLE_FORMAT) == SIGNED
    if image.mode == "L" and signed:
        return np.asarray(image).view("int8")
    if image.mode != "F" and not image.mode.startswith("I"):
        return None
    values = np.asarray(image)  # Pillow reads 16 signed bits as 32, 32 unsigned ones as signed
    if signed and bits == 16:
        return values.astype("int16")
    return values.view("uint32") if not signed and bits == 32 and image.mode == "I" else values


def _top(image: Image.Image) -> int | None:
    """The largest value that there may be, where the file says so."""
    if image.format == "PPM":
        return 65535  # Pillow has scaled it from the file's own
    bits = _tag(image, BITS) or 0
    return _tag(image, MAX_VALUE) or (2**bits - 1 if 8 < bits < 16 else None)


def _tag(image: Image.Image, tag: int) -> int | None:
    """The first value of a TIFF file's tag."""
    values = getattr(image, "tag_v2", {}).get(tag)
    return values[0] if isinstance(values, tuple) and values else values


def _is_deep_rgb(image: Image.Image) -> bool:
    """Whether each colour has 16 bits; asked before the pixels are loaded."""
    return image.mode == "RGB" and any(_rawmode(t.args).startswith("RGB;16") for t in image.tile)


def _deep_rgb(image: Image.Image, file: BinaryIO) -> tuple[Image.Image, Span]:
    """16-bit colours, of which Pillow gives the upper 8 bits: the lower ones too, if needed."""
    upper = np.asarray(image)
    if upper.max(initial=0) >= 64:
        return image, (0, 65535)
    file.seek(0)
    with _opened(file) as again:
        again.tile = [t._replace(args=_swapped(t.args)) for t in again.tile]
        values = upper.astype("uint16") * 256 + np.asarray(again)
    colours, span = to_grey(values, _top(image))
    return Image.fromarray(colours), span


def _rawmode(args: object) -> str:
    first = args[0] if isinstance(args, tuple) and args else args
    return first if isinstance(first, str) else ""


def _swapped(args: str | tuple) -> str | tuple:
    """A decoder's arguments that make it read the lower bytes for the upper ones."""
    raw = _rawmode(args)
    little = raw.endswith("L") or (raw.endswith("N") and sys.byteorder == "little")
    other = raw[:-1] + ("B" if little else "L")
    return (other, *args[1:]) if isinstance(args, tuple) else other


def _cause(error: Exception, file: BinaryIO, name: str, max_pixels: int) -> str:
    if isinstance(error, _TooLarge):
        return _too_large(error.args[0], max_pixels)
    if isinstance(error, Image.DecompressionBombError):
        limit = min(max_pixels, Image.MAX_IMAGE_PIXELS * 2)
        return _too_large(int(re.search(r"\d+", str(error))[0]), limit)
    if isinstance(error, MemoryError):
        return "too large for the memory"
    if isinstance(error, _Raw):
        return not_read(RAW)
    if isinstance(error, Image.UnidentifiedImageError):
        if samples := _samples(file):
            return f"a TIFF of {samples}, which Pillow cannot read: save it with 8 or 16 bits"
        file.seek(0)
        return why_not(file.read(HEAD), suffix_of(name)) or "truncated"
    if "Decompressed data too large" in str(error):
        return "its metadata is too large"
    if "truncated" in str(error).lower() or _short_webp(file):
        return "truncated"
    return f"broken: {error}" if isinstance(error, OSError) and str(error) else "broken"


def _samples(file: BinaryIO) -> str:
    """What a TIFF file's first directory says of its numbers; "" where there is no such."""
    file.seek(0)
    try:
        tags = ImageFileDirectory_v2(file.read(8))
        file.seek(tags.next)
        tags.load(file)
        bits, kind = tags[BITS], tags.get(SAMPLE_FORMAT, (1,))[0]
    except Exception:  # cut off, or no TIFF file
        return ""
    return f"{len(bits)} x {bits[0]}-bit {KINDS.get(kind, 'numbers of another kind')}"


def _short_webp(file: BinaryIO) -> bool:
    """Whether a WebP file is shorter than its header says, which Pillow does not tell."""
    file.seek(0)
    start = file.read(8)
    return start[:4] == b"RIFF" and file.seek(0, 2) < int.from_bytes(start[4:], "little") + 8


def _too_large(pixels: int, limit: int) -> str:
    told = f"{pixels / 1e6:.4g} megapixels, limit {limit / 1e6:.4g}"
    return f"too large: {told} (--max-pixels raises it)"


_lock = threading.Lock()
_readers: list[tuple] = []


@contextmanager
def _quiet() -> Iterator[None]:
    """Pillow's warnings (odd EXIF, palettes) kept from the user, in any number of threads.

    `warnings.catch_warnings` swaps the whole list of filters and so is not safe
    in threads: here each reader notes the filter, and the last one removes it.
    """
    with _lock:
        if not _readers:
            warnings.filterwarnings("ignore", module=r"PIL\b")
        _readers.append(_readers[0] if _readers else warnings.filters[0])
    try:
        yield
    finally:
        with _lock:
            added = _readers.pop()
            if not _readers and added in warnings.filters:
                warnings.filters.remove(added)
