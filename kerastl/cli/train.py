"""Training a model, scoring it and predicting with it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kerastl.cli.console import loading, say, say_left_out, say_skipped, show_frame, title
from kerastl.cli.labels import say_labels
from kerastl.cli.options import (
    DEFAULT_BACKBONE,
    Backbone,
    Balance,
    BatchSize,
    Budget,
    Cache,
    Data,
    Engine,
    Epochs,
    Group,
    ImageColumn,
    ImageSize,
    MaxPixels,
    Metric,
    Model,
    OwnData,
    Ray,
    Resume,
    RunFolder,
    Seed,
    SplitSeed,
    Tags,
    TaskNames,
    TaskWeights,
    Trainable,
    Uncertain,
    Unknown,
    Unsure,
    Weights,
    byte_count,
    given,
    none,
    pairs,
    reading,
    training,
)
from kerastl.errors import InputError, shorten
from kerastl.terminal import steps_shown

if TYPE_CHECKING:
    import keras

    from kerastl.data.manifest import Manifest

PANEL = "Train and use a model"
app = typer.Typer()


@app.command(
    rich_help_panel=PANEL, epilog="Example: kerastl train flowers/ --trainable stage4 --epochs 15"
)
def train(
    data: Data,
    backbone: Backbone = DEFAULT_BACKBONE,
    weights: Weights = "imagenet",
    trainable: Trainable = None,
    image_size: ImageSize = None,
    epochs: Epochs = 20,
    batch_size: BatchSize = None,
    task: TaskNames = None,
    image: ImageColumn = None,
    group: Group = None,
    tags: Tags = None,
    unknown: Unknown = None,
    unsure: Unsure = None,
    uncertain: Uncertain = None,
    balance: Balance = False,
    task_weight: TaskWeights = None,
    thresholds: Metric = "f1",
    seed: Seed = 0,
    cache: Cache = None,
    budget: Budget = None,
    engine: Engine = "auto",
    out: RunFolder = None,
    resume: Resume = False,
    max_pixels: MaxPixels = None,
) -> None:
    """Train a model on labelled pictures and score it on held-out ones."""
    room = byte_count(budget, "--budget")
    words = reading(task, unknown, unsure, uncertain, image, group, tags)
    with loading():
        from kerastl.cli.opening import open_training
        from kerastl.cli.runs import named_backbone, run_folder
        from kerastl.data.labels import positive_weights
        from kerastl.models.factories import create_model
        from kerastl.scoring.thresholds import check_metric

    folder = run_folder(data, out, resume=resume)
    metric = none(thresholds) and check_metric(thresholds)
    manifest = open_training(data, backbone, weights, seed=seed, **words)
    say_labels(manifest)
    loss_weights = pairs(task_weight or (), "--task-weight") or None
    depth, rates = training(trainable, weights, backbone)
    if rates:
        say("\nRandom weights: all layers train, BatchNorm too, from the first epoch on.")
    net = create_model(
        named_backbone(backbone), manifest.tasks, weights=none(weights), **depth,
        image_size=image_size, loss_weights=loss_weights,
        positive_weights=positive_weights(manifest) if balance else None, seed=seed,
    )  # fmt: skip
    fit = {"seed": seed, "epochs": epochs, "batch_size": batch_size, "engine": engine, **rates}
    settings = {
        "backbone": backbone, "weights": weights, **depth,
        "trainable": trainable or ("all" if rates else "stage4"), "image_size": image_size,
        **fit, **words, "data": named(data), "balance": balance, "task_weights": loss_weights,
        "thresholds": thresholds,
    }  # fmt: skip
    fit |= given(cache=cache, budget=room)
    train_run(net, manifest, folder, fit, settings=settings, metric=metric)
    say_next(folder)


def named(data: str) -> str:
    """Data as a run remembers them: found from any folder.

    Example:
        >>> named("tfds:mnist"), Path(named("pictures")).is_absolute()
        ('tfds:mnist', True)
    """
    return data if data.startswith("tfds:") else str(Path(data).absolute())


def say_next(folder: Path) -> None:
    """Print what may be typed once a run is written."""
    run = shlex.quote(str(folder))
    say(f"\nNext:  kerastl export {run}")
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
    from kerastl.cli.runs import STATE, division_of
    from kerastl.models.trainable import freeze_plan
    from kerastl.training.fitting import fit as fit_model

    title("What trains")
    show_frame(freeze_plan(net))
    division = division_of(manifest, settings)
    title("Training")
    history = fit_model(net, manifest, resume=folder / STATE, **fit)
    say(f"{history.movement}.")
    write_shown(
        folder,
        net,
        manifest,
        history,
        settings=settings,
        root=root,
        thresholds_metric=metric,
        division=division,
    )


def write_shown(
    folder: Path,
    net: keras.Model,
    manifest: Manifest,
    history: keras.callbacks.History | None,
    **options: Any,
) -> None:
    """Write a run, showing its thresholds, its scores and its files."""
    from kerastl.cli.runs import write_run

    written = write_run(folder, net, manifest, history, **options)
    if written.thresholds is not None:
        title("Decision thresholds, tuned on val")
        say(written.thresholds)
    title(f"Scores on {written.source}")
    say(written.scores)
    say_skipped(manifest.skipped)
    say_written(folder)


def say_written(folder: Path) -> None:
    """Print what lies in a run's folder."""
    title(f"Written to {folder}/")
    say(", ".join(sorted(p.name for p in folder.iterdir() if not p.name.startswith("."))))


