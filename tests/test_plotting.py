"""What pictures have in common: names that can be drawn, and files that are whole."""

from __future__ import annotations

import pytest
from matplotlib.figure import Figure
from PIL import Image

from kerastl.errors import InputError
from kerastl.plotting import LONGEST, printable, write_png


def test_names_are_short_and_free_of_mathematics():
    assert printable("x" * 50) == "x" * (LONGEST - 1) + "…"
    assert printable("a\tb大") == "a□b□"
    assert printable("5 $") == r"5 \$"


def test_a_picture_replaces_another_only_when_it_is_whole(tmp_path):
    class Broken(Figure):
        def savefig(self, file, **options):
            file.write_bytes(b"half")
            raise OSError("no room")

    path = write_png(Figure((2, 1)), tmp_path / "a.png")
    before = path.read_bytes()
    with pytest.raises(OSError, match="no room"):
        write_png(Broken((2, 1)), path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]
    with Image.open(path) as image:
        assert image.size == (300, 150)


def test_another_ending_is_refused_and_writes_nothing(tmp_path):
    with pytest.raises(InputError, match=r"ends in \.png"):
        write_png(Figure(), tmp_path / "a.pdf")
    assert not list(tmp_path.iterdir())
