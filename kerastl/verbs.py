"""What each verb of the command line does, once Keras is loaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import pandas as pd

from kerastl.applications import default_image_size
from kerastl.backbones import list_backbones, make_backbone
from kerastl.console import say, show_frame, title
from kerastl.cuts import cuts_frame
from kerastl.errors import InputError, nearest
from kerastl.evaluation import evaluate as score_model
from kerastl.export import export as export_model
from kerastl.files import replacing
from kerastl.manifest import Manifest
from kerastl.models import create_model
from kerastl.plots import plot_scores
from kerastl.prediction import predict as predict_pictures
from kerastl.runs import MODEL, STATE, open_data, run_folder, write_run
from kerastl.saving import load_model
from kerastl.spec import Trainable
from kerastl.trainable import freeze_plan
from kerastl.training import fit as fit_model


def train(
    data: str,
    *,
    model: Mapping[str, Any],
    fit: Mapping[str, Any],
    tasks: Sequence[str],
    out: Path | None,
    resume: bool,
) -> None:
    """Read, build, fit, score and write a run."""
    folder = run_folder(data, out, resume=resume)
    manifest = open_data(data, tasks=tasks, seed=fit["seed"])
    say(manifest.summary())
    options = {**model, "weights": _none(model["weights"]), "trainable": policy(model["trainable"])}
    backbone = _backbone(options.pop("backbone"))
    net = create_model(backbone, manifest.tasks, **options)
    train_run(net, manifest, folder, fit, settings={**model, **fit, "data": data})
    say(f"\nNext:  kerastl export {folder} {data}")
    say(f"       kerastl predict {folder} PICTURES --out predictions.csv")


def train_run(
    net: keras.Model,
    manifest: Manifest,
    folder: Path,
    fit: Mapping[str, Any],
    *,
    settings: Mapping[str, Any],
    root: Path | None = None,
) -> None:
    """Fit a model, showing what trains, and write its run."""
    title("What trains")
    show_frame(freeze_plan(net))
    title("Training")
    history = fit_model(net, manifest, resume=folder / STATE, **fit)
    say(f"{history.movement}.")
    scores = write_run(folder, net, manifest, history, settings=settings, root=root)
    title("Scores on held-out pictures")
    say(scores)
    _say_skipped(manifest)
    title(f"Written to {folder}/")
    say(", ".join(sorted(p.name for p in folder.iterdir() if not p.name.startswith("."))))


def evaluate(model: Path, data: str, *, tasks: Sequence[str], seed: int, out: Path | None) -> None:
    """Score a model of any form, and keep the scores where asked to."""
    manifest = open_data(data, tasks=tasks, seed=seed)
    scores = score_model(_in_run(model), manifest)
    say(scores)
    _say_skipped(manifest)
    if out is not None:
        with replacing(out / "scores.csv") as unfinished:
            scores.frame.to_csv(unfinished, index=False)
        plot_scores(scores, out / "scores.png")
        say(f"\nWritten to {out}/: scores.csv, scores.png")


def predict(model: Path, pictures: Sequence[Path], *, out: Path | None, batch_size: int) -> None:
    """Predict pictures, to the terminal or to a file by its ending."""
    if out is not None and out.suffix.lower() not in (".csv", ".json"):
        raise InputError(f"Expected --out to end in .csv or .json. Received: {out}.")
    frame = predict_pictures(model, list(pictures), batch_size=batch_size)
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


def export(
    model: Path,
    data: str | None,
    *,
    formats: Sequence[str],
    tasks: Sequence[str],
    seed: int,
    out: Path | None,
) -> None:
    """Export a model beside itself, or to another folder, and show the check."""
    file = model / MODEL if model.is_dir() else model
    manifest = None if data is None else open_data(data, tasks=tasks, seed=seed)
    folder = out or file.parent
    report = export_model(
        load_model(file), folder, [f.strip() for f in formats], calibration=manifest,
        evaluation=manifest, seed=seed,
    )  # fmt: skip
    say(report)
    title(f"Written to {folder}/")
    say(", ".join([*(Path(f.file).name for f in report.files), "labels.json", "report.json"]))


def cuts(backbone: str, *, image_size: int | None, every: bool) -> None:
    """Print a network's stages, or every cut."""
    found = _backbone(backbone)
    if isinstance(found, str):
        base = make_backbone(found, None, image_size)
        found = keras.Model(base.image, base.features, name=backbone)
    frame = cuts_frame(found)
    if not every:
        frame = frame[frame["stage"] != ""]
    show_frame(frame)
    say(f"\n{len(cuts_frame(found))} cuts. A stage's name or a layer's is a value of --trainable.")


def backbones(like: str) -> None:
    """Print the backbones and their picture sizes."""
    names = [n for n in list_backbones() if like.lower() in n.lower()]
    if not names:
        raise InputError(f"There is no backbone like {like!r}.{nearest(like, list_backbones())}")
    sizes = [f"{h} x {w}" for h, w in map(default_image_size, names)]
    show_frame(pd.DataFrame({"backbone": names, "picture": sizes}))


def policy(text: str) -> Trainable:
    """The `trainable` policy that a word on the command line stands for.

    Example:
        >>> [policy(word) for word in ("heads", "all", "20", "0.25", "stage4")]
        [False, True, 20, 0.25, 'stage4']
    """
    named: dict[str, Trainable] = {"heads": False, "none": False, "all": True}
    if text.lower() in named:
        return named[text.lower()]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _none(weights: str) -> str | None:
    return None if weights.lower() == "none" else weights


def _backbone(name: str) -> str | keras.Model:
    """A backbone's name as it is; a .keras file as the model in it."""
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


def _in_run(model: Path) -> Path:
    return model / MODEL if (model / MODEL).is_file() else model


def _say_skipped(manifest: Manifest) -> None:
    if not manifest.skipped:
        return
    title(f"Skipped: {len(manifest.skipped)} files that are no pictures")
    for path, cause in manifest.skipped.items():
        say(f"{path}: {cause}")
