"""A run's folder: the data it was made from, the model, its scores and what was found."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd

from kerastl import __version__
from kerastl.cuts import split
from kerastl.engines import forward
from kerastl.errors import InputError
from kerastl.evaluation import Predictions
from kerastl.features import extract_features
from kerastl.files import replacing
from kerastl.manifest import Manifest
from kerastl.plots import plot_scores
from kerastl.prediction import class_columns
from kerastl.readers import read_csv, read_folder
from kerastl.reports import update_report
from kerastl.saving import save_model
from kerastl.scores import Scores, score
from kerastl.spec import spec_of
from kerastl.tasks import Task, by_task, class_scores

ROOT = Path("saved_models")
MODEL = "model.keras"
STATE = ".fit"
"""Folder inside a run's in which fit keeps its state until the run is whole."""


def open_data(data: str, *, tasks: Sequence[str] = (), seed: int = 0) -> Manifest:
    """Read the pictures that a command names: a folder, a .csv table or tfds:NAME.

    Args:
        data: What to read.
        tasks: Columns of a table to predict; by default all that are not taken.
        seed: Seed of the splits.
    """
    if data.startswith("tfds:"):
        from kerastl.tfds import read_tfds

        return read_tfds(data.removeprefix("tfds:"), seed=seed, tasks=list(tasks) or None)
    path = Path(data)
    if path.suffix.lower() in (".csv", ".tsv"):
        sep = "\t" if path.suffix.lower() == ".tsv" else ","
        return read_csv(path, sep=sep, seed=seed, tasks=list(tasks) or None)
    if tasks:
        raise InputError("--task names a column of a table. A folder's classes are its folders.")
    return read_folder(path, seed=seed)


def run_folder(data: str, out: str | Path | None, *, resume: bool) -> Path:
    """Where a run goes: `out`, or the next free number below saved_models/<data>/.

    Args:
        data: What the run reads; its name names the folder.
        out: The folder, if one was given.
        resume: Whether to go on with the newest run that is not whole.

    Raises:
        InputError: When the folder holds a model already, or there is nothing
            to go on with.
    """
    if out is None:
        home = ROOT / (Path(data.removeprefix("tfds:")).stem or "pictures")
        there = [int(p.name) for p in home.glob("*") if p.name.isdigit()]
        newest = max(there, default=0)
        out = home / str(newest if resume else newest + 1)
    folder = Path(out)
    if resume and not (folder / STATE).is_dir():
        raise InputError(f"There is no interrupted run in {folder} to go on with.")
    if not resume and (folder / MODEL).exists():
        raise InputError(f"{folder} holds a model already. Give another --out, or delete it.")
    return folder


def score_run(model: keras.Model, manifest: Manifest) -> tuple[Scores, Predictions]:
    """Scores on the held-out pictures, and predictions for every picture, in one pass.

    The pass is that of the features in front of the heads, on the fastest engine
    that agrees with Keras; the heads then take no time.

    Args:
        model: A kerastl model.
        manifest: All pictures. Those of the test part are scored; without one
            those of val; without either all of them.
    """
    prefix, heads = split(model, spec_of(model).features)
    found = extract_features(prefix, manifest, tasks=manifest.tasks)
    logits = by_task(manifest.tasks, forward(heads)(found.values[:, 0]))
    predicted = {t.name: class_scores(t, logits[t.name]) for t in manifest.tasks}
    name = next((s for s in ("test", "val") if manifest.has(s)), None)
    splits = manifest.frame["split"].to_numpy() if name else None
    chosen = slice(None) if name is None else splits[found.rows] == name
    labels = {task: values[chosen] for task, values in found.labels.items()}
    scores = score(manifest.tasks, labels, {t: v[chosen] for t, v in predicted.items()})
    return scores, Predictions(predicted, found.labels, found.rows, dict(manifest.skipped))


def predictions_frame(manifest: Manifest, found: Predictions, root: Path | None) -> pd.DataFrame:
    """A row a picture: image, split, each task's label and its class scores.

    Args:
        manifest: The pictures.
        found: What was predicted for them.
        root: The folder that picture paths are written relative to, if any.
    """
    words = manifest.decoded()
    if root is not None:
        words["image"] = [Path(p).relative_to(root).as_posix() for p in words["image"]]
    columns = [c for c in ("image", "split") if c in words]
    columns += [c for task in manifest.tasks for c in task.columns]
    frame = words[columns].reset_index(drop=True)
    for task in manifest.tasks:
        scores = np.full((len(frame), len(task.classes)), np.nan)
        scores[found.rows] = found.scores[task.name]
        for number, column in enumerate(_score_columns(task)):
            frame[column] = scores[:, number].round(6)
    return frame


def _score_columns(task: Task) -> list[str]:
    """A multilabel task's labels have their scores' names already; those get a suffix."""
    suffix = ".score" if task.kind == "multilabel" else ""
    return [f"{column}{suffix}" for column in class_columns(task)]


def write_run(
    folder: Path,
    model: keras.Model,
    manifest: Manifest,
    history: keras.callbacks.History,
    *,
    settings: Mapping[str, Any],
    root: Path | None = None,
) -> Scores:
    """Score a trained model and write all that belongs to it; the state of its fit goes.

    Args:
        folder: The run's folder.
        model: The trained model.
        manifest: What it was trained on.
        history: Of its fit.
        settings: What it was made with, for the report.
        root: The folder that picture paths are written relative to, if any.

    Returns:
        The scores on the held-out pictures.
    """
    save_model(model, folder / MODEL)
    scores, found = score_run(model, manifest)
    _write_csv(folder / "predictions.csv", predictions_frame(manifest, found, root))
    _write_csv(folder / "history.csv", pd.DataFrame(history.history))
    plot_scores(scores, folder / "scores.png")
    update_report(
        folder,
        kerastl=__version__,
        model=spec_of(model).to_dict(),
        data=_about(manifest),
        training={**settings, "epochs": len(history.epoch), "weights": str(history.movement)},
        scores=scores.to_dict(),
    )
    shutil.rmtree(folder / STATE, ignore_errors=True)
    return scores


def _about(manifest: Manifest) -> dict[str, Any]:
    return {
        "pictures": len(manifest),
        "splits": {s: len(manifest.split(s)) for s in manifest.splits},
        "notes": list(manifest.notes),
        "skipped": dict(manifest.skipped),
    }


def _write_csv(path: Path, frame: pd.DataFrame) -> None:
    with replacing(path) as unfinished:
        frame.to_csv(unfinished, index=False)
