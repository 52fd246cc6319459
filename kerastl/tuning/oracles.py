"""KerasTuner's oracles, which say what to try next, with files that outlive any moment's kill."""

from __future__ import annotations

import contextlib
import itertools
import shutil
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import keras_tuner
import numpy as np
import threadpoolctl
from sklearn.exceptions import ConvergenceWarning

from kerastl.errors import InputError
from kerastl.files import write_json
from kerastl.tuning.space import SearchSpace

OBJECTIVE = keras_tuner.Objective("score", "max")

CHECKPOINT = "checkpoint.weights.h5"
"""A trial's weights in its folder, where KerasTuner looks for them."""

ENDED = ("COMPLETED", "FAILED")

DAMAGED = "The trials in {} are damaged: {}. Begin anew with overwrite=True (--overwrite)."


class Kept:
    """An oracle whose files are whole after a kill, and set right when they are read again.

    KerasTuner writes in place, tells two files of one step one after the other, and calls
    a trial ongoing in the one that is ended in the other. Here a trial is ended as soon as
    its own file says so. One that oracle.json does not know was never handed out: it is
    forgotten, and comes again under the same number.
    """

    def create_trial(self, tuner_id: str) -> Any:
        """KerasTuner's: the next trial to run, of status RUNNING, IDLE or STOPPED."""
        with _quiet():
            return super().create_trial(tuner_id)

    def update_trial(self, trial_id: str, metrics: Mapping[str, float], step: int = 0) -> Any:
        """KerasTuner's: note a trial's score."""
        with _quiet():
            return super().update_trial(trial_id, metrics, step)

    def end_trial(self, trial: Any) -> None:
        """KerasTuner's: a trial is over."""
        with _quiet():
            super().end_trial(trial)

    def save(self) -> None:
        """KerasTuner's: write oracle.json."""
        write_json(self._get_oracle_fname(), self.get_state())

    def _save_trial(self, trial: Any) -> None:
        write_json(Path(self._get_trial_dir(trial.trial_id)) / "trial.json", trial.get_state())

    def reload(self) -> None:
        """KerasTuner's: go on from the files."""
        try:
            super().reload()
        except (ValueError, TypeError, AttributeError, KeyError, RuntimeError) as error:
            raise InputError(DAMAGED.format(self._project_dir, error)) from error
        if lost := [i for i in self.start_order if i not in self.trials]:
            raise InputError(DAMAGED.format(self._project_dir, f"no file of trial {lost[0]}"))
        self._set_right()

    def _set_right(self) -> None:
        for trial_id in self.trials.keys() - set(self.start_order):
            (Path(self._get_trial_dir(trial_id)) / "trial.json").unlink()
        self.trials = {i: self.trials[i] for i in self.start_order}
        ended = [i for i, trial in self.trials.items() if trial.status in ENDED]
        self.end_order += [i for i in ended if i not in self.end_order]
        # The last of the queue comes first.
        self._retry_queue = [i for i in reversed(self.start_order) if i not in ended]


class DepthsFirst(Kept):
    """Begins with each depth once, all else at its default."""

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """KerasTuner's: the values of a new trial."""
        depths, number = _depths(self.hyperparameters), len(self.trials)
        if number >= len(depths):
            return super().populate_space(trial_id)
        values = {hp.name: hp.default for hp in self.hyperparameters.space}
        return {"status": "RUNNING", "values": {**values, "trainable": depths[number]}}


class Random(DepthsFirst, keras_tuner.oracles.RandomSearchOracle):
    """KerasTuner's random search, from the depths on."""


class Bayesian(DepthsFirst, keras_tuner.oracles.BayesianOptimizationOracle):
    """KerasTuner's Bayesian optimization, from the depths on."""

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """KerasTuner's: the values of a new trial."""
        # KerasTuner keeps this in no file: so a search that is taken up again draws the same.
        self._random_state = np.random.RandomState(self.seed + len(self.trials))
        # Its matrices are so small that threads only wait for each other, five times as long.
        with threadpoolctl.threadpool_limits(1, user_api="blas"):
            found = super().populate_space(trial_id)
        if found["status"] == "RUNNING" and self._duplicate(found["values"]):
            return self._random_populate_space()
        return found


class Hyperband(Kept, keras_tuner.oracles.HyperbandOracle):
    """KerasTuner's Hyperband."""


class Grid(Kept, keras_tuner.oracles.GridSearchOracle):
    """KerasTuner's grid, in its order. Its own place in it is in no file, so trials tell it."""

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """KerasTuner's: the values of a new trial."""
        space = self.hyperparameters.space
        each = [dict.fromkeys([hp.default, *hp.values]) for hp in space]
        for combination in itertools.product(*each):
            values = {hp.name: value for hp, value in zip(space, combination, strict=True)}
            if not self._duplicate(values):
                return {"status": "RUNNING", "values": values}
        return {"status": "STOPPED", "values": None}


TUNERS = ("bayesian", "random", "hyperband", "grid")


