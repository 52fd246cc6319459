"""A file that is not what was trained is caught by its contract, whichever way it went wrong."""

from __future__ import annotations

import json

import keras
import numpy as np
import pytest

from kerastl.data.tasks import Task
from kerastl.deploy import tflite, writers
from kerastl.deploy.checking import check_file
from kerastl.deploy.contract import RefusedExport
from kerastl.deploy.exporting import export
from kerastl.deploy.formats import FORMATS
from kerastl.inference.predictors import load_predictor
from kerastl.models.spec import spec_of, with_spec
from tests.support.tiny_models import SIZE, patches, tiny

TASKS = (Task("zone", ["a", "b", "c"]), Task("side", ["l", "m", "r"]))
N = 200
TFLITE = ["float32", "float16", "dynamic", "int8"]
OTHERS = ["saved_model", "weights_int8", "onnx", "openvino"]


def plain(tasks=TASKS):
    """A model whose scores differ much from picture to picture."""
    model = tiny(tasks)
    for layer in model.layers[-len(tasks) :]:
        kernel, bias = layer.get_weights()
        layer.set_weights([kernel * 8, bias])
    return model


def perturbed():
    model = plain()
    draw = np.random.default_rng(0)
    model.set_weights([w + draw.normal(0, 0.5, w.shape) for w in model.get_weights()])
    return model


def swapped():
    """The outputs of two heads change their names."""
    model = plain()
    one, other = model.layers[-2:]
    first, second = one.get_weights(), other.get_weights()
    one.set_weights(second)
    other.set_weights(first)
    return model


def reversed_classes():
    model = plain()
    head = model.layers[-2]
    head.set_weights([w[..., ::-1] for w in head.get_weights()])
    return model


def twice_prepared():
    """What brings grey levels to -1..1 is done again."""
    model = plain()
    x = keras.Input((SIZE, SIZE, 3), dtype="uint8")
    h = keras.layers.Rescaling(1 / 127.5, -1)(x)
    again = keras.Model(x, model(h))
    return with_spec(again, spec_of(model))


BREAKS = [
    swapped,
    *(
        pytest.param(make, marks=pytest.mark.slow)
        for make in (perturbed, reversed_classes, twice_prepared)
    ),
]
"""The ways to break a model; one is tried with the quick tests."""


def write_instead(broken, monkeypatch):
    """From now on every format's own writer writes another model than it is given."""
    for form in [*TFLITE, "weights_int8"]:
        true = getattr(tflite, f"to_{form}")
        monkeypatch.setattr(
            tflite, f"to_{form}", lambda model, *given, true=true: true(broken, *given)
        )
    for form, true in list(writers._WRITERS.items()):
        monkeypatch.setitem(
            writers._WRITERS, form, lambda model, file, true=true: true(broken, file)
        )


def caught(formats, folder):
    """All of the formats are refused, and set aside."""
    images = patches(N)
    with pytest.raises(RefusedExport) as error:
        export(plain(), folder, formats, calibration=images, evaluation=images, latency=False)
    files = [FORMATS[form].file for form in formats]
    assert [fault.partition(":")[0] for fault in error.value.faults] == files
    assert sorted(p.name for p in folder.iterdir()) == sorted(
        ["report.json", *(f"{file}.rejected" for file in files)]
    )


@pytest.mark.parametrize("make", BREAKS)
def test_it_is_caught_in_every_tflite_format(make, tmp_path, monkeypatch):
    write_instead(make(), monkeypatch)
    caught(TFLITE, tmp_path)


@pytest.mark.parametrize("make", BREAKS)
def test_it_is_caught_in_every_other_format(make, tmp_path, monkeypatch):
    write_instead(make(), monkeypatch)
    caught(OTHERS, tmp_path)


@pytest.mark.parametrize("formats", [TFLITE, OTHERS], ids=["tflite", "others"])
def test_what_is_whole_is_kept(formats, tmp_path):
    images = patches(N)
    report = export(
        plain(), tmp_path, formats, calibration=images, evaluation=images, latency=False
    )
    assert [file.cause for file in report.files] == [""] * len(formats)


