"""Conversion: what runs is the exported function, alone and in float32."""

from __future__ import annotations

import json
import subprocess
import sys

import keras
import numpy as np
import pytest
from tiny_models import SIZE, TASKS, patches, tiny

from kerastl.conversion import float_twin, in_float32, to_float32, write_saved_model
from kerastl.exporting import export
from kerastl.litert import LiteRTModel
from kerastl.models import create_model
from kerastl.predictors import KerasPredictor

ALONE = """
import sys
for name in ("kerastl", "keras", "tf_keras"):
    sys.modules[name] = None  # importing it now fails
import json, numpy as np, tensorflow as tf
call = tf.saved_model.load(sys.argv[1]).signatures["serving_default"]
images = np.load(sys.argv[2])
made = call(images=tf.constant(images))
one = call(images=tf.constant(images[:1]))
assert all(v.shape[0] == 1 for v in one.values())
json.dump({name: v.numpy().tolist() for name, v in made.items()}, sys.stdout)
"""


def test_a_saved_model_runs_where_neither_kerastl_nor_keras_can_be_imported(tmp_path):
    model = tiny()
    write_saved_model(model, tmp_path / "saved_model")
    np.save(tmp_path / "images.npy", patches(5))
    command = [sys.executable, "-c", ALONE, tmp_path / "saved_model", tmp_path / "images.npy"]
    ran = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    made, expected = json.loads(ran.stdout), KerasPredictor(model).predict(patches(5))
    assert set(made) == {t.name for t in TASKS}
    for name, scores in expected.items():
        np.testing.assert_allclose(made[name], scores, atol=1e-5)


def test_the_float_twin_is_the_same_function():
    model = tiny()
    twin = float_twin(model, (SIZE, SIZE))
    assert twin.inputs[0].dtype == "float32"
    ours, theirs = model(patches(4)), twin(patches(4).astype("float32"))
    for name in ours:
        np.testing.assert_array_equal(ours[name], theirs[name])


def test_a_model_in_half_precision_is_converted_in_float32(tmp_path):
    x = keras.Input((None, None, 3))
    half = keras.layers.Conv2D(4, 3, activation="relu", dtype="mixed_float16")(x)
    model = create_model(keras.Model(x, half), TASKS[0], image_size=SIZE)
    assert any(layer.compute_dtype == "float16" for layer in model.layers)
    whole = in_float32(model)
    assert {layer.compute_dtype for layer in whole.layers} <= {"float32", "uint8"}
    (tmp_path / "a.tflite").write_bytes(to_float32(model))
    made = LiteRTModel(tmp_path / "a.tflite").predict(patches(4))["zone"]
    np.testing.assert_allclose(made, KerasPredictor(model).predict(patches(4))["zone"], atol=5e-3)
    report = export(model, tmp_path, "float32")
    assert report.files[0].tasks["zone"].largest < 1e-5


def test_a_model_in_float32_is_not_copied():
    model = tiny()
    assert in_float32(model) is model


@pytest.mark.parametrize("name", ["zone", "größe in cm", "a b.c"])
def test_any_task_name_is_an_output_name(tmp_path, name):
    model = tiny([type(TASKS[0])(name, ["a", "b"])])
    (tmp_path / "a.tflite").write_bytes(to_float32(model))
    assert LiteRTModel(tmp_path / "a.tflite").outputs == {name: 2}
