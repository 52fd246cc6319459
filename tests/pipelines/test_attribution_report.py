"""What an attribution says: one sentence that names what is outside the noise, and nothing else.

The picture of the costs shows what the table says, for any names.
"""

from __future__ import annotations

import pandas as pd
import pytest
from PIL import Image

from kerastl.errors import InputError
from kerastl.pipelines.attribution_report import Attribution, _figure, plot_costs
from tests.support.stage_costs import stage


def told(*costs, left_out=0):
    return Attribution(costs, 0.7, 200, left_out).verdict


def test_no_cost_outside_the_noise():
    assert told(stage("find", 0.01), stage("read", -0.02)) == (
        "No stage's cost is outside the noise; the score is 0.700 (n = 200)."
    )


def test_the_dearest_stage_comes_first():
    assert told(stage("find", 0.1), stage("clean", 0.0), stage("read", 0.2)) == (
        "The stage 'read' costs 0.200 [0.170, 0.230] of the score, which is 0.700 (n = 200), "
        "stage 'find' costs 0.100 [0.070, 0.130]. What the other stages cost is inside the noise."
    )


def test_stages_that_share_a_cost_hurt_or_are_unknown():
    assert told(
        stage("a"), stage("b"), stage("c", 0.2, together=("a", "b")), stage("d", without=0.1),
        left_out=3,
    ) == (
        "The stages 'a', 'b' and 'c' together cost 0.200 [0.170, 0.230] of the score, which is "
        "0.700 (n = 200). The stage 'd' hurts: without it the score is higher by 0.100 [0.070, "
        "0.130]. What 'd' costs is not known: no truths were given. 3 examples without a known "
        "truth were left out."
    )  # fmt: skip


def test_a_truth_that_makes_it_worse():
    assert told(stage("find", -0.1)).endswith(
        "With the truths of 'find' it scores lower by 0.100 [0.070, 0.130]."
    )


@pytest.mark.parametrize(
    ("cost", "without", "verdict"),
    [(0.1, None, "costs"), (-0.1, None, "gains"), (0.0, 0.0, "no difference"),
     (None, 0.2, "no truths, hurts"), (0.1, -0.2, "costs")],
)  # fmt: skip
def test_a_stages_verdict(cost, without, verdict):
    assert stage("a", cost, without).verdict == verdict


def test_what_is_written_is_read_back(tmp_path):
    found = Attribution((stage("find", 0.1), stage("read", 0.2, 0.1)), 0.7, 200, 0)
    found.write(tmp_path / "new")
    assert sorted(p.name for p in (tmp_path / "new").iterdir()) == [
        "attribution.csv", "attribution.png",
    ]  # fmt: skip
    read = pd.read_csv(tmp_path / "new" / "attribution.csv", keep_default_na=True)
    assert list(read.columns) == list(found.frame.columns)
    assert list(read["cost"]) == pytest.approx([0.1, 0.2])


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
