import json

import numpy as np
import pandas as pd
import pytest

from kerastl.errors import InputError
from kerastl.evaluation import evaluate, predict_scores
from kerastl.models import classifier
from kerastl.readers import read_folder
from kerastl.reports import update_report
from kerastl.runs import open_data, run_folder, score_run, write_run
from kerastl.saving import load_model
from kerastl.training import fit


@pytest.fixture
def trained(network, stripes_folder):
    manifest = read_folder(stripes_folder)
    model = classifier(network(), ["across", "down"])
    return model, manifest, fit(model, manifest, epochs=1, verbose=0)


def test_a_run_is_written_whole(trained, tmp_path, stripes_folder):
    model, manifest, history = trained
    folder = tmp_path / "run"
    (folder / ".fit").mkdir(parents=True)
    scores = write_run(folder, model, manifest, history, settings={"epochs": 1},
                       root=stripes_folder)  # fmt: skip
    assert sorted(p.name for p in folder.iterdir()) == [
        "history.csv", "model.keras", "predictions.csv", "report.json", "scores.png",
    ]  # fmt: skip
    predictions = pd.read_csv(folder / "predictions.csv")
    assert list(predictions) == ["image", "split", "label", "label.across", "label.down"]
    assert len(predictions) == 60
    assert predictions["image"].str.match(r"(across|down)/\d+\.png").all()
    test = predictions[predictions["split"] == "test"]
    right = (test["label.down"] > test["label.across"]) == (test["label"] == "down")
    assert right.mean() == pytest.approx(scores.get("label", "accuracy"))
    report = json.loads((folder / "report.json").read_text())
    assert report["data"]["pictures"] == 60
    assert "0 of" in report["training"]["weights"]
    assert load_model(folder / "model.keras").kerastl_spec.tasks == manifest.tasks


def test_pictures_that_cannot_be_read_have_no_scores(trained, tmp_path):
    model, manifest, _ = trained
    frame = manifest.frame.copy()
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"")
    frame.loc[frame.index[3], "image"] = str(broken)
    from dataclasses import replace

    from kerastl.runs import predictions_frame

    other = replace(manifest, frame=frame)
    _, found = score_run(model, other)
    table = predictions_frame(other, found, None)
    assert np.flatnonzero(table["label.down"].isna()).tolist() == [3]
    assert other.skipped[str(broken)] == "empty file"


def test_scores_and_predictions_are_those_of_evaluate(trained):
    model, manifest, _ = trained
    scores, found = score_run(model, manifest)
    straight = evaluate(model, manifest)
    pd.testing.assert_frame_equal(scores.frame, straight.frame, atol=1e-4)
    expected = predict_scores(model, manifest).scores["label"]
    test = (manifest.frame["split"] == "test").to_numpy()
    np.testing.assert_allclose(found.scores["label"][test], expected, atol=1e-5)


def test_folders_are_numbered(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run_folder("pets/", None, resume=False).as_posix() == "saved_models/pets/1"
    (tmp_path / "saved_models/pets/1").mkdir(parents=True)
    assert run_folder("pets.csv", None, resume=False).as_posix() == "saved_models/pets/2"
    with pytest.raises(InputError, match=r"no interrupted run in saved_models/pets/1"):
        run_folder("pets", None, resume=True)
    (tmp_path / "saved_models/pets/1/.fit").mkdir()
    assert run_folder("pets", None, resume=True).as_posix() == "saved_models/pets/1"


def test_a_model_is_not_written_over(tmp_path):
    (tmp_path / "model.keras").touch()
    with pytest.raises(InputError, match="holds a model already. Give another --out"):
        run_folder("x", tmp_path, resume=False)


def test_open_data(stripes_folder, tmp_path):
    assert len(open_data(str(stripes_folder))) == 60
    frame = read_folder(stripes_folder).decoded()[["image", "label"]]
    frame.to_csv(tmp_path / "labels.csv", index=False)
    frame.to_csv(tmp_path / "labels.tsv", index=False, sep="\t")
    assert len(open_data(str(tmp_path / "labels.csv"), tasks=["label"])) == 60
    assert len(open_data(str(tmp_path / "labels.tsv"))) == 60
    with pytest.raises(InputError, match="A folder's classes are its folders"):
        open_data(str(stripes_folder), tasks=["label"])


def test_a_report_keeps_the_other_parts(tmp_path):
    update_report(tmp_path, one=1, two=2)
    update_report(tmp_path, two=3)
    assert json.loads((tmp_path / "report.json").read_text()) == {"one": 1, "two": 3}
    (tmp_path / "report.json").write_text("{ damaged")
    update_report(tmp_path, one=1)
    assert json.loads((tmp_path / "report.json").read_text()) == {"one": 1}
