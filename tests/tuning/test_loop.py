"""The loop of a search, with KerasTuner's real oracles and jobs that cost nothing."""

import json

import keras_tuner
import pytest

from kerastl.distributed.pool import WorkerDied, open_pool
from kerastl.errors import InputError
from kerastl.tuning.loop import run_search
from kerastl.tuning.oracles import TUNERS
from kerastl.tuning.trial_jobs import Outcome
from tests.support.search_trials import SMALL, Workers, job_of, oracle_in, outcome, run


class Killed(BaseException):
    """The driver is gone at this moment."""


def kill(*_):
    raise Killed


def told(trials):
    return [(t.trial_id, t.hyperparameters.values, t.score, t.status) for t in trials]


def history(oracle):
    return told(oracle.trials[i] for i in oracle.end_order)


@pytest.mark.parametrize("kind", TUNERS)
def test_killed_after_every_trial_and_taken_up_again(kind, tmp_path):
    space = {"space": SMALL} if kind == "grid" else {}
    whole = oracle_in(tmp_path / "whole", kind, **space)
    begun = run(whole).begun
    assert len({j.trial_id for j in begun}) == len(begun)
    ended = []
    for _ in range(len(begun)):
        with pytest.raises(Killed):
            run(
                oracle_in(tmp_path / "cut", kind, **space), finished=lambda o: kill(ended.append(o))
            )
    last = oracle_in(tmp_path / "cut", kind, **space)
    assert run(last).begun == []
    assert [o.trial_id for o in ended] == [j.trial_id for j in begun]
    # The same search, with the same values in the same order, as the one in one go.
    assert history(last) == history(whole)


@pytest.mark.parametrize("kind", TUNERS)
def test_several_workers_and_a_kill_while_they_work(kind, tmp_path):
    space = {"space": SMALL} if kind == "grid" else {}
    count = len(run(oracle_in(tmp_path / "one", kind, **space)).begun)
    ended = []

    def three(outcome):
        ended.append(outcome.trial_id)
        if len(ended) % 3 == 0:
            raise Killed

    for _ in range(count):
        pool = Workers(count=3)
        try:
            run(oracle := oracle_in(tmp_path / "many", kind, **space), pool, three)
            break
        except Killed:
            left = {j.trial_id for j in pool.under_way}
    assert len(ended) == len(set(ended)) == count
    assert {t.status for t in oracle.trials.values()} == {"COMPLETED"}
    assert left <= set(ended)


def test_trials_under_way_come_first_and_in_order(tmp_path):
    pool = Workers(count=3)
    with pytest.raises(Killed):
        run(oracle_in(tmp_path), pool, kill)
    left = sorted(j.trial_id for j in pool.under_way)
    again = run(oracle_in(tmp_path)).begun
    assert [j.trial_id for j in again[:2]] == left
    assert len(again) == 7


def test_the_workers_are_kept_busy(tmp_path):
    most = []

    class Watched(Workers):
        def next(self):
            most.append(len(self.under_way))
            return super().next()

    run(oracle_in(tmp_path), Watched(count=3))
    assert most == [3] * 6 + [2, 1]


def test_in_this_process(tmp_path):
    oracle = oracle_in(tmp_path)
    with open_pool(lambda: outcome) as pool:
        run(oracle, pool)
    assert len(oracle.end_order) == 8
    assert oracle.get_best_trials(1)[0].score == max(t.score for t in oracle.trials.values())
    assert json.loads((tmp_path / "oracle.json").read_text())["ongoing_trials"] == {}


def test_a_cluster_without_a_node_gets_the_first_job(tmp_path):
    """It has no room, and the job waits there until a node comes."""
    pool = Workers(count=0)
    run(oracle_in(tmp_path, trials=2), pool)
    assert len(pool.begun) == 2


def test_failed_trials_are_marked_and_left_however_many(tmp_path):
    def failing(job):
        good = job.values["trainable"] == "all"
        return (
            outcome(job) if good else Outcome(job.trial_id, None, 0, 0.0, "diverged: loss is nan")
        )

    oracle = oracle_in(tmp_path, "grid", SMALL)
    run(oracle, Workers(failing))
    trials = list(oracle_in(tmp_path, "grid", SMALL).trials.values())
    assert [t.status for t in trials] == ["FAILED"] * 4 + ["COMPLETED"] * 4
    assert trials[0].message == "diverged: loss is nan"
    assert trials[0].score is None


