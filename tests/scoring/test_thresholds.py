"""Thresholds: chosen as a plain loop would, stored with the model, and kept by every form of it."""

from __future__ import annotations

from dataclasses import replace

import keras
import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sk

from kerastl.data.manifest import Manifest
from kerastl.data.tasks import Task
from kerastl.deploy.exporting import export
from kerastl.errors import InputError
from kerastl.inference.evaluation import evaluate, predict_scores, tune_thresholds
from kerastl.inference.prediction import predict
from kerastl.inference.predictors import load_predictor
from kerastl.models.saving import load_model, save_model
from kerastl.models.spec import spec_of
from kerastl.scoring.intervals import resampled
from kerastl.scoring.scores import score
from kerastl.scoring.thresholds import choose_thresholds
from kerastl.training.fitting import fit
from tests.support.tiny_models import TASKS, on_disk, patches, tiny

ORACLES = {
    "f1": sk.f1_score,
    "accuracy": sk.accuracy_score,
    "balanced_accuracy": sk.balanced_accuracy_score,
}
RUST = Task("rust", ["no", "yes"], "binary")
MARKS = Task("marks", ["u", "v", "w"], "multilabel")


def rusty(n=60, seed=0):
    rng = np.random.default_rng(seed)
    y = (rng.random(n) < 0.3).astype(int)
    p = np.round(np.clip(0.15 + 0.35 * y + rng.normal(0, 0.15, n), 0, 1), 2)
    return y, p, ({"rust": y}, {"rust": np.c_[1 - p, p]})


def by_hand(y, p, metric, draws):
    """One draw, one candidate at a time, with scikit-learn's weights."""
    (counts,) = resampled(len(y), draws, 0)
    distinct = np.unique(p)
    candidates = np.unique([0.5, *((distinct[1:] + distinct[:-1]) / 2)])
    candidates = candidates[np.abs(candidates - 0.5).argsort(kind="stable")]

    def values(weights):
        return np.array([ORACLES[metric](y, p >= t, sample_weight=weights) for t in candidates])

    taken = np.array([values(c) for c in counts.T])
    means = taken.mean(axis=0)
    gains = [values(c == 0)[own.argmax()] - values(c == 0)[0]
             for c, own in zip(counts.T, taken, strict=True)]  # fmt: skip
    return candidates[means >= means.max() - 1e-9][0], np.array(gains)


@pytest.mark.parametrize("metric", ORACLES)
@pytest.mark.parametrize("seed", [0, 1])
def test_the_threshold_and_its_gain_are_those_of_a_plain_loop(metric, seed):
    y, p, data = rusty(seed=seed)
    p = p.astype("float32").astype("float64")
    found = choose_thresholds(RUST, *data, metric=metric, draws=30)
    expected, gains = by_hand(y, p, metric, 30)
    (threshold,) = found.values["rust"]
    assert threshold == pytest.approx(expected if gains.mean() > 0 else 0.5, abs=1e-6)
    row = found.frame.iloc[0]
    assert (row["task"], row["label"], row["metric"]) == ("rust", "yes", metric)
    assert row["at_half"] == pytest.approx(ORACLES[metric](y, p >= 0.5))
    assert row["tuned"] == pytest.approx(ORACLES[metric](y, p >= threshold))
    assert row["gain"] == pytest.approx(gains.mean())
    ends, unseen = np.percentile(gains, [2.5, 97.5]), 1 - 0.025 ** (1 / 60)
    wide = np.hypot(ends - gains.mean(), unseen) * [-1, 1]
    assert row[["low", "high"]].tolist() == pytest.approx(gains.mean() + wide)
    assert (row["n"], row["positives"]) == (60, y.sum())


def calibrated(n, seed):
    """Scores that are the chance of a yes: no threshold has a better accuracy than 0.5."""
    rng = np.random.default_rng(seed)
    p = np.round(rng.random(n), 3)
    y = rng.random(n) < p
    return y, p, ({"rust": y}, {"rust": np.c_[1 - p, p]})


def test_a_threshold_moves_only_where_that_gained_on_pictures_it_did_not_see():
    moves = []
    for seed in range(20):
        row = choose_thresholds(RUST, *calibrated(150, seed)[2], metric="accuracy").frame.iloc[0]
        moves.append(row["threshold"] != 0.5)
        assert not moves[-1] or row["gain"] > 0
        assert moves[-1] or row["tuned"] == row["at_half"]
        assert not (moves[-1] and row["note"])
    assert 0 < sum(moves) < 10


def test_the_tuned_value_is_what_score_says_at_that_threshold():
    *_, data = rusty()
    found = choose_thresholds(RUST, *data)
    at, half = (score(RUST, *data, thresholds=t, draws=0) for t in (found.values, None))
    assert found.frame["tuned"][0] == pytest.approx(at.get("rust", "f1", "yes"))
    assert found.frame["at_half"][0] == pytest.approx(half.get("rust", "f1", "yes"))
    assert found.frame["gain"][0] > 0.05