def make_oracle(
    kind: str,
    space: SearchSpace,
    *,
    trials: int | None,
    epochs: int,
    seed: int,
    folder: Path,
    overwrite: bool = False,
) -> keras_tuner.Oracle:
    """One of KerasTuner's oracles over a space, going on where its folder holds trials.

    The folder is one of KerasTuner's own: `keras_tuner.RandomSearch(..., directory=
    folder.parent, project_name=folder.name)` and the others open it.

    Args:
        kind: "bayesian", "random", "hyperband" or "grid".
        space: What to choose from.
        trials: Trials in all, those that are there counted; None for a whole grid. Not
            for Hyperband, whose brackets are run once.
        epochs: A trial's, at most; Hyperband's longest.
        seed: From 0.
        folder: Where the trials are kept.
        overwrite: Whether to delete the trials that are there.

    Raises:
        InputError: For files of trials that are damaged or missing.

    Example:
        >>> import tempfile
        >>> space, folder = SearchSpace(("heads", "4"), dropout=0.2), Path(tempfile.mkdtemp())
        >>> oracle = make_oracle("random", space, trials=9, epochs=2, seed=0, folder=folder)
        >>> [oracle.create_trial(f"tuner{i}").hyperparameters["trainable"] for i in range(2)]
        ['heads', '4']
    """
    hp = keras_tuner.HyperParameters()
    space.declare(hp)
    oracle = _made(kind, hp, trials, epochs, seed)
    oracle.verbose = 0
    oracle._set_project_dir(str(folder.parent), folder.name)
    if overwrite:
        _clear(folder)
    if Path(oracle._get_oracle_fname()).exists():
        oracle.reload()
    elif any(folder.glob("trial_*")):
        raise InputError(DAMAGED.format(folder, "there is no oracle.json"))
    oracle.save()
    # A Tuner of KerasTuner's goes on in a folder only where it finds its own file.
    write_json(folder / "tuner0.json", {})
    return oracle


def keep_best(oracle: keras_tuner.Oracle, folder: Path, keep: int) -> None:
    """Delete the weights of all trials that ended but the best.

    Those that Hyperband may go on from are kept, and those that a kept one went on from.

    Args:
        oracle: Knows the trials.
        folder: Theirs.
        keep: How many.
    """
    best = [t for t in oracle.get_best_trials(len(oracle.trials)) if t.status == "COMPLETED"]
    needed = {t.trial_id for t in best[:keep]} | set(_may_go_on(oracle))
    needed |= {t.trial_id for t in oracle.trials.values() if t.status not in ENDED}
    needed |= {i for trial_id in needed for i in _earlier(oracle, trial_id)}
    for trial_id in oracle.trials.keys() - needed:
        (folder / f"trial_{trial_id}" / CHECKPOINT).unlink(missing_ok=True)


def _made(kind: str, hp: Any, trials: int | None, epochs: int, seed: int) -> keras_tuner.Oracle:
    # KerasTuner takes a seed of 0 for none. Many trials may fail, one after the other.
    common = {
        "objective": OBJECTIVE, "hyperparameters": hp, "seed": seed + 1,
        "allow_new_entries": False, "tune_new_entries": False,
        "max_consecutive_failed_trials": None,
    }  # fmt: skip
    if kind == "hyperband":
        return Hyperband(max_epochs=epochs, **common)
    if kind == "bayesian":
        # KerasTuner would draw three times as many before it learns from them, fixed ones counted.
        common["num_initial_points"] = len(_depths(hp)) + sum(map(_is_free, hp.space))
    return {"bayesian": Bayesian, "random": Random, "grid": Grid}[kind](max_trials=trials, **common)


def _depths(hp: keras_tuner.HyperParameters) -> list[str]:
    return next(one.values for one in hp.space if one.name == "trainable")


def _is_free(hp: keras_tuner.engine.hyperparameters.HyperParameter) -> bool:
    return len(set(hp.values)) > 1


def _clear(folder: Path) -> None:
    """Delete what this module and its trials wrote, and nothing else."""
    for path in folder.glob("trial_*"):
        shutil.rmtree(path)
    for path in (folder / "oracle.json", *folder.glob("tuner*.json")):
        path.unlink(missing_ok=True)


def _may_go_on(oracle: keras_tuner.Oracle) -> Iterator[str]:
    """Trials of brackets that are under way: the best of them train on."""
    if isinstance(oracle, keras_tuner.oracles.HyperbandOracle):
        oracle._remove_completed_brackets()
        for bracket in oracle._brackets:
            yield from (entry["id"] for entries in bracket["rounds"][:-1] for entry in entries)


def _earlier(oracle: keras_tuner.Oracle, trial_id: str) -> Iterator[str]:
    """The trial that a trial goes on from, the one that that went on from, and so on."""
    while trial_id := oracle.trials[trial_id].hyperparameters.values.get("tuner/trial_id"):
        yield trial_id


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        # KerasTuner calls `threading` by names of old, and its Gaussian process does not
        # always settle: neither is for the user to mend.
        warnings.filterwarnings("ignore", category=DeprecationWarning, module="keras_tuner")
        warnings.filterwarnings("ignore", category=ConvergenceWarning)
        yield