def test_a_trial_whose_process_always_dies_costs_itself_only(tmp_path):
    def dying(job):
        if job.values["trainable"] == "all":
            raise WorkerDied(job, MemoryError())
        return outcome(job)

    def died(job, error):
        return Outcome(job.trial_id, None, 0, 0.0, str(error))

    oracle = oracle_in(tmp_path, "grid", SMALL)
    run_search(oracle, Workers(dying), job_of, finished=lambda _: None, died=died)
    assert sorted(t.status for t in oracle.trials.values()) == ["COMPLETED"] * 4 + ["FAILED"] * 4
    messages = [t.message for t in oracle.trials.values() if t.status == "FAILED"]
    assert all("each time its process ended (MemoryError)" in m for m in messages)
    with pytest.raises(WorkerDied):
        run(oracle_in(tmp_path / "unguarded", "grid", SMALL), Workers(dying))


def test_hyperband_goes_on_with_the_best(tmp_path):
    oracle = oracle_in(tmp_path, "hyperband")
    jobs = {j.trial_id: j for j in run(oracle).begun}
    later = [j for j in jobs.values() if "tuner/trial_id" in j.values]
    assert later
    for job in later:
        earlier = jobs[job.values["tuner/trial_id"]]
        assert job.epochs > earlier.epochs == job.values["tuner/initial_epoch"]
    longest = [j for j in jobs.values() if j.epochs == 9]
    assert max(oracle.trials[j.trial_id].score for j in longest) == max(
        t.score for t in oracle.trials.values()
    )


def test_hyperband_ends_where_trials_fail(tmp_path):
    failed = []

    def failing(job):
        if job.epochs == 3:
            failed.append(job)
            return Outcome(job.trial_id, None, 0, 0.0, "diverged")
        return outcome(job)

    oracle = oracle_in(tmp_path, "hyperband")
    run(oracle, Workers(failing, count=2))
    assert len(failed) > 3
    assert len(oracle.end_order) == len(oracle.trials)


def test_a_fault_of_the_data_ends_it_at_once(tmp_path):
    def failing(job):
        if job.trial_id == "2":
            raise InputError("The table has no labels.")
        return outcome(job)

    pool, ended = Workers(failing), []
    with pytest.raises(InputError, match="The table has no labels."):
        run(oracle_in(tmp_path), pool, ended.append)
    assert [o.trial_id for o in ended] == ["0", "1"]
    assert len(pool.begun) == 3
    again = run(oracle_in(tmp_path)).begun
    assert [j.trial_id for j in again] == list("234567")


def test_ctrl_c(tmp_path):
    def stopped(job):
        if job.trial_id == "2":
            raise KeyboardInterrupt
        return outcome(job)

    with pytest.raises(KeyboardInterrupt), open_pool(lambda: stopped) as pool:
        run(oracle_in(tmp_path), pool)
    oracle = oracle_in(tmp_path)
    assert oracle.end_order == ["0", "1"]
    assert [j.trial_id for j in run(oracle).begun] == list("234567")


class Waiting(keras_tuner.Oracle):
    """An oracle that never has a trial."""

    def populate_space(self, trial_id):
        return {"status": "IDLE"}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_an_oracle_that_waits_for_nothing_is_an_error(tmp_path):
    oracle = Waiting(objective=keras_tuner.Objective("score", "max"))
    oracle._set_project_dir(str(tmp_path), "trials")
    with pytest.raises(RuntimeError, match="none is under way"):
        run_search(oracle, Workers(), job_of, finished=kill)


def test_a_search_prints_nothing(tmp_path, capsys):
    for kind in TUNERS:
        run(oracle_in(tmp_path / kind, kind, SMALL))
        oracle_in(tmp_path / kind, kind, SMALL)
    assert capsys.readouterr() == ("", "")
