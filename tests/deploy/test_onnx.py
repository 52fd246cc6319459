"""ONNX and OpenVINO: the scores of Keras, any task name, half precision, packages missing."""

from __future__ import annotations

import sys

import keras
import numpy as np
import pytest

from kerastl.data.tasks import Task
from kerastl.deploy.onnx import write_onnx, write_openvino
from kerastl.errors import InputError
from kerastl.inference.onnx import OnnxModel
from kerastl.inference.openvino import OpenVINOModel
from kerastl.inference.predictors import KerasPredictor
from kerastl.models.factories import create_model
from kerastl.models.spec import spec_of, with_spec
from tests.support.tiny_models import SIZE, TASKS, patches, tiny

WRITERS = {
    "model.onnx": (write_onnx, OnnxModel),
    "model_openvino": (write_openvino, OpenVINOModel),
}
ODD = ["images", 'it\'s, a "b"', "größe in cm", "a b.c", "缺陷", "images_", "-x", "<&>;"]


@pytest.fixture(params=WRITERS)
def form(request):
    """The name of a file, the function that writes it, and the class that runs it."""
    return request.param, *WRITERS[request.param]


def written(form, model, folder):
    name, write, run = form
    write(model, folder / "deep" / name)
    assert [path.name for path in (folder / "deep").iterdir()] == [name]
    return run(folder / "deep" / name)


@pytest.mark.parametrize("tasks", [TASKS, TASKS[:1], TASKS[1:2], TASKS[2:]])
def test_the_scores_are_those_of_keras(form, tasks, tmp_path):
    model = tiny(tasks)
    made, expected = written(form, model, tmp_path), KerasPredictor(model).predict(patches())
    assert made.image_size == (SIZE, SIZE)
    assert made.outputs == {t.name: len(t.classes) for t in tasks}
    scores = made.predict(patches())
    assert list(scores) == list(made.outputs)
    for task, values in expected.items():
        assert np.ptp(values, axis=0).max() > 0.01  # else any answer would do
        assert scores[task].dtype == np.float32
        np.testing.assert_allclose(scores[task], values, atol=1e-5)


def test_any_task_name_is_an_output_name(form, tmp_path):
    """Each output has the scores of its own task: the biases tell the heads apart."""
    tasks = [Task(odd, ["a", "b"]) for odd in ODD]
    model = tiny(tasks)
    for number, head in enumerate(model.layers[-len(tasks) :]):
        head.bias.assign([0.0, number - 3.5])
    opened, expected = written(form, model, tmp_path), KerasPredictor(model).predict(patches(4))
    assert opened.outputs == dict.fromkeys(ODD, 2)
    for task, scores in opened.predict(patches(4)).items():
        np.testing.assert_allclose(scores, expected[task], atol=1e-5)


def test_a_runtime_without_kerastl_finds_the_names(tmp_path):
    import onnxruntime
    import openvino

    model = tiny([TASKS[0], Task("images", ["a", "b"])])
    write_onnx(model, tmp_path / "model.onnx")
    write_openvino(model, tmp_path / "model_openvino")
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    network = openvino.Core().read_model(tmp_path / "model_openvino" / "model.xml")
    [given] = session.get_inputs()
    assert (given.name, given.type) == ("images", "tensor(uint8)")
    assert given.shape == ["batch", SIZE, SIZE, 3]
    assert [(o.name, o.shape) for o in session.get_outputs()] == [
        ("zone", ["batch", 3]),
        ("images_", ["batch", 2]),
    ]
    assert network.inputs[0].names == {"images"}
    assert network.inputs[0].element_type == openvino.Type.u8
    assert [o.names for o in network.outputs] == [{"zone"}, {"images_"}]


def test_what_only_a_gradient_needs_is_no_output(form, tmp_path):
    """A swish has a gradient of its own, which TensorFlow's graph keeps an output for."""
    x = keras.Input((None, None, 3))
    h = keras.layers.Conv2D(8, 3, activation="swish")(keras.layers.Rescaling(1 / 127.5, -1)(x))
    model = create_model(keras.Model(x, h), TASKS, image_size=SIZE, seed=0)
    made, expected = written(form, model, tmp_path), KerasPredictor(model).predict(patches())
    assert list(made.outputs) == [t.name for t in TASKS]
    for task, scores in made.predict(patches()).items():
        np.testing.assert_allclose(scores, expected[task], atol=1e-5)


def test_a_batch_is_no_part_of_the_scores(form, tmp_path):
    opened = written(form, tiny(), tmp_path)
    whole = opened.predict(patches(70))["zone"]
    apart = np.concatenate([opened.predict(patches(70)[[i]])["zone"] for i in range(70)])
    np.testing.assert_allclose(whole, apart, atol=1e-6)
    assert whole.shape == (70, 3)


def test_a_model_in_half_precision_is_written_in_float32(form, tmp_path):
    x = keras.Input((None, None, 3))
    half = keras.layers.Conv2D(4, 3, activation="relu", dtype="mixed_float16")(x)
    model = create_model(keras.Model(x, half), TASKS[0], image_size=SIZE)
    made = written(form, model, tmp_path).predict(patches(4))["zone"]
    np.testing.assert_allclose(made, KerasPredictor(model).predict(patches(4))["zone"], atol=5e-3)


def test_a_dynamic_image_size_is_told(form, tmp_path):
    x = keras.Input((None, None, 3), dtype="uint8")
    h = keras.layers.GlobalAveragePooling2D()(keras.layers.Rescaling(1 / 255)(x))
    free = with_spec(keras.Model(x, keras.layers.Dense(3)(h), name="free"), spec_of(tiny(TASKS[0])))
    with pytest.raises(InputError, match=r"one image size.*'free'"):
        form[1](free, tmp_path / form[0])
    assert not list(tmp_path.iterdir())


def test_what_fails_leaves_nothing_and_what_was_there(form, tmp_path, monkeypatch):
    name, write, _ = form
    (tmp_path / name).write_text("older")
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(OSError, match="full"):
        write(tiny(), tmp_path / name)
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [(name, "older")]


def test_the_terminal_stays_quiet(form, tmp_path, capfd):
    written(form, tiny(), tmp_path).predict(patches(2))
    heard = capfd.readouterr()
    assert (heard.out, heard.err) == ("", "")


@pytest.mark.parametrize(
    ("package", "extra", "call"),
    [
        ("tf2onnx", "onnx", lambda path: write_onnx(tiny(), path)),
        ("onnxruntime", "onnx", OnnxModel),
        ("openvino", "fast", lambda path: write_openvino(tiny(), path / "model_openvino")),
    ],
)
def test_a_missing_package_is_named_and_how_it_is_installed(
    package, extra, call, tmp_path, monkeypatch
):
    (tmp_path / "model.onnx").write_bytes(b"")
    monkeypatch.setitem(sys.modules, package, None)
    told = rf"by {package}, which is not installed. Run: pip install 'kerastl\[{extra}\]'"
    with pytest.raises(InputError, match=told):
        call(tmp_path if package == "openvino" else tmp_path / "model.onnx")
