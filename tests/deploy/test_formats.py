"""Formats: names are checked, packages are looked for, and the contracts are ordered."""

from __future__ import annotations

import sys

import pytest

from kerastl.deploy.formats import DEFAULT, FORMATS, check_formats
from kerastl.errors import InputError


def test_names_and_files_are_their_own():
    assert all(form.name == name for name, form in FORMATS.items())
    files = [form.file for form in FORMATS.values()]
    assert len(set(files)) == len(files) == 8
    assert set(DEFAULT) < set(FORMATS)


def test_what_needs_calibration_is_quantised_and_what_is_exact_is_held_to_it():
    assert [n for n, form in FORMATS.items() if form.calibrated] == ["int8"]
    assert [n for n, form in FORMATS.items() if form.quantised] == [
        "dynamic", "int8", "weights_int8",
    ]  # fmt: skip
    for form in FORMATS.values():
        assert 0.5 < form.same <= 1
        assert (form.largest is None) == form.quantised == (form.points > 0)
        assert bool(form.package) == bool(form.extra)


def test_the_tflite_formats():
    tflite = {name for name, form in FORMATS.items() if form.tflite}
    assert tflite == {"float32", "float16", "dynamic", "int8", "weights_int8"}


def test_each_name_once_in_the_order_given():
    assert check_formats(["int8", "float32", "int8"]) == ("int8", "float32")
    assert check_formats("float32") == ("float32",)
    assert check_formats(DEFAULT) == DEFAULT


def test_the_default_needs_no_package():
    assert not any(FORMATS[name].package for name in DEFAULT)


def test_all_means_what_is_installed(monkeypatch):
    for form in FORMATS.values():
        if form.package:
            monkeypatch.delitem(sys.modules, form.package, raising=False)
    monkeypatch.setattr(sys, "path", [])
    assert check_formats("all") == DEFAULT
    with pytest.raises(InputError) as caught:
        check_formats(["onnx", "float32", "weights_int8"])
    assert caught.value.faults == (
        "onnx needs tf2onnx. Run: pip install 'kerastl[onnx]'.",
        "weights_int8 needs ai_edge_quantizer. Run: pip install 'kerastl[quantizer]'.",
    )


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("flaot16", "Did you mean float16"),
        (["float32", "int16"], "Received: \\['float32', 'int16'\\]"),
        ([], "Expected formats of saved_model, float32"),
        ("", "Received: ''"),
    ],
)
def test_what_is_no_format_is_refused(given, told):
    with pytest.raises(InputError, match=told):
        check_formats(given)
