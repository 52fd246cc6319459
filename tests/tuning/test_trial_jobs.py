"""One trial of a search: real fits of a small network, and what they leave in its folder."""

import json
from dataclasses import replace

import keras_tuner
import numpy as np
import pytest
import tensorflow as tf

from kerastl.data.manifest import Manifest
from kerastl.distributed.pool import open_pool
from kerastl.errors import InputError
from kerastl.features.store.upkeep import list_store
from kerastl.inference.evaluation import predict_scores
from kerastl.scoring.trial_scores import trial_score
from kerastl.training.callbacks import KeepState
from kerastl.tuning.hypermodel import UnfreezeHyperModel
from kerastl.tuning.loop import run_search
from kerastl.tuning.oracles import CHECKPOINT, make_oracle
from kerastl.tuning.trial_jobs import Job, give_up, read_record, read_rows, run_job
from tests.support.two_tasks import backbone, striped_manifest

VALUES = {
    "trainable": "4", "learning_rate": 1e-3, "depth_decay": 0.7, "dropout": 0.0,
    "weight_decay": 1e-4,
}  # fmt: skip
RANGES = {k: v for k, v in VALUES.items() if k != "trainable"} | {"learning_rate": [1e-3, 1e-2]}


def hypermodel(data, cache, **options):
    options = {"depths": ["heads", 4, "all"], "head_epochs": 1, **RANGES, **options}
    return UnfreezeHyperModel(
        backbone(), data.tasks, weights=None, cache=cache, engine="keras", **options
    )


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return striped_manifest(tmp_path_factory.mktemp("stripes"))


@pytest.fixture(scope="module")
def one(data, tmp_path_factory):
    """A trial of two executions that is finished: its hypermodel, its job and its outcome."""
    root = tmp_path_factory.mktemp("one")
    hyper = hypermodel(data, root / "features")
    job = Job("0", VALUES, root / "trial_0", epochs=1, executions=2)
    return hyper, job, run_job(hyper, data, job)


def network_of(hyper, job):
    hp = keras_tuner.HyperParameters()
    hyper.declare_hyperparameters(hp)
    hp.values.update(job.values)
    model = hyper.build(hp)
    model.load_weights(job.folder / CHECKPOINT)
    return model


def stamps(folder):
    return {p.name: p.stat().st_mtime_ns for p in folder.iterdir()}


def test_all_is_left_in_the_folder_and_nothing_else(one):
    _, job, _ = one
    names = {"record.json", "predictions.npz", CHECKPOINT, "build_config.json"}
    assert set(stamps(job.folder)) == names


def test_the_outcome_is_the_mean_of_the_executions(one, data):
    _, job, outcome = one
    record = read_record(job.folder, data.tasks)
    labels = data.split("val").certain().labels()
    each = [trial_score(data.tasks, labels, scores) for scores in record.scores]
    assert len(each) == 2
    assert outcome.score == pytest.approx(np.mean(each))
    assert outcome.trial_id == record.trial_id == "0"
    assert (record.values, record.layers, record.failure) == (VALUES, 4, "")
    assert outcome.epochs == record.epochs == 2
    assert outcome.seconds == record.seconds > 0
    np.testing.assert_array_equal(read_rows(job.folder), np.arange(16))


def test_executions_have_seeds_of_their_own(one, data):
    first, second = read_record(one[1].folder, data.tasks).scores
    assert np.abs(first["way"] - second["way"]).max() > 1e-4


def test_the_weights_are_the_best_executions(one, data):
    hyper, job, _ = one
    record, val = read_record(job.folder, data.tasks), data.split("val").certain()
    best = max(record.scores, key=lambda s: trial_score(data.tasks, val.labels(), s))
    found = predict_scores(network_of(hyper, job), val)
    for task in data.tasks:
        np.testing.assert_allclose(found.scores[task.name], best[task.name], atol=1e-5)


def test_a_finished_trial_is_read_and_not_run_again(one, data):
    hyper, job, outcome = one
    before = stamps(job.folder)
    assert run_job(hyper, data, job) == outcome
    assert stamps(job.folder) == before


class Killed(BaseException):
    """The process is gone at this moment."""


def epochs_of(hyper, data, job, monkeypatch, most=100):
    """Run a trial in a process that dies at the end of an epoch; epochs that were trained."""
    trained, real = [], KeepState.on_epoch_end

    def on_epoch_end(self, epoch, logs=None):
        if len(trained) == most:
            raise Killed
        trained.append(epoch)
        real(self, epoch, logs)

    with monkeypatch.context() as patch:
        patch.setattr(KeepState, "on_epoch_end", on_epoch_end)
        return run_job(hyper, data, job), len(trained)


