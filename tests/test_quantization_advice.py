"""What is known of 8-bit files is said, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from kerastl.quantization_advice import advice
from kerastl.tflite_file import TFLiteFacts

GOOD = np.random.default_rng(0).integers(0, 256, (100, 4, 4, 3), dtype="uint8")
PLAIN = TFLiteFacts({"CONV_2D": 3}, {"CONV_2D": 3}, (), (), 1, 0.9)


@pytest.mark.parametrize("form", ["saved_model", "float32", "float16", "dynamic", "int8"])
def test_where_nothing_is_known_nothing_is_said(form):
    assert advice(form, PLAIN, PLAIN, GOOD) == ()
    assert advice(form, None, None, None) == ()


def test_few_or_dark_or_bright_pictures():
    [few] = advice("int8", PLAIN, PLAIN, GOOD[:24])
    assert few.startswith("the ranges of its numbers come from 24 pictures only; give 100 or more")
    [dark] = advice("int8", PLAIN, PLAIN, GOOD // 4)
    assert dark.startswith("the calibration pictures are all dark (mean grey level 2")
    [bright] = advice("int8", PLAIN, PLAIN, 255 - GOOD // 4)
    assert bright.startswith("the calibration pictures are all bright (mean")


def test_hard_swish_is_named_where_it_splits():
    facts = TFLiteFacts({"HARD_SWISH": 18}, {}, (), (), 19, 0.8)
    [told] = advice("int8", facts, PLAIN, GOOD)
    assert told.startswith("18 hard-swish operators split it into 19 parts")
    assert advice("float32", facts, PLAIN, GOOD) == ()
    assert advice("int8", TFLiteFacts({"HARD_SWISH": 18}, {}, (), (), 1, 1.0), PLAIN, GOOD) == ()


def test_newer_operators_than_float32_asks_for():
    newer = TFLiteFacts({"CONV_2D": 3}, {"CONV_2D": 5, "NEW": 1}, (), (), 2, 0.5)
    [told] = advice("dynamic", newer, PLAIN, None)
    assert "newer versions of operators than float32 does (CONV_2D 5)" in told
