"""The loop of a search: trials from the oracle to the workers, and their scores back."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import keras_tuner

from kerastl.distributed.pool import Pool, WorkerDied
from kerastl.tuning.trial_jobs import Job, Outcome


@dataclass(frozen=True)
class SearchProgress:
    """How far a search is.

    Attributes:
        stage: "features" (of the frozen part, made once for all trials) or "trials".
        done: Pictures or trials that are done.
        total: How many there are; of trials, at most.
        text: The trial that was finished last, and its score.
        best: The best trial so far.
        seconds_left: An estimate, None while there is nothing to make one of.
    """

    stage: str
    done: int
    total: int
    text: str = ""
    best: str = ""
    seconds_left: float | None = None


def most_trials(oracle: keras_tuner.Oracle) -> int:
    """Trials that an oracle will hand out, at most.

    Example:
        >>> score = keras_tuner.Objective("score", "max")
        >>> most_trials(keras_tuner.oracles.HyperbandOracle(score, max_epochs=9))
        23
    """
    if isinstance(oracle, keras_tuner.oracles.HyperbandOracle):
        rounds = [(b, r) for b in range(oracle._get_num_brackets()) for r in range(b + 1)]
        return oracle.hyperband_iterations * sum(oracle._get_size(b, r) for b, r in rounds)
    if isinstance(oracle, keras_tuner.oracles.GridSearchOracle):
        grid = math.prod(len({hp.default, *hp.values}) for hp in oracle.get_space().space)
        return grid if oracle.max_trials is None else min(grid, oracle.max_trials)
    return oracle.max_trials


class Told:
    """Tells of a search as it goes on.

    Args:
        oracle: KerasTuner's, which knows all trials.
        total: Trials that there will be, at most.
        tell: Called with each `SearchProgress`.
    """

    def __init__(
        self, oracle: keras_tuner.Oracle, total: int, tell: Callable[[SearchProgress], None]
    ):
        self.oracle, self.total, self.tell = oracle, total, tell
        self.start, self.finished = time.monotonic(), 0

    def features(self, done: int, total: int) -> None:
        """So many pictures' features of so many are there."""
        self.tell(SearchProgress("features", done, total))

    def begin(self) -> None:
        """The trials begin, or go on."""
        self.start = time.monotonic()
        self._trials("", None)

    def trial(self, outcome: Outcome) -> None:
        """A trial is finished."""
        self.finished += 1
        each = (time.monotonic() - self.start) / self.finished
        values = _worded(self.oracle.get_trial(outcome.trial_id).hyperparameters.values)
        text = f"{values}: {outcome.failure or format(outcome.score, '.4f')}"
        self._trials(text, each * (self.total - len(self.oracle.end_order)))

    def _trials(self, text: str, left: float | None) -> None:
        done = len(self.oracle.end_order)
        self.tell(SearchProgress("trials", done, self.total, text, self._best(), left))

    def _best(self) -> str:
        trials = [t for t in self.oracle.get_best_trials(1) if t.status == "COMPLETED"]
        return "".join(f"{t.score:.4f} ({_worded(t.hyperparameters.values)})" for t in trials)


def _worded(values: Mapping[str, Any]) -> str:
    """A trial in a few words: its depth and its rate."""
    which = [str(values[name]) for name in ("backbone", "image_size") if name in values]
    return ", ".join([*which, values["trainable"], f"rate {values['learning_rate']:.2g}"])


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
