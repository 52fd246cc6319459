"""What breaks a contract, what does not, and in which words."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kerastl.contract import breaches
from kerastl.differences import Difference
from kerastl.export_report import Accuracy, Agreement, ExportedFile
from kerastl.formats import FORMATS
from kerastl.tflite_file import TFLiteFacts

NONE = Accuracy(None, None, None, 0)


def file(form, facts=None, **found):
    task = {"same": 1.0, "largest": 0.0, "n": 1000, "accuracy": NONE, **found}
    return ExportedFile(form, "file", 1, {"defect": Agreement(**task)}, facts=facts)


def broken(form, facts=None, **found):
    return breaches(FORMATS[form], file(form, facts, **found))


def lost(value, half, n=1000):
    return Difference(value, value - half, value + half, ours=0.8, theirs=0.8, n=n, repeats=1)


def test_what_is_the_same_holds_every_contract():
    assert [broken(form) for form in FORMATS] == [[]] * len(FORMATS)


@pytest.mark.parametrize("form", ["saved_model", "float32", "onnx", "openvino"])
def test_an_exact_file_may_not_differ(form):
    assert broken(form, largest=9e-4) == []
    assert broken(form, largest=0.25) == [
        f"{form}: defect has a score that differs by 0.25; 0.001 is allowed"
    ]


def test_nan_breaks_every_contract():
    for form in FORMATS:
        assert broken(form, largest=None) == [f"{form}: defect has scores that are NaN"]


def test_answers_are_held_where_the_pictures_are_enough_to_tell():
    assert broken("int8", same=0.5) == [
        "int8: defect gives the Keras model's answer 50.0% [46.9%, 53.1%] of the time (n = 1000); "
        "90% is the least"
    ]
    assert broken("int8", same=0.89) == []
    assert broken("int8", same=0.5, n=2) == []


def test_a_loss_is_a_breach_only_outside_the_noise():
    assert broken("int8", difference=lost(-0.06, 0.02)) == [
        "int8: defect loses 0.060 [0.040, 0.080] of accuracy (n = 1000); 0.03 may be lost"
    ]
    assert broken("int8", difference=lost(-0.06, 0.04)) == []
    assert broken("int8", difference=lost(-0.02, 0.005)) == []
    assert broken("int8", difference=lost(0.2, 0.01)) == []


def test_operators_that_phones_lack_are_named():
    facts = TFLiteFacts({}, {}, ("FlexErfinv",), ("Mine",), None, None)
    assert broken("float32", facts) == [
        "float32: needs TensorFlow's own operators, which no phone has: FlexErfinv",
        "float32: needs operators that are not built in: Mine",
    ]


def test_every_task_is_held():
    one = file("float32", largest=0.5)
    both = replace(one, tasks={"a": one.tasks["defect"], "b": one.tasks["defect"]})
    assert [b.split(" has")[0] for b in breaches(FORMATS["float32"], both)] == [
        "float32: a",
        "float32: b",
    ]
