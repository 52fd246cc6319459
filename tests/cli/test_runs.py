import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from kerastl.cli.runs import (
    predict_run,
    predictions_frame,
    run_folder,
    score_run,
    tune_run,
    write_run,
)
from kerastl.data.labels import label_report
from kerastl.data.readers.tabular import read_folder
from kerastl.errors import InputError
from kerastl.inference.evaluation import evaluate, predict_scores
from kerastl.inference.prediction import predict
from kerastl.inference.sidecar import update_report
from kerastl.models.factories import classifier
from kerastl.models.saving import load_model
from kerastl.models.spec import spec_of
from kerastl.scoring.thresholds import choose_thresholds
from kerastl.training.fitting import fit
from tests.support.tiny_models import on_disk, tiny


@pytest.fixture
def trained(network, stripes_folder):
    manifest = read_folder(stripes_folder)
    model = classifier(network(), ["across", "down"])
    return model, manifest, fit(model, manifest, epochs=1, verbose=0)


def test_a_run_is_written_whole(trained, tmp_path, stripes_folder):
    model, manifest, history = trained
    folder = tmp_path / "run"
    (folder / ".fit").mkdir(parents=True)
    written = write_run(folder, model, manifest, history, settings={"epochs": 1},
                        root=stripes_folder)  # fmt: skip
    assert sorted(p.name for p in folder.iterdir()) == [
        "division.csv", "history.csv", "model.keras", "predictions.csv", "report.json",
        "scores.png",
    ]  # fmt: skip
    predictions = pd.read_csv(folder / "predictions.csv")
    assert list(predictions) == [
        "image", "split", "label/truth", "label/predicted", "label/correct",
        "label/score/across", "label/score/down", "error",
    ]  # fmt: skip
    assert len(predictions) == 60
    assert predictions["image"].str.match(r"(across|down)/\d+\.png").all()
    test = predictions[predictions["split"] == "test"]
    right = (test["label/score/down"] > test["label/score/across"]) == (
        test["label/truth"] == "down"
    )
    assert right.mean() == pytest.approx(written.scores.get("label", "accuracy"))
    assert (right == (test["label/truth"] == test["label/predicted"])).all()
    assert (right == test["label/correct"]).all()
    report = json.loads((folder / "report.json").read_text())
    assert report["data"]["pictures"] == 60
    assert "0 of" in report["training"]["weights"]
    assert load_model(folder / "model.keras").kerastl_spec.tasks == manifest.tasks
    assert (report["scored_on"], written.source) == ("held-out pictures", "held-out pictures")
    assert written.thresholds is None  # a multiclass task has no threshold
    again = predict(folder, stripes_folder)
    assert set(again) < set(predictions)  # what is in both is called alike
    merged = predictions.merge(
        again.assign(
            image=[Path(p).relative_to(stripes_folder).as_posix() for p in again["image"]]
        ),
        on="image",
    )
    assert (merged["label/predicted_x"] == merged["label/predicted_y"]).all()


@pytest.fixture
def several(tmp_path):
    """A run of three tasks, with a val part and uncertain labels in each split."""
    manifest = on_disk(tmp_path / "pictures", n=90)
    frame = manifest.frame.copy()
    frame["split"] = np.repeat(["train", "val", "test"], 30)
    frame.loc[::6, ["alarm", "marks.v"]] = -2
    manifest = replace(manifest, frame=frame, uncertain={"alarm": 1.0})
    model = tiny()
    return model, manifest, fit(model, manifest, epochs=1, verbose=0)


def test_thresholds_are_tuned_on_val_stored_and_scored_with(several, tmp_path):
    model, manifest, history = several
    written = write_run(tmp_path / "run", model, manifest, history, settings={})
    scores, tuned = written.scores, written.thresholds
    stored = load_model(tmp_path / "run" / "model.keras")
    assert stored.kerastl_spec.thresholds == tuned.values
    expected = evaluate(stored, manifest, draws=0)
    told = {t: scores.get(t, "accuracy") for t in ("zone", "alarm", "marks")}
    assert told == {t: pytest.approx(expected.get(t, "accuracy")) for t in told}
    val = predict_scores(model, manifest.split("val"))
    again = choose_thresholds(manifest.tasks, val.labels, val.scores)
    assert list(again.values) == ["alarm", "marks"]
    for name, values in again.values.items():
        assert tuned.values[name] == pytest.approx(values, abs=1e-5)
    report = json.loads((tmp_path / "run" / "report.json").read_text())
    assert report["labels"] == json.loads(json.dumps(label_report(manifest).to_dict()))
    assert [r["label"] for r in report["thresholds"]] == ["yes", "u", "v"]
    assert [r["n"] for r in report["thresholds"]] == tuned.frame["n"].tolist()
    assert (manifest.split("val").frame[["alarm", "marks.u", "marks.v"]] >= 0).sum().tolist() == [
        r["n"] for r in report["thresholds"]
    ]


