"""The verbs for very many pictures, as the command line takes them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kerastl.arguments import byte_count, given
from kerastl.console import loading
from kerastl.options import (
    DEFAULT_BACKBONE,
    Backbone,
    BatchSize,
    Budget,
    Engine,
    ImageSize,
    Ray,
    Weights,
)

PANEL = "Very many pictures"
DAMAGED = 1
"""Exit code of `cache verify` where a shard is damaged."""

app = typer.Typer()
cache = typer.Typer(
    no_args_is_help=True,
    help="List, verify and prune the features that a folder keeps.",
    epilog="Example: kerastl cache list work/",
)
app.add_typer(cache, name="cache", rich_help_panel=PANEL)

Folder = Annotated[
    Path,
    typer.Argument(
        metavar="FOLDER",
        help="What was given as --cache, or the folder of an interrupted run.",
        show_default=False,
    ),
]


@app.command(
    rich_help_panel=PANEL, epilog="Example: kerastl extract pictures/ --at stage4 --cache work/"
)
def extract(
    data: Annotated[
        str,
        typer.Argument(
            metavar="DATA",
            help="A folder of pictures, labelled or not, a .csv table with a column `image`, or "
            "tfds:NAME.",
            show_default=False,
        ),
    ],
    folder: Annotated[
        Path,
        typer.Option(
            "--cache",
            metavar="FOLDER",
            help="The folder that keeps the features: train finds them there.",
            show_default=False,
        ),
    ],
    backbone: Backbone = DEFAULT_BACKBONE,
    weights: Weights = "imagenet",
    image_size: ImageSize = None,
    at: Annotated[
        str,
        typer.Option(
            metavar="CUT",
            help="Where the frozen layers end: a stage or a layer from `kerastl cuts`, or what "
            "--trainable takes.",
        ),
    ] = "heads",
    dtype: Annotated[
        str,
        typer.Option(
            metavar="NAME", help="float32, as train reads it; or float16, in half the room."
        ),
    ] = "float32",
    engine: Engine = "auto",
    batch_size: BatchSize = None,
    budget: Budget = None,
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="Seed of random weights.")] = 0,
    ray: Ray = None,
) -> None:
    """Run the frozen layers once over pictures, and keep what they make."""
    room = byte_count(budget, "--budget")
    with loading():
        from kerastl import feature_verbs

    feature_verbs.extract(
        data, folder, at=at,
        model={"backbone": backbone, "weights": weights, "image_size": image_size, "seed": seed},
        options={"engine": engine, "dtype": dtype, "batch_size": batch_size or 32,
                 **given(budget=room, ray=ray)},
    )  # fmt: skip


@cache.command("list", epilog="Example: kerastl cache list work/")
def list_(folder: Folder) -> None:
    """Show what features and predictions there are, and the room they take."""
    from kerastl import cache_verbs

    cache_verbs.show_store(folder)


@cache.command(epilog="Example: kerastl cache verify work/")
def verify(folder: Folder) -> None:
    """Hold every shard against its checksum; exit code 1 where one is damaged."""
    from kerastl import cache_verbs

    if cache_verbs.check_store(folder):
        raise typer.Exit(DAMAGED)


@cache.command(epilog="Example: kerastl cache prune work/ --keep 2GB")
def prune(
    folder: Folder,
    keep: Annotated[
        str | None,
        typer.Option(
            metavar="SIZE", help="Remove the least recently used until this is left: 500MB, 2GB."
        ),
    ] = None,
    older_than_days: Annotated[
        float | None,
        typer.Option(metavar="DAYS", min=0, help="Remove what was not used for so long."),
    ] = None,
    everything: Annotated[bool, typer.Option("--everything", help="Remove all of it.")] = False,
) -> None:
    """Make room: remove features and predictions, those of a whole prefix or model at a time."""
    size = byte_count(keep, "--keep")
    from kerastl import cache_verbs

    cache_verbs.make_room(
        folder, keep_bytes=size, older_than_days=older_than_days, everything=everything
    )
