"""Unknown labels: counting them, choosing what a ? means, one network for all tasks or several."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Annotated

import typer

from kerastl.cli.console import in_words, loading, say, title
from kerastl.cli.options import (
    DEFAULT_BACKBONE,
    Backbone,
    Cache,
    Data,
    Epochs,
    Group,
    ImageColumn,
    ImageSize,
    MaxPixels,
    Seed,
    Tags,
    TaskNames,
    Trainable,
    Uncertain,
    Unknown,
    Unsure,
    Weights,
    none,
    reading,
    training,
)
from kerastl.terminal import steps_shown

if TYPE_CHECKING:
    from kerastl.data.manifest import Manifest

PANEL = "Unknown labels"
app = typer.Typer()


@app.command(
    rich_help_panel=PANEL,
    epilog="Example: kerastl labels findings.csv --unsure maybe --unknown n/a",
)
def labels(
    data: Data,
    task: TaskNames = None,
    image: ImageColumn = None,
    group: Group = None,
    tags: Tags = None,
    unknown: Unknown = None,
    unsure: Unsure = None,
    uncertain: Uncertain = None,
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="Seed of the splits.")] = 0,
) -> None:
    """Count the labels of a table, known and unknown, and name those that cannot be learnt."""
    with loading():
        from kerastl.cli.opening import open_data

    say_labels(
        open_data(data, seed=seed, **reading(task, unknown, unsure, uncertain, image, group, tags))
    )


def say_labels(manifest: Manifest) -> None:
    """Print the pictures of a manifest, and how many labels are known."""
    from kerastl.data.labels import label_report

    for line in str(manifest.summary()).splitlines():
        say(in_words(line) if line.startswith("note: ") else line)
    title("Labels: positive/known")
    say(label_report(manifest))


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
    image: ImageColumn = None,
    group: Group = None,
    tags: Tags = None,
    unknown: Unknown = None,
    unsure: Unsure = None,
    seed: Seed = 0,
    cache: Cache = None,
    max_pixels: MaxPixels = None,
) -> None:
    """Choose by evidence what a ? means in training, label by label."""
    with loading():
        from kerastl.cli.opening import open_training, say_notes
        from kerastl.cli.runs import named_backbone
        from kerastl.experiments.policies import compare_policies
        from kerastl.models.factories import create_model

    words = reading(task, unknown, unsure, None, image, group, tags)
    manifest = open_training(data, backbone, weights, seed=seed, **words)
    say_notes(manifest)
    net = create_model(
        named_backbone(backbone), manifest.tasks, weights=none(weights), image_size=image_size,
        seed=seed,
    )  # fmt: skip
    with steps_shown() as progress:
        report = compare_policies(
            net, manifest, repeats=repeats, seed=seed, cache=cache, progress=progress
        )
    say(report)
    chosen = {c: v for c, v in report.uncertain().items() if v != "ignore"}
    if chosen:
        meant = [("--uncertain", f"{column}={value}") for column, value in chosen.items()]
        usual = {"seed": 0, "backbone": DEFAULT_BACKBONE, "weights": "imagenet", "image-size": None}
        typed = {"seed": seed, "backbone": backbone, "weights": weights, "image-size": image_size}
        typed = {name: value for name, value in typed.items() if value != usual[name]}
        said = [
            (f"--{name.removesuffix('s') if name == 'tasks' else name}", value)
            for name, values in {**words, **typed}.items()
            for value in (values if isinstance(values, (list, tuple)) else [values])
        ]
        options = " ".join(f"{name} {shlex.quote(str(value))}" for name, value in [*said, *meant])
        say(f"\nNext:  kerastl train {shlex.quote(data)} {options}")
    if report.self_trained:
        say(f"\n{', '.join(report.self_trained)}: kerastl.self_train, in Python, gives the labels.")


@app.command(
    rich_help_panel=PANEL,
    epilog="Example: kerastl joint-or-separate cells.csv --repeats 5 --cache work/",
)
def joint_or_separate(
    data: Data,
    backbone: Backbone = DEFAULT_BACKBONE,
    weights: Weights = "imagenet",
    trainable: Trainable = None,
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
    image: ImageColumn = None,
    group: Group = None,
    tags: Tags = None,
    unknown: Unknown = None,
    unsure: Unsure = None,
    uncertain: Uncertain = None,
    seed: Seed = 0,
    cache: Cache = None,
    max_pixels: MaxPixels = None,
) -> None:
    """Compare one network for all tasks with one for each, and flag negative transfer."""
    with loading():
        from kerastl.cli.opening import open_training, say_notes
        from kerastl.cli.runs import named_backbone
        from kerastl.experiments.joint import joint_or_separate as compare_joint

    words = reading(task, unknown, unsure, uncertain, image, group, tags)
    manifest = open_training(data, backbone, weights, seed=seed, **words)
    say_notes(manifest)
    depth, rates = training(trainable, weights, backbone)
    with steps_shown() as progress:
        report = compare_joint(
            named_backbone(backbone), manifest, weights=none(weights), **depth, **rates,
            image_size=image_size, epochs=epochs, repeats=repeats,
            equal=equal, seed=seed, cache=cache, progress=progress, verbose=0,
        )  # fmt: skip
    say(report)
