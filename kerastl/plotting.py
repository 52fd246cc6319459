"""What all pictures of kerastl's have in common: colours, names that can be drawn, PNG files."""

from __future__ import annotations

import functools
import unicodedata
from pathlib import Path

from matplotlib import font_manager
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ft2font import FT2Font

from kerastl.errors import InputError
from kerastl.files import replacing

LONGEST = 18
DPI = 150
INK, GREY, BLUE, ORANGE = "#1f2933", "#9aa5b1", "#2a6f97", "#d1495b"


def write_png(figure: Figure, path: str | Path) -> Path:
    """Write a figure, without a display.

    Args:
        figure: What is drawn.
        path: Where to; the name ends in `.png`.

    Returns:
        The path. A file that was there is replaced only when the new one is whole.

    Raises:
        InputError: For another ending.

    Example:
        >>> import tempfile
        >>> write_png(Figure((1, 1)), Path(tempfile.mkdtemp(), "empty.png")).name
        'empty.png'
    """
    path = Path(path)
    if path.suffix.lower() != ".png":
        raise InputError(f"Expected a file name that ends in .png. Received: {str(path)!r}.")
    FigureCanvasAgg(figure)
    with replacing(path) as unfinished:
        figure.savefig(unfinished, format="png", dpi=DPI, facecolor="white")
    return path


def printable(name: str, longest: int = LONGEST) -> str:
    """A user's name as matplotlib can draw it: short, and of characters the font has.

    Example:
        >>> printable("price in $"), printable("a name that is much too long")
        ('price in \\\\$', 'a name that is mu…')
    """
    name = unicodedata.normalize("NFC", name)
    known = "".join(c if ord(c) in _glyphs() or c == " " else "□" for c in name)
    short = known if len(known) <= longest else known[: longest - 1] + "…"
    return short.replace("$", r"\$")


@functools.cache
def _glyphs() -> dict[int, int]:
    return FT2Font(font_manager.findfont("DejaVu Sans")).get_charmap()
