"""search: how many layers to unfreeze, by trials that share the frozen part's features.

What a search is of is kept beside it: another search does not go on in its folder.
"""

from __future__ import annotations

import hashlib
import logging
import numbers
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import keras
import keras_tuner

from kerastl.data.manifest import Manifest, path_column
from kerastl.distributed.pool import WorkerDied, open_pool
from kerastl.errors import InputError
from kerastl.files import as_folder, hold_to, write_json
from kerastl.models.factories import Backbone
from kerastl.models.graph import network_key
from kerastl.models.spec import Trainable, spec_of, with_spec
from kerastl.training.data import content, parts, training_digest
from kerastl.tuning.hypermodel import UnfreezeHyperModel
from kerastl.tuning.leaderboard import Leaderboard, leaderboard
from kerastl.tuning.loop import SearchProgress, Told, most_trials, run_search
from kerastl.tuning.oracles import TUNERS, keep_best, make_oracle
from kerastl.tuning.space import Range
from kerastl.tuning.trial_jobs import (
    CHECKPOINT,
    Job,
    Outcome,
    check_val,
    give_up,
    read_record,
    read_rows,
    run_job,
)

SETTINGS = "search.json"
TRIALS = "trials"
"""In a search's folder: what it is of, and KerasTuner's own files."""


DAMAGED = "{} is damaged. Begin anew with overwrite=True (--overwrite)."


def data_digest(data: Manifest, cache: Path | None = None) -> str:
    """What the train and val parts are known by: labels, and the pictures' content.

    Args:
        data: The pictures.
        cache: As in `training_digest`.
    """
    digest = hashlib.blake2b(digest_size=8)
    for part in (data.split("train"), data.split("val")):
        digest.update(content(part, cache))
    return digest.hexdigest()


def same_search(folder: Path, settings: Mapping[str, Any], overwrite: bool) -> None:
    """Write what a search is of, or compare it with that of the trials that are there.

    Args:
        folder: The search's.
        settings: All that decides what a trial of given values comes to.
        overwrite: Whether to write over what is there.

    Raises:
        InputError: Naming each setting that differs, and how to begin anew; and where the
            folder is a file.
    """
    path = as_folder(folder) / SETTINGS
    given = {name: _described(v) for name, v in settings.items()}
    begun = any((folder / TRIALS).glob("trial_*"))
    if not begun:
        shutil.rmtree(folder / TRIALS, ignore_errors=True)  # an oracle that was never asked
    if path.exists() and begun and not overwrite:
        other = (
            f"{folder} holds a search with other settings. Give another folder, or begin anew "
            "with overwrite=True (--overwrite)."
        )
        hold_to(path, given, other, DAMAGED.format(path))
    else:
        write_json(path, given)


def _described(value: Any) -> str:
    if isinstance(value, keras.Model):
        return f"{value.name} {network_key(value)}"
    if isinstance(value, keras.layers.Layer):
        value = keras.saving.serialize_keras_object(value)
    return str(value) if isinstance(value, (str, Path)) else repr(value)


log = logging.getLogger("kerastl")

FEATURES = "features"


@dataclass(frozen=True)
class Search:
    """What `search` found.

    Attributes:
        model: The chosen trial's network, compiled, with its weights.
        leaderboard: All trials, the best of each depth, and the choice in a sentence.
        values: The chosen trial's values by name.
        folder: Where everything lies: leaderboard.csv, depths.csv, leaderboard.png and
            KerasTuner's own files in `trials`.
    """

    model: keras.Model
    leaderboard: Leaderboard
    values: Mapping[str, Any]
    folder: Path

    def __str__(self) -> str:
        return str(self.leaderboard)


