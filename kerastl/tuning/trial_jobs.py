"""One trial of a search, in any process: fitted, scored, and left in its folder."""

from __future__ import annotations

import json
import logging
import math
import os
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import keras_tuner
import numpy as np
import tensorflow as tf

from kerastl.data.manifest import Manifest
from kerastl.data.tasks import Task
from kerastl.errors import InputError
from kerastl.files import replacing, write_json
from kerastl.inference.evaluation import (
    Predictions,
    predict_scores,
    read_scores,
    stored_scores,
    write_scores,
)
from kerastl.scoring.trial_scores import finite, trial_score
from kerastl.tuning.hypermodel import UnfreezeHyperModel
from kerastl.tuning.leaderboard import TrialRecord
from kerastl.tuning.oracles import CHECKPOINT

log = logging.getLogger("kerastl")

RECORD = "record.json"
PREDICTIONS = "predictions.npz"
BUILD = "build_config.json"
"""A trial's files, beside its `CHECKPOINT` and KerasTuner's trial.json."""


@dataclass(frozen=True)
class Job:
    """A trial that is to be run.

    Attributes:
        trial_id: KerasTuner's name for it.
        values: Its hyperparameters by name.
        folder: Where all that it leaves goes.
        epochs: Of the tail, at most, those that it has had before counted.
        executions: Fits, with seeds one after the other.
        start: Weights of the trial that Hyperband goes on from.
    """

    trial_id: str
    values: Mapping[str, Any]
    folder: Path
    epochs: int
    executions: int = 1
    start: Path | None = None


@dataclass(frozen=True)
class Outcome:
    """What became of a trial.

    Attributes:
        trial_id: KerasTuner's name for it.
        score: The mean over its executions of `trial_score`; None where it failed.
        epochs: Of its last phase, over all executions.
        seconds: They took, in the process that ended them.
        failure: Why there is no score, else "".
    """

    trial_id: str
    score: float | None
    epochs: int
    seconds: float
    failure: str = ""


def run_job(hypermodel: UnfreezeHyperModel, data: Manifest, job: Job) -> Outcome:
    """Run a trial, or what is left of it; one that was finished before is read.

    Its folder then holds predictions.npz (the scores of val), checkpoint.weights.h5 (the
    network of the best execution) and, written last, record.json.

    Args:
        hypermodel: Builds the network and fits it.
        data: A Manifest with a train and a val part.
        job: The trial.

    Returns:
        The `Outcome`: a trial that diverged or had no room in memory has failed.

    Raises:
        InputError: For a fault of the data.
    """
    kept = _read(job.folder)
    if kept is None or not _answers(kept, read_record(job.folder, hypermodel.tasks), job):
        check_val(hypermodel.tasks, data)
        begun, told = time.monotonic(), _about(hypermodel, job)
        told |= _run(hypermodel, data, job)
        kept = told | {"seconds": time.monotonic() - begun}
        write_json(job.folder / RECORD, kept)
    for state in job.folder.glob("state-*"):
        shutil.rmtree(state)
    return Outcome(job.trial_id, kept["score"], kept["epochs"], kept["seconds"], kept["failure"])


def give_up(hypermodel: UnfreezeHyperModel, job: Job, failure: str) -> Outcome:
    """Mark a trial as failed that no process lived to end.

    Args:
        hypermodel: As in `run_job`.
        job: The trial.
        failure: Why.
    """
    kept = {"score": None, "failure": failure, "epochs": 0, "seconds": 0.0, "history": []}
    write_json(job.folder / RECORD, _about(hypermodel, job) | kept)
    return Outcome(job.trial_id, None, 0, 0.0, failure)


def read_record(folder: Path, tasks: Sequence[Task]) -> TrialRecord | None:
    """What is left of a trial in its folder.

    Args:
        folder: The trial's.
        tasks: What its network predicts.

    Returns:
        None where the trial is not finished.
    """
    kept = _read(folder)
    if kept is None:
        return None
    told = (kept[n] for n in ("trial_id", "values", "layers", "epochs", "seconds", "failure"))
    if kept["failure"]:
        return TrialRecord(*told)
    found = read_scores(folder / PREDICTIONS, tasks)
    return None if found is None else TrialRecord(*told, scores=found[0])


def read_rows(folder: Path) -> np.ndarray | None:
    """The positions in the val part of the pictures that a trial was scored on, if it was."""
    try:
        with open(folder / PREDICTIONS, "rb") as file, np.load(file, allow_pickle=False) as kept:
            return kept["rows"]
    except (OSError, ValueError, KeyError, EOFError):
        return None


def _read(folder: Path) -> dict[str, Any] | None:
    try:
        kept = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    there = {"trial_id", "values", "layers", "epochs", "seconds", "score", "failure"}
    return kept if isinstance(kept, dict) and there <= kept.keys() else None


