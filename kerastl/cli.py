"""The command line: one verb for each thing to do, the same options everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kerastl import __version__
from kerastl.console import explained, loading

app = typer.Typer(
    name="kerastl",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    help="From a folder of pictures, some labels unknown, to a checked model on a phone.",
    epilog="Begin with: [bold]kerastl train PICTURES[/bold], a folder of class folders.",
)

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

DEFAULT_BACKBONE = "EfficientNetLite0"


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"kerastl {__version__}")
        raise typer.Exit


@app.callback()
def _top(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """From a folder of pictures, some labels unknown, to a checked model on a phone."""


@app.command(epilog="Example: kerastl train flowers/ --trainable stage4 --epochs 15")
def train(
    data: Data,
    backbone: Backbone = DEFAULT_BACKBONE,
    weights: Weights = "imagenet",
    trainable: Trainable = "stage4",
    image_size: ImageSize = None,
    epochs: Epochs = 20,
    batch_size: BatchSize = None,
    task: TaskNames = None,
    seed: Seed = 0,
    out: Out = None,
    resume: Resume = False,
) -> None:
    """Train a model on labelled pictures and score it on held-out ones."""
    with loading():
        from kerastl import verbs

    verbs.train(
        data,
        model={"backbone": backbone, "weights": weights, "trainable": trainable,
               "image_size": image_size, "seed": seed},
        fit={"epochs": epochs, "batch_size": batch_size, "seed": seed},
        tasks=task or (), out=out, resume=resume,
    )  # fmt: skip


@app.command(epilog="Example: kerastl evaluate saved_models/flowers/1 flowers/")
def evaluate(
    model: Model,
    data: Data,
    task: TaskNames = None,
    seed: Annotated[int, typer.Option(help="Seed of the splits: that of the training.")] = 0,
    out: Annotated[
        Path | None, typer.Option(help="A folder for scores.csv and scores.png.")
    ] = None,
) -> None:
    """Score a model on the test part of labelled pictures."""
    with loading():
        from kerastl import verbs

    verbs.evaluate(model, data, tasks=task or (), seed=seed, out=out)


@app.command(epilog="Example: kerastl predict saved_models/flowers/1 new/ photo.jpg --out p.csv")
def predict(
    model: Model,
    pictures: Annotated[
        list[Path], typer.Argument(help="Picture files and folders.", show_default=False)
    ],
    out: Annotated[
        Path | None, typer.Option(help="A .csv or .json file; by default the terminal.")
    ] = None,
    batch_size: BatchSize = None,
) -> None:
    """Predict the classes of pictures with a model of any of its three forms."""
    with loading():
        from kerastl import verbs

    verbs.predict(model, pictures, out=out, batch_size=batch_size or 32)


@app.command(epilog="Example: kerastl export saved_models/flowers/1 flowers/")
def export(
    model: Model,
    data: Annotated[
        str | None,
        typer.Argument(help="Pictures to calibrate int8 with and to check the files on."),
    ] = None,
    formats: Annotated[
        str, typer.Option(help="Of saved_model, float32 and int8, with commas between.")
    ] = "saved_model,float32,int8",
    task: TaskNames = None,
    seed: Annotated[int, typer.Option(help="Seed of the splits: that of the training.")] = 0,
    out: Out = None,
) -> None:
    """Write a model for servers and phones, and check each file against Keras."""
    with loading():
        from kerastl import verbs

    verbs.export(model, data, formats=formats.split(","), tasks=task or (), seed=seed, out=out)


@app.command(epilog="Example: kerastl cuts MobileNetV2 --image-size 192")
def cuts(
    backbone: Annotated[
        str, typer.Argument(help="A name from `kerastl backbones`, or a .keras file.")
    ] = DEFAULT_BACKBONE,
    image_size: ImageSize = None,
    every: Annotated[bool, typer.Option("--all", help="Every cut, not only the stages.")] = False,
) -> None:
    """Show where a network can be cut into a frozen prefix and a trained tail."""
    with loading():
        from kerastl import verbs

    verbs.cuts(backbone, image_size=image_size, every=every)


@app.command(epilog="Example: kerastl backbones --like mobile")
def backbones(
    like: Annotated[str, typer.Option(help="Only names that contain this.")] = "",
) -> None:
    """List every backbone with the picture size it was made for."""
    with loading():
        from kerastl import verbs

    verbs.backbones(like)


@app.command(epilog="Example: kerastl recipes quickstart --out my_quickstart.py")
def recipes(
    name: Annotated[str | None, typer.Argument(help="The recipe to show or copy.")] = None,
    out: Annotated[Path | None, typer.Option(help="Copy it to this file.")] = None,
) -> None:
    """List the recipes: scripts to copy and change."""
    from kerastl import recipes as shelf

    shelf.show(name, out)


@app.command(epilog="Example: kerastl demo")
def demo(
    out: Annotated[
        Path | None, typer.Option(help="Where to; by default saved_models/solar-cells/NUMBER.")
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Epochs, for a shorter run.")] = None,
    resume: Resume = False,
) -> None:
    """Run the whole path on real pictures of solar cells, from labels to checked exports."""
    with loading():
        from kerastl import demo as solar

    solar.run(out, epochs=epochs, resume=resume)


def main() -> None:
    """Entry point of the console script."""
    with explained():
        app()
