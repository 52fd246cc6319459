"""The report of a learning curve: its tables, its test on the largest size, its sentence.

The picture of learning curves: written whole, with odd names, or refused.
"""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from kerastl.errors import InputError
from kerastl.experiments.curves.report import LearningCurve, as_frame, plot_curves
from tests.support.curves import CURVES, rows


@pytest.fixture(scope="module")
def curve():
    return LearningCurve(as_frame([row for name, c in CURVES.items() for row in rows(name, c)]))


def test_the_summary_is_of_the_largest_size(curve):
    table = curve.summary.set_index("candidate")
    assert list(table["size"]) == [1600, 1600]
    for name, (alpha, eta, gamma) in CURVES.items():
        row = table.loc[name]
        assert row["error low"] <= alpha + eta * 1600**gamma <= row["error high"]
        fall = eta * (1600**gamma - 3200**gamma)
        assert row["doubling low"] <= fall <= row["doubling high"]
        assert row["alpha low"] >= 0


def test_the_largest_size_is_foretold_by_the_others(curve):
    assert [one.candidate for one in curve.held_back] == list(CURVES)
    assert all(one.held for one in curve.held_back)
    assert "the smaller sizes foretell an error of" in str(curve.held_back[0])


@pytest.mark.slow
def test_what_is_foretold_holds_in_95_percent_of_200_draws():
    held = 0
    for seed in range(200):
        [one] = LearningCurve(as_frame(rows("a", (0.05, 2.0, -0.5), seed)), seed).held_back
        held += one.held
    assert held >= 0.915 * 200, held


def test_a_curve_that_bends_away_is_not_as_foretold():
    found = rows("a", (0.05, 2.0, -0.5))
    for row in found:
        if row["size"] == 1600:
            row["score"] -= 0.2
    [one] = LearningCurve(as_frame(found)).held_back
    assert not one.held
    assert "that is not what was found" in str(one)


def test_what_is_foretold_is_an_error():
    found = rows("a", (0.0, 1.0, -0.5))
    for number, row in enumerate(found):
        row["score"] = float(np.clip(row["score"] + 0.3 * (-1) ** number, 0, 1))
    [one] = LearningCurve(as_frame(found)).held_back
    assert one.foretold.low == 0.0
    assert one.foretold.high <= 1.0


def test_the_verdict_is_a_sentence_and_may_be_no_difference(curve):
    assert curve.verdict.startswith("stages is better below ")
    same = LearningCurve(as_frame([*rows("a", CURVES["stages"]), *rows("b", CURVES["stages"], 1)]))
    assert same.verdict == "a and b: no difference at 50 or at 1600 examples."
    alone = LearningCurve(as_frame(rows("a", CURVES["stages"])))
    assert alone.verdict == "There is nothing to compare: there is one candidate."
    nothing = "There is nothing to compare: no two candidates have a size in common."
    apart = [{**row, "size": row["size"] + 1} for row in rows("b", CURVES["stages"])]
    assert LearningCurve(as_frame([*rows("a", CURVES["stages"]), *apart])).verdict == nothing


def test_one_size_is_compared_by_its_means(curve):
    frame = curve.frame[curve.frame["size"] == 50]
    assert LearningCurve(frame).verdict == "stages is better than end to end at 50 examples."


def test_the_table_has_the_mean_and_the_range_of_the_repeats():
    found = rows("a", CURVES["stages"])[:2] + rows("b", CURVES["stages"])[:1]
    found[0]["score"], found[1]["score"], found[2]["score"] = 0.5, 0.6, 0.25
    for row in found:
        row["size"] = 50
    failed = {**found[0], "size": 100, "score": float("nan"), "failed": "no"}
    told = str(LearningCurve(as_frame([*found, failed]))).splitlines()
    of_repeats = "(lowest to highest of the repeats, how many)"
    assert told[0] == f"Mean error on the same 500 test examples {of_repeats}"
    assert told[1].split() == ["a", "b"]
    assert told[3].split(maxsplit=1) == ["50", "0.450 (0.400 to 0.500, 2)   0.750"]
    assert told[4].split() == ["100", "failed", "failed"]
    for counts in ([1, 1, 1], [500, 500, 400]):  # one number alone; not all on the same
        several = LearningCurve(as_frame(found).assign(n=counts))
        assert str(several).startswith(f"Mean error {of_repeats}")


def test_what_is_saved_is_what_was_found(curve, tmp_path):
    curve.save(tmp_path)
    trials = pd.read_csv(tmp_path / "trials.csv", keep_default_na=False)
    pd.testing.assert_frame_equal(trials, curve.frame, check_dtype=False)
    assert json.loads((tmp_path / "verdict.json").read_text("utf-8"))["verdict"] == curve.verdict
    assert list(pd.read_csv(tmp_path / "summary.csv")["candidate"]) == list(CURVES)
    with Image.open(tmp_path / "curves.png") as picture:
        assert picture.size[0] > 1000
        assert len(np.unique(np.asarray(picture.convert("L")))) > 20


def test_too_few_sizes_have_no_fit_and_all_is_drawn_the_same(tmp_path):
    few = [row for row in rows("few", CURVES["stages"]) if row["size"] < 200]
    found = LearningCurve(as_frame(few))
    assert (found.fits, found.crossings, found.held_back) == ({}, (), ())
    assert found.unfitted["few"].startswith("Expected at least 3 sizes")
    found.save(tmp_path)
    assert (tmp_path / "curves.png").stat().st_size > 10_000


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
