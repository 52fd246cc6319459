"""The search over how many layers to unfreeze, as the command line takes it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kerastl.arguments import byte_count, given, number_range, picture_sizes, reading
from kerastl.cli_models import PANEL
from kerastl.console import loading
from kerastl.options import (
    DEFAULT_BACKBONE,
    Balance,
    BatchSize,
    Budget,
    Data,
    Engine,
    Epochs,
    Metric,
    Ray,
    RunFolder,
    Seed,
    TaskNames,
    TaskWeights,
    Uncertain,
    Unknown,
    Unsure,
    Weights,
)

app = typer.Typer()


def _values(what: str) -> typer.models.OptionInfo:
    return typer.Option(metavar="VALUES", help=what)


@app.command(
    rich_help_panel=PANEL,
    epilog="Example: kerastl search flowers/ --depths heads,9,stage4 --learning-rate 1e-5..1e-3",
)
def search(
    data: Data,
    backbone: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="A name from `kerastl backbones`, several with commas between to choose from, "
            "or a .keras file.",
        ),
    ] = DEFAULT_BACKBONE,
    weights: Weights = "imagenet",
    image_size: Annotated[
        str | None,
        typer.Option(
            metavar="PIXELS",
            help="Several with commas between are chosen from.",
            show_default="what the backbone was made for",
        ),
    ] = None,
    depths: Annotated[
        str | None,
        typer.Option(
            metavar="LAYERS",
            help="What may train, with commas between: heads, all, a number of layers, a share, "
            "or the stage to train after.",
            show_default="heads and the last stages",
        ),
    ] = None,
    trials: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="Trials in all.", show_default="20; of a grid, all"),
    ] = None,
    epochs: Epochs = 20,
    head_epochs: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=0, help="Epochs of the heads at most.", show_default="as many"
        ),
    ] = None,
    tuner: Annotated[
        str,
        typer.Option(
            metavar="NAME", help="How values are chosen: bayesian, random, hyperband or grid."
        ),
    ] = "bayesian",
    learning_rate: Annotated[str, _values("The tail's highest rate.")] = "3e-5..3e-3",
    depth_decay: Annotated[
        str, _values("Factor of the rate from a stage to the one in front of it.")
    ] = "0.5..1",
    dropout: Annotated[str, _values("Share of features hidden from the heads.")] = "0..0.5",
    weight_decay: Annotated[str, _values("Pull of the weights towards 0.")] = "1e-6..1e-2",
    executions: Annotated[
        int, typer.Option(metavar="N", min=1, help="Fits of each trial, each with a seed.")
    ] = 1,
    batch_size: BatchSize = None,
    task: TaskNames = None,
    unknown: Unknown = None,
    unsure: Unsure = None,
    uncertain: Uncertain = None,
    balance: Balance = False,
    task_weight: TaskWeights = None,
    thresholds: Metric = "f1",
    seed: Seed = 0,
    cache: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="A folder that keeps the features.",
            show_default="one in the run's folder",
        ),
    ] = None,
    budget: Budget = None,
    engine: Engine = "auto",
    keep: Annotated[
        int, typer.Option(metavar="N", min=1, help="Best trials whose weights are kept.")
    ] = 3,
    workers: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="Trials side by side, by Ray.",
            show_default="1; on a cluster, one on each machine",
        ),
    ] = None,
    ray: Ray = None,
    out: RunFolder = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Begin anew where the folder holds a search.")
    ] = False,
) -> None:
    """Measure how many layers to unfreeze, and write the model that the search chooses.

    VALUES are a number; some, with commas between; or a range, as 1e-5..1e-3. Interrupted, the
    same command goes on: no finished trial is run again.
    """
    ranges = {
        "learning_rate": number_range(learning_rate, "--learning-rate"),
        "depth_decay": number_range(depth_decay, "--depth-decay"),
        "dropout": number_range(dropout, "--dropout"),
        "weight_decay": number_range(weight_decay, "--weight-decay"),
    }
    options = given(
        image_size=picture_sizes(image_size), trials=trials, head_epochs=head_epochs,
        batch_size=batch_size, cache=cache, budget=byte_count(budget, "--budget"),
        workers=workers, ray=ray,
    )  # fmt: skip
    with loading():
        from kerastl import search_verbs

    search_verbs.search(
        data, out=out, backbone=backbone, weights=weights, depths=depths,
        reading=reading(task, unknown, unsure, uncertain), balance=balance,
        task_weights=task_weight or (), thresholds=thresholds, overwrite=overwrite, seed=seed,
        options={"epochs": epochs, "tuner": tuner, "executions": executions, "engine": engine,
                 "keep": keep, **ranges, **options},
    )  # fmt: skip
