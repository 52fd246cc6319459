"""The verbs on a model, as the command line takes them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kerastl.arguments import byte_count, given, reading
from kerastl.console import loading
from kerastl.errors import InputError
from kerastl.options import (
    DEFAULT_BACKBONE,
    Backbone,
    Balance,
    BatchSize,
    Budget,
    Cache,
    Data,
    Engine,
    Epochs,
    ImageSize,
    Metric,
    Model,
    Ray,
    Resume,
    RunFolder,
    Seed,
    SplitSeed,
    TaskNames,
    TaskWeights,
    Trainable,
    Uncertain,
    Unknown,
    Unsure,
    Weights,
)

PANEL = "Train and use a model"
app = typer.Typer()


@app.command(
    rich_help_panel=PANEL, epilog="Example: kerastl train flowers/ --trainable stage4 --epochs 15"
)
def train(
    data: Data,
    backbone: Backbone = DEFAULT_BACKBONE,
    weights: Weights = "imagenet",
    trainable: Trainable = "stage4",
    image_size: ImageSize = None,
    epochs: Epochs = 20,
    batch_size: BatchSize = None,
    task: TaskNames = None,
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
) -> None:
    """Train a model on labelled pictures and score it on held-out ones."""
    room = byte_count(budget, "--budget")
    with loading():
        from kerastl import verbs

    verbs.train(
        data,
        model={"backbone": backbone, "weights": weights, "trainable": trainable,
               "image_size": image_size, "seed": seed},
        fit={"epochs": epochs, "batch_size": batch_size, "seed": seed, "engine": engine},
        store=given(cache=cache, budget=room), reading=reading(task, unknown, unsure, uncertain),
        balance=balance, task_weights=task_weight or (), thresholds=thresholds, out=out,
        resume=resume,
    )  # fmt: skip


@app.command(
    rich_help_panel=PANEL, epilog="Example: kerastl evaluate saved_models/flowers/1 flowers/"
)
def evaluate(
    model: Model,
    data: Data,
    task: TaskNames = None,
    unknown: Unknown = None,
    unsure: Unsure = None,
    seed: SplitSeed = 0,
    out: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="A folder for scores.csv and scores.png.")
    ] = None,
) -> None:
    """Score a model on the test part of labelled pictures."""
    with loading():
        from kerastl import verbs

    verbs.evaluate(model, data, reading=reading(task, unknown, unsure, None), seed=seed, out=out)


@app.command(
    rich_help_panel=PANEL,
    epilog="Example: kerastl predict saved_models/flowers/1 new/ photo.jpg --out p.csv",
)
def predict(
    model: Model,
    pictures: Annotated[
        list[Path],
        typer.Argument(metavar="PICTURES", help="Picture files and folders.", show_default=False),
    ],
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A .csv or .json file; by default the terminal."),
    ] = None,
    batch_size: BatchSize = None,
    cache: Cache = None,
    ray: Ray = None,
) -> None:
    """Predict the classes of pictures with a model in any of its forms."""
    if ray is not None and cache is None:
        raise InputError("--ray needs --cache: a folder that all machines of the cluster see.")
    with loading():
        from kerastl import verbs

    verbs.predict(
        model, pictures, out=out, batch_size=batch_size or 32, **given(cache=cache, ray=ray)
    )
