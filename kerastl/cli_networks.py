"""The verbs that show what there is to begin with, as the command line takes them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kerastl.console import loading
from kerastl.options import DEFAULT_BACKBONE, ImageSize, Resume

PANEL = "Look around"
app = typer.Typer()


@app.command(rich_help_panel=PANEL, epilog="Example: kerastl cuts MobileNetV2 --image-size 192")
def cuts(
    backbone: Annotated[
        str,
        typer.Argument(
            metavar="BACKBONE", help="A name from `kerastl backbones`, or a .keras file."
        ),
    ] = DEFAULT_BACKBONE,
    image_size: ImageSize = None,
    every: Annotated[bool, typer.Option("--all", help="Every cut, not only the stages.")] = False,
) -> None:
    """Show where a network can be cut into a frozen prefix and a trained tail."""
    with loading():
        from kerastl import network_verbs

    network_verbs.cuts(backbone, image_size=image_size, every=every)


@app.command(rich_help_panel=PANEL, epilog="Example: kerastl backbones --like mobile")
def backbones(
    like: Annotated[str, typer.Option(metavar="TEXT", help="Only names that contain this.")] = "",
) -> None:
    """List every backbone with the picture size it was made for."""
    with loading():
        from kerastl import network_verbs

    network_verbs.backbones(like)


@app.command(
    rich_help_panel=PANEL, epilog="Example: kerastl recipes quickstart --out my_quickstart.py"
)
def recipes(
    name: Annotated[
        str | None, typer.Argument(metavar="RECIPE", help="The recipe to show or copy.")
    ] = None,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Copy it to this file.")] = None,
) -> None:
    """List the recipes: scripts to copy and change."""
    from kerastl import recipes as shelf

    shelf.show(name, out)


@app.command(rich_help_panel=PANEL, epilog="Example: kerastl demo")
def demo(
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="The run's folder; by default saved_models/solar-cells/NUMBER."
        ),
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Epochs, for a shorter run.")
    ] = None,
    resume: Resume = False,
) -> None:
    """Run the whole path on real pictures of solar cells, from labels to checked exports."""
    with loading():
        from kerastl import demo as solar

    solar.run(out, epochs=epochs, resume=resume)
