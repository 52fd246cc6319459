"""A saved model of any form: the same scores, the same answers, and files that are none."""

from __future__ import annotations

import shutil

import numpy as np
import onnx
import openvino
import pandas as pd
import pytest
from openvino import opset14 as opset

from kerastl.data.tasks import Task
from kerastl.deploy.onnx import write_onnx, write_openvino
from kerastl.deploy.tflite import to_float32
from kerastl.deploy.writers import write_saved_model
from kerastl.errors import InputError
from kerastl.inference.evaluation import evaluate
from kerastl.inference.onnx import OnnxModel
from kerastl.inference.openvino import OpenVINOModel
from kerastl.inference.prediction import predict
from kerastl.inference.predictors import KerasPredictor, as_predictor, load_predictor
from kerastl.inference.sidecar import NAME, write_sidecar
from kerastl.models.saving import save_model
from tests.support.tiny_models import SIZE, TASKS, on_disk, patches, tiny

THRESHOLDS = {"alarm": (0.3,), "marks": (0.4, 0.6)}
EXPORTED = ("saved_model", "model_float32.tflite", "model.onnx", "model_openvino")
FORMS = (*EXPORTED, "model_openvino/model.xml", "model.keras", ".")


@pytest.fixture(scope="module")
def model():
    return tiny()


@pytest.fixture(scope="module")
def run(model, tmp_path_factory):
    """A run's folder, with every form of the model in it."""
    folder = tmp_path_factory.mktemp("run")
    save_model(model, folder / "model.keras")
    write_saved_model(model, folder / "saved_model")
    (folder / "model_float32.tflite").write_bytes(to_float32(model))
    write_onnx(model, folder / "model.onnx")
    write_openvino(model, folder / "model_openvino")
    write_sidecar(folder, TASKS, (SIZE, SIZE), THRESHOLDS)
    return folder


@pytest.mark.parametrize("name", FORMS)
def test_every_form_opens_with_the_same_tasks_and_scores(model, run, name):
    opened, expected = load_predictor(run / name), KerasPredictor(model).predict(patches())
    assert (opened.tasks, opened.image_size) == (TASKS, (SIZE, SIZE))
    scores = opened.predict(patches())
    assert list(scores) == [t.name for t in TASKS]
    for task, values in expected.items():
        np.testing.assert_allclose(scores[task], values, atol=1e-5)


@pytest.mark.parametrize("name", EXPORTED)
def test_the_thresholds_come_from_beside_the_file(run, name):
    assert load_predictor(run / name).thresholds == THRESHOLDS


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    return on_disk(tmp_path_factory.mktemp("data") / "pictures")


@pytest.mark.parametrize("name", ["model.onnx", "model_openvino", "model_openvino/model.xml"])
def test_predict_and_evaluate_take_the_file(run, name, pictures, tmp_path):
    expected = predict(run / "model_float32.tflite", pictures, cache=tmp_path / "a")
    made = predict(run / name, pictures, cache=tmp_path / "b")
    pd.testing.assert_frame_equal(made, expected, atol=1e-5)
    assert len(made) == 40
    assert set(made["error"]) == {""}
    ours, theirs = (evaluate(run / x, pictures, draws=0) for x in (EXPORTED[1], name))
    for task in TASKS:
        assert ours.get(task.name, "accuracy") == theirs.get(task.name, "accuracy")


@pytest.mark.parametrize("name", EXPORTED)
def test_no_image_gives_no_scores_and_a_wrong_one_is_refused(run, name):
    opened = load_predictor(run / name)
    if name != "saved_model":
        assert opened.predict(patches(0))["zone"].shape == (0, 3)
    with pytest.raises(InputError, match=r"16x16 pixels\. Received: 8x8"):
        opened.predict(np.zeros((1, 8, 8, 3), "uint8"))


