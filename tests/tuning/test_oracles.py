"""KerasTuner's oracles over our spaces: the first trials, and files after a kill at any moment."""

import json
import os
from pathlib import Path

import keras_tuner
import pytest

from kerastl.errors import InputError
from kerastl.tuning.loop import run_search
from kerastl.tuning.oracles import CHECKPOINT, TUNERS, keep_best
from kerastl.tuning.space import SearchSpace
from kerastl.tuning.trial_jobs import Outcome
from tests.support.search_trials import (
    SMALL,
    SPACE,
    Workers,
    job_of,
    oracle_in,
    outcome,
    run,
    score,
)


def handed_out(oracle, count):
    return [oracle.create_trial(f"tuner{i}") for i in range(count)]


def values(trial):
    return trial.hyperparameters.values


@pytest.mark.parametrize("kind", TUNERS)
def test_they_are_keras_tuners(kind, tmp_path):
    oracle = oracle_in(tmp_path, kind)
    real = {
        "bayesian": keras_tuner.oracles.BayesianOptimizationOracle,
        "random": keras_tuner.oracles.RandomSearchOracle,
        "hyperband": keras_tuner.oracles.HyperbandOracle,
        "grid": keras_tuner.oracles.GridSearchOracle,
    }[kind]
    assert isinstance(oracle, real)
    assert oracle.objective == keras_tuner.Objective("score", "max")
    assert [hp.name for hp in oracle.get_space().space] == [
        "trainable", "learning_rate", "depth_decay", "dropout", "weight_decay"
    ]  # fmt: skip


@pytest.mark.parametrize("kind", ["random", "bayesian"])
def test_the_first_trials_are_the_depths(kind, tmp_path):
    found = [values(t) for t in handed_out(oracle_in(tmp_path, kind), 5)]
    assert [v["trainable"] for v in found[:3]] == list(SPACE.depths)
    rest = [{k: v for k, v in one.items() if k != "trainable"} for one in found]
    usual = {"learning_rate": 1e-4, "depth_decay": 0.7, "dropout": 0.2, "weight_decay": 1e-4}
    assert rest[:3] == [usual] * 3
    assert usual not in rest[3:]


def test_they_count_as_trials(tmp_path):
    assert len(run(oracle_in(tmp_path / "a", trials=2)).begun) == 2
    assert len(run(oracle_in(tmp_path / "b", "bayesian", trials=5)).begun) == 5


def test_bayesian_learns_from_what_was_tried(tmp_path):
    """From the depths, two random trials and then what the Gaussian process says: to the top."""
    oracle = oracle_in(tmp_path, "bayesian", trials=10)
    assert oracle.num_initial_points == 6
    begun = [j.values for j in run(oracle).begun]
    assert max(map(score, begun[6:])) > max(map(score, begun[:6]))
    assert max(map(score, begun)) > 0.89


def test_bayesian_tries_nothing_twice(tmp_path):
    begun = [tuple(j.values.items()) for j in run(oracle_in(tmp_path, "bayesian", SMALL, 20)).begun]
    assert len(begun) == len(set(begun)) <= 8
    assert len(begun) >= 7


@pytest.mark.filterwarnings("ignore::DeprecationWarning:keras_tuner")
def test_the_grid_is_keras_tuners(tmp_path):
    """The same configurations in the same order as KerasTuner's own oracle without a kill."""
    hp = keras_tuner.HyperParameters()
    SMALL.declare(hp)
    plain = keras_tuner.oracles.GridSearchOracle(
        objective=keras_tuner.Objective("score", "max"), hyperparameters=hp
    )
    plain._set_project_dir(str(tmp_path), "plain")
    plain.verbose = 0
    there = run(plain).begun
    here = run(oracle_in(tmp_path / "ours", "grid", SMALL, None)).begun
    assert [j.values for j in here] == [j.values for j in there]
    assert len(here) == 8


def test_a_seed_repeats_and_another_does_not(tmp_path):
    found = [
        [values(t) for t in handed_out(oracle_in(tmp_path / str(i), seed=seed), 8)]
        for i, seed in enumerate((0, 0, 1))
    ]
    assert found[0] == found[1] != found[2]