def search(
    backbone: Backbone | Sequence[str],
    data: Manifest,
    *,
    folder: str | Path,
    depths: Sequence[Trainable] | None = None,
    trials: int | None = None,
    epochs: int = 20,
    head_epochs: int | None = None,
    tuner: str = "bayesian",
    executions: int = 1,
    learning_rate: Range = (3e-5, 3e-3),
    depth_decay: Range = (0.5, 1.0),
    dropout: Range = (0.0, 0.5),
    weight_decay: Range = (1e-6, 1e-2),
    weights: str | Path | None = "imagenet",
    image_size: int | tuple[int, int] | list[int] | None = None,
    cache: str | Path | None = None,
    budget: int | None = None,
    keep: int = 3,
    workers: int | None = None,
    ray: str | None = None,
    overwrite: bool = False,
    seed: int = 0,
    progress: Callable[[SearchProgress], None] | None = None,
    **options: Any,
) -> Search:
    """Measure how many layers to unfreeze, and which rates and regularisation go with it.

    Every trial is a fit of two phases, the heads and then the tail, on features that
    are made once and shared by all trials. Trials are scored on val: the mean over tasks
    of AUC (binary, multilabel) or accuracy (multiclass). The choice is the shallowest
    depth within one standard error of the best. The best of many trials looks better on
    val than it is: score the chosen model on the test part.

    Killed and called again with the same arguments, it goes on: finished trials are
    never run again, and the one that was running loses its last epoch at most. More
    `trials` go on from those that are there.

    Args:
        backbone: A name of `list_backbones()`, a Keras model of one's own, or several
            names to choose from.
        data: A Manifest with a train and a val part. The test part is not looked at.
        folder: Where the search is kept.
        depths: What may train beside the heads, each as in `set_trainable`; by default
            the heads alone and the last stages.
        trials: Trials in all; by default 20, and of a grid all. Hyperband runs each of
            its brackets once, whatever is given here.
        epochs: Epochs of a trial's tail, at most.
        head_epochs: Epochs of the heads before that; by default as many. Trials of the heads
            alone get both.
        tuner: Which of KerasTuner's algorithms: "bayesian", "random", "hyperband", "grid".
            The first two begin with each depth once, at the default values.
        executions: Fits of each trial, with seeds `seed`, `seed + 1`, ...
        learning_rate: The highest rate of the tail; the heads' is ten times it. A number is
            fixed, a list holds the values to choose from, a tuple is the lowest and highest.
        depth_decay: Factor of the rate from one stage to the one in front of it.
        dropout: In front of the heads.
        weight_decay: AdamW's.
        weights: The backbone's, as in `create_model`.
        image_size: In pixels, as in `create_model`; a list holds sizes to choose from.
        cache: The folder of the features; by default one in `folder`.
        budget: Bytes that features may take. The deepest depths run the whole network in
            every epoch where theirs would not fit.
        keep: The best trials whose weights are kept. A chosen trial that is not among
            them is fitted again.
        workers: Trials side by side: on this machine, by Ray, where `ray` is not given; on a
            cluster by default one on each node.
        ray: Address of a Ray cluster, as in `extract_features`. All machines have to see
            the pictures and the folders under the same paths.
        overwrite: Whether to begin anew where the folder holds a search.
        seed: Seed of the search, of new weights and of the order of pictures.
        progress: Called with a `SearchProgress`.
        **options: Further options of `create_model` and of `fit`.

    Returns:
        The `Search`.

    Raises:
        InputError: For arguments that do not fit, for a folder that holds a search with other
            settings, and for faults of the data, which end the search at once.

    References:
        Breiman et al., Classification and Regression Trees, 1984, section 3.4.3 (the
        one-standard-error rule).
        O'Malley et al., KerasTuner, 2019, https://github.com/keras-team/keras-tuner.
    """
    trials = 20 if trials is None and tuner != "grid" else trials
    counts = {
        "trials": 1 if trials is None else trials,
        "epochs": epochs,
        "executions": executions,
        "keep": keep,
    }
    ranges = {"learning_rate": learning_rate, "depth_decay": depth_decay, "dropout": dropout,
              "weight_decay": weight_decay}  # fmt: skip
    _check(data, tuner, counts | {"workers": 1 if workers is None else workers})
    folder, given, data = Path(folder).absolute(), data, _absolute(data)
    named = {
        "learning_rate": learning_rate,
        "depth_decay": depth_decay,
        "dropout": dropout,
        "weight_decay": weight_decay,
        "depths": depths,
        "weights": weights,
        "image_size": image_size,
        "head_epochs": head_epochs,
        "seed": seed,
        **options,
    }
    named = {k: v for k, v in named.items() if v is not None or k == "weights"}
    hypermodel = UnfreezeHyperModel(
        backbone, data.tasks, cache=Path(cache or folder / FEATURES).absolute(), budget=budget,
        **named,
    )  # fmt: skip
    if tuner == "grid" and trials is None:
        _check_grid(ranges)
    settings = {"backbone": backbone, "tuner": tuner, "epochs": epochs, "executions": executions}
    known = data_digest(data, hypermodel.cache)
    same_search(folder, {**settings, **named, "data": known}, overwrite)
    oracle = make_oracle(
        tuner, hypermodel.space, trials=trials, epochs=epochs, seed=seed,
        folder=folder / TRIALS, overwrite=overwrite,
    )  # fmt: skip
    told = Told(oracle, most_trials(oracle), progress or (lambda _: None))
    hypermodel.prepare(None, data, told.features)
    make_job = partial(_job, folder / TRIALS, epochs, executions)

    def finished(outcome: Outcome) -> None:
        keep_best(oracle, folder / TRIALS, keep)
        told.trial(outcome)

    def died(job: Job, error: WorkerDied) -> Outcome:
        return give_up(hypermodel, job, str(error))

    told.begin()
    with open_pool(partial(_worker, hypermodel, data), workers=workers, ray=ray) as pool:
        run_search(oracle, pool, make_job, finished=finished, died=died)
    given.skipped.update(_skipped(given, data))
    board = _leaderboard(folder / TRIALS, data, seed)
    board.write(folder)
    job = make_job(oracle.get_trial(board.chosen))
    return Search(_winner(hypermodel, data, job), board, job.values, folder)


