"""The picture of learning curves: written whole, with odd names, or refused."""

from __future__ import annotations

import pytest
from PIL import Image

from kerastl.curve_plot import plot_curves
from kerastl.curve_report import LearningCurve, as_frame
from kerastl.errors import InputError
from tests.support.curves import CURVES, rows


def test_odd_names_and_failed_trials_are_drawn(tmp_path):
    odd = dict(zip(["$x$ <b>_", "大 é " * 12], CURVES.values(), strict=True))
    found = [row for name, curve in odd.items() for row in rows(name, curve)]
    found.append({**found[0], "seed": 99, "score": float("nan"), "failed": "no"})
    curve = LearningCurve(as_frame(found))
    path = plot_curves(curve.frame, curve.fits, curve.crossings, tmp_path / "curves.png")
    with Image.open(path) as picture:
        picture.verify()
    assert [p.name for p in tmp_path.iterdir()] == ["curves.png"]


def test_another_ending_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"ends in \.png"):
        plot_curves(as_frame(rows("a", CURVES["stages"])), {}, [], tmp_path / "curves.svg")
