"""Running `.tflite` files: outputs by name, real values, and files that are none."""

from __future__ import annotations

import os
import re

import numpy as np
import pytest

from kerastl.data.tasks import Task
from kerastl.deploy.tflite import to_float32, to_int8
from kerastl.errors import InputError
from kerastl.inference.litert import LiteRTModel
from kerastl.inference.predictors import KerasPredictor
from kerastl.terminal import quiet
from tests.support.tiny_models import patches, tiny


@pytest.fixture(scope="module")
def images():
    return patches()


@pytest.fixture(scope="module")
def model():
    return tiny()


@pytest.fixture(scope="module")
def files(model, images, tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    (folder / "float32.tflite").write_bytes(to_float32(model))
    # The calibration's darkest and brightest values are not 0 and 255.
    (folder / "int8.tflite").write_bytes(to_int8(model, images // 2 + 40))
    return folder


def test_float32_gives_the_keras_scores_by_output_name(model, files, images):
    made = LiteRTModel(files / "float32.tflite").predict(images)
    expected = KerasPredictor(model).predict(images)
    assert {n: v.shape for n, v in made.items()} == {
        "zone": (40, 3),
        "alarm": (40, 2),
        "marks": (40, 2),
    }
    for name in expected:
        assert made[name].dtype == np.float32
        np.testing.assert_allclose(made[name], expected[name], atol=1e-5)


def test_int8_takes_grey_levels_as_they_are_and_gives_real_scores(model, files, images):
    run = LiteRTModel(files / "int8.tflite", threads=1)
    assert (run.input_dtype, run.input_scale, run.image_size) == ("uint8", (1.0, 0), (16, 16))
    seen = images // 2 + 40
    made, expected = run.predict(seen), KerasPredictor(model).predict(seen)
    for name in expected:
        assert np.abs(made[name] - expected[name]).max() < 0.05
    assert made["alarm"].sum(axis=1) == pytest.approx(1, abs=0.01)


def test_int8_scores_are_not_clipped_to_those_of_the_calibration(images):
    model = tiny([Task("alarm", ["no", "yes"], "binary")])
    assert _output_scale(to_int8(model, images)) == pytest.approx(1 / 256)


def _output_scale(content):
    from ai_edge_litert.interpreter import Interpreter

    with quiet():
        interpreter = Interpreter(model_content=content)
    return interpreter.get_output_details()[0]["quantization"][0]


def test_no_image_gives_no_scores_and_a_wrong_one_is_refused(files):
    run = LiteRTModel(files / "float32.tflite")
    assert run.predict(np.zeros((0, 16, 16, 3), "uint8"))["zone"].shape == (0, 3)
    with pytest.raises(InputError, match=r"16x16 pixels\. Received: 8x8"):
        run.predict(np.zeros((1, 8, 8, 3), "uint8"))


def test_every_truncation_is_an_input_error(files, tmp_path):
    whole = (files / "int8.tflite").read_bytes()
    for size in [0, 4, 8, 100, len(whole) // 2, len(whole) - 1]:
        path = tmp_path / f"cut{size}.tflite"
        path.write_bytes(whole[:size])
        with pytest.raises(InputError, match=f"TFLite model.*{re.escape(str(path))}"):
            LiteRTModel(path)


def test_a_text_file_and_a_missing_one_are_named(tmp_path):
    text = tmp_path / "notes.tflite"
    text.write_text("This is no model, only a text of some length.")
    with pytest.raises(InputError, match=r"notes.tflite, which does not begin as one does"):
        LiteRTModel(text)
    with pytest.raises(InputError, match="which is no file"):
        LiteRTModel(tmp_path / "gone.tflite")


def test_quiet_keeps_the_process_stderr_and_gives_it_back(capfd):
    with quiet():
        os.write(2, b"noise from C++")
    os.write(2, b"heard")
    assert capfd.readouterr().err == "heard"
