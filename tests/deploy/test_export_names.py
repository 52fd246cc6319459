"""Names of tasks and classes that are easily lost: they are read back from every file."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tensorflow as tf

from kerastl.data.tasks import Task
from kerastl.deploy.exporting import export
from kerastl.deploy.formats import ALL, FORMATS
from kerastl.deploy.tflite_metadata import read_metadata
from kerastl.errors import InputError
from kerastl.inference.predictors import KerasPredictor, load_predictor
from kerastl.inference.sidecar import read_sidecar
from kerastl.models.saving import save_model
from tests.support.tiny_models import patches, tiny

NAMES = [
    "comma, and; semicolon", "it's \"quoted\" `so`", "one\nline\r\ntwo", "größe", "不良品",
    "дефект", "عيب", "🙂", "👩\u200d🔬", "n" * 200, " spaced ", "a\tb", "<b>&amp;</b>",
    "{'a': 1}", "\\n %s", "_",
]  # fmt: skip
"""Of classes; the ends of one are blanks, which count."""

ODD = [
    Task("comma, and; semicolon", NAMES),
    Task('it\'s "quoted"', NAMES[:2], "binary"),
    Task("größe 不良品 дефект عيب", NAMES[2:9], "multilabel"),
    Task("🙂", NAMES[9:]),
    Task("t" * 200, ["no", "yes"], "binary"),
    Task("Zone", ["a", "b"]),
    Task("zone", ["b", "a"]),
    Task("images", ["a", "b", "c"]),
]


def named(tasks):
    """A model each of whose heads gives other scores: the biases tell them apart."""
    made = tiny(tasks)
    for number, head in enumerate(made.layers[-len(tasks) :]):
        head.bias.assign(np.roll(np.linspace(-1.5, 1.5, head.units), number))
    return made


@pytest.fixture(scope="module")
def oddly_named(tmp_path_factory):
    made, folder = named(ODD), tmp_path_factory.mktemp("named")
    report = export(made, folder, ALL, calibration=patches(), latency=False)
    return folder, report, KerasPredictor(made).predict(patches(6))


FORMS = {"saved_model": 1e-5, "float32": 1e-5, "float16": 2e-3, "dynamic": 0.02, "int8": 0.02,
         "weights_int8": 0.02, "onnx": 1e-5, "openvino": 1e-5}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
def test_any_task_name_is_read_back_from_every_format(form, oddly_named):
    """Each output has the scores of its own task, under its own name."""
    folder, report, expected = oddly_named
    assert {file.format: file.cause for file in report.files} == dict.fromkeys(FORMS, "")
    scores = load_predictor(folder / FORMATS[form].file).predict(patches(6))
    assert list(scores) == [task.name for task in ODD]
    for name, values in expected.items():
        np.testing.assert_allclose(scores[name], values, atol=FORMS[form])


@pytest.mark.slow
def test_any_class_name_is_read_back_from_model_json_and_the_metadata(oddly_named):
    folder, report, _ = oddly_named
    assert read_sidecar(folder / "model.json")[0] == tuple(ODD)
    lines = {task.name: [" ".join(c.splitlines()) for c in task.classes] for task in ODD}
    for file in report.files:
        if FORMATS[file.format].tflite:
            found = read_metadata(folder / file.file)["outputs"]
            assert {one["name"]: one["labels"] for one in found} == lines
            told = json.loads((folder / "model.json").read_text("utf-8"))["files"][file.format]
            assert set(told["signatures"]["serving_default"]["outputs"]) == set(lines)


@pytest.mark.slow
def test_the_signatures_of_the_saved_model_bear_the_names(oddly_named):
    loaded = tf.saved_model.load(str(oddly_named[0] / "saved_model"))
    for call in loaded.signatures.values():
        assert set(call.structured_outputs) == {task.name for task in ODD}


def test_any_name_through_the_command_line(inside, tmp_path):
    save_model(named(ODD), tmp_path / "run" / "model.keras")
    told = inside("export", "run", "--formats", "float32", "--no-latency", cwd=tmp_path)
    assert "…" not in told  # neither a name nor a figure is cut short
    for task in ODD[:4]:
        assert all(word in told for word in task.name.split())
    assert read_sidecar(tmp_path / "run" / "model.json")[0] == tuple(ODD)


@pytest.mark.parametrize("name", ["", "  ", "two\nlines", "a/b", "\u202egnp", None])
def test_a_task_name_that_no_file_can_carry_is_refused(name):
    with pytest.raises(InputError, match="Expected a name"):
        Task(name, ["a", "b"])
