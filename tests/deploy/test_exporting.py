"""Export: every file is checked against Keras; what is bad, or fails, costs nothing good."""

from __future__ import annotations

import errno
import json
import os
import subprocess

import keras
import numpy as np
import pytest

from kerastl.deploy import tflite
from kerastl.deploy.contract import RefusedExport
from kerastl.deploy.exporting import EVALUATION, RANDOM, export
from kerastl.errors import InputError
from kerastl.files import sha256
from kerastl.inference.evaluation import evaluate
from kerastl.inference.predictors import KerasPredictor, load_predictor
from kerastl.models.factories import create_model
from kerastl.models.graph import network_key
from kerastl.models.spec import spec_of, with_spec
from kerastl.training.data import training_digest
from kerastl.training.fitting import fit
from tests.support.tiny_models import SIZE, TASKS, on_disk, patches, tiny

NAMES = [
    "model.json", "model_dynamic.tflite", "model_float16.tflite", "model_float32.tflite",
    "model_int8.tflite", "report.json", "saved_model",
]  # fmt: skip
LARGEST = {"int8": 0.1, "dynamic": 0.1, "float16": 2e-3}


@pytest.fixture(scope="module")
def model():
    return tiny()


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    return on_disk(tmp_path_factory.mktemp("data") / "pictures")


@pytest.fixture(scope="module")
def exported(model, manifest, tmp_path_factory):
    folder = tmp_path_factory.mktemp("made") / "deep" / "1"
    return folder, export(model, folder, calibration=manifest)


def test_all_formats_are_written_and_agree(model, manifest, exported):
    folder, report = exported
    assert sorted(p.name for p in folder.iterdir()) == NAMES
    assert (report.source, report.pictures) == ("held-out pictures", 16)
    for file in report.files:
        for made in file.tasks.values():
            assert made.n == 16
            assert made.largest < LARGEST.get(file.format, 1e-5)
            assert made.same >= (0.8 if file.format in LARGEST else 1.0)
            assert made.difference.low <= made.difference.value <= made.difference.high
    assert report.files[1].size == (folder / "model_float32.tflite").stat().st_size


def test_the_accuracy_of_a_file_is_what_evaluate_says_of_it(manifest, exported):
    folder, report = exported
    for file in report.files:
        scores = evaluate(folder / file.file, manifest, draws=0)
        for task in TASKS:
            accuracy = file.tasks[task.name].accuracy
            assert accuracy.value == scores.get(task.name, "accuracy")
            assert accuracy.low <= accuracy.value <= accuracy.high
            assert accuracy.n > 0


def test_report_json_holds_the_report_and_str_reads_it_out(exported):
    folder, report = exported
    written = json.loads((folder / "report.json").read_text())
    assert written["export"] == json.loads(json.dumps(report.to_dict()))
    told = str(report)
    assert "checked on 16 held-out pictures" in told
    assert "model_int8.tflite" in told
    assert "same answer" in told


def test_the_terminal_stays_quiet(model, tmp_path, capfd):
    export(model, tmp_path, ["saved_model", "int8"], calibration=patches(8), latency=False)
    heard = capfd.readouterr()
    assert (heard.out, heard.err) == ("", "")


def test_without_pictures_random_images_are_used_and_the_report_says_so(model, tmp_path):
    report = export(model, tmp_path, ["float32"], latency=False)
    assert (report.source, report.pictures) == ("random images", RANDOM)
    assert report.keras["zone"].value is None
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "model.json",
        "model_float32.tflite",
        "report.json",
    ]


