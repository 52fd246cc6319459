"""How far a search is: told after each trial, with the best so far and the time left."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import keras_tuner

from kerastl.trial_jobs import Outcome


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
