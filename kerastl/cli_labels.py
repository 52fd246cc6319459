"""The verbs on labels that are unknown, as the command line takes them."""

from __future__ import annotations

from typing import Annotated

import typer

from kerastl.arguments import reading
from kerastl.console import loading
from kerastl.options import (
    DEFAULT_BACKBONE,
    Backbone,
    Cache,
    Data,
    Epochs,
    ImageSize,
    Seed,
    TaskNames,
    Trainable,
    Uncertain,
    Unknown,
    Unsure,
    Weights,
)

PANEL = "Unknown labels"
app = typer.Typer()


@app.command(
    rich_help_panel=PANEL,
    epilog="Example: kerastl labels findings.csv --unsure maybe --unknown n/a",
)
def labels(
    data: Data,
    task: TaskNames = None,
    unknown: Unknown = None,
    unsure: Unsure = None,
    uncertain: Uncertain = None,
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="Seed of the splits.")] = 0,
) -> None:
    """Count the labels of a table, known and unknown, and name those that cannot be learnt."""
    with loading():
        from kerastl import label_verbs

    label_verbs.labels(data, reading=reading(task, unknown, unsure, uncertain), seed=seed)


@app.command(rich_help_panel=PANEL, epilog="Example: kerastl policies findings.csv --unsure maybe")
def policies(
    data: Data,
    backbone: Backbone = DEFAULT_BACKBONE,
    weights: Weights = "imagenet",
    image_size: ImageSize = None,
    repeats: Annotated[
        int, typer.Option(metavar="N", min=1, help="Hidings of known labels, each with a seed.")
    ] = 5,
    task: TaskNames = None,
    unknown: Unknown = None,
    unsure: Unsure = None,
    seed: Seed = 0,
    cache: Cache = None,
) -> None:
    """Choose by evidence what a ? means in training, label by label."""
    with loading():
        from kerastl import label_verbs

    label_verbs.policies(
        data, reading=reading(task, unknown, unsure, None), backbone=backbone,
        weights=weights, image_size=image_size, repeats=repeats, seed=seed, cache=cache,
    )  # fmt: skip


@app.command(
    rich_help_panel=PANEL,
    epilog="Example: kerastl joint-or-separate cells.csv --repeats 5 --cache work/",
)
def joint_or_separate(
    data: Data,
    backbone: Backbone = DEFAULT_BACKBONE,
    weights: Weights = "imagenet",
    trainable: Trainable = "stage4",
    image_size: ImageSize = None,
    epochs: Epochs = 12,
    repeats: Annotated[
        int, typer.Option(metavar="N", min=1, help="Networks of each kind, each with a seed.")
    ] = 3,
    equal: Annotated[
        str,
        typer.Option(
            metavar="KIND",
            help="What both ways have alike: epochs (of every network) or compute (in all).",
        ),
    ] = "epochs",
    task: TaskNames = None,
    unknown: Unknown = None,
    unsure: Unsure = None,
    uncertain: Uncertain = None,
    seed: Seed = 0,
    cache: Cache = None,
) -> None:
    """Compare one network for all tasks with one for each, and flag negative transfer."""
    with loading():
        from kerastl import label_verbs

    label_verbs.joint_or_separate(
        data, reading=reading(task, unknown, unsure, uncertain), backbone=backbone,
        weights=weights, trainable=trainable, image_size=image_size, epochs=epochs,
        repeats=repeats, equal=equal, seed=seed, cache=cache,
    )  # fmt: skip
