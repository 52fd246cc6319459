"""What the verbs on a model do, once Keras is loaded."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import keras
import pandas as pd

from kerastl.arguments import none, pairs, policy
from kerastl.balance import positive_weights
from kerastl.console import say, say_skipped, show_frame, title
from kerastl.errors import InputError
from kerastl.evaluation import evaluate as score_model
from kerastl.files import replacing
from kerastl.label_verbs import say_labels
from kerastl.manifest import Manifest
from kerastl.models import create_model
from kerastl.network_verbs import named_backbone
from kerastl.plots import plot_scores
from kerastl.prediction import predict as predict_pictures
from kerastl.progress import steps_shown
from kerastl.runs import MODEL, STATE, open_data, run_folder, write_run
from kerastl.thresholds import check_metric
from kerastl.trainable import freeze_plan
from kerastl.training import fit as fit_model


def train(
    data: str,
    *,
    model: Mapping[str, Any],
    fit: Mapping[str, Any],
    store: Mapping[str, Any],
    reading: Mapping[str, Any],
    balance: bool,
    task_weights: Sequence[str],
    thresholds: str,
    out: Path | None,
    resume: bool,
) -> None:
    """Read, build, fit, score and write a run."""
    folder = run_folder(data, out, resume=resume)
    metric = none(thresholds) and check_metric(thresholds)
    manifest = open_data(data, seed=fit["seed"], **reading)
    say_labels(manifest)
    options = {**model, "weights": none(model["weights"]), "trainable": policy(model["trainable"])}
    options["loss_weights"] = pairs(task_weights, "--task-weight") or None
    options["positive_weights"] = positive_weights(manifest) if balance else None
    net = create_model(named_backbone(options.pop("backbone")), manifest.tasks, **options)
    settings = {**model, **fit, **reading, "data": data, "balance": balance}
    settings |= {"task_weights": options["loss_weights"], "thresholds": thresholds}
    train_run(net, manifest, folder, {**fit, **store}, settings=settings, metric=metric)
    say_next(folder, data)


def say_next(folder: Path, data: str) -> None:
    """Print what may be typed once a run is written."""
    run = shlex.quote(str(folder))
    say(f"\nNext:  kerastl export {run} {shlex.quote(data)}")
    say(f"       kerastl predict {run} PICTURES --out predictions.csv")


def train_run(
    net: keras.Model,
    manifest: Manifest,
    folder: Path,
    fit: Mapping[str, Any],
    *,
    settings: Mapping[str, Any],
    metric: str | None = "f1",
    root: Path | None = None,
) -> None:
    """Fit a model, showing what trains, and write its run."""
    title("What trains")
    show_frame(freeze_plan(net))
    title("Training")
    history = fit_model(net, manifest, resume=folder / STATE, **fit)
    say(f"{history.movement}.")
    write_shown(
        folder, net, manifest, history, settings=settings, root=root, thresholds_metric=metric
    )


def write_shown(
    folder: Path,
    net: keras.Model,
    manifest: Manifest,
    history: keras.callbacks.History | None,
    **options: Any,
) -> None:
    """Write a run, showing its thresholds, its scores and its files."""
    scores, chosen = write_run(folder, net, manifest, history, **options)
    if chosen is not None:
        title("Decision thresholds, tuned on val")
        say(chosen)
    title("Scores on held-out pictures")
    say(scores)
    say_skipped(manifest.skipped)
    title(f"Written to {folder}/")
    say(", ".join(sorted(p.name for p in folder.iterdir() if not p.name.startswith("."))))


def evaluate(
    model: Path, data: str, *, reading: Mapping[str, Any], seed: int, out: Path | None
) -> None:
    """Score a model of any form, and keep the scores where asked to."""
    manifest = open_data(data, seed=seed, **reading)
    scores = score_model(_in_run(model), manifest)
    say(scores)
    say_skipped(manifest.skipped)
    if out is not None:
        with replacing(out / "scores.csv") as unfinished:
            scores.frame.to_csv(unfinished, index=False)
        plot_scores(scores, out / "scores.png")
        say(f"\nWritten to {out}/: scores.csv, scores.png")


def predict(model: Path, pictures: Sequence[Path], *, out: Path | None, **options: Any) -> None:
    """Predict pictures, to the terminal or to a file by its ending."""
    if out is not None and out.suffix.lower() not in (".csv", ".json"):
        raise InputError(f"Expected --out to end in .csv or .json. Received: {out}.")
    with steps_shown() as progress:
        shown = partial(progress, "pictures")
        frame = predict_pictures(model, list(pictures), progress=shown, **options)
    if out is None:
        show_predictions(frame)
        return
    with replacing(out) as unfinished:
        if out.suffix.lower() == ".csv":
            frame.to_csv(unfinished, index=False)
        else:
            frame.to_json(unfinished, orient="records", indent=1, force_ascii=False)
    bad = int((frame["error"] != "").sum())
    say(f"{len(frame) - bad} pictures predicted, {bad} could not be read. Written to {out}")


def show_predictions(frame: pd.DataFrame) -> None:
    """Print predictions as CSV: it can be read, and piped on."""
    say(frame.to_csv(index=False).rstrip())


def _in_run(model: Path) -> Path:
    return model / MODEL if (model / MODEL).is_file() else model
