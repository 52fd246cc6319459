"""What an attribution says: one sentence that names what is outside the noise, and nothing else."""

from __future__ import annotations

import pandas as pd
import pytest

from kerastl.attribution_report import Attribution
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