def test_killed_in_an_epoch_only_that_one_is_lost(one, data, tmp_path, monkeypatch):
    """An execution is one epoch of the heads and one of the tail: the last of four is lost."""
    hyper, whole, outcome = one
    job = Job("0", VALUES, tmp_path / "trial_0", epochs=1, executions=2)
    with pytest.raises(Killed):
        epochs_of(hyper, data, job, monkeypatch, most=3)
    assert read_record(job.folder, data.tasks) is None
    again, trained = epochs_of(hypermodel(data, hyper.cache), data, job, monkeypatch)
    assert trained == 1
    assert again.score == pytest.approx(outcome.score, abs=1e-6)
    assert again.epochs == outcome.epochs
    assert set(stamps(job.folder)) == set(stamps(whole.folder))
    ours, theirs = (read_record(j.folder, data.tasks).scores for j in (job, whole))
    for here, there in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(here["way"], there["way"], atol=1e-5)


def test_a_record_of_another_trial_is_not_taken_for_it(one, data, tmp_path):
    hyper, job, _ = one
    for name in stamps(job.folder):
        (tmp_path / name).write_bytes((job.folder / name).read_bytes())
    other = Job("0", {**VALUES, "trainable": "heads"}, tmp_path, epochs=1)
    assert run_job(hyper, data, other).epochs == 2  # the heads alone, in both phases' time
    assert read_record(tmp_path, data.tasks).values["trainable"] == "heads"
    assert len(read_record(tmp_path, data.tasks).scores) == 1


@pytest.mark.parametrize("name", ["record.json", "predictions.npz"])
def test_a_damaged_file_is_no_finished_trial(one, data, tmp_path, name):
    job = one[1]
    for there in stamps(job.folder):
        (tmp_path / there).write_bytes((job.folder / there).read_bytes())
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:50])
    assert read_record(tmp_path, data.tasks) is None


def test_no_record_of_what_is_none(tmp_path, data):
    assert read_record(tmp_path, data.tasks) is None
    assert read_rows(tmp_path) is None
    for text in ("[]", "{}", "7"):
        (tmp_path / "record.json").write_text(text)
        assert read_record(tmp_path, data.tasks) is None


@pytest.mark.parametrize(("word", "budget"), [("4", 40_000), ("all", None)])
def test_a_depth_without_stored_features_is_scored_from_the_pictures(data, tmp_path, word, budget):
    hyper = hypermodel(data, tmp_path / "features", budget=budget)
    job = Job("0", {**VALUES, "trainable": word}, tmp_path / "trial_0", 1)
    run_job(hyper, data, job)
    [scores] = read_record(job.folder, data.tasks).scores
    plain = predict_scores(network_of(hyper, job), data.split("val").certain()).scores
    np.testing.assert_allclose(scores["shade"], plain["shade"], atol=1e-5)
    stored = list_store(tmp_path / "features")
    assert len(stored) == (1 if budget else 2)
    assert budget is None or stored["bytes"].sum() <= budget


def test_a_trial_that_diverges(data, tmp_path):
    hyper = hypermodel(data, tmp_path / "features", learning_rate=[1e-3, 1e30])
    job = Job("0", {**VALUES, "learning_rate": 1e30}, tmp_path / "trial_0", 2)
    outcome = run_job(hyper, data, job)
    assert outcome.score is None
    assert outcome.failure.startswith("diverged")
    assert [p.name for p in job.folder.iterdir()] == ["record.json"]
    record = read_record(job.folder, data.tasks)
    assert (record.failure, record.scores) == (outcome.failure, ())
    before = stamps(job.folder)
    assert run_job(hyper, data, job) == outcome
    assert stamps(job.folder) == before


def test_a_trial_without_room_in_memory(data, tmp_path, monkeypatch):
    def full(*_):
        raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating a tensor\nmore")

    monkeypatch.setattr(KeepState, "on_epoch_end", full)
    hyper = hypermodel(data, tmp_path / "features")
    outcome = run_job(hyper, data, Job("0", VALUES, tmp_path / "trial_0", 2))
    assert outcome.score is None
    assert outcome.failure == "out of memory: OOM when allocating a tensor"


