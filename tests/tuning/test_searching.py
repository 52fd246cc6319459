"""search: trials through the real KerasTuner, taken up again, and the model that is chosen."""

import json
import logging
import os
from dataclasses import replace

import keras_tuner
import numpy as np
import pandas as pd
import pytest

from kerastl import search
from kerastl.errors import InputError
from kerastl.inference.evaluation import predict_scores
from kerastl.models.spec import spec_of
from kerastl.training.data import training_digest
from kerastl.tuning.leaderboard import trial_score
from kerastl.tuning.loop import most_trials
from kerastl.tuning.oracles import make_oracle
from kerastl.tuning.searching import data_digest
from kerastl.tuning.space import SearchSpace
from tests.support.searches import SMALL, finished
from tests.support.swapped import bitmaps, swap
from tests.support.two_tasks import backbone, striped_manifest


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return striped_manifest(tmp_path_factory.mktemp("stripes"))


@pytest.fixture(scope="module")
def found(data, tmp_path_factory):
    """A finished search, and what it told."""
    told, folder = [], tmp_path_factory.mktemp("search") / "one"
    return search(backbone(), data, folder=folder, progress=told.append, **SMALL), told


def test_every_configuration_is_tried_once(found):
    result, _ = found
    frame = result.leaderboard.frame
    tried = set(zip(frame["trainable"], frame["learning_rate"], strict=True))
    assert tried == {(d, r) for d in ("heads", "4") for r in (1e-3, 1e-2)}
    assert len(frame) == 4
    assert (frame["status"] == "done").all()


def test_the_model_is_the_chosen_trials(found, data):
    result, _ = found
    row = result.leaderboard.frame.set_index("trial").loc[result.leaderboard.chosen]
    predicted = predict_scores(result.model, data.split("val").certain())
    score = trial_score(data.tasks, predicted.labels, predicted.scores)
    assert score == pytest.approx(row["score"], abs=1e-6)
    assert result.values["trainable"] == row["trainable"]
    layers = 0 if row["trainable"] == "heads" else 4
    assert spec_of(result.model).trainable == layers
    assert result.model.compiled
    train = data.split("train")
    assert spec_of(result.model).trained_on == (training_digest(train, data.tasks),)


def test_files_of_the_search(found):
    folder = found[0].folder
    assert len(pd.read_csv(folder / "leaderboard.csv")) == 4
    assert list(pd.read_csv(folder / "depths.csv")["layers"]) == [0, 4]
    assert (folder / "leaderboard.png").read_bytes()[1:4] == b"PNG"
    kept = list(folder.glob("trials/trial_*/checkpoint.weights.h5"))
    assert len(kept) == 3
    assert not list(folder.glob("trials/trial_*/state*"))


def test_progress(found):
    _, told = found
    assert told[0].stage == "features"
    trials = [t for t in told if t.stage == "trials"]
    assert [t.done for t in trials] == [0, 1, 2, 3, 4]
    assert {t.total for t in trials} == {4}
    assert trials[0].seconds_left is None
    assert trials[-1].seconds_left == 0
    assert "rate 0.001" in trials[1].text
    assert trials[-1].best