def _worker(hypermodel: UnfreezeHyperModel, data: Manifest) -> Callable[[Job], Outcome]:
    return partial(run_job, hypermodel, data)


def _job(folder: Path, epochs: int, executions: int, trial: Any) -> Job:
    values = dict(trial.hyperparameters.values)
    earlier = values.get("tuner/trial_id")
    start = folder / f"trial_{earlier}" / CHECKPOINT if earlier else None
    epochs = int(values.get("tuner/epochs", epochs))
    return Job(
        trial.trial_id, values, folder / f"trial_{trial.trial_id}", epochs, executions, start
    )


def _leaderboard(folder: Path, data: Manifest, seed: int) -> Leaderboard:
    """All trials whose folders are whole, on the labels of the pictures that could be read."""
    folders = sorted(folder.glob("trial_*"))
    records = [record for f in folders if (record := read_record(f, data.tasks)) is not None]
    rows = next((rows for f in folders if (rows := read_rows(f)) is not None), [])
    val = data.split("val").certain()
    labels = {name: codes[rows] for name, codes in val.labels().items()}
    groups = None if val.groups is None else val.groups[rows]
    return leaderboard(records, data.tasks, labels, groups=groups, seed=seed)


def _winner(hypermodel: UnfreezeHyperModel, data: Manifest, job: Job) -> keras.Model:
    """The chosen trial's network, from its weights or, where they are not kept, fitted again."""
    hp = keras_tuner.HyperParameters()
    hypermodel.declare_hyperparameters(hp)
    hp.values.update(job.values)
    weights = job.folder / CHECKPOINT
    with tempfile.TemporaryDirectory(prefix=".refit-", dir=job.folder) as folder:
        if not weights.exists():
            log.info("The weights of trial %s were not kept: it is fitted again.", job.trial_id)
            run_job(hypermodel, data, replace(job, folder=Path(folder)))
            weights = Path(folder) / CHECKPOINT
        model = hypermodel.build(hp)
        model.load_weights(weights)
    train, _ = parts(data, None)
    digest = training_digest(train, data.tasks, hypermodel.cache)
    return with_spec(model, spec_of(model), trained_on=(digest,))


def _absolute(data: Manifest) -> Manifest:
    """The pictures by paths that mean the same in every process."""
    paths = path_column(os.path.abspath(path) for path in data.frame["image"])
    return replace(data, frame=data.frame.assign(image=paths), skipped={})


def _skipped(given: Manifest, data: Manifest) -> dict[str, str]:
    """What could not be read, by the paths as they were given."""
    paths = zip(given.frame["image"], data.frame["image"], strict=True)
    return {path: data.skipped[full] for path, full in paths if full in data.skipped}


def _check_grid(ranges: Mapping[str, Range]) -> None:
    """Refuse a whole grid over ranges: it would have tens of thousands of trials."""
    endless = [name for name, values in ranges.items() if isinstance(values, tuple)]
    if endless:
        raise InputError(
            "A whole grid needs lists of values, or give trials=.",
            [f"{name}: received the range {ranges[name]}" for name in endless],
        )


def _check(data: Manifest, tuner: str, counts: Mapping[str, int]) -> None:
    if not isinstance(data, Manifest):
        raise InputError(f"Expected a Manifest. Received: {type(data).__name__}.")
    faults = [f"expected a {p} part; there is none" for p in ("train", "val") if not data.has(p)]
    faults += [f"{name}: expected a whole number from 1, received {value!r}"
               for name, value in counts.items() if not _counts(value)]  # fmt: skip
    if tuner not in TUNERS:
        faults.append(f"tuner: expected {', '.join(TUNERS)}, received {tuner!r}")
    if faults:
        raise InputError("There can be no search so.", faults)
    check_val(data.tasks, data)


def _counts(value: Any) -> bool:
    return isinstance(value, numbers.Integral) and not isinstance(value, bool) and value >= 1