@pytest.mark.parametrize("name", EXPORTED)
def test_a_description_of_another_model_is_refused(run, name, tmp_path):
    copy = shutil.copytree(run, tmp_path / "run")
    write_sidecar(copy, [Task("zone", ["a", "b"])], (SIZE, SIZE))
    with pytest.raises(InputError, match="do not belong together") as error:
        load_predictor(copy / name)
    assert "'marks': 2" in str(error.value)
    (copy / NAME).unlink()
    with pytest.raises(InputError, match="There is no such file: copy it"):
        load_predictor(copy / name)


DAMAGED = ("model.onnx", "model_openvino/model.xml", "model_openvino/model.bin")


@pytest.mark.parametrize("name", DAMAGED)
def test_every_truncation_is_an_input_error(run, name, tmp_path):
    copy = shutil.copytree(run, tmp_path / "run") / name
    whole = copy.read_bytes()
    for size in (0, 1, 100, len(whole) // 2, len(whole) - 200, len(whole) - 3):
        copy.write_bytes(whole[:size])
        with pytest.raises(InputError, match=r"a whole O.*, which O.* refuses \(.*again") as error:
            load_predictor(copy.parent if "openvino" in name else copy)
        assert len(str(error.value)) < 500


def test_names_that_are_no_text_are_told_and_nothing_is_printed(run, tmp_path, capfd):
    whole = (run / "model.onnx").read_bytes()
    for word in (b"images", b"zone", b"kerastl_tasks"):
        (tmp_path / "model.onnx").write_bytes(whole.replace(word, b"\xff" * len(word)))
        with pytest.raises(InputError, match="a whole ONNX"):
            OnnxModel(tmp_path / "model.onnx")
    shutil.copytree(run / "model_openvino", tmp_path / "model_openvino")
    graph = tmp_path / "model_openvino" / "model.xml"
    graph.write_bytes(graph.read_bytes().replace(b"zone", b"\xff"))
    with pytest.raises(InputError, match="a whole OpenVINO model"):
        OpenVINOModel(graph)
    assert capfd.readouterr() == ("", "")


def test_what_is_missing_is_named(run, tmp_path):
    copy = shutil.copytree(run / "model_openvino", tmp_path / "model_openvino")
    (copy / "model.bin").unlink()
    with pytest.raises(InputError, match=r"There is no .*model\.bin"):
        OpenVINOModel(copy)
    with pytest.raises(InputError, match=r"gone\.onnx, which is no file"):
        OnnxModel(tmp_path / "gone.onnx")
    for path in ("gone.onnx", "gone/model.xml", "gone.xml"):
        with pytest.raises(InputError, match=r"Expected a .keras.*which is nothing"):
            load_predictor(tmp_path / path)
    with pytest.raises(InputError, match="a folder with none of saved_model.pb, model.xml and"):
        load_predictor(tmp_path)


def test_a_predictor_and_a_model_are_taken_as_they_are(model, run):
    opened = load_predictor(run / "model.onnx")
    assert as_predictor(opened) is opened
    assert as_predictor(model).model is model
    assert as_predictor(str(run / "model.onnx")).path == run / "model.onnx"


@pytest.fixture
def odd(tmp_path):
    """A function that writes a small ONNX file, and its path."""

    def write(shape=(None, 8, 8, 3), kind="uint8", scores=(1, 2), out="float32", inputs=1, told=""):
        kinds = {t: onnx.helper.np_dtype_to_tensor_dtype(np.dtype(t)) for t in (kind, out)}
        value = onnx.numpy_helper.from_array(np.zeros(scores, out))
        given = [
            onnx.helper.make_tensor_value_info(f"x{i}", kinds[kind], shape) for i in range(inputs)
        ]
        made = onnx.helper.make_tensor_value_info("y", kinds[out], scores)
        node = onnx.helper.make_node("Constant", [], ["y"], value=value)
        graph = onnx.helper.make_graph([node], "odd", given, [made])
        operators = [onnx.helper.make_opsetid("", 17)]
        model = onnx.helper.make_model(graph, opset_imports=operators, ir_version=8)
        if told:
            onnx.helper.set_model_props(model, {"kerastl_tasks": told})
        (tmp_path / "odd.onnx").write_bytes(model.SerializeToString())
        return tmp_path / "odd.onnx"

    return write


def test_a_file_made_elsewhere_names_its_tasks_by_its_outputs(odd):
    opened = OnnxModel(odd(shape=(1, 8, 6, 3)))
    assert (opened.outputs, opened.image_size) == ({"y": 2}, (8, 6))
    assert opened.predict(np.zeros((3, 8, 6, 3), "uint8"))["y"].shape == (3, 2)
    assert OnnxModel(odd(told='["größe"]')).outputs == {"größe": 2}


@pytest.mark.parametrize(
    ("about", "told"),
    [
        ({"shape": (None, 3, 8, 8)}, "one input .batch, height, width, 3. in uint8"),
        ({"shape": (4, 8, 8, 3)}, "or a batch of one"),
        ({"shape": (None, None, None, 3)}, "of one image size"),
        ({"kind": "float32"}, r"tensor\(float\)"),
        ({"inputs": 2}, "'x1'"),
        ({"scores": (2,)}, "Expected outputs .batch, scores. in float32"),
        ({"out": "float64"}, r"tensor\(double\)"),
        ({"told": "["}, "to name a task for each of its outputs"),
        ({"told": '["a", "b"]'}, "to name a task for each of its outputs"),
        ({"told": "[1]"}, r"Received: \[1\]"),
        ({"told": "[" * 100_000}, "to name a task for each of its outputs"),
    ],
)
def test_an_onnx_file_of_another_kind_is_told(odd, about, told):
    with pytest.raises(InputError, match=told):
        OnnxModel(odd(**about))


@pytest.fixture
def odd_network(tmp_path):
    """A function that writes a small OpenVINO model, and its folder."""

    def write(shape=(-1, 8, 8, 3), kind="u8", scores=(-1, 2), out="f32", told=""):
        given = opset.parameter(list(shape), getattr(openvino.Type, kind), name="x")
        wide = opset.convert(given, out)
        made = opset.reshape(wide, opset.constant(list(scores), dtype=np.int64), special_zero=False)
        network = openvino.Model([made], [given], "odd")
        network.outputs[0].get_tensor().set_names({"y"})
        if told:
            network.set_rt_info(told, ["kerastl", "tasks"])
        openvino.save_model(network, tmp_path / "odd" / "model.xml", compress_to_fp16=False)
        return tmp_path / "odd"

    return write


def test_a_network_made_elsewhere_names_its_tasks_by_its_outputs(odd_network):
    opened = OpenVINOModel(odd_network(shape=(1, 8, 6, 3), scores=(-1, 144)))
    assert (opened.outputs, opened.image_size) == ({"y": 144}, (8, 6))
    images = np.arange(3 * 144, dtype="uint8").reshape(3, 8, 6, 3)
    np.testing.assert_array_equal(opened.predict(images)["y"], images.reshape(3, 144))
    assert OpenVINOModel(odd_network(told='["größe"]')).outputs == {"größe": 2}


@pytest.mark.parametrize(
    ("about", "told"),
    [
        ({"shape": (-1, 3, 8, 8)}, "one input .batch, height, width, 3. in uint8"),
        ({"shape": (4, 8, 8, 3)}, "or a batch of one"),
        ({"shape": (-1, -1, -1, 3)}, "of one image size"),
        ({"kind": "f32"}, "'f32', .None, 8, 8, 3."),
        ({"scores": (-1,)}, "Expected outputs .batch, scores. in float32"),
        ({"out": "f64"}, "Expected outputs .batch, scores. in float32"),
        ({"told": "["}, "to name a task for each of its outputs"),
        ({"told": '["a", "b"]'}, "to name a task for each of its outputs"),
    ],
)
def test_a_network_of_another_kind_is_told(odd_network, about, told):
    with pytest.raises(InputError, match=told):
        OpenVINOModel(odd_network(**about))
