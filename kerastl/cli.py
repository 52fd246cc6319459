"""The command line: one verb for each thing to do, the same options everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kerastl import __version__
from kerastl.arguments import reading
from kerastl.console import explained, loading
from kerastl.options import (
    Backbone,
    BatchSize,
    Cache,
    Data,
    Epochs,
    ImageSize,
    Model,
    Out,
    Resume,
    Seed,
    TaskNames,
    Trainable,
    Uncertain,
    Unknown,
    Unsure,
    Weights,
)

app = typer.Typer(
    name="kerastl",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    help="From a folder of pictures, some labels unknown, to a checked model on a phone.",
    epilog="Begin with: [bold]kerastl train PICTURES[/bold], a folder of class folders.",
)

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
    unknown: Unknown = None,
    unsure: Unsure = None,
    uncertain: Uncertain = None,
    balance: Annotated[
        bool, typer.Option("--balance", help="Weigh rare positives by the known counts.")
    ] = False,
    task_weight: Annotated[
        list[str] | None,
        typer.Option(
            help="TASK=NUMBER, the weight of a task's loss; repeatable.", show_default="1"
        ),
    ] = None,
    thresholds: Annotated[
        str,
        typer.Option(
            help="Tune decision thresholds on val for f1, accuracy or balanced_accuracy; "
            "none leaves them at 0.5."
        ),
    ] = "f1",
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
        reading=reading(task, unknown, unsure, uncertain), balance=balance,
        task_weights=task_weight or (), thresholds=thresholds, out=out, resume=resume,
    )  # fmt: skip


@app.command(epilog="Example: kerastl labels findings.csv --unsure maybe --unknown n/a")
def labels(
    data: Data,
    task: TaskNames = None,
    unknown: Unknown = None,
    unsure: Unsure = None,
    uncertain: Uncertain = None,
    seed: Annotated[int, typer.Option(help="Seed of the splits.")] = 0,
) -> None:
    """Count the labels of a table, known and unknown, and name those that cannot be learnt."""
    with loading():
        from kerastl import verbs

    verbs.labels(data, reading=reading(task, unknown, unsure, uncertain), seed=seed)


@app.command(epilog="Example: kerastl joint-or-separate cells.csv --repeats 5 --cache work/")
def joint_or_separate(
    data: Data,
    backbone: Backbone = DEFAULT_BACKBONE,
    weights: Weights = "imagenet",
    trainable: Trainable = "stage4",
    image_size: ImageSize = None,
    epochs: Epochs = 12,
    repeats: Annotated[int, typer.Option(help="Networks of each kind, each with a seed.")] = 3,
    budget: Annotated[
        str, typer.Option(help="epochs: the same for every network; compute: the same in all.")
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
        from kerastl import verbs

    verbs.joint_or_separate(
        data, reading=reading(task, unknown, unsure, uncertain), backbone=backbone,
        weights=weights, trainable=trainable, image_size=image_size, epochs=epochs,
        repeats=repeats, budget=budget, seed=seed, cache=cache,
    )  # fmt: skip


@app.command(epilog="Example: kerastl policies findings.csv --unsure maybe")
def policies(
    data: Data,
    backbone: Backbone = DEFAULT_BACKBONE,
    weights: Weights = "imagenet",
    image_size: ImageSize = None,
    repeats: Annotated[int, typer.Option(help="Hidings of known labels, each with a seed.")] = 5,
    task: TaskNames = None,
    unknown: Unknown = None,
    unsure: Unsure = None,
    seed: Seed = 0,
    cache: Cache = None,
) -> None:
    """Choose by evidence what a ? means in training, label by label."""
    with loading():
        from kerastl import verbs

    verbs.policies(
        data, reading=reading(task, unknown, unsure, None), backbone=backbone,
        weights=weights, image_size=image_size, repeats=repeats, seed=seed, cache=cache,
    )  # fmt: skip


@app.command(epilog="Example: kerastl evaluate saved_models/flowers/1 flowers/")
def evaluate(
    model: Model,
    data: Data,
    task: TaskNames = None,
    unknown: Unknown = None,
    unsure: Unsure = None,
    seed: Annotated[int, typer.Option(help="Seed of the splits: that of the training.")] = 0,
    out: Annotated[
        Path | None, typer.Option(help="A folder for scores.csv and scores.png.")
    ] = None,
) -> None:
    """Score a model on the test part of labelled pictures."""
    with loading():
        from kerastl import verbs

    verbs.evaluate(model, data, reading=reading(task, unknown, unsure, None), seed=seed, out=out)


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
    unknown: Unknown = None,
    unsure: Unsure = None,
    seed: Annotated[int, typer.Option(help="Seed of the splits: that of the training.")] = 0,
    out: Out = None,
) -> None:
    """Write a model for servers and phones, and check each file against Keras."""
    with loading():
        from kerastl import verbs

    verbs.export(
        model, data, formats=formats.split(","), seed=seed, out=out,
        reading=reading(task, unknown, unsure, None),
    )  # fmt: skip


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