def test_more_trials_go_on_and_fewer_stop(tmp_path):
    assert len(run(oracle_in(tmp_path, trials=9)).begun) == 9
    assert run(oracle_in(tmp_path, trials=4)).begun == []
    more = oracle_in(tmp_path, trials=12)
    assert len(run(more).begun) == 3
    assert len({int(i) for i in more.trials}) == len(more.trials) == 12
    assert {int(p.name[6:]) for p in tmp_path.glob("trial_*")} == set(range(12))


def contents(folder):
    return {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("kind", TUNERS)
def test_a_write_that_breaks_off_leaves_the_old_file_whole(kind, tmp_path, monkeypatch):
    oracle = oracle_in(tmp_path, kind)
    handed_out(oracle, 2)
    before = contents(tmp_path)
    real = Path.write_text

    def half(path, text, *args, **kwargs):
        real(path, text[:40], *args, **kwargs)
        raise OSError("The disk is gone.")

    monkeypatch.setattr(Path, "write_text", half)
    with pytest.raises(OSError, match="The disk is gone"):
        oracle.save()
    with pytest.raises(OSError, match="The disk is gone"):
        oracle.update_trial(next(iter(oracle.trials)), {"score": 0.5})
    assert contents(tmp_path) == before


class Killed(BaseException):
    """The driver is gone at this moment."""


def killed_at(write, monkeypatch):
    """From now on the driver dies before its write of this number, from 0."""
    count, real = iter(range(1000)), os.replace

    def replace(*args):
        if next(count) == write:
            raise Killed
        real(*args)

    monkeypatch.setattr(os, "replace", replace)


@pytest.mark.parametrize("kind", TUNERS)
@pytest.mark.parametrize("step", ["create", "end"])
@pytest.mark.parametrize("write", [0, 1, 2, 3])
def test_killed_before_any_write_of_a_step(kind, step, write, tmp_path, monkeypatch):
    """Creating a trial writes two files, ending one four times: every trial ends once, the same."""
    options = {"space": SMALL} if kind == "grid" else {"trials": 6}
    whole = oracle_in(tmp_path / "whole", kind, **options)
    run(whole)
    folder, counted = tmp_path / "cut", []

    def work(job):
        counted.append(job.trial_id)
        if step == "end" and len(counted) == 4:
            killed_at(write, monkeypatch)
        return outcome(job)

    def finished(_):
        if step == "create" and len(counted) == 4:
            killed_at(write, monkeypatch)

    with pytest.raises(Killed):
        run(oracle_in(folder, kind, **options), Workers(work), finished)
    monkeypatch.undo()
    oracle = oracle_in(folder, kind, **options)
    known = set(oracle.end_order)
    assert known == set(counted) - ({counted[-1]} if len(known) < len(counted) else set())
    run(oracle, Workers(lambda job: counted.append(job.trial_id) or outcome(job)))
    # The trial under way when the kill came may be worked on twice; it ends once.
    assert len(counted) - len(set(counted)) <= 1
    assert sorted(oracle.end_order) == sorted(set(counted)) == sorted(whole.trials)
    told = ({i: (values(t), t.score) for i, t in o.trials.items()} for o in (oracle, whole))
    assert next(told) == next(told)


@pytest.mark.parametrize("kind", TUNERS)
def test_ended_in_its_own_file_is_ended(kind, tmp_path):
    """Killed between the two writes of ending a trial: oracle.json still calls it ongoing."""
    oracle = oracle_in(tmp_path, kind)
    [trial] = handed_out(oracle, 1)
    before = (tmp_path / "oracle.json").read_bytes()
    oracle.update_trial(trial.trial_id, {"score": 0.5})
    trial.status = "COMPLETED"
    oracle.end_trial(trial)
    (tmp_path / "oracle.json").write_bytes(before)
    assert json.loads(before)["ongoing_trials"]
    again = oracle_in(tmp_path, kind)
    assert again.end_order == [trial.trial_id]
    assert again.create_trial("tuner0").trial_id != trial.trial_id


@pytest.mark.parametrize("kind", TUNERS)
def test_a_trial_that_was_never_handed_out_comes_again(kind, tmp_path):
    """Killed between the two writes of creating it: oracle.json does not know it."""
    oracle = oracle_in(tmp_path, kind)
    first, second = [oracle.create_trial("tuner0")], (tmp_path / "oracle.json").read_bytes()
    first.append(oracle.create_trial("tuner1"))
    (tmp_path / "oracle.json").write_bytes(second)
    again = handed_out(oracle_in(tmp_path, kind), 2)
    assert [(t.trial_id, values(t)) for t in again] == [(t.trial_id, values(t)) for t in first]


def test_begun_anew(tmp_path):
    run(oracle_in(tmp_path))
    (tmp_path / "notes.txt").write_text("mine")
    oracle = oracle_in(tmp_path, overwrite=True)
    assert not oracle.trials
    assert {p.name for p in tmp_path.iterdir()} == {"notes.txt", "oracle.json", "tuner0.json"}


def test_files_that_are_damaged_or_gone(tmp_path):
    run(oracle_in(tmp_path))
    path = tmp_path / "oracle.json"
    whole = path.read_text()
    for text in (whole[: len(whole) // 2], "{}", "[]"):
        path.write_text(text)
        with pytest.raises(InputError, match=r"damaged: .*\. Begin anew with overwrite=True"):
            oracle_in(tmp_path)
    path.unlink()
    with pytest.raises(InputError, match="damaged: there is no oracle.json"):
        oracle_in(tmp_path)
    path.write_text(whole)
    (tmp_path / "trial_3" / "trial.json").unlink()
    with pytest.raises(InputError, match="damaged: no file of trial 3"):
        oracle_in(tmp_path)


def checkpoints(folder):
    return {p.parent.name[6:] for p in folder.glob(f"trial_*/{CHECKPOINT}")}


def trained(folder, job):
    """A job that leaves weights; going on from weights that are gone is an error."""
    earlier = job.values.get("tuner/trial_id")
    assert earlier is None or (folder / f"trial_{earlier}" / CHECKPOINT).exists()
    path = folder / f"trial_{job.trial_id}" / CHECKPOINT
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("weights")
    return outcome(job)


def test_the_best_are_kept(tmp_path):
    oracle, most = oracle_in(tmp_path), []

    def finished(_):
        keep_best(oracle, tmp_path, 3)
        most.append(len(checkpoints(tmp_path)))

    run(oracle, Workers(lambda job: trained(tmp_path, job)), finished)
    assert checkpoints(tmp_path) == {t.trial_id for t in oracle.get_best_trials(3)}
    assert max(most) == 3


@pytest.mark.parametrize("count", [1, 3])
def test_what_hyperband_may_go_on_from_is_kept(count, tmp_path):
    oracle, ended = oracle_in(tmp_path, "hyperband"), []

    def finished(done):
        ended.append(done.trial_id)
        keep_best(oracle, tmp_path, 1)

    run(oracle, Workers(lambda job: trained(tmp_path, job), count), finished)
    assert len(ended) > 20
    [best] = oracle.get_best_trials(1)
    expected = {best.trial_id}
    while earlier := values(best).get("tuner/trial_id"):
        best = oracle.trials[earlier]
        expected.add(earlier)
    assert checkpoints(tmp_path) == expected


def test_failed_trials_have_no_part_in_what_is_kept(tmp_path):
    oracle = oracle_in(tmp_path, trials=3)
    failing = Workers(lambda job: Outcome(job.trial_id, None, 0, 0.0, "diverged"))
    run_search(oracle, failing, job_of, finished=lambda _: keep_best(oracle, tmp_path, 1))
    assert checkpoints(tmp_path) == set()
    assert Path(tmp_path / "oracle.json").exists()


def test_a_space_with_nothing_to_choose(tmp_path):
    space = SearchSpace(("heads",), 1e-3, 0.7, 0.2, 1e-4)
    for kind in TUNERS:
        begun = run(oracle_in(tmp_path / kind, kind, space, epochs=1)).begun
        assert [j.values["trainable"] for j in begun] == ["heads"]
