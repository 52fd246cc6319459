"""The arguments and options that several verbs of the command line share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

DEFAULT_BACKBONE = "EfficientNetLite0"

Data = Annotated[
    str,
    typer.Argument(
        metavar="DATA",
        help="A folder of class folders, a .csv table with a column `image`, or tfds:NAME.",
        show_default=False,
    ),
]
Model = Annotated[
    Path,
    typer.Argument(
        metavar="MODEL",
        help="A .keras file, any exported file or folder, or a run's folder.",
        show_default=False,
    ),
]

Backbone = Annotated[
    str, typer.Option(metavar="NAME", help="A name from `kerastl backbones`, or a .keras file.")
]
Weights = Annotated[
    str, typer.Option(metavar="NAME", help="imagenet, none (random), or a weights file.")
]
Trainable = Annotated[
    str,
    typer.Option(
        metavar="LAYERS",
        help="heads, all, a number of layers, a share, or the stage to train after.",
    ),
]
ImageSize = Annotated[
    int | None,
    typer.Option(metavar="PIXELS", min=1, help="By default what the backbone was made for."),
]
Epochs = Annotated[
    int, typer.Option(metavar="N", min=1, help="Epochs at most, of the heads and of the tail.")
]
BatchSize = Annotated[
    int | None, typer.Option(metavar="N", min=1, help="Pictures in a batch.", show_default="32")
]
Seed = Annotated[int, typer.Option(metavar="N", min=0, help="Seed of splits, weights and order.")]
SplitSeed = Annotated[
    int, typer.Option("--seed", metavar="N", min=0, help="Seed of the splits: that of training.")
]
Balance = Annotated[
    bool, typer.Option("--balance", help="Weigh rare positives by the known counts.")
]
TaskWeights = Annotated[
    list[str] | None,
    typer.Option(
        "--task-weight",
        metavar="TASK=NUMBER",
        help="The weight of a task's loss; repeatable.",
        show_default="1",
    ),
]
Metric = Annotated[
    str,
    typer.Option(
        "--thresholds",
        metavar="METRIC",
        help="Tune decision thresholds on val for f1, accuracy or balanced_accuracy; "
        "none leaves them at 0.5.",
    ),
]
RunFolder = Annotated[
    Path | None,
    typer.Option(
        "--out",
        metavar="FOLDER",
        help="The run's folder; by default saved_models/NAME/NUMBER.",
    ),
]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with an interrupted run.")]

TaskNames = Annotated[
    list[str] | None,
    typer.Option("--task", metavar="COLUMN", help="A table's column to predict; repeatable."),
]
Unknown = Annotated[
    list[str] | None,
    typer.Option(
        metavar="WORD",
        help="A further word for: nobody gave a label; repeatable.",
        show_default="blank",
    ),
]
Unsure = Annotated[
    list[str] | None,
    typer.Option(
        metavar="WORD",
        help="A further word for: the annotator was unsure; repeatable.",
        show_default="?",
    ),
]
Uncertain = Annotated[
    list[str] | None,
    typer.Option(
        metavar="MEANING",
        help="What a ? means in training: ignore, positive, negative or a number from 0 to 1; "
        "or LABEL=MEANING, repeatable.",
        show_default="ignore",
    ),
]

Cache = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER",
        help="A folder that keeps what is done; the next call goes on from there.",
    ),
]
Budget = Annotated[
    str | None,
    typer.Option(
        metavar="SIZE",
        help="Room that features may take, such as 500MB or 5GB; by default all there is.",
    ),
]
Engine = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="What runs frozen layers: auto (the fastest that agrees with Keras), keras, or "
        "openvino, also with a precision, as openvino:float16.",
    ),
]
Ray = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS",
        help="Work on a Ray cluster: auto, local, HOST:PORT or ray://HOST:PORT. All its "
        "machines have to see the pictures and the cache folder.",
    ),
]
