"""A run: the network that a command names, and the folder that it leaves."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import pandas as pd

from kerastl import __version__
from kerastl.cli.claims import claim, claim_next
from kerastl.cli.opening import seen_before
from kerastl.data.division import FILE as DIVISION
from kerastl.data.division import Division
from kerastl.data.labels import label_report
from kerastl.data.manifest import Manifest
from kerastl.data.tasks import by_task, class_scores
from kerastl.errors import InputError
from kerastl.features.engines import forward
from kerastl.features.extract import extract_features
from kerastl.files import as_folder, write_table
from kerastl.inference.answers import correct, escaped, paths, predicted, truth
from kerastl.inference.evaluation import SCORED, Predictions, groups_of
from kerastl.inference.sidecar import update_report
from kerastl.models.cuts import split
from kerastl.models.saving import MODEL, load_model, save_model
from kerastl.models.spec import spec_of, with_spec
from kerastl.scoring.scores import Scores, score
from kerastl.scoring.scores_plot import plot_scores
from kerastl.scoring.thresholds import Thresholds, choose_thresholds

ROOT = Path("saved_models")
STATE = ".fit"
"""Folder inside a run's in which fit keeps its state until the run is whole."""


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

    It is claimed: of two runs begun together each has a folder of its own.

    Args:
        data: What the run reads; its name names the folder.
        out: The folder, if one was given.
        resume: Whether to go on with the newest run that is not whole.

    Raises:
        InputError: When the folder holds a model already, another process is at work in
            it, or there is nothing to go on with.
        DiskError: Where nothing can be written there.
    """
    newest = newest_run(data)
    if out is None and not resume:
        return claim_next(newest.parent, int(newest.name) + 1)
    folder = as_folder(newest if out is None else out)
    if resume and not (folder / STATE).is_dir():
        raise InputError(f"There is no interrupted run in {folder} to go on with.")
    if not resume and (folder / MODEL).exists():
        raise InputError(f"{folder} holds a model already. Give another --out, or delete it.")
    return claim(folder)


def newest_run(data: str) -> Path:
    """The folder of the newest run of some data, of number 0 where there is none."""
    home = ROOT / (Path(data.removeprefix("tfds:")).stem or "pictures")
    there = [int(p.name) for p in home.glob("*") if p.name.isdigit()]
    return home / str(max(there, default=0))


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


def score_run(model: keras.Model, manifest: Manifest, found: Predictions) -> tuple[Scores, str]:
    """Scores at the model's thresholds, and what they are of, in words.

    Args:
        model: A kerastl model.
        manifest: All pictures. Those of the test part are scored; without one
            those of val; without either all of them.
        found: What `predict_run` gave for them.
    """
    name = next((s for s in SCORED if manifest.has(s)), None)
    part = found if name is None else _part(manifest, found, name)
    thresholds = spec_of(model).thresholds
    groups = groups_of(manifest, part.rows)
    scores = score(manifest.tasks, part.labels, part.scores, thresholds=thresholds, groups=groups)
    source = SCORED.get(name, "pictures that were trained on")
    if name != "val" or not thresholds:
        return scores, source
    note = "There is no test part: scored on the pictures that chose the thresholds, so optimistic."
    return replace(scores, notes=(*scores.notes, note)), source


def _part(manifest: Manifest, found: Predictions, name: str) -> Predictions:
    chosen = manifest.frame["split"].to_numpy()[found.rows] == name
    scores = {task: values[chosen] for task, values in found.scores.items()}
    labels = {task: values[chosen] for task, values in found.labels.items()}
    return replace(found, scores=scores, labels=labels, rows=found.rows[chosen])


def predictions_frame(
    manifest: Manifest,
    found: Predictions,
    root: Path | None = None,
    thresholds: Mapping[str, Sequence[float]] | None = None,
) -> pd.DataFrame:
    """A row a picture, what is true and what is predicted in columns of their own.

    The columns are `image`, `split`, and for each task `<task>/truth` (in the words of the
    data), `<task>/predicted`, `<task>/correct` (1 or 0, blank where the truth is unknown) and
    `<task>/score/<class>`; of a multilabel task truth and correct have a column a label,
    `<task>/truth/<label>`. Last is `error`, why a picture could not be read. `predict` gives the
    same columns, without split, truth and correct.

    Args:
        manifest: The pictures.
        found: What was predicted for them.
        root: The folder that picture paths are written relative to, if any.
        thresholds: The model's, by task.
    """
    images, thresholds = manifest.frame["image"].tolist(), thresholds or {}
    names = images if root is None else [Path(p).relative_to(root).as_posix() for p in images]
    parts = [paths(names), manifest.frame[["split"] if "split" in manifest.frame else []]]
    for task in manifest.tasks:
        told = found.scores[task.name], thresholds.get(task.name)
        answers = [predicted(task, *told), correct(task, found.labels[task.name], *told)]
        read = pd.concat(answers, axis=1).set_axis(found.rows).reindex(range(len(images)))
        every = pd.concat([truth(manifest, task), read], axis=1)
        parts.append(every[sorted(every, key=_role)])
    frame = pd.concat([part.reset_index(drop=True) for part in parts], axis=1).round(6)
    frame["error"] = [found.skipped.get(path, "") for path in images]
    return frame


def _role(column: str) -> int:
    return ("truth", "predicted", "correct", "score").index(column.split("/")[1])


@dataclass(frozen=True)
class Written:
    """What a run came to.

    Args:
        scores: At the thresholds that were chosen.
        source: What they are of, in words: held-out pictures, or others.
        thresholds: None where none were chosen.
    """

    scores: Scores
    source: str
    thresholds: Thresholds | None


def write_run(
    folder: Path,
    model: keras.Model,
    manifest: Manifest,
    history: keras.callbacks.History | None,
    *,
    settings: Mapping[str, Any],
    root: Path | None = None,
    thresholds_metric: str | None = "f1",
    division: Division | None = None,
) -> Written:
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
        division: What `division_of` gave before training; by default it is made now.

    Returns:
        The scores, what they are of, and the thresholds.
    """
    found = predict_run(model, manifest)
    tuned = tune_run(model, manifest, found, thresholds_metric) if thresholds_metric else None
    division = division or division_of(manifest, settings)
    division.write(folder / DIVISION)  # first: no model is without it
    save_model(model, folder / MODEL)
    scores, source = score_run(model, manifest, found)
    table = predictions_frame(manifest, found, root, spec_of(model).thresholds)
    write_table(folder / "predictions.csv", escaped(table))
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
        scored_on=source,
        thresholds=tuned.records() if tuned else [],
        labels=label_report(manifest).to_dict(),
    )
    shutil.rmtree(folder / STATE, ignore_errors=True)
    return Written(scores, source, tuned)


def division_of(manifest: Manifest, settings: Mapping[str, Any]) -> Division:
    """Which picture is in which part, asked before training: pictures may change meanwhile.

    Args:
        manifest: All pictures.
        settings: What names the network's files, whose runs saw pictures before.
    """
    division, earlier = Division.of(manifest), seen_before(*_files(settings))
    return division if earlier is None else division.with_earlier(earlier)


def _files(settings: Mapping[str, Any]) -> list[str]:
    """The files that a network was made from."""
    backbone, weights = settings.get("backbone") or "", settings.get("weights") or ""
    return [backbone, *(name.strip() for name in backbone.split(",")), weights]


def _with_history(
    folder: Path, settings: Mapping[str, Any], history: keras.callbacks.History
) -> dict[str, Any]:
    """The settings with what came of them; a row an epoch goes to history.csv."""
    write_table(folder / "history.csv", pd.DataFrame(history.history))
    return {**settings, "epochs": len(history.epoch), "weights": str(history.movement)}


def _about(manifest: Manifest) -> dict[str, Any]:
    return {
        "pictures": len(manifest),
        "splits": {s: len(manifest.split(s)) for s in manifest.splits},
        "notes": list(manifest.notes),
        "skipped": dict(manifest.skipped),
    }