def test_evaluation_pictures_are_used_all_and_a_default_in_part(model, tmp_path):
    n = EVALUATION + 4
    labels = {t.name: np.zeros((n, 2) if t.kind == "multilabel" else n) for t in TASKS}
    images = patches(8).repeat(n // 8 + 1, axis=0)[:n]
    report = export(model, tmp_path, "float32", evaluation=(images, labels), latency=False)
    assert report.pictures == n
    assert report.keras["marks"].n == 2 * n


def test_calibration_that_shows_nothing_is_refused_before_anything_is_written(model, tmp_path):
    folder = tmp_path / "new"
    black = np.zeros((4, SIZE, SIZE, 3), "uint8")
    for pictures, told in [(None, "Received: none"), (black, "4, all of one colour"),
                           (black[:0], "0, all of one colour")]:  # fmt: skip
        with pytest.raises(InputError, match=told):
            export(model, folder, calibration=pictures, latency=False)
    assert not folder.exists()


def test_black_pictures_among_good_ones_do_not_calibrate(model, tmp_path):
    black = np.zeros((30, SIZE, SIZE, 3), "uint8")
    mixed = export(
        model,
        tmp_path / "a",
        "int8",
        calibration=np.concatenate([black, patches(9)]),
        latency=False,
    )
    good = export(model, tmp_path / "b", "int8", calibration=patches(9), latency=False)
    made = [load_predictor(tmp_path / x / "model_int8.tflite").predict(patches()) for x in "ab"]
    for name in made[0]:
        np.testing.assert_array_equal(made[0][name], made[1][name])
    assert mixed.files[0].size == good.files[0].size


def test_an_unknown_format_is_named(model, tmp_path):
    with pytest.raises(InputError, match="Did you mean float32"):
        export(model, tmp_path, ["flaot32"])
    with pytest.raises(InputError, match="Expected"):
        export(model, tmp_path, [])


def test_a_file_with_other_scores_is_rejected_and_the_older_one_stays(model, tmp_path, monkeypatch):
    export(model, tmp_path, ["saved_model", "float32"], latency=False)
    older = (tmp_path / "model_float32.tflite").read_bytes()
    wrong = tiny(seed=5)
    true = tflite.to_float32
    monkeypatch.setattr(tflite, "to_float32", lambda model: true(wrong))
    with pytest.raises(InputError, match="1 of 2 files were not kept") as error:
        export(model, tmp_path, ["saved_model", "float32"], latency=False)
    assert "model_float32.tflite: float32: zone has a score that differs by" in str(error.value)
    assert (tmp_path / "model_float32.tflite").read_bytes() == older
    assert (tmp_path / "model_float32.tflite.rejected").is_file()
    report = json.loads((tmp_path / "report.json").read_text())
    assert [bool(f["cause"]) for f in report["export"]["files"]] == [False, True]


def test_a_file_of_nan_is_rejected(tmp_path):
    broken = tiny([TASKS[0]])
    kernel, bias = broken.layers[-1].get_weights()
    broken.layers[-1].set_weights([kernel * np.nan, bias])
    with pytest.raises(InputError, match="zone has scores that are NaN"):
        export(broken, tmp_path, ["saved_model"], latency=False)
    assert (tmp_path / "saved_model.rejected").is_dir()
    assert not (tmp_path / "saved_model").exists()
    json.loads((tmp_path / "report.json").read_text())


def test_a_model_no_phone_can_run_leaves_the_other_formats(tmp_path):
    x = keras.Input((SIZE, SIZE, 3))
    h = keras.layers.Conv2D(2, 3)(keras.ops.erfinv(keras.ops.clip(x, 0, 0.5)))
    model = create_model(keras.Model(x, h), TASKS[0], image_size=SIZE)
    with pytest.raises(InputError) as error:
        export(model, tmp_path, ["saved_model", "float32"], latency=False)
    assert error.value.faults[0].startswith("model_float32.tflite: the converter refuses the model")
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "model.json",
        "report.json",
        "saved_model",
    ]


def test_a_full_disk_leaves_the_older_files_whole(model, tmp_path, monkeypatch):
    export(model, tmp_path, ["saved_model", "float32"], latency=False)
    before = {p.name: p.stat().st_mtime_ns for p in tmp_path.iterdir()}

    def full(model):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(tflite, "to_float32", full)
    with pytest.raises(InputError, match=r"Nothing can be written to .*: no space left on device"):
        export(model, tmp_path, ["saved_model", "float32"], latency=False)
    assert {p.name: p.stat().st_mtime_ns for p in tmp_path.iterdir()} == before


def test_a_move_that_fails_puts_the_older_folder_back(model, tmp_path, monkeypatch):
    export(model, tmp_path, ["saved_model"], latency=False)
    older = load_predictor(tmp_path).predict(patches(2))["zone"]
    replace = os.replace

    def failing(source, target):
        if str(source).endswith("saved_model") and ".export-" in str(source):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        replace(source, target)

    monkeypatch.setattr(os, "replace", failing)
    with pytest.raises(InputError, match="no space left"):
        export(tiny(seed=5), tmp_path, ["saved_model"], latency=False)
    assert (load_predictor(tmp_path).predict(patches(2))["zone"] == older).all()


def test_exporting_again_replaces_what_was_there(tmp_path):
    for seed in (0, 5):
        export(tiny(seed=seed), tmp_path, ["saved_model", "float32"], latency=False)
    made = load_predictor(tmp_path / "saved_model").predict(patches(3))
    expected = load_predictor(tmp_path / "model_float32.tflite").predict(patches(3))
    ours = KerasPredictor(tiny(seed=5)).predict(patches(3))
    np.testing.assert_allclose(made["zone"], ours["zone"], atol=1e-5)
    np.testing.assert_allclose(made["zone"], expected["zone"], atol=1e-5)
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".")]


def test_model_json_says_what_each_file_is_and_needs(model, exported):
    folder, report = exported
    told = json.loads((folder / "model.json").read_text())
    assert list(told["files"]) == [file.format for file in report.files]
    assert {entry["network"] for entry in told["files"].values()} == {network_key(model)}
    for file in report.files:
        entry, path = told["files"][file.format], folder / file.file
        assert (entry["file"], entry["bytes"], entry["waived"]) == (file.file, file.size, False)
        assert entry["sha256"] == sha256(path)
        one = entry["signatures"]["serving_default"]
        assert one["inputs"]["images"]["dtype"] == "uint8"
        assert one["inputs"]["images"]["shape"][1:] == [SIZE, SIZE, 3]
        assert {n: o["shape"][1] for n, o in one["outputs"].items()} == {
            "zone": 3, "alarm": 2, "marks": 2
        }  # fmt: skip
    assert told["files"]["saved_model"]["signatures"]["serve_bytes"]["inputs"] == {
        "encoded": {"dtype": "string", "shape": [None]}
    }
    outputs = told["files"]["int8"]["signatures"]["serving_default"]["outputs"]
    assert outputs["zone"] == {"dtype": "uint8", "shape": [1, 3], "scale": 1 / 256, "zero_point": 0}


