"""A run: the data and the network that a command names, and the folder that it leaves."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd

from kerastl import __version__
from kerastl.cli.console import err
from kerastl.data.division import FILE as DIVISION
from kerastl.data.division import HELD_OUT, Division
from kerastl.data.labels import label_report
from kerastl.data.manifest import Manifest
from kerastl.data.readers.tabular import read_csv, read_folder
from kerastl.data.tasks import UNKNOWN, Task, by_task, class_scores
from kerastl.errors import InputError, nearest
from kerastl.features.engines import forward
from kerastl.features.extract import extract_features
from kerastl.files import as_folder, replacing
from kerastl.inference.evaluation import Predictions, groups_of
from kerastl.inference.prediction import class_columns, find_pictures
from kerastl.inference.sidecar import read_report, update_report
from kerastl.models.cuts import split
from kerastl.models.saving import MODEL, load_model, save_model
from kerastl.models.spec import spec_of, with_spec
from kerastl.scoring.scores import Scores, score
from kerastl.scoring.scores_plot import plot_scores
from kerastl.scoring.thresholds import Thresholds, choose_thresholds

ROOT = Path("saved_models")
STATE = ".fit"
"""Folder inside a run's in which fit keeps its state until the run is whole."""


def open_data(data: str, *, tasks: Sequence[str] = (), seed: int = 0, **words: Any) -> Manifest:
    """Read the pictures that a command names: a folder, a .csv table or tfds:NAME.

    Args:
        data: What to read.
        tasks: Columns of a table to predict; by default all that are not taken.
        seed: Seed of the splits.
        **words: Of a table: `unknown`, `unsure` and `uncertain`, as `read_csv` has them.

    Raises:
        InputError: For data that cannot be read, or options of a table for others.
    """
    path = Path(data)
    table = path.suffix.lower() in (".csv", ".tsv")
    if words and not table:
        options = ", ".join(f"--{name}" for name in words)
        raise InputError(f"{options}: only the cells of a .csv table have such words.")
    if data.startswith("tfds:"):
        from kerastl.data.readers.tfds import read_tfds

        return read_tfds(data.removeprefix("tfds:"), seed=seed, tasks=list(tasks) or None)
    if table:
        sep = "\t" if path.suffix.lower() == ".tsv" else ","
        return read_csv(path, sep=sep, seed=seed, tasks=list(tasks) or None, **words)
    if tasks:
        raise InputError("--task names a column of a table. A folder's classes are its folders.")
    return read_folder(path, seed=seed)


def run_of(model: Path) -> Path | None:
    """The folder of the run that a model or an exported file lies in, if there is one."""
    places = (model, *model.parents[:2])  # OpenVINO's files lie in a folder of their own
    return next((place for place in places if (place / DIVISION).is_file()), None)


def open_for(
    model: Path, data: str | None, *, seed: int = 0, **words: Any
) -> tuple[Manifest | None, Manifest | None]:
    """The pictures for a model, and those that it is scored on: none that its run has seen.

    Beside a model of a run lies its division: each picture, known by content, is in the part that
    it was in, whatever the seed, and others are held out. How many the run was fitted or tuned on
    is told. A model from elsewhere has no division: then the data are divided by `seed`.

    Args:
        model: A run's folder, or a file in it.
        data: As in `open_data`; None stands for the run's own pictures.
        seed: As in `open_data`.
        **words: As in `open_data`; by default a table is read as the run read its own.

    Returns:
        All pictures, None where there are no data to read; and the same where some of them are
        held out, else None.

    Raises:
        InputError: As `open_data`, and for a division that is damaged.
    """
    run = run_of(model)
    if run is None:
        found = None if data is None else open_data(data, seed=seed, **words)
        return found, found
    made = read_report(run).get("training", {})
    if data is None:
        data = made.get("data", "")
        if not data.startswith("tfds:") and not (data and Path(data).exists()):
            return None, None
    if not words and Path(data).suffix.lower() in TABLES:
        words = {name: made[name] for name in ("tasks", "unknown", "unsure") if made.get(name)}
    found, seen = Division.read(run / DIVISION).applied(open_data(data, seed=seed, **words))
    if seen:
        told = f"{len(found):,} pictures, {seen:,} of them were trained or tuned on: left out."
        err.print(told, markup=False, highlight=False, soft_wrap=True)
    return found, found if found.has(HELD_OUT) else None