def test_called_again_nothing_runs_twice(found, data):
    result, _ = found
    before, told = finished(result.folder), []
    again = search(backbone(), data, folder=result.folder, progress=told.append, **SMALL)
    assert finished(result.folder) == before
    assert len(before) == 4
    assert again.leaderboard.chosen == result.leaderboard.chosen
    for a, b in zip(again.model.get_weights(), result.model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_plain_keras_tuner_opens_the_folder(found, data):
    result, _ = found
    from kerastl import UnfreezeHyperModel

    named = {k: v for k, v in SMALL.items() if k not in ("epochs", "tuner")}
    tuner = keras_tuner.GridSearch(
        UnfreezeHyperModel(backbone(), data.tasks, cache=result.folder / "features", **named),
        objective=keras_tuner.Objective("score", "max"),
        directory=result.folder, project_name="trials", overwrite=False,
    )  # fmt: skip
    best = tuner.get_best_models(1)[0]
    predicted = predict_scores(best, data.split("val").certain())
    score = trial_score(data.tasks, predicted.labels, predicted.scores)
    assert score == pytest.approx(result.leaderboard.frame["score"].max(), abs=1e-6)


def test_a_broken_picture_is_listed_once_by_its_path_as_given(data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "broken.png").write_bytes(b"no picture")
    more = pd.concat([data.frame, data.frame.tail(1).assign(image="broken.png", split="val")])
    broken = type(data)(more.reset_index(drop=True), data.tasks)
    few = {**SMALL, "depths": ["heads"], "learning_rate": 1e-3, "epochs": 1}
    result = search(backbone(), broken, folder=tmp_path / "found", **few)
    assert list(broken.skipped) == ["broken.png"]
    assert list(result.leaderboard.frame["n"]) == [16]


class Stop(Exception):
    """What a user's own progress function may raise."""


def test_stopped_and_taken_up_again(data, tmp_path, found):
    def stop(told):
        if told.stage == "trials" and told.done == 2:
            raise Stop

    with pytest.raises(Stop):
        search(backbone(), data, folder=tmp_path, progress=stop, **SMALL)
    before = finished(tmp_path)
    assert len(before) == 2
    result = search(backbone(), data, folder=tmp_path, **SMALL)
    after = finished(tmp_path)
    assert len(after) == 4
    assert {t: after[t] for t in before} == before
    columns = ["trainable", "learning_rate", "score"]
    ours, whole = (r.leaderboard.frame[columns].sort_values(columns) for r in (result, found[0]))
    pd.testing.assert_frame_equal(
        ours.reset_index(drop=True), whole.reset_index(drop=True), atol=1e-6
    )


@pytest.mark.slow
def test_a_chosen_trial_that_was_not_kept_is_fitted_again(found, data, tmp_path, caplog):
    with caplog.at_level(logging.INFO, "kerastl"):
        result = search(backbone(), data, folder=tmp_path, keep=1, **SMALL)
    for path in tmp_path.glob("trials/trial_*/checkpoint.weights.h5"):
        path.unlink()
    with caplog.at_level(logging.INFO, "kerastl"):
        again = search(backbone(), data, folder=tmp_path, keep=1, **SMALL)
    assert "were not kept: it is fitted again" in caplog.text
    for a, b in zip(again.model.get_weights(), result.model.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_another_search_in_the_folder_is_refused(found, data):
    folder = found[0].folder
    with pytest.raises(InputError, match="search with other settings") as error:
        search(backbone(), data, folder=folder, **{**SMALL, "epochs": 3, "dropout": 0.1})
    assert set(error.value.faults) == {"dropout: 0.0 there, 0.1 here", "epochs: 2 there, 3 here"}
    assert "overwrite=True" in str(error.value)


def test_a_picture_replaced_by_one_of_the_same_size_and_time_is_noticed(tmp_path):
    data = striped_manifest(tmp_path, train=4, val=2, test=2)
    bitmaps(data.frame["image"])
    first = data_digest(data, tmp_path / "cache")
    os.utime(data.frame["image"][0])
    assert data_digest(data, tmp_path / "cache") == first
    swap(data.frame["image"][0])
    assert data_digest(data, tmp_path / "cache") != first
    assert data_digest(data) == data_digest(data, tmp_path / "cache")


def test_before_its_first_trial_a_search_may_change(data, tmp_path):
    few = {**SMALL, "learning_rate": 1e-3}
    with pytest.raises(InputError, match="budget of 10 bytes"):
        search(backbone(), data, folder=tmp_path, budget=10, **few)
    few |= {"depths": ["heads"], "epochs": 1}
    result = search(backbone(), data, folder=tmp_path, **few)
    assert list(result.leaderboard.frame["trainable"]) == ["heads"]
    assert json.loads((tmp_path / "search.json").read_text())["epochs"] == "1"


def test_a_damaged_settings_file(data, tmp_path):
    (tmp_path / "trials/trial_0000").mkdir(parents=True)
    for text in ("{", "[]"):
        (tmp_path / "search.json").write_text(text)
        with pytest.raises(InputError, match=r"search.json is damaged. Begin anew with overwrite"):
            search(backbone(), data, folder=tmp_path, **SMALL)


def test_begun_anew(data, tmp_path):
    few = {**SMALL, "tuner": "random", "trials": 1}
    search(backbone(), data, folder=tmp_path, **few)
    assert len(finished(tmp_path)) == 1
    result = search(backbone(), data, folder=tmp_path, overwrite=True, **{**few, "epochs": 1})
    assert len(finished(tmp_path)) == 1
    assert json.loads((tmp_path / "search.json").read_text())["epochs"] == "1"
    assert list(result.leaderboard.frame["trainable"]) == ["heads"]


def test_a_trial_that_diverges_is_marked_and_left(data, tmp_path):
    options = {**SMALL, "learning_rate": [1e-3, 1e30], "depths": [4]}
    result = search(backbone(), data, folder=tmp_path, **options)
    status = result.leaderboard.frame.set_index("learning_rate")["status"]
    assert status[1e-3] == "done"
    assert "finite" in status[1e30]
    assert result.values["learning_rate"] == 1e-3


def test_a_val_part_without_known_labels_is_refused_before_any_work(data, tmp_path):
    columns = [c for task in data.tasks for c in task.columns]
    val = data.frame["split"] == "val"
    unknown = {c: data.frame[c].mask(val, -1) for c in columns}
    bare = replace(data, frame=data.frame.assign(**unknown))
    with pytest.raises(InputError, match="in val no task has certain labels of two classes"):
        search("MobileNet", bare, folder=tmp_path / "search", trials=1)
    assert not list(tmp_path.iterdir())


def test_faults_of_the_arguments_all_at_once(data, tmp_path):
    with pytest.raises(InputError, match="no search so") as error:
        search("MobileNet", data.split("train"), folder=tmp_path, trials=0, tuner="best", keep=True)
    assert list(error.value.faults) == [
        "expected a val part; there is none",
        "trials: expected a whole number from 1, received 0",
        "keep: expected a whole number from 1, received True",
        "tuner: expected bayesian, random, hyperband, grid, received 'best'",
    ]
    with pytest.raises(InputError, match="Expected a Manifest. Received: list."):
        search("MobileNet", [], folder=tmp_path)


def test_a_grid_over_ranges_needs_a_number_of_trials(data, tmp_path):
    ranges = {"learning_rate": (1e-4, 1e-2), "dropout": (0.0, 0.5)}
    with pytest.raises(InputError, match="A whole grid needs lists of values") as error:
        search(backbone(), data, folder=tmp_path, **{**SMALL, **ranges})
    assert list(error.value.faults) == [
        "learning_rate: received the range (0.0001, 0.01)",
        "dropout: received the range (0.0, 0.5)",
    ]


def test_trials_of_a_grid_are_counted(tmp_path):
    space = SearchSpace(("heads", "4"), learning_rate=(1e-4, 1e-2), depth_decay=0.7, dropout=[0.0])
    oracle = make_oracle("grid", space, trials=60, epochs=1, seed=0, folder=tmp_path)
    most = most_trials(oracle)
    assert most == 60
    oracle.max_trials = None
    most, count = most_trials(oracle), 0
    while oracle.create_trial(f"tuner{count}").status == "RUNNING":
        count += 1
    assert count == most


def test_a_fault_of_the_data_ends_it_with_its_own_message(data, tmp_path):
    frame = data.frame.assign(way=np.where(data.frame["split"] == "train", -1, data.frame["way"]))
    with pytest.raises(InputError, match="Nothing could be learnt of 1 task"):
        search(backbone(), type(data)(frame, data.tasks), folder=tmp_path, **SMALL)


@pytest.mark.slow
def test_trials_of_hyperband_are_counted(data, tmp_path):
    told = []
    options = {**SMALL, "tuner": "hyperband", "epochs": 3, "learning_rate": (1e-4, 1e-2)}
    result = search(backbone(), data, folder=tmp_path, progress=told.append, **options)
    score = keras_tuner.Objective("score", "max")
    most = most_trials(keras_tuner.oracles.HyperbandOracle(score, max_epochs=3))
    assert told[-1].done == told[-1].total == most == len(result.leaderboard.frame)
