"""The loop of a search: trials from the oracle to the workers, and their scores back."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import keras_tuner

from kerastl.task_pool import Pool, WorkerDied
from kerastl.trial_jobs import Job, Outcome


def run_search(
    oracle: keras_tuner.Oracle,
    pool: Pool,
    make_job: Callable[[Any], Job],
    *,
    finished: Callable[[Outcome], None],
    died: Callable[[Job, WorkerDied], Outcome] | None = None,
) -> None:
    """Run an oracle's trials until it has no more.

    Where this ends early, by Ctrl-C or by an error, trials that were finished stay so,
    and those under way are the first of the next call.

    Args:
        oracle: KerasTuner's; it stays in this process.
        pool: Works on the jobs, and returns an `Outcome` for each.
        make_job: Makes the job of a trial of KerasTuner's.
        finished: Called with each trial that is finished, after it was saved.
        died: Gives the outcome of a trial whose process ended each time that it was begun;
            by default that ends the search.

    Raises:
        InputError: For a fault of the user's data, as the job raised it; any other error of
            a job likewise. A trial that only came to nothing is an `Outcome`.
        RuntimeError: Where the oracle waits for trials, and none is under way.
    """
    running: dict[str, str] = {}
    while _hand_out(oracle, pool, make_job, running):
        done = pool.next()
        outcome = done.result
        if isinstance(done.error, WorkerDied) and died is not None:
            outcome = died(done.job, done.error)
        elif done.error is not None:
            raise done.error
        del running[done.job.trial_id]
        _end(oracle, outcome)
        finished(outcome)


def _hand_out(
    oracle: keras_tuner.Oracle, pool: Pool, make_job: Callable[[Any], Job], running: dict[str, str]
) -> bool:
    """Give the workers trials while they have room and there are any; is one under way?"""
    # A cluster without a node has no room: the first job waits there for one.
    while not running or pool.free > 0:
        trial = oracle.create_trial(_free_name(running))
        if trial.status != "RUNNING":
            break
        running[trial.trial_id] = _free_name(running)
        pool.submit(make_job(trial))
    if not running and trial.status == "IDLE":
        raise RuntimeError("The oracle waits for a trial to be finished, and none is under way.")
    return bool(running)


def _free_name(running: dict[str, str]) -> str:
    """A worker's name that is not in use: the oracle gives each name one trial at a time."""
    names = (f"tuner{i}" for i in itertools.count())
    return next(name for name in names if name not in running.values())


def _end(oracle: keras_tuner.Oracle, outcome: Outcome) -> None:
    trial = oracle.get_trial(outcome.trial_id)
    if outcome.score is None:
        trial.status, trial.message = "FAILED", outcome.failure
    else:
        oracle.update_trial(trial.trial_id, {"score": outcome.score}, step=outcome.epochs)
        trial.status = "COMPLETED"
    oracle.end_trial(trial)
    # Ending it saves while the trial still counts as ongoing: KerasTuner's own tuners, which
    # may open the folder, would run it again.
    oracle.save()
