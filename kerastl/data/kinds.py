"""What a file is by its first bytes: which kinds of picture are read, and what mends the others."""

from __future__ import annotations

import os

from PIL import features

HEAD = 512
"""Bytes that tell a kind."""

HEIC, RAW = "HEIC", "a camera's raw file"
READ = {
    "JPEG": "JPEG", "PNG": "PNG", "BMP": "BMP", "GIF": "GIF", "WebP": "WEBP", "TIFF": "TIFF",
    "PPM": "PPM",
}  # fmt: skip
"""Pillow's name of each kind that is read. Pillow would hand an EPS file to Ghostscript."""

PICTURE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".bmp", ".gif", ".webp"}
    | {".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm"}
)
"""The suffixes, in lower case, of pictures that are read."""
if features.check("avif"):
    READ["AVIF"] = "AVIF"
    PICTURE_SUFFIXES |= {".avif"}
if features.check("jpg_2000"):
    READ["JPEG 2000"] = "JPEG2000"
    PICTURE_SUFFIXES |= {".jp2", ".j2k", ".jpf", ".jpx", ".jpc", ".j2c"}

RAW_SUFFIXES = frozenset(
    {".dng", ".cr2", ".cr3", ".crw", ".nef", ".nrw", ".arw", ".srf", ".sr2", ".orf", ".rw2", ".raf"}
    | {".pef", ".srw", ".x3f", ".3fr", ".erf", ".kdc", ".mrw", ".iiq", ".rwl"}
)
OTHER_SUFFIXES = RAW_SUFFIXES | frozenset(
    {".heic", ".heif", ".hif", ".avif", ".jp2", ".j2k", ".jpf", ".jpx", ".jpc", ".j2c", ".jxl"}
    | {".psd", ".psb", ".svg", ".dcm", ".tga", ".ico", ".exr", ".hdr", ".dds", ".eps", ".pcx"}
)
"""The suffixes of pictures whose content decides whether they are read."""

STARTS = {
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG": "PNG",
    b"GIF8": "GIF",
    b"II*\0\x10\0\0\0CR": RAW,
    b"FUJIFILMCCD-RAW": RAW,
    b"IIRO": RAW,
    b"IIRS": RAW,
    b"IIU\0": RAW,
    b"FOVb": RAW,
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"II+\0": "TIFF",
    b"MM\0+": "TIFF",
    b"\0\0\0\x0cjP  \r\n\x87\n": "JPEG 2000",
    b"\xff\x4f\xff\x51": "JPEG 2000",
    b"\0\0\0\x0cJXL \r\n\x87\n": "JPEG XL",
    b"\xff\x0a": "JPEG XL",
    b"8BPS": "Photoshop",
    b"%!PS": "PostScript",
    b"%PDF": "PDF",
    b"PK\3\4": "a zip archive",
    b"\x1f\x8b": "a gzip archive",
    b"version https://git-lfs": "a Git LFS pointer",
}
BRANDS = {
    b"avif": "AVIF", b"avis": "AVIF", b"heic": HEIC, b"heix": HEIC, b"heim": HEIC, b"heis": HEIC,
    b"hevc": HEIC, b"hevx": HEIC, b"crx ": RAW,
}  # fmt: skip
CONTAINERS = (b"mif1", b"msf1", b"miaf")

CONVERT = "not read, convert it to JPEG or PNG"
MENDS = {
    HEIC: "needs the package pillow-heif (pip install pillow-heif)",
    "AVIF": "needs Pillow 11.3 or newer (pip install -U pillow)",
    "JPEG 2000": "needs a Pillow with OpenJPEG (pip install -U pillow)",
    "DICOM": "not read, convert it to PNG, as with pydicom",
    "PostScript": CONVERT, "Photoshop": CONVERT, "JPEG XL": CONVERT, "SVG": CONVERT, RAW: CONVERT,
}  # fmt: skip
NO_PICTURE = {"a Git LFS pointer": " (git lfs pull fetches the picture)"}


def kind_of(head: bytes) -> str:
    """The name of what a file is; "" where its first bytes tell nothing.

    Args:
        head: The first `HEAD` bytes.

    Example:
        >>> kind_of(b"\\xff\\xd8\\xff\\xe0"), kind_of(b"\\0\\0\\0\\x18ftypmif1\\0\\0\\0\\0mif1heic")
        ('JPEG', 'HEIC')
    """
    if head[4:8] == b"ftyp":
        return _by_brands(head)
    if head[:4] == b"RIFF":
        return "WebP" if head[8:12] in (b"WEBP", b"") else "a recording"
    if head[:1] == b"P" and head[1:2] in b"123456" and head[2:3].isspace():
        return "PPM"
    if head[:2] == b"BM" and not head[6:10].strip(b"\0"):  # two letters may begin a text
        return "BMP"
    if head[128:132] == b"DICM":
        return "DICOM"
    found = next((kind for start, kind in STARTS.items() if head.startswith(start)), "")
    return found or _markup(head)


def why_not(head: bytes, suffix: str = "") -> str:
    """Why a file is not read, with what mends it; "" for a kind that is read.

    Args:
        head: Its first `HEAD` bytes.
        suffix: Of its name, in lower case.

    Example:
        >>> why_not(b"<!DOCTYPE html><html>"), why_not(b"8BPS"), why_not(b"GIF89a")
        ('not a picture: a web page', 'Photoshop: not read, convert it to JPEG or PNG', '')
    """
    kind = kind_of(head)
    if suffix in RAW_SUFFIXES and kind in ("TIFF", ""):
        kind = RAW
    if kind in READ or (kind == HEIC and opens_heic()):
        return ""
    if kind in MENDS:
        return not_read(kind)
    if kind:
        return f"not a picture: {kind}{NO_PICTURE.get(kind, '')}"
    if not head:
        return "empty file"
    return f"{suffix[1:].upper()}: {CONVERT}" if suffix in OTHER_SUFFIXES else "not a picture"


def not_read(kind: str) -> str:
    """What is said of a picture of a kind that is not read."""
    return f"{kind}: {MENDS[kind]}"


def cause_of(path: str | os.PathLike) -> str:
    """`why_not` of a file; of what cannot be opened it is told when it is read."""
    if not os.path.isfile(path):  # a pipe would wait for ever
        return ""
    try:
        with open(path, "rb") as file:
            return why_not(file.read(HEAD), suffix_of(os.fspath(path)))
    except OSError:
        return ""


def suffix_of(name: str) -> str:
    """The suffix of a file's name, in lower case."""
    return os.path.splitext(name)[1].lower()


def opens_heic() -> bool:
    """Whether pillow-heif is installed; Pillow then reads HEIC too, under the name HEIF."""
    try:
        import pillow_heif
    except ImportError:
        return False
    pillow_heif.register_heif_opener()
    return True


def _by_brands(head: bytes) -> str:
    """Of files of ISO's base media format: pictures say in the list of brands what they hold."""
    size = int.from_bytes(head[:4], "big")
    listed = [head[at : at + 4] for at in (8, *range(16, min(size, len(head)), 4))]
    if listed[0] in CONTAINERS:
        return next((BRANDS[brand] for brand in listed if brand in BRANDS), "HEIC")
    return BRANDS.get(listed[0], "a video")


def _markup(head: bytes) -> str:
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if not text.startswith(b"<"):
        return ""
    if b"<svg" in text:
        return "SVG"
    page = text.startswith((b"<!doctype html", b"<html", b"<head", b"<body"))
    return "a web page" if page else "XML"