def open_held_out(model: Path, data: str | None, **options: Any) -> Manifest:
    """The pictures that a model is scored on, of which there have to be some.

    Args:
        model: As in `open_for`.
        data: As in `open_for`.
        **options: As in `open_for`.

    Raises:
        InputError: As `open_for`, and where there are no data, or all of them were seen.
    """
    if data is None and not model.exists():
        raise InputError(f"There is no model {model}.")
    found, scored = open_for(model, data, **options)
    if found is None:
        raise InputError(
            f"Expected DATA: labelled pictures. Those that {model} was made from are not there."
        )
    if scored is None:
        raise InputError(
            f"All {len(found):,} pictures were trained or tuned on. Expected some that are held "
            "out: give others as DATA."
        )
    return scored


def named_backbone(name: str) -> str | keras.Model:
    """A backbone's name as it is; a .keras file as the model in it.

    Raises:
        InputError: For a file that is not there or cannot be read.

    Example:
        >>> named_backbone("MobileNetV2")
        'MobileNetV2'
    """
    if not name.endswith(".keras"):
        return name
    if not Path(name).is_file():
        raise InputError(f"There is no model file {name}.")
    try:
        return load_model(name)
    except InputError:
        return _plain_keras(name)


def _plain_keras(name: str) -> keras.Model:
    try:
        return keras.models.load_model(name, compile=False, safe_mode=True)
    except (ValueError, TypeError, OSError, KeyError) as error:
        raise InputError(f"The model file {name} cannot be read: {error}") from error


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
    folder = as_folder(out)
    if resume and not (folder / STATE).is_dir():
        raise InputError(f"There is no interrupted run in {folder} to go on with.")
    if not resume and (folder / MODEL).exists():
        raise InputError(f"{folder} holds a model already. Give another --out, or delete it.")
    return folder


def predict_run(model: keras.Model, manifest: Manifest) -> Predictions:
    """Predictions for every picture that can be read, in one pass.

    The pass is that of the features in front of the heads, on the fastest engine
    that agrees with Keras; the heads then take no time.

    Args:
        model: A kerastl model.
        manifest: All pictures; a label that is uncertain counts as unknown.
    """
    prefix, heads = split(model, spec_of(model).features)
    found = extract_features(prefix, manifest.certain(), tasks=manifest.tasks)
    logits = by_task(manifest.tasks, forward(heads)(found.values[:, 0]))
    predicted = {t.name: class_scores(t, logits[t.name]) for t in manifest.tasks}
    return Predictions(predicted, found.labels, found.rows, dict(manifest.skipped))


def tune_run(
    model: keras.Model, manifest: Manifest, found: Predictions, metric: str
) -> Thresholds | None:
    """Choose thresholds on the val part of what was predicted, and store them with the model.

    Args:
        model: A kerastl model.
        manifest: All pictures.
        found: What `predict_run` gave for them.
        metric: As in `choose_thresholds`.

    Returns:
        The thresholds; None where there is no val part, or no task that has one:
        the model then keeps those it has.
    """
    if not manifest.has("val") or all(t.kind == "multiclass" for t in manifest.tasks):
        return None
    part = _part(manifest, found, "val")
    chosen = choose_thresholds(manifest.tasks, part.labels, part.scores, metric=metric)
    with_spec(model, spec_of(model), thresholds=chosen.values)
    return chosen


def score_run(model: keras.Model, manifest: Manifest, found: Predictions) -> Scores:
    """Scores on the held-out pictures, decided at the model's thresholds.

    Args:
        model: A kerastl model.
        manifest: All pictures. Those of the test part are scored; without one
            those of val; without either all of them.
        found: What `predict_run` gave for them.
    """
    name = next((s for s in ("test", "val") if manifest.has(s)), None)
    part = found if name is None else _part(manifest, found, name)
    thresholds = spec_of(model).thresholds
    groups = groups_of(manifest, part.rows)
    scores = score(manifest.tasks, part.labels, part.scores, thresholds=thresholds, groups=groups)
    if name != "val" or not thresholds:
        return scores
    note = "There is no test part: scored on the pictures that chose the thresholds, so optimistic."
    return replace(scores, notes=(*scores.notes, note))


