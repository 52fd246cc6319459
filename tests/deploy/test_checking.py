"""A file made elsewhere or earlier is held to the contract, against Keras or against labels."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from kerastl.data.manifest import Manifest
from kerastl.data.tasks import Task
from kerastl.deploy import tflite
from kerastl.deploy.checking import check_file, file_format
from kerastl.deploy.tflite_metadata import with_metadata
from kerastl.errors import InputError
from kerastl.inference.evaluation import evaluate
from kerastl.inference.sidecar import NAME
from kerastl.models.factories import create_model
from kerastl.models.spec import spec_of, with_spec
from tests.support.tiny_models import SIZE, TASKS, patches, tiny

FORMATS = ["saved_model", "float32", "float16", "dynamic", "int8"]


@pytest.fixture
def model(tiny_run):
    return tiny_run[0]


@pytest.fixture
def manifest(tiny_run):
    return tiny_run[1]


@pytest.fixture
def folder(tiny_run):
    return tiny_run[2]


@pytest.fixture
def alone(model, tmp_path):
    """A float32 file with its metadata, and nothing beside it."""
    path = tmp_path / "alone.tflite"
    path.write_bytes(with_metadata(tflite.to_float32(model), TASKS))
    return path


def foreign(tmp_path, model):
    """A `.tflite` file of another converter: no metadata, nothing beside it."""
    path = tmp_path / "foreign.tflite"
    path.write_bytes(tflite.to_float32(model))
    return path


def test_a_good_file_keeps_its_contract_and_its_figures_are_those_of_evaluate(
    model, manifest, folder
):
    for name in ("saved_model", "model_float32.tflite"):
        report = check_file(folder / name, manifest, model=model, latency=False)
        [file] = report.files
        assert (file.cause, report.pictures) == ("", 16)
        scores = evaluate(folder / name, manifest, draws=0)
        for task in TASKS:
            made = file.tasks[task.name]
            assert (made.same, made.n) == (1.0, 16)
            assert made.largest < 1e-5
            assert made.accuracy.value == scores.get(task.name, "accuracy")
            assert report.keras[task.name].n == made.accuracy.n > 0


def test_the_file_of_other_weights_breaks_the_contract_unless_waived(manifest, folder):
    other = tiny(seed=5)
    path = folder / "model_float32.tflite"
    [file] = check_file(path, manifest, model=other, latency=False).files
    assert "float32" in file.cause
    assert not file.waived
    [file] = check_file(path, manifest, model=other, waive=["float32"], latency=False).files
    assert file.waived
    assert path.is_file()  # a check renames nothing


def test_doubled_preprocessing_is_caught(model, manifest, tmp_path):
    """A converter that normalises before a model that does so itself."""
    images = keras.Input((SIZE, SIZE, 3))
    [norm] = [one for one in model.layers if getattr(one, "offset", 0) == -1]
    twice = with_spec(keras.Model(images, model(norm(images))), spec_of(model))
    [file] = check_file(foreign(tmp_path, twice), manifest, model=model, latency=False).files
    assert "float32" in file.cause


def test_the_model_may_be_a_path_and_the_pictures_without_labels(folder, alone):
    report = check_file(alone, patches(8), model=folder / "model.keras", latency=False)
    assert (report.pictures, report.files[0].cause) == (8, "")
    assert report.keras["zone"].n == 0


def test_without_a_model_the_labels_alone_score_it_and_the_report_says_so(manifest, folder):
    report = check_file(folder / "model_int8.tflite", manifest, latency=False)
    [file] = report.files
    assert report.keras == {}
    assert "was not compared" in file.notes[-1]
    scores = evaluate(folder / "model_int8.tflite", manifest, draws=0)
    assert file.tasks["marks"].accuracy.value == scores.get("marks", "accuracy")
    assert file.tasks["marks"].same is None
    assert "nan" not in str(report).lower()
    with pytest.raises(InputError, match="Expected pictures with labels, or the model="):
        check_file(folder / "model_int8.tflite", patches(8), latency=False)


def test_a_file_alone_is_known_by_its_metadata(manifest, alone):
    [file] = check_file(alone, manifest, latency=False).files
    assert list(file.tasks) == [t.name for t in TASKS]
    zone = Task("zone", ["c", "b", "a"])
    swapped = Manifest(manifest.frame, (zone, *TASKS[1:]))
    with pytest.raises(InputError, match="other classes") as error:
        check_file(alone, swapped, latency=False)
    assert "'a', 'b', 'c'" in str(error.value)
    assert "'c', 'b', 'a'" in str(error.value)


def test_a_file_that_nothing_describes_needs_the_model(model, manifest, tmp_path):
    path = foreign(tmp_path, model)
    with pytest.raises(InputError, match=f"no {NAME} beside"):
        check_file(path, manifest, latency=False)
    assert check_file(path, manifest, model=model, latency=False).files[0].cause == ""


def test_outputs_of_other_names_are_told_with_both_lists(model, folder, tmp_path):
    other = tiny([Task("area", ["a", "b", "c"])])
    with pytest.raises(InputError, match="does not fit the model") as error:
        check_file(foreign(tmp_path, other), patches(4), model=model, latency=False)
    assert "'area': 3" in str(error.value)
    assert "'zone': 3, 'alarm': 2, 'marks': 2" in str(error.value)


def test_a_description_of_other_tasks_is_told(folder, manifest):
    other = tiny([Task("zone", ["c", "b", "a"]), *TASKS[1:]])
    with pytest.raises(InputError, match="other tasks than the model") as error:
        check_file(folder / "model_float32.tflite", patches(4), model=other, latency=False)
    assert "'c', 'b', 'a'" in str(error.value)


@pytest.mark.parametrize("name", ["float32", "float16", "dynamic", "int8"])
def test_the_format_is_told_by_what_is_in_the_file(name, tmp_path):
    x = keras.Input((SIZE, SIZE, 3))
    wide = keras.Model(x, keras.layers.Conv2D(64, 5)(x))  # smaller kernels stay as they are
    model = create_model(wide, TASKS, image_size=SIZE)
    made = {"int8": (model, patches(8))}.get(name, (model,))
    (tmp_path / "any.tflite").write_bytes(getattr(tflite, f"to_{name}")(*made))
    assert file_format(tmp_path / "any.tflite") == name


def test_the_other_formats_are_told_too(folder, tmp_path):
    assert file_format(folder / "saved_model") == "saved_model"
    (tmp_path / "model.xml").touch()
    assert file_format(tmp_path) == file_format(tmp_path / "model.xml") == "openvino"
    (tmp_path / "a.onnx").touch()
    assert file_format(tmp_path / "a.onnx") == "onnx"


@pytest.mark.parametrize(
    ("name", "words"),
    [("gone.tflite", "There is no"), ("notes.txt", "which is none of them"),
     ("empty", "which is none of them"), ("bad.tflite", "Expected a TFLite model file")],
)  # fmt: skip
def test_what_is_no_exported_file_is_one_sentence(name, words, tmp_path):
    (tmp_path / "notes.txt").write_text("a")
    (tmp_path / "bad.tflite").write_bytes(b"no model at all")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=words):
        check_file(tmp_path / name, np.zeros((1, 8, 8, 3), "uint8"))


def test_a_wrong_format_to_waive_is_named(folder, manifest):
    with pytest.raises(InputError, match="Did you mean float32"):
        check_file(folder / "model_float32.tflite", manifest, waive=["flaot32"])


def test_size_speed_and_operators_are_told(folder, model):
    path = folder / "model_float32.tflite"
    [file] = check_file(path, patches(4), model=model).files
    assert file.size == path.stat().st_size
    assert [one.threads for one in file.latency] == [1, 2]
    assert sum(file.facts.operators.values()) > 3