def test_unknown_labels_count_nowhere():
    y, p, data = rusty()
    holes = {"rust": np.r_[y, np.full(40, -1)]}
    junk = np.random.default_rng(9).random(40)
    scores = {"rust": np.c_[1 - np.r_[p, junk], np.r_[p, junk]]}
    whole, holed = choose_thresholds(RUST, *data), choose_thresholds(RUST, holes, scores)
    assert holed.values == whole.values
    pd.testing.assert_frame_equal(holed.frame, whole.frame)


def test_a_label_with_few_positives_or_negatives_keeps_half_and_says_why():
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 2, (40, 3))
    labels[:, 0] = np.arange(40) < 4
    labels[:, 2] = -1
    found = choose_thresholds(MARKS, {"marks": labels}, {"marks": rng.random((40, 3))})
    assert found.values["marks"][::2] == (0.5, 0.5)
    assert found.frame["note"][0] == "kept at 0.5: fewer than 5 known positives"
    assert found.frame["note"][2] == "kept at 0.5: fewer than 5 known positives and negatives"
    assert found.frame["gain"][0] == 0
    assert found.frame["n"].tolist() == [40, 40, 0]
    assert found.records()[2]["tuned"] is None
    labels[:, 0] = np.arange(40) < 5
    scores = {"marks": np.where(labels == 1, 0.3, 0.1)}
    assert choose_thresholds(MARKS, {"marks": labels}, scores).values["marks"][0] < 0.5


def test_equally_good_thresholds_give_way_to_the_nearest_to_half():
    p = np.r_[np.full(10, 0.2), np.full(10, 0.9)]
    found = choose_thresholds(RUST, {"rust": p > 0.5}, {"rust": np.c_[1 - p, p]})
    assert found.values == {"rust": (0.5,)}
    same = np.full(20, 0.7)
    found = choose_thresholds(RUST, {"rust": p > 0.5}, {"rust": np.c_[1 - same, same]})
    assert found.values == {"rust": (0.5,)}


def test_scores_that_float32_cannot_tell_apart_are_not_parted():
    p = np.r_[np.full(10, 0.25 - 1e-12), np.full(10, 0.25 + 1e-12), np.full(5, 0.1)]
    y = np.r_[np.zeros(10), np.ones(10), np.zeros(5)]
    (at,) = choose_thresholds(RUST, {"rust": y}, {"rust": np.c_[1 - p, p]}).values["rust"]
    assert len(set(p[:20] >= at)) == len(set(p[:20].astype("float32") >= at)) == 1


def test_where_half_is_best_less_is_lost_than_by_the_plain_maximum():
    y, p, _ = calibrated(4000, seed=99)
    ours, plain = [], []
    for seed in range(25):
        own_y, own_p, data = calibrated(40, seed)
        found = choose_thresholds(RUST, *data, metric="accuracy", draws=100)
        ours.append(sk.accuracy_score(y, p >= found.values["rust"][0]))
        grid = np.unique(own_p)
        best = grid[np.argmax([sk.accuracy_score(own_y, own_p >= t) for t in grid])]
        plain.append(sk.accuracy_score(y, p >= best))
    assert np.mean(ours) > np.mean(plain) + 0.005


def test_the_table_names_each_label():
    *_, data = rusty()
    lines = str(choose_thresholds(RUST, *data)).splitlines()
    assert lines[0].split("threshold")[1].strip().startswith("f1 at 0.5 -> tuned")
    assert lines[1].startswith("rust: yes")
    assert "of 60 positive" in lines[1]
    sky = Task("sky", ["grey", "blue"])
    none = choose_thresholds(sky, {"sky": np.zeros(1)}, {"sky": np.eye(2)[:1]})
    assert (none.values, len(none.frame)) == ({}, 0)
    assert str(none).startswith("No task has a threshold")


def test_what_cannot_be_chosen_by_is_refused():
    *_, data = rusty()
    with pytest.raises(InputError, match=r"metric= of f1, accuracy.*Did you mean accuracy"):
        choose_thresholds(RUST, *data, metric="acuracy")
    with pytest.raises(InputError, match="draws of at least 1"):
        choose_thresholds(RUST, *data, draws=0)
    with pytest.raises(InputError, match="rust: no scores"):
        choose_thresholds(RUST, data[0], {})


@pytest.fixture(scope="module")
def holed(tmp_path_factory):
    """Labels that can be learnt, a fifth each unannotated and uncertain, in every split."""
    manifest = on_disk(tmp_path_factory.mktemp("holed") / "pictures", n=150)
    rng, frame = np.random.default_rng(1), manifest.frame.copy()
    frame["split"] = np.repeat(["train", "val", "test"], 50)
    colours = patches(150).mean(axis=(1, 2))
    truth = {"zone": colours.argmax(axis=1), "alarm": colours[:, 0] > 150,
             "marks.u": colours[:, 1] > 110, "marks.v": colours[:, 2] > 140}  # fmt: skip
    for column, codes in truth.items():
        frame[column] = rng.choice([1, -1, -2], size=150, p=[0.6, 0.2, 0.2])
        frame[column] = np.where(frame[column] == 1, codes, frame[column])
    return replace(manifest, frame=frame, uncertain={"alarm": 1.0, "marks.u": 0.5})