def _part(manifest: Manifest, found: Predictions, name: str) -> Predictions:
    chosen = manifest.frame["split"].to_numpy()[found.rows] == name
    scores = {task: values[chosen] for task, values in found.scores.items()}
    labels = {task: values[chosen] for task, values in found.labels.items()}
    return replace(found, scores=scores, labels=labels, rows=found.rows[chosen])


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
    history: keras.callbacks.History | None,
    *,
    settings: Mapping[str, Any],
    root: Path | None = None,
    thresholds_metric: str | None = "f1",
) -> tuple[Scores, Thresholds | None]:
    """Score a trained model and write all that belongs to it; the state of its fit goes.

    Thresholds are chosen on the val part and stored in the model; the scores are of
    the test part, at these thresholds.

    Args:
        folder: The run's folder.
        model: The trained model.
        manifest: What it was trained on.
        history: Of its fit, if that was one fit of its own.
        settings: What it was made with, for the report.
        root: The folder that picture paths are written relative to, if any.
        thresholds_metric: What the thresholds are chosen by, as in
            `choose_thresholds`; None leaves the model's as they are.

    Returns:
        The scores on the held-out pictures, and the thresholds; None where none
        were chosen.
    """
    found = predict_run(model, manifest)
    tuned = tune_run(model, manifest, found, thresholds_metric) if thresholds_metric else None
    Division.of(manifest).write(folder / DIVISION)  # first: no model is without it
    save_model(model, folder / MODEL)
    scores = score_run(model, manifest, found)
    _write_csv(folder / "predictions.csv", predictions_frame(manifest, found, root))
    if history is not None:
        settings = _with_history(folder, settings, history)
    plot_scores(scores, folder / "scores.png")
    update_report(
        folder,
        kerastl=__version__,
        model=spec_of(model).to_dict(),
        data=_about(manifest),
        training=dict(settings),
        scores=scores.to_dict(),
        thresholds=tuned.records() if tuned else [],
        labels=label_report(manifest).to_dict(),
    )
    shutil.rmtree(folder / STATE, ignore_errors=True)
    return scores, tuned


def _with_history(
    folder: Path, settings: Mapping[str, Any], history: keras.callbacks.History
) -> dict[str, Any]:
    """The settings with what came of them; a row an epoch goes to history.csv."""
    _write_csv(folder / "history.csv", pd.DataFrame(history.history))
    return {**settings, "epochs": len(history.epoch), "weights": str(history.movement)}


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


TABLES = {".csv": ",", ".tsv": "\t"}
NO_LABELS = Task("label", ("no", "yes"), kind="binary")


def list_pictures(data: str) -> Manifest:
    """Every picture that a command names, all labels unknown.

    Args:
        data: A folder, searched also below; a .csv or .tsv table, of which the column
            `image` is read; or tfds:NAME.

    Raises:
        InputError: For data that cannot be read, or have no picture.

    Example:
        >>> import pathlib, tempfile
        >>> root = pathlib.Path(tempfile.mkdtemp())
        >>> for name in ("a.png", "b.jpg", "notes.txt"):
        ...     (root / name).touch()
        >>> len(list_pictures(str(root)))
        2
    """
    if data.startswith("tfds:"):
        return open_data(data)
    suffix = os.path.splitext(data)[1].lower()
    paths = _column(data, TABLES[suffix]) if suffix in TABLES else _below(data)
    frame = pd.DataFrame({"image": paths, NO_LABELS.name: UNKNOWN})
    return Manifest(frame.drop_duplicates(ignore_index=True), (NO_LABELS,))


def _below(data: str) -> Sequence[str]:
    if not os.path.isdir(data):
        above, name = os.path.split(os.path.abspath(data))
        hint = nearest(name, os.listdir(above)) if os.path.isdir(above) else ""
        raise InputError(f"There is no folder {data}.{hint}")
    return find_pictures(data)


def _column(path: str, sep: str) -> Sequence[str]:
    """The column `image`: paths from the table's folder on."""
    try:
        table = pd.read_csv(path, sep=sep, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except (OSError, ValueError) as error:  # pandas' own errors are ValueErrors
        raise InputError(f"The table {path} cannot be read: {error}.") from error
    if "image" not in table:
        there = ", ".join(map(str, table.columns))
        raise InputError(f"{path}: column 'image' is missing; the columns are {there}.")
    names = table["image"].str.strip()
    folder = os.path.dirname(path)
    return [os.path.normpath(os.path.join(folder, name)) for name in names if name]