def test_a_run_can_leave_the_thresholds_alone(several, tmp_path):
    model, manifest, history = several
    options = {"settings": {}, "thresholds_metric": None}
    tuned = write_run(tmp_path / "a", model, manifest, history, **options).thresholds
    assert (tuned, load_model(tmp_path / "a" / "model.keras").kerastl_spec.thresholds) == (None, {})
    frame = manifest.frame[manifest.frame["split"] != "val"]
    other = replace(manifest, frame=frame)
    tuned = write_run(tmp_path / "b", model, other, history, settings={}).thresholds
    assert (tuned, spec_of(model).thresholds) == (None, {})
    report = json.loads((tmp_path / "b" / "report.json").read_text())
    assert report["thresholds"] == []


def test_scores_of_the_part_that_chose_the_thresholds_say_so(several):
    model, manifest, _ = several
    manifest = replace(manifest, frame=manifest.frame[manifest.frame["split"] != "test"])
    found = predict_run(model, manifest)
    assert (found.labels["alarm"][::6] == -1).all()  # uncertain, whatever training takes it for
    before, source = score_run(model, manifest, found)
    assert source == "validation pictures, which also chose the epoch"
    assert tune_run(model, manifest, found, "accuracy").values == spec_of(model).thresholds
    told = "scored on the pictures that chose the thresholds, so optimistic."
    after, _ = score_run(model, manifest, found)
    assert [told in " ".join(scores.notes) for scores in (before, after)] == [False, True]


def test_pictures_that_cannot_be_read_have_no_scores(trained, tmp_path):
    model, manifest, _ = trained
    frame = manifest.frame.copy()
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"")
    frame.loc[frame.index[3], "image"] = str(broken)
    other = replace(manifest, frame=frame)
    found = predict_run(model, other)
    table = predictions_frame(other, found, None)
    for column in ("predicted", "correct", "score/down"):
        assert np.flatnonzero(table[f"label/{column}"].isna()).tolist() == [3], column
    assert table["error"].tolist() == ["empty file" if i == 3 else "" for i in range(len(table))]
    assert other.skipped[str(broken)] == "empty file"


def test_scores_and_predictions_are_those_of_evaluate(trained):
    model, manifest, _ = trained
    found = predict_run(model, manifest)
    scores, _ = score_run(model, manifest, found)
    straight = evaluate(model, manifest)
    pd.testing.assert_frame_equal(scores.frame, straight.frame, atol=1e-4)
    expected = predict_scores(model, manifest).scores["label"]
    test = (manifest.frame["split"] == "test").to_numpy()
    np.testing.assert_allclose(found.scores["label"][test], expected, atol=1e-5)


def test_folders_are_numbered(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run_folder("pets/", None, resume=False).as_posix() == "saved_models/pets/1"
    assert (tmp_path / "saved_models/pets/1").is_dir()
    assert run_folder("pets.csv", None, resume=False).as_posix() == "saved_models/pets/2"
    with pytest.raises(InputError, match=r"no interrupted run in saved_models/pets/2"):
        run_folder("pets", None, resume=True)
    (tmp_path / "saved_models/pets/2/.fit").mkdir()
    assert run_folder("pets", None, resume=True).as_posix() == "saved_models/pets/2"


def test_a_model_is_not_written_over(tmp_path):
    (tmp_path / "model.keras").touch()
    with pytest.raises(InputError, match="holds a model already. Give another --out"):
        run_folder("x", tmp_path, resume=False)
    with pytest.raises(InputError, match="Expected a folder. Received: .*, which is a file"):
        run_folder("x", tmp_path / "model.keras", resume=False)


def test_a_report_keeps_the_other_parts(tmp_path):
    update_report(tmp_path, one=1, two=2)
    update_report(tmp_path, two=3)
    assert json.loads((tmp_path / "report.json").read_text()) == {"one": 1, "two": 3}
    (tmp_path / "report.json").write_text("{ damaged")
    update_report(tmp_path, one=1)
    assert json.loads((tmp_path / "report.json").read_text()) == {"one": 1}