def test_model_json_says_what_the_model_was_trained_on(manifest, tmp_path):
    model = tiny()
    fit(model, manifest, epochs=1, verbose=0)
    export(model, tmp_path, "float32", evaluation=manifest, latency=False)
    told = json.loads((tmp_path / "model.json").read_text())["training_data"]
    assert told == [training_digest(manifest.split("train"), TASKS)]


def test_sha256_of_a_folder_is_what_sha256sum_says(exported):
    folder = exported[0] / "saved_model"
    line = "find . -type f | LC_ALL=C sort | xargs sha256sum | sha256sum"
    said = subprocess.run(line, shell=True, cwd=folder, capture_output=True, text=True, check=True)
    assert said.stdout.split()[0] == sha256(folder)


def test_a_file_of_an_earlier_export_stays_while_model_json_is_true_of_it(model, tmp_path):
    export(model, tmp_path, ["saved_model", "float32"], latency=False)
    before = json.loads((tmp_path / "model.json").read_text())["files"]
    report = export(tiny(seed=5), tmp_path, "float16", latency=False)
    told = json.loads((tmp_path / "model.json").read_text())["files"]
    assert report.aside == ()
    assert list(told) == ["saved_model", "float32", "float16"]
    assert {name: told[name] for name in before} == before
    assert told["float16"]["network"] != told["float32"]["network"]


def test_a_file_that_model_json_would_misread_goes_aside(model, tmp_path):
    export(model, tmp_path, ["saved_model", "float32"], latency=False)
    older = (tmp_path / "model_float32.tflite").read_bytes()
    other = with_spec(tiny(seed=5), spec_of(tiny()), thresholds={"alarm": [0.9]})
    report = export(other, tmp_path, "float16", latency=False)
    assert report.aside == ("saved_model", "model_float32.tflite")
    assert "model_float32.tflite.older was model_float32.tflite" in str(report)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "model.json", "model_float16.tflite", "model_float32.tflite.older", "report.json",
        "saved_model.older",
    ]  # fmt: skip
    assert (tmp_path / "model_float32.tflite.older").read_bytes() == older
    assert list(json.loads((tmp_path / "model.json").read_text())["files"]) == ["float16"]
    export(model, tmp_path, ["saved_model"], latency=False)
    again = export(other, tmp_path, ["float16"], latency=False)
    assert again.aside == ("saved_model",)


def test_a_refused_export_leaves_model_json_true_of_the_files(model, tmp_path, monkeypatch):
    export(model, tmp_path, "float32", latency=False)
    before = (tmp_path / "model.json").read_bytes()
    other = with_spec(tiny(seed=5), spec_of(tiny()), thresholds={"alarm": [0.9]})
    with monkeypatch.context() as patched:
        true = tflite.to_float32
        patched.setattr(tflite, "to_float32", lambda _: true(model))
        with pytest.raises(RefusedExport) as error:
            export(other, tmp_path, "float32", latency=False)
    assert [file.refused for file in error.value.report.files] == [True]
    assert (tmp_path / "model.json").read_bytes() == before
    assert load_predictor(tmp_path / "model_float32.tflite").thresholds["alarm"] == (0.5,)
    assert (tmp_path / "model_float32.tflite.rejected").is_file()
    export(other, tmp_path, "float32", latency=False)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "model.json", "model_float32.tflite", "report.json",
    ]  # fmt: skip
    assert load_predictor(tmp_path / "model_float32.tflite").thresholds["alarm"] == (0.9,)


def test_evaluation_pictures_that_will_not_do_are_told_before_the_work(model, tmp_path):
    folder = tmp_path / "new"
    labels = {t.name: np.zeros((4, 2) if t.kind == "multilabel" else 4) for t in TASKS}
    for images, told in [
        (np.zeros((4, SIZE, SIZE + 1, 3), "uint8"), "Expected"),
        (np.zeros((0, SIZE, SIZE, 3), "uint8"), "at least one evaluation picture"),
    ]:
        few = {name: codes[: len(images)] for name, codes in labels.items()}
        with pytest.raises(InputError, match=told):
            export(model, folder, "float32", evaluation=(images, few), latency=False)
    assert not folder.exists()


def test_what_cannot_be_said_in_model_json_costs_nothing(model, tmp_path, monkeypatch):
    export(model, tmp_path, "float32", latency=False)
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}

    def failing(*args, **kwargs):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("kerastl.deploy.exporting.write_sidecar", failing)
    with pytest.raises(InputError, match="no space left"):
        export(tiny(seed=5), tmp_path, "float32", latency=False)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before
