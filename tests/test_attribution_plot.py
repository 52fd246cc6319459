"""The picture of the costs shows what the table says, for any names."""

from __future__ import annotations

import pytest
from PIL import Image

from kerastl.attribution_plot import _figure, plot_costs
from kerastl.attribution_report import Attribution
from kerastl.errors import InputError
from tests.support.stage_costs import stage

FOUND = Attribution(
    (stage("find", 0.02, -0.4), stage("clean", 0.0, 0.12), stage("mask"),
     stage("read", 0.25, together=("mask",))), 0.7, 200, 0,
)  # fmt: skip
ODD = Attribution(
    (stage("$x^2_{b}", 0.1), stage("大きい \\frac"), stage("a name that is far too long " * 3, -0.1,
                                                        together=("$", "大"))), 0.7, 9, 0,
)  # fmt: skip


@pytest.mark.parametrize(
    "found", [FOUND, ODD, Attribution((stage("one"),), 1.0, 1, 0)], ids=["many", "odd", "one"]
)
def test_any_attribution_is_drawn_without_a_warning(found, tmp_path):
    path = found.plot(tmp_path / "costs.png")
    with Image.open(path) as image:
        image.load()
        assert image.format == "PNG"
        assert min(image.size) > 300
    assert [p.name for p in tmp_path.iterdir()] == ["costs.png"]


def test_bars_and_diamonds_are_the_figures():
    axes = _figure(FOUND.frame, FOUND.verdict, FOUND.score).axes[0]
    bars = {round(b.get_y() + b.get_height() / 2): b.get_width() for b in axes.patches}
    assert bars == pytest.approx({0: 0.02, 1: 0.0, 3: 0.25})
    containers = {c.get_label(): [p.get_width() for p in c] for c in axes.containers
                  if c.get_label() in ("outside the noise", "inside the noise")}  # fmt: skip
    assert containers["outside the noise"] == pytest.approx([0.25])
    assert len(containers["inside the noise"]) == 2
    diamonds = axes.collections[-2].get_offsets()[:, 0]
    assert list(diamonds) == pytest.approx([-0.4, 0.12])
    names = [t.get_text() for t in axes.get_yticklabels()]
    assert names == ["find", "clean\nhurts", "mask", "read\nwith mask"]
    assert axes.yaxis_inverted()


def test_another_ending_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"ends in .png. Received: .*costs.svg"):
        plot_costs(FOUND.frame, "", 0.7, tmp_path / "costs.svg")
