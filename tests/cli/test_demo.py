"""The demo: quick on a part of the cells, and whole where slow tests run."""

import json

import numpy as np
import pandas as pd
import pytest

from kerastl.cli import demo
from kerastl.cli.claims import release_all
from kerastl.data.pictures import load_picture
from kerastl.data.readers import solar_cells
from kerastl.data.readers.solar_cells import DEFECT, TYPE, read_solar_cells, solar_cells_folder
from kerastl.data.tasks import UNCERTAIN
from kerastl.errors import InputError
from kerastl.inference.evaluation import evaluate
from kerastl.inference.litert import LiteRTModel
from kerastl.inference.predictors import load_predictor

WRITTEN = {
    "model.keras", "saved_model", "model_float32.tflite", "model_int8.tflite", "model.json",
    "report.json", "predictions.csv", "history.csv", "scores.png",
    "division.csv",
}  # fmt: skip


def test_solar_cells_are_those_of_the_package():
    data = read_solar_cells()
    table = pd.read_csv(solar_cells_folder() / "labels.csv", sep=r"\s+", header=None)
    assert data.tasks == (DEFECT, TYPE)
    assert data.frame["defect"].sum() == (table[1] > 0.5).sum() == 821
    assert (data.frame["type"] == 0).sum() == 1074
    shares = data.frame["split"].value_counts(normalize=True)
    assert shares["test"] == pytest.approx(0.25, abs=0.001)
    for split in ("train", "val", "test"):
        assert data.split(split).frame["defect"].mean() == pytest.approx(821 / 2624, abs=0.01)


def test_doubtful_cells():
    soft = read_solar_cells(doubtful="soft").frame["defect"]
    assert sorted(soft.round(2).unique()) == [0.0, 0.33, 0.67, 1.0]
    unknown = read_solar_cells(doubtful="unknown").frame["defect"]
    assert (unknown == UNCERTAIN).sum() == 295 + 106
    with pytest.raises(InputError, match="Expected doubtful= of hard, soft, unknown"):
        read_solar_cells(doubtful="no")


@pytest.fixture
def few_cells(monkeypatch):
    """A tenth of the cells at a small size: the same path in seconds."""
    data = read_solar_cells()
    monkeypatch.setattr(solar_cells, "read_solar_cells", lambda: data.take(range(0, len(data), 20)))
    monkeypatch.setattr(demo, "MODEL_OPTIONS", {**demo.MODEL_OPTIONS, "image_size": 64})
    monkeypatch.setattr(demo, "FIT_OPTIONS", {**demo.FIT_OPTIONS, "views": 2})


@pytest.mark.slow
def test_the_demo_writes_all_it_promises(few_cells, tmp_path, capsys):
    demo.demo(tmp_path / "run", epochs=1)
    release_all()
    folder, told = tmp_path / "run", capsys.readouterr().out
    assert {p.name for p in folder.iterdir()} == WRITTEN
    for words in ("CC BY-NC-SA 4.0", "What trains", "0.8244", "0.8842", "What to type next"):
        assert words in told
    table = pd.read_csv(folder / "predictions.csv")
    assert list(table) == [
        "image", "split", "defect/truth", "defect/predicted", "defect/correct",
        "defect/score/functional", "defect/score/defective", "type/truth", "type/predicted",
        "type/correct", "type/score/mono", "type/score/poly", "error",
    ]  # fmt: skip
    assert (solar_cells_folder() / table["image"][0]).is_file()
    report = json.loads((folder / "report.json").read_text())
    assert {"data", "training", "scores", "export"} <= set(report)


@pytest.mark.figures
def test_the_demo_reaches_its_figures(tmp_path):
    """Accuracy from the PNG files through the LiteRT interpreter, counted here anew."""
    demo.demo(tmp_path / "run")
    folder, data = tmp_path / "run", read_solar_cells().split("test")
    images = np.stack([load_picture(p, load_predictor(folder).image_size)
                       for p in data.frame["image"]])  # fmt: skip
    labels = data.labels()
    defect, _ = json.loads((folder / "model.json").read_text())["tasks"]
    (at,) = defect["thresholds"]
    found = {}
    for form in ("float32", "int8"):
        scores = LiteRTModel(folder / f"model_{form}.tflite").predict(images)
        found[form] = {
            "defect": ((scores["defect"][:, 1] >= at) == labels["defect"][:, 0]).mean(),
            "type": (scores["type"].argmax(1) == labels["type"]).mean(),
        }
    assert found["float32"]["defect"] >= 0.89
    assert found["int8"]["defect"] >= found["float32"]["defect"] - 0.01
    assert min(found["float32"]["type"], found["int8"]["type"]) >= 0.99
    told = evaluate(folder / "model_int8.tflite", data, draws=0).get("defect", "accuracy")
    assert told == pytest.approx(found["int8"]["defect"])
