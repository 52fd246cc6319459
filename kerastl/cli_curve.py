"""Learning curves, as the command line takes them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kerastl.arguments import given, reading
from kerastl.cli_models import PANEL
from kerastl.console import loading
from kerastl.options import (
    DEFAULT_BACKBONE,
    Backbone,
    Data,
    Epochs,
    ImageSize,
    TaskNames,
    Uncertain,
    Unknown,
    Unsure,
    Weights,
)

app = typer.Typer()


@app.command(
    rich_help_panel=PANEL,
    epilog="Example: kerastl curve flowers/ --candidates transfer,scratch --sizes 100,200,400,800",
)
def curve(
    data: Data,
    candidates: Annotated[
        str,
        typer.Option(
            metavar="NAMES",
            help="What is compared, with commas between: transfer (heads on frozen layers), tail "
            "(the last quarter trains), all (everything trains), scratch (everything, from random "
            "weights), joint (one network for all tasks), separate (one for each).",
        ),
    ] = "transfer,scratch",
    sizes: Annotated[
        str | None,
        typer.Option(
            metavar="NUMBERS",
            help="Pictures to train on, with commas between.",
            show_default="five, each twice the one before, up to all",
        ),
    ] = None,
    seeds: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="Repeats of each size.",
            show_default="8 to 3, fewer at the end",
        ),
    ] = None,
    backbone: Backbone = DEFAULT_BACKBONE,
    weights: Weights = "imagenet",
    image_size: ImageSize = None,
    epochs: Epochs = 20,
    task: TaskNames = None,
    unknown: Unknown = None,
    unsure: Unsure = None,
    uncertain: Uncertain = None,
    seed: Annotated[
        int, typer.Option("--seed", metavar="N", min=0, help="Seed of the splits.")
    ] = 0,
    out: Annotated[
        Path,
        typer.Option(
            "--out", metavar="FOLDER", help="Keeps every trial, the tables and the picture."
        ),
    ] = Path("curves"),
) -> None:
    """Train in several ways on more and more of the pictures: which way is better with how many?

    Interrupted, the same command goes on. More sizes, seeds and candidates may be added later.
    """
    options = given(image_size=image_size)
    with loading():
        from kerastl import curve_verbs

    curve_verbs.curve(
        data, candidates=candidates, sizes=sizes, seeds=seeds, backbone=backbone, weights=weights,
        reading=reading(task, unknown, unsure, uncertain), seed=seed, out=out,
        options={"epochs": epochs, **options},
    )  # fmt: skip