def test_a_trial_that_is_given_up_has_a_record(one, data, tmp_path):
    hypermodel, job, _ = one
    job = replace(job, folder=tmp_path)
    assert give_up(hypermodel, job, "its process ended").score is None
    record = read_record(tmp_path, data.tasks)
    assert (record.failure, record.scores) == ("its process ended", ())
    assert run_job(hypermodel, data, job).failure == "its process ended"  # it is not begun again


def test_faults_of_the_data_pass(data, tmp_path):
    train = data.frame["split"] == "train"
    none = Manifest(data.frame.assign(way=np.where(train, -1, data.frame["way"])), data.tasks)
    hyper = hypermodel(none, tmp_path / "features")
    with pytest.raises(InputError, match="Nothing could be learnt of 1 task"):
        run_job(hyper, none, Job("0", VALUES, tmp_path / "trial_0", 1))


def test_a_val_part_that_cannot_be_scored(data, tmp_path):
    val = data.frame["split"] == "val"
    frame = data.frame.assign(**{n: np.where(val, -1, data.frame[n]) for n in ("way", "shade")})
    one_class = frame.assign(way=np.where(val, 1, frame["way"]))
    for labels in (frame, one_class):
        bare = Manifest(labels, data.tasks)
        with pytest.raises(InputError, match="The trials cannot be scored: in val no task has"):
            run_job(hypermodel(bare, tmp_path / "f"), bare, Job("0", VALUES, tmp_path / "t", 1))
    # It is said before anything is trained.
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def searched(data, tmp_path_factory):
    """A whole search by Hyperband, with real fits."""
    root = tmp_path_factory.mktemp("hyperband")
    hyper = hypermodel(data, root / "features", depths=["heads"], dropout=(0.0, 0.5))
    oracle = make_oracle(
        "hyperband", hyper.space, trials=None, epochs=3, seed=0, folder=root / "trials"
    )
    jobs = {}

    def job_of(trial):
        values = trial.hyperparameters.values
        earlier = values.get("tuner/trial_id")
        start = jobs[earlier].folder / CHECKPOINT if earlier else None
        folder = root / "trials" / f"trial_{trial.trial_id}"
        jobs[trial.trial_id] = Job(
            trial.trial_id, dict(values), folder, values["tuner/epochs"], start=start
        )
        return jobs[trial.trial_id]

    with open_pool(lambda: lambda job: run_job(hyper, data, job)) as pool:
        run_search(oracle, pool, job_of, finished=lambda _: None)
    return hyper, oracle, jobs, root


@pytest.mark.slow
def test_hyperband_goes_on_from_the_weights(searched, data):
    _, oracle, jobs, _ = searched
    later = [j for j in jobs.values() if j.start is not None]
    assert later
    for job in later:
        earlier, record = (read_record(f, data.tasks) for f in (job.start.parent, job.folder))
        # The first had one epoch, and that of the heads' phase; then there are two more.
        assert (earlier.epochs, record.epochs, job.epochs) == (2, 2, 3)
    assert {t.status for t in oracle.trials.values()} == {"COMPLETED"}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning:keras_tuner")
def test_keras_tuners_own_tuner_opens_the_folder(searched, data, capsys):
    hyper, oracle, jobs, root = searched
    tuner = keras_tuner.Hyperband(
        hyper, keras_tuner.Objective("score", "max"), max_epochs=3,
        directory=root, project_name="trials", overwrite=False,
    )  # fmt: skip
    assert "Reloading Tuner from" in capsys.readouterr().out
    assert {i: t.score for i, t in tuner.oracle.trials.items()} == {
        i: t.score for i, t in oracle.trials.items()
    }
    later = next(i for i, job in jobs.items() if job.start is not None)
    models = [tuner.get_best_models(1)[0], tuner.load_model(oracle.trials[later])]
    scores = [oracle.get_best_trials(1)[0].score, oracle.trials[later].score]
    for model, score in zip(models, scores, strict=True):
        found = predict_scores(model, data.split("val").certain())
        assert trial_score(data.tasks, found.labels, found.scores) == pytest.approx(score)


@pytest.mark.slow
def test_weights_that_are_gone_are_fitted_from_the_beginning(searched, data, tmp_path, caplog):
    hyper, _, jobs, _ = searched
    job = next(j for j in jobs.values() if j.start is not None)
    gone = Job(job.trial_id, job.values, tmp_path, job.epochs, start=tmp_path / "gone.weights.h5")
    with caplog.at_level("INFO", "kerastl"):
        run_job(hyper, data, gone)
    assert "is not kept" in caplog.text
    assert json.loads((tmp_path / "record.json").read_text())["epochs"] == 4
