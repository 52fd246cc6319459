"""The folder that `export` is given: what was there stays, and what cannot be written is told."""

from __future__ import annotations

import json

import numpy as np
import pytest

from kerastl.deploy.exporting import export
from kerastl.errors import InputError
from kerastl.inference.predictors import KerasPredictor, load_predictor
from kerastl.models.saving import save_model
from tests.support.exports import contents, refused
from tests.support.tiny_models import TASKS, patches, tiny


@pytest.fixture(scope="module")
def model():
    return tiny()


def test_a_folder_that_exists_keeps_what_is_not_ours(model, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    (tmp_path / "saved_model").write_text("a file where a folder goes")
    (tmp_path / "model_float32.tflite").mkdir()
    (tmp_path / "report.json").write_text('{"scores": [1]}')
    (tmp_path / "model.json").write_text("no JSON")
    export(model, tmp_path, ["saved_model", "float32"], latency=False)
    assert (tmp_path / "mine" / "notes.txt").read_text() == "mine"
    assert json.loads((tmp_path / "report.json").read_text("utf-8"))["scores"] == [1]
    ours = KerasPredictor(model).predict(patches(3))["zone"]
    for name in ("saved_model", "model_float32.tflite"):
        made = load_predictor(tmp_path / name).predict(patches(3))["zone"]
        np.testing.assert_allclose(made, ours, atol=1e-5)


def test_a_path_that_is_a_file_or_under_one_is_refused(model, tmp_path):
    (tmp_path / "taken").write_text("mine")
    with pytest.raises(InputError, match=r"Expected a folder. .*taken, which is a file"):
        export(model, tmp_path / "taken", ["float32"], latency=False)
    with pytest.raises(InputError, match=r"Expected a folder. .*taken, which is a file"):
        export(model, tmp_path / "taken" / "1", ["float32"], latency=False)
    assert contents(tmp_path) == {"taken": b"mine"}


def test_a_folder_that_may_not_be_written_is_told_and_stays(unprivileged, model):
    folder = unprivileged / "run"
    export(model, folder, ["float32"], latency=False)
    folder.chmod(0o555)
    refused(model, folder, ["float32"], "Nothing can be written to .*: permission denied")
    folder.chmod(0o755)


def test_a_path_that_is_a_file_through_the_command_line(inside, tmp_path):
    save_model(tiny(TASKS[0]), tmp_path / "run" / "model.keras")
    (tmp_path / "taken").write_text("mine")
    told = inside("export", "run", "--formats", "float32", "--out", "taken", cwd=tmp_path, code=2)
    assert "Expected a folder. Received: taken, which is a file." in " ".join(told.split())
    assert (tmp_path / "taken").read_text() == "mine"
