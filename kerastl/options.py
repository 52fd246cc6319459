"""The arguments and options that several verbs of the command line share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Data = Annotated[
    str,
    typer.Argument(
        help="A folder of class folders, a .csv table with a column `image`, or tfds:NAME.",
        show_default=False,
    ),
]
Model = Annotated[
    Path,
    typer.Argument(
        help="A .keras file, a SavedModel folder, a .tflite file, or a run's folder.",
        show_default=False,
    ),
]
Backbone = Annotated[str, typer.Option(help="A name from `kerastl backbones`, or a .keras file.")]
Weights = Annotated[str, typer.Option(help="imagenet, none (random), or a weights file.")]
Trainable = Annotated[
    str,
    typer.Option(help="heads, all, a number of layers, a share, or the stage to train after."),
]
ImageSize = Annotated[
    int | None, typer.Option(help="Pixels; by default what the backbone was made for.")
]
Epochs = Annotated[int, typer.Option(help="Epochs at most, of the heads and of the tail.")]
BatchSize = Annotated[int | None, typer.Option(help="Pictures in a batch; by default 32.")]
Seed = Annotated[int, typer.Option(help="Seed of splits, weights and order.")]
Out = Annotated[Path | None, typer.Option(help="Where to.", show_default=False)]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with an interrupted run.")]
TaskNames = Annotated[
    list[str] | None, typer.Option("--task", help="A table's column to predict; repeatable.")
]

Uncertain = Annotated[
    list[str] | None,
    typer.Option(
        help="What a ? means in training: ignore, positive, negative or a number from 0 to 1; "
        "or LABEL=MEANING, repeatable.",
        show_default="ignore",
    ),
]
Unsure = Annotated[
    list[str] | None,
    typer.Option(
        help="A further word for: the annotator was unsure; repeatable.", show_default="?"
    ),
]
Unknown = Annotated[
    list[str] | None,
    typer.Option(help="A further word for: nobody gave a label; repeatable.", show_default="blank"),
]
Cache = Annotated[
    Path | None,
    typer.Option(help="A folder for features and results; the next call goes on from there."),
]