def _answers(kept: Mapping[str, Any], record: TrialRecord | None, job: Job) -> bool:
    """Whether the record is there, and is this job's."""
    if record is None or kept["values"] != dict(job.values):
        return False
    return bool(record.failure) or len(record.scores) == job.executions


def _about(hypermodel: UnfreezeHyperModel, job: Job) -> dict[str, Any]:
    return {
        "trial_id": job.trial_id, "values": dict(job.values),
        "layers": hypermodel.layers(_hyperparameters(hypermodel, job.values)),
    }  # fmt: skip


def _run(hypermodel: UnfreezeHyperModel, data: Manifest, job: Job) -> dict[str, Any]:
    """All executions: the score and the histories, or why there are none."""
    histories: list[dict[str, list[Any]]] = []
    score, failure = None, ""
    try:
        score = _executions(hypermodel, data, job, histories)
    except keras_tuner.errors.FailedTrialError as error:
        failure = str(error)
    except tf.errors.ResourceExhaustedError as error:
        failure = f"out of memory: {error.message.partition(chr(10))[0]}"
    epochs = sum(len(h.get("loss", ())) for h in histories)
    return {"score": score, "failure": failure, "epochs": epochs, "history": histories}


def _executions(
    hypermodel: UnfreezeHyperModel, data: Manifest, job: Job, histories: list[dict[str, list[Any]]]
) -> float:
    """Fit and score as often as the job asks for; keep the best network."""
    found: list[Predictions] = []
    scores: list[float] = []
    for execution in range(job.executions):
        model, history = _fitted(hypermodel, data, job, execution)
        histories.append({name: [_plain(v) for v in vs] for name, vs in history.history.items()})
        found.append(_predicted(hypermodel, model, data, job))
        scores.append(_score(hypermodel.tasks, found[-1].labels, found[-1].scores))
        if scores[-1] == max(scores):
            _keep(model, job.folder)
    write_scores(
        job.folder / PREDICTIONS, hypermodel.tasks, found[0].rows, [f.scores for f in found]
    )
    return float(np.mean(scores))


def _fitted(
    hypermodel: UnfreezeHyperModel, data: Manifest, job: Job, execution: int
) -> tuple[keras.Model, keras.callbacks.History]:
    keras.backend.clear_session()
    hp = _hyperparameters(hypermodel, job.values)
    model, before = hypermodel.build(hp), 0
    if job.start is not None and job.start.exists():
        model.load_weights(job.start)
        before = int(job.values["tuner/initial_epoch"])
    elif job.start is not None:
        log.info("%s is not kept: trial %s is fitted from the beginning.", job.start, job.trial_id)
    history = hypermodel.fit(
        hp, model, data, epochs=job.epochs, initial_epoch=before, execution=execution,
        resume=job.folder / f"state-{execution}",
    )  # fmt: skip
    return model, history


def _predicted(
    hypermodel: UnfreezeHyperModel, model: keras.Model, data: Manifest, job: Job
) -> Predictions:
    """The scores of val; from stored features at the depths that have them."""
    plan = hypermodel.prepare(_hyperparameters(hypermodel, job.values), data)
    if plan is None or job.values["trainable"] not in plan.stored:
        return predict_scores(model, data.split("val").certain())
    return stored_scores(model, data, "val", cache=hypermodel.cache, engine=hypermodel.engine)


def check_val(tasks: Sequence[Task], data: Manifest) -> None:
    """Refuse a val part that scores nothing, before anything is made or trained.

    Args:
        tasks: What the trials predict.
        data: A Manifest with a val part.

    Raises:
        InputError: Where no task can be scored there.
    """
    val = data.split("val").certain()
    _score(tasks, val.labels(), {t.name: np.zeros((len(val), len(t.classes))) for t in tasks})


def _score(
    tasks: Sequence[Task], labels: Mapping[str, np.ndarray], scores: Mapping[str, np.ndarray]
) -> float:
    if not finite(scores):
        raise keras_tuner.errors.FailedTrialError("diverged: some scores of val are not finite")
    score = trial_score(tasks, labels, scores)
    if math.isnan(score):
        raise InputError(
            "The trials cannot be scored: in val no task has certain labels of two classes "
            "(multiclass: of any). Put labelled pictures there."
        )
    return score


def _keep(model: keras.Model, folder: Path) -> None:
    # Keras writes weights only under this ending.
    unfinished = folder / f".{os.getpid()}.tmp.weights.h5"
    with replacing(folder / CHECKPOINT, unfinished):
        model.save_weights(unfinished)
    # KerasTuner's Hyperband reads this beside the weights that it goes on from.
    write_json(folder / BUILD, model.get_build_config())


def _hyperparameters(
    hypermodel: UnfreezeHyperModel, values: Mapping[str, Any]
) -> keras_tuner.HyperParameters:
    hp = keras_tuner.HyperParameters()
    hypermodel.declare_hyperparameters(hp)
    hp.values.update(values)
    return hp


def _plain(value: Any) -> float | None:
    """A number of a history as JSON has it."""
    return float(value) if math.isfinite(value) else None