@app.command(rich_help_panel=PANEL, epilog="Example: kerastl evaluate saved_models/flowers/1")
def evaluate(
    model: Model,
    data: OwnData = None,
    task: TaskNames = None,
    image: ImageColumn = None,
    group: Group = None,
    tags: Tags = None,
    unknown: Unknown = None,
    unsure: Unsure = None,
    seed: SplitSeed = 0,
    out: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="A folder for scores.csv and scores.png.")
    ] = None,
    max_pixels: MaxPixels = None,
) -> None:
    """Score a model on held-out pictures: none that its run was fitted or tuned on."""
    with loading():
        from kerastl.cli.opening import open_scored
        from kerastl.files import writable, write_table
        from kerastl.inference.evaluation import evaluate as score_model
        from kerastl.models.saving import MODEL
        from kerastl.scoring.scores_plot import plot_scores

    if out is not None:
        writable(out)
    words = reading(task, unknown, unsure, None, image, group, tags)
    found = open_scored(model, data, seed=seed, **words)
    in_run = model / MODEL
    scores = score_model(in_run if in_run.is_file() else model, found.scored)
    title(f"Scores on {found.source}")
    say(scores)
    say_skipped(found.scored.skipped)
    if out is not None:
        write_table(out / "scores.csv", scores.frame)
        plot_scores(scores, out / "scores.png")
        say(f"\nWritten to {out}/: scores.csv, scores.png")


@app.command(
    rich_help_panel=PANEL,
    epilog="Example: kerastl predict saved_models/flowers/1 new/ photo.jpg --out p.csv",
)
def predict(
    model: Model,
    pictures: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="PICTURES",
            help="Picture files and folders; by default those of MODEL's run.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A .csv or .json file; by default the terminal."),
    ] = None,
    batch_size: BatchSize = None,
    cache: Cache = None,
    ray: Ray = None,
    max_pixels: MaxPixels = None,
) -> None:
    """Predict the classes of pictures with a model in any of its forms."""
    if ray is not None and cache is None:
        raise InputError("--ray needs --cache: a folder that all machines of the cluster see.")
    if out is not None and out.suffix.lower() not in (".csv", ".json"):
        raise InputError(f"Expected --out to end in .csv or .json. Received: {out}.")
    with loading():
        from kerastl.cli.opening import open_for
        from kerastl.files import replacing, writable, write_table
        from kerastl.inference.answers import escaped
        from kerastl.inference.prediction import predict as predict_pictures
        from kerastl.inference.prediction import search

    if out is not None:
        writable(out.parent)
        if out.is_dir():
            raise InputError(f"Expected --out with a file. Received: {out}, which is a folder.")
    own = None if pictures else open_for(model, None, told=False)
    if not pictures and own is None:
        raise InputError("Expected PICTURES: files and folders. Received: none.")
    found = search(pictures) if pictures else None
    with steps_shown() as progress:
        shown = partial(progress, "pictures")
        frame = predict_pictures(
            model, found.pictures if found else own.pictures, batch_size=batch_size or 32,
            progress=shown,
            **given(cache=cache, ray=ray),
        )  # fmt: skip
    written = escaped(frame)
    if out is None:
        say(written.to_csv(index=False).rstrip())
    elif out.suffix.lower() == ".csv":
        write_table(out, written)
    else:
        with replacing(out) as unfinished:
            written.to_json(unfinished, orient="records", indent=1, force_ascii=False)
    if out is not None:
        bad = int((frame["error"] != "").sum())
        say(f"{len(frame) - bad} pictures predicted, {bad} could not be read. Written to {out}")
    left = found.told() if found else [f"{p}: {why}" for p, why in own.pictures.skipped.items()]
    say_left_out(frame["error"], shorten(left))