def swap_in_tflite(path):
    """The signature's names change places."""
    from ai_edge_litert import schema_py_generated as schema

    graph = schema.ModelT.InitFromPackedBuf(path.read_bytes())
    one, other = graph.signatureDefs[0].outputs
    one.name, other.name = other.name, one.name
    builder = schema.flatbuffers.Builder()
    builder.Finish(graph.Pack(builder), file_identifier=b"TFL3")
    path.write_bytes(bytes(builder.Output()))


def swap_in_onnx(path):
    """The names that the file gives its outputs change places."""
    data = path.read_bytes()
    names = json.dumps(["zone", "side"]).encode()
    assert data.count(names) == 1
    path.write_bytes(data.replace(names, json.dumps(["side", "zone"]).encode()))


def perturb_openvino(path):
    """The weights change their sign; what else lies beside them, such as axes, does not."""
    numbers = np.fromfile(path / "model.bin", "float32")
    weights = (abs(numbers) > 1e-3) & (abs(numbers) < 100)
    assert weights.sum() > 100
    np.where(weights, -numbers, numbers).tofile(path / "model.bin")


def perturb_saved_model(path):
    """The weights are those of another model, whose file was mixed up with this one."""
    folder = path.with_name("other")
    writers._WRITERS["saved_model"](perturbed(), folder)
    for file in (folder / "variables").iterdir():
        file.replace(path / "variables" / file.name)


TAMPERED = {"float32": swap_in_tflite, "onnx": swap_in_onnx, "openvino": perturb_openvino,
            "saved_model": perturb_saved_model}  # fmt: skip


@pytest.mark.parametrize("form", TAMPERED)
def test_a_file_that_was_changed_after_its_export_is_caught_by_check(form, tmp_path):
    export(plain(), tmp_path, form, evaluation=patches(20), latency=False)
    path = tmp_path / FORMATS[form].file
    check = {"model": plain(), "latency": False}
    assert check_file(path, patches(N), **check).files[0].cause == ""
    TAMPERED[form](path)
    cause = check_file(path, patches(N), **check).files[0].cause
    assert f"{form}: zone has a score that differs by" in cause


def outlier():
    """A channel that no head looks at is 1000 times as large as the others.

    Keras' scores do not change; in int8 the channels share one scale, so that the others are lost.
    """
    model = plain()
    convolution = next(la for la in model.layers if isinstance(la, keras.layers.Conv2D))
    kernel, bias = convolution.get_weights()
    kernel[..., 0], bias[0] = abs(kernel[..., 0]) * 1000, 1000
    convolution.set_weights([kernel, bias])
    for head in model.layers[-2:]:
        rows, bias = head.get_weights()
        rows[0] = 0
        head.set_weights([rows, bias])
    return model


def in_int8(model, folder, **waive):
    images = patches(N)
    return export(
        model, folder, ["int8"], calibration=images, evaluation=images, latency=False, **waive
    )


def test_a_real_breach_is_refused_and_the_older_good_file_stays(tmp_path):
    in_int8(plain(), tmp_path)
    file = tmp_path / "model_int8.tflite"
    good, told = file.read_bytes(), (tmp_path / "model.json").read_bytes()
    with pytest.raises(RefusedExport, match="gives the Keras model's answer") as error:
        in_int8(outlier(), tmp_path)
    assert [one.refused for one in error.value.report.files] == [True]
    assert file.read_bytes() == good
    assert (tmp_path / "model.json").read_bytes() == told
    assert (tmp_path / "model_int8.tflite.rejected").read_bytes() != good


def test_a_real_breach_that_is_waived_is_kept_and_told(tmp_path):
    with pytest.raises(RefusedExport):
        in_int8(outlier(), tmp_path)
    [file] = in_int8(outlier(), tmp_path, waive=["int8"]).files
    assert file.waived
    assert not file.refused
    assert "gives the Keras model's answer" in file.cause
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "model.json", "model_int8.tflite", "report.json",
    ]  # fmt: skip
    assert json.loads((tmp_path / "model.json").read_text("utf-8"))["files"]["int8"]["waived"]
    scores = load_predictor(tmp_path / "model_int8.tflite").predict(patches(2))
    assert set(scores) == {"zone", "side"}
