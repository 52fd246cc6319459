"""Conversion: what runs is the exported function, alone and in float32."""

from __future__ import annotations

import sys

import keras
import numpy as np
import pytest
from ai_edge_litert.schema_py_generated import ModelT

from kerastl.data.tasks import Task
from kerastl.deploy import tflite
from kerastl.deploy.exporting import export
from kerastl.deploy.tflite import float_twin, in_float32, to_float32, to_int8
from kerastl.errors import InputError
from kerastl.inference.litert import LiteRTModel
from kerastl.inference.predictors import KerasPredictor
from kerastl.models.factories import create_model
from kerastl.models.spec import spec_of, with_spec
from tests.support.tiny_models import SIZE, TASKS, patches, tiny

WITHOUT_PICTURES = ["to_float32", "to_float16", "to_dynamic", "to_weights_int8"]


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


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "bfloat16"])
def test_the_copy_has_the_same_weights(policy):
    x = keras.Input((None, None, 3))
    half = keras.layers.Conv2D(4, 3, dtype=policy)(x)
    model = create_model(keras.Model(x, half), TASKS, image_size=SIZE)
    whole = in_float32(model)
    for ours, theirs in zip(model.weights, whole.weights, strict=True):
        assert theirs.dtype == "float32"
        np.testing.assert_array_equal(np.float32(ours.numpy()), theirs.numpy())


def wide(tasks=TASKS):
    """As `tiny`, with enough weights that their type shows in the file's size."""
    keras.utils.set_random_seed(0)
    x = keras.Input((None, None, 3))
    h = keras.layers.Conv2D(64, 3, strides=2, activation="relu")(x)
    h = keras.layers.Conv2D(128, 3, strides=2, activation="relu")(h)
    return create_model(keras.Model(x, h), tasks, image_size=SIZE, seed=0)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The model, and the path of each of its files by the function that made it."""
    folder, model = tmp_path_factory.mktemp("files"), wide()
    made = {name: getattr(tflite, name)(model) for name in WITHOUT_PICTURES}
    made["to_int8"] = to_int8(model, patches(40, seed=1))
    for name, data in made.items():
        (folder / f"{name}.tflite").write_bytes(data)
    return model, {name: folder / f"{name}.tflite" for name in made}


@pytest.mark.parametrize(
    ("name", "share", "largest"),
    [
        ("to_float32", 1.0, 1e-5),
        ("to_float16", 0.5, 0.01),
        ("to_dynamic", 0.25, 0.05),
        ("to_weights_int8", 0.25, 0.05),
        ("to_int8", 0.25, 0.1),
    ],
)
def test_each_file_has_its_size_and_the_scores_of_keras(files, name, share, largest):
    model, paths = files
    full = sum(v.numpy().nbytes for v in model.variables)
    assert share * full < paths[name].stat().st_size < share * full + 30_000
    opened, expected = LiteRTModel(paths[name]), KerasPredictor(model).predict(patches(20))
    assert opened.input_dtype == "uint8"
    assert opened.input_scale == (1.0, 0)
    made = opened.predict(patches(20))
    assert {t.name: len(t.classes) for t in TASKS} == opened.outputs
    for task, scores in expected.items():
        assert np.ptp(scores, axis=0).max() > 2 * largest  # else any answer would do
        np.testing.assert_allclose(made[task], scores, atol=largest)


@pytest.mark.parametrize("name", [*WITHOUT_PICTURES, "to_int8"])
def test_no_file_needs_more_than_built_in_operators(files, name):
    model = ModelT.InitFromPackedBuf(files[1][name].read_bytes())
    assert model.operatorCodes
    assert [code.customCode for code in model.operatorCodes if code.customCode] == []


ODD = ["images", 'it\'s, a "b"', "größe in cm", "a b.c", "缺陷", "a:0", "-x", "serving_default"]


@pytest.mark.parametrize("name", ["to_float32", "to_int8"])
def test_any_task_name_is_an_output_name(tmp_path, name):
    """Each output has the scores of its own task: the biases tell the heads apart."""
    tasks = [Task(odd, ["a", "b"]) for odd in ODD]
    model = tiny(tasks)
    for number, head in enumerate(model.layers[-len(tasks) :]):
        head.bias.assign([0.0, number - 3.5])
    made = to_int8(model, patches(8)) if name == "to_int8" else to_float32(model)
    (tmp_path / "a.tflite").write_bytes(made)
    opened, expected = LiteRTModel(tmp_path / "a.tflite"), KerasPredictor(model).predict(patches(4))
    assert opened.outputs == dict.fromkeys(ODD, 2)
    for task, scores in opened.predict(patches(4)).items():
        np.testing.assert_allclose(scores, expected[task], atol=0.02)


@pytest.mark.parametrize("name", [*WITHOUT_PICTURES, "to_int8"])
def test_a_dynamic_image_size_is_told(name):
    x = keras.Input((None, None, 3), dtype="uint8")
    h = keras.layers.GlobalAveragePooling2D()(keras.layers.Rescaling(1 / 255)(x))
    free = keras.Model(x, keras.layers.Dense(3)(h), name="free")
    with_spec(free, spec_of(tiny(TASKS[0])))
    images = [patches(2)] if name == "to_int8" else []
    with pytest.raises(InputError, match="one image size.*'free'.*None, None.*image_size="):
        getattr(tflite, name)(free, *images)


def test_without_the_quantizer_the_way_to_it_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "ai_edge_quantizer", None)
    with pytest.raises(InputError, match=r"pip install 'kerastl\[quantizer\]'"):
        tflite.to_weights_int8(tiny())


def test_the_quantizers_report_is_not_printed(capfd):
    tflite.to_weights_int8(tiny())
    assert capfd.readouterr() == ("", "")
