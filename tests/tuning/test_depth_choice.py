"""The choice of a depth from made-up scores, whatever made them."""

import math

import numpy as np
import pandas as pd
import pytest

from kerastl.scoring.trial_scores import TrialScore
from kerastl.tuning.depth_choice import (
    best_depth,
    chosen_depth,
    depth_lines,
    depth_table,
    short_answer,
)


def table(values, error=0.01, layers=None):
    """Depths whose one trial has this value, drawn with this error on pictures of its own."""
    layers = layers or [10 * i for i in range(len(values))]
    draw, scores, rows = np.random.default_rng(0), {}, []
    for i, (value, count) in enumerate(zip(values, layers, strict=True)):
        row = {"trial": str(i), "trainable": f"block{i}" if count else "heads", "layers": count}
        if not math.isnan(value):
            drawn = value + error * draw.normal(size=2000)
            scores[str(i)] = score = TrialScore(
                np.array([value]), np.array([value]), drawn, 300, 300
            )
            low, high = score.limits
            row |= {"standard_error": score.standard_error, "low": low, "high": high}
        rows.append(row | {"score": value})
    frame = pd.DataFrame(rows).sort_values("score", ascending=False, kind="stable")
    return depth_table(frame, scores)


@pytest.mark.parametrize(
    ("values", "chosen"),
    [
        ([0.90, 0.90, 0.90, 0.90], 0),
        ([0.80, 0.895, 0.90, 0.90], 1),
        ([0.80, 0.85, 0.88, 0.90], 3),
        ([0.90, 0.80, 0.70, 0.60], 0),
        ([math.nan, 0.90, 0.905, math.nan], 1),
    ],
)
def test_the_shallowest_within_one_standard_error(values, chosen):
    depths = table(values)
    assert chosen_depth(depths)["layers"] == 10 * chosen
    assert best_depth(depths)["score"] == max(v for v in values if not math.isnan(v))
    assert list(depths["verdict"] == "failed") == [math.isnan(v) for v in values]


def test_a_larger_error_chooses_a_shallower_depth():
    values = [0.80, 0.87, 0.89, 0.90]
    layers = [chosen_depth(table(values, error))["layers"] for error in (0.001, 0.02, 0.04, 0.2)]
    assert layers == [30, 20, 10, 0]


def test_depths_are_in_the_order_of_their_layers():
    depths = table([0.9, 0.8, 0.7], layers=[50, 0, 7])
    assert list(depths["layers"]) == [0, 7, 50]
    assert list(depths["trial"]) == ["1", "2", "0"]


def test_differences_and_verdicts():
    depths = table([0.80, 0.895, 0.90])
    assert list(depths["verdict"]) == ["worse", "no difference", "best"]
    assert depths["difference"].tolist() == pytest.approx([-0.1, -0.005, 0])
    low, high = depths.loc[0, ["difference_low", "difference_high"]]
    assert high - low == pytest.approx(2 * 1.96 * 0.01 * math.sqrt(2), rel=0.12)


def test_without_an_error_the_best_is_chosen():
    depths = table([0.899, 0.90]).assign(standard_error=math.nan)
    frame = depths[["trial", "trainable", "layers", "score", "standard_error", "low", "high"]]
    scores = {t: TrialScore(np.array([v]), np.array([v]), np.array([math.nan]), 300, 300)
              for t, v in (("0", 0.899), ("1", 0.90))}  # fmt: skip
    found = depth_table(frame.sort_values("score", ascending=False), scores)
    assert chosen_depth(found)["trial"] == "1"


def test_the_short_answer():
    assert short_answer(table([0.80, 0.895, 0.90])) == (
        "Unfreeze the last 10 layers: 0.895, within one standard error of the best, 0.900"
    )
    assert short_answer(table([0.80, 0.90])) == "Unfreeze the last 10 layers: 0.900, the best"


def test_the_table_has_a_line_for_each_depth():
    head, *lines = depth_lines(table([0.80, math.nan, 0.90]))
    assert [line.split()[0] for line in lines] == ["heads", "block1", "block2"]
    assert lines[1].split() == ["block1", "10", "0", "failed"]
    ends = {len(line.rsplit("  ", 1)[0]) for line in (head, *lines)}
    assert len(ends) == 1