@pytest.fixture(scope="module")
def trained(holed):
    """A model trained on them for a moment, its thresholds tuned."""
    model = tiny()
    fit(model, holed, epochs=20, head_learning_rate=0.05, verbose=0)
    return model, tune_thresholds(model, holed)


def test_tuning_takes_the_val_part_and_stores_what_it_found(trained, holed):
    model, tuned = trained
    assert spec_of(model).thresholds == tuned.values
    assert set(tuned.values) == {"alarm", "marks"}
    val = holed.split("val")
    found = predict_scores(model, val)
    assert (found.labels["alarm"] >= 0).sum() == (val.frame["alarm"] >= 0).sum()
    assert choose_thresholds(TASKS, found.labels, found.scores).values == tuned.values
    arrays = (patches(150)[50:100], val.certain().labels())
    assert tune_thresholds(model, arrays).values == tuned.values
    without = Manifest(val.frame.drop(columns="split"), TASKS)
    assert tune_thresholds(model, without).values == tuned.values


def test_tuning_never_takes_the_test_part(trained, holed):
    model, tuned = trained
    for name in ("train", "test"):
        with pytest.raises(InputError, match=f"with a val part.*Its splits are: {name}. Give one"):
            tune_thresholds(model, holed.split(name))
    with pytest.raises(InputError, match="Expected data with labels"):
        tune_thresholds(model, patches(4))
    with pytest.raises(InputError, match="metric="):
        tune_thresholds(model, holed, metric="auc")
    assert spec_of(model).thresholds == tuned.values


@pytest.fixture(scope="module")
def forms(trained, holed, tmp_path_factory):
    """The model's files by form."""
    model, _ = trained
    folder = tmp_path_factory.mktemp("forms")
    report = export(model, folder, calibration=holed, evaluation=holed, latency=False)
    save_model(model, folder / "model.keras")
    return {"keras": folder / "model.keras", **{f.format: folder / f.file for f in report.files}}


def test_a_model_trained_with_holes_keeps_its_thresholds_in_every_form(trained, holed, forms):
    model, tuned = trained
    expected, table = evaluate(model, holed, draws=0), predict(model, holed.split("test"))
    found = predict_scores(model, holed)
    half = score(TASKS, found.labels, found.scores, draws=0)
    assert half.get("marks", "accuracy") != expected.get("marks", "accuracy")
    for form, path in forms.items():
        assert load_predictor(path).thresholds == tuned.values
        found, answers = evaluate(path, holed, draws=0), predict(path, holed.split("test"))
        if form not in ("float16", "dynamic", "int8"):
            pd.testing.assert_frame_equal(found.frame, expected.frame, atol=1e-4)
        for task in TASKS:
            for metric in ("accuracy", "macro_f1", "auc"):
                value = expected.get(task.name, metric)
                assert found.get(task.name, metric) == pytest.approx(value, abs=0.06)
            same = (answers[f"{task.name}/predicted"] == table[f"{task.name}/predicted"]).mean()
            assert same >= (0.9 if form in ("dynamic", "int8") else 1.0), (form, task.name)
    assert load_model(forms["keras"]).kerastl_spec == spec_of(model)


def test_plain_keras_opens_it_and_gives_the_same_logits(trained, forms):
    plain = keras.models.load_model(forms["keras"])
    ours = trained[0].predict(patches(8), verbose=0)
    for name, logits in plain.predict(patches(8), verbose=0).items():
        np.testing.assert_allclose(logits, ours[name], atol=1e-6)


def test_the_report_of_an_export_is_decided_at_the_thresholds(trained, holed, forms):
    model, _ = trained
    report = export(model, forms["keras"].parent, ["float32"], evaluation=holed, latency=False)
    expected = evaluate(model, holed, draws=0)
    for task in TASKS:
        made = report.files[0].tasks[task.name]
        assert made.accuracy.value == pytest.approx(expected.get(task.name, "accuracy"))
        assert made.accuracy.n == expected.frame.set_index(["task", "class", "metric"]).loc[
            (task.name, "", "accuracy"), "n"
        ]  # fmt: skip
        assert made.same == 1.0


def test_what_is_uncertain_is_never_scored_whatever_training_takes_it_for(trained, holed):
    frame = holed.frame.drop(columns="split")
    whole = Manifest(frame, TASKS, uncertain={"alarm": 1.0, "marks.u": 0.5})
    assert (whole.labels()["alarm"] >= 0).sum() > (frame["alarm"] >= 0).sum()
    scores = evaluate(trained[0], whole, draws=0).frame
    n = scores[(scores["task"] == "alarm") & (scores["class"] == "")]["n"]
    assert set(n) == {(frame["alarm"] >= 0).sum()}
