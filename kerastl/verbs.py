"""What each verb of the command line does, once Keras is loaded."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import pandas as pd

from kerastl.applications import default_image_size
from kerastl.arguments import none, pairs, policy
from kerastl.backbones import list_backbones, make_backbone
from kerastl.balance import positive_weights
from kerastl.console import say, show_frame, title
from kerastl.cuts import cuts_frame
from kerastl.errors import InputError, nearest
from kerastl.evaluation import evaluate as score_model
from kerastl.export import export as export_model
from kerastl.files import replacing
from kerastl.joint import joint_or_separate as compare_joint
from kerastl.label_report import label_report
from kerastl.manifest import Manifest
from kerastl.models import create_model
from kerastl.plots import plot_scores
from kerastl.policies import compare_policies
from kerastl.prediction import predict as predict_pictures
from kerastl.progress import steps_shown
from kerastl.runs import MODEL, STATE, open_data, run_folder, write_run
from kerastl.saving import load_model
from kerastl.thresholds import check_metric
from kerastl.trainable import freeze_plan
from kerastl.training import fit as fit_model


def train(
    data: str,
    *,
    model: Mapping[str, Any],
    fit: Mapping[str, Any],
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
    _say_labels(manifest)
    options = {**model, "weights": none(model["weights"]), "trainable": policy(model["trainable"])}
    options["loss_weights"] = pairs(task_weights, "--task-weight") or None
    options["positive_weights"] = positive_weights(manifest) if balance else None
    net = create_model(_backbone(options.pop("backbone")), manifest.tasks, **options)
    settings = {**model, **fit, **reading, "data": data, "balance": balance}
    settings |= {"task_weights": options["loss_weights"], "thresholds": thresholds}
    train_run(net, manifest, folder, fit, settings=settings, metric=metric)
    say(f"\nNext:  kerastl export {folder} {data}")
    say(f"       kerastl predict {folder} PICTURES --out predictions.csv")


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
    scores, chosen = write_run(
        folder, net, manifest, history, settings=settings, root=root, thresholds_metric=metric
    )
    if chosen is not None:
        title("Decision thresholds, tuned on val")
        say(chosen)
    title("Scores on held-out pictures")
    say(scores)
    _say_skipped(manifest)
    title(f"Written to {folder}/")
    say(", ".join(sorted(p.name for p in folder.iterdir() if not p.name.startswith("."))))


def labels(data: str, *, reading: Mapping[str, Any], seed: int) -> None:
    """Print what is known of each label, and which cannot be learnt or scored."""
    _say_labels(open_data(data, seed=seed, **reading))


def joint_or_separate(
    data: str,
    *,
    reading: Mapping[str, Any],
    backbone: str,
    weights: str,
    trainable: str,
    seed: int,
    **options: Any,
) -> None:
    """Train both ways, print the comparison."""
    manifest = open_data(data, seed=seed, **reading)
    with steps_shown() as progress:
        report = compare_joint(
            _backbone(backbone), manifest, weights=none(weights), trainable=policy(trainable),
            seed=seed, progress=progress, verbose=0, **options,
        )  # fmt: skip
    say(report)


def policies(
    data: str,
    *,
    reading: Mapping[str, Any],
    backbone: str,
    weights: str,
    image_size: int | None,
    seed: int,
    **options: Any,
) -> None:
    """Print which meaning of a ? trains the best heads, label by label."""
    manifest = open_data(data, seed=seed, **reading)
    net = create_model(
        _backbone(backbone), manifest.tasks, weights=none(weights), image_size=image_size,
        seed=seed,
    )  # fmt: skip
    with steps_shown() as progress:
        report = compare_policies(net, manifest, seed=seed, progress=progress, **options)
    say(report)
    chosen = {c: v for c, v in report.uncertain().items() if v != "ignore"}
    if chosen:
        words = " ".join(f"--uncertain {shlex.quote(f'{c}={v}')}" for c, v in chosen.items())
        say(f"\nNext:  kerastl train {shlex.quote(data)} {words}")
    if report.self_trained:
        say(f"\n{', '.join(report.self_trained)}: kerastl.self_train, in Python, gives the labels.")


def evaluate(
    model: Path, data: str, *, reading: Mapping[str, Any], seed: int, out: Path | None
) -> None:
    """Score a model of any form, and keep the scores where asked to."""
    manifest = open_data(data, seed=seed, **reading)
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
    reading: Mapping[str, Any],
    seed: int,
    out: Path | None,
) -> None:
    """Export a model beside itself, or to another folder, and show the check."""
    file = model / MODEL if model.is_dir() else model
    manifest = None if data is None else open_data(data, seed=seed, **reading)
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
    say("KiB a picture are of stored features in float32; float16 takes half.")


def backbones(like: str) -> None:
    """Print the backbones and their picture sizes."""
    names = [n for n in list_backbones() if like.lower() in n.lower()]
    if not names:
        raise InputError(f"There is no backbone like {like!r}.{nearest(like, list_backbones())}")
    sizes = [f"{h} x {w}" for h, w in map(default_image_size, names)]
    show_frame(pd.DataFrame({"backbone": names, "picture": sizes}))


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


def _say_labels(manifest: Manifest) -> None:
    say(manifest.summary())
    title("Labels: positive/known")
    say(label_report(manifest))


def _say_skipped(manifest: Manifest) -> None:
    if not manifest.skipped:
        return
    title(f"Skipped: {len(manifest.skipped)} files that are no pictures")
    for path, cause in manifest.skipped.items():
        say(f"{path}: {cause}")
