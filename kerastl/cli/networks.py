"""What there is to begin with: backbones, where each can be cut, recipes to copy and change."""

from __future__ import annotations

import ast
import sysconfig
from pathlib import Path
from typing import Annotated

import typer

from kerastl.cli.console import loading, say, show_frame
from kerastl.cli.options import DEFAULT_BACKBONE, ImageSize
from kerastl.errors import InputError, nearest

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
        import keras

        from kerastl.cli.runs import named_backbone
        from kerastl.models.backbones import make_backbone
        from kerastl.models.cuts import cuts_frame

    found = named_backbone(backbone)
    if isinstance(found, str):
        base = make_backbone(found, None, image_size)
        found = keras.Model(base.image, base.features, name=backbone)
    frame = cuts_frame(found)
    if not every:
        frame = frame[frame["stage"] != ""]
    show_frame(frame)
    say(f"\n{len(cuts_frame(found))} cuts. A stage or a layer is what --trainable and --at take.")
    say("KiB a picture are of stored features in float32; float16 takes half.")


@app.command(rich_help_panel=PANEL, epilog="Example: kerastl backbones --like mobile")
def backbones(
    like: Annotated[str, typer.Option(metavar="TEXT", help="Only names that contain this.")] = "",
) -> None:
    """List every backbone with the picture size it was made for."""
    with loading():
        import pandas as pd

        from kerastl.models.backbones import default_image_size, list_backbones

    names = [n for n in list_backbones() if like.lower() in n.lower()]
    if not names:
        raise InputError(f"There is no backbone like {like!r}.{nearest(like, list_backbones())}")
    sizes = [f"{h} x {w}" for h, w in map(default_image_size, names)]
    show_frame(pd.DataFrame({"backbone": names, "picture": sizes}))


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
    from kerastl.files import replacing

    there = _shelf()
    if name is None:
        wide = max(map(len, there))
        for stem, path in there.items():
            say(f"{stem:<{wide}}  {_about(path)}")
        say("\nkerastl recipes NAME prints one; --out FILE copies it.")
        return
    if name not in there:
        names = ", ".join(there)
        raise InputError(f"There is no recipe {name!r}.{nearest(name, there)} There are: {names}.")
    text = there[name].read_text("utf-8")
    if out is None:
        say(text)
        return
    if out.exists():
        raise InputError(f"{out} is there already. Give another --out.")
    with replacing(out) as unfinished:
        unfinished.write_text(text, "utf-8")
    say(f"Copied to {out}. Run it: python {out} --help")


def _shelf() -> dict[str, Path]:
    """Each recipe's name and file, from the source tree or where the package installed them."""
    places = [
        Path(__file__).parents[2] / "recipes",
        Path(sysconfig.get_path("data")) / "share" / "kerastl" / "recipes",
    ]
    for place in places:
        if (place / "quickstart.py").is_file():
            return {path.stem: path for path in sorted(place.glob("*.py"))}
    raise InputError("The recipes are not installed. Expected them in one of:", map(str, places))


def _about(path: Path) -> str:
    """A recipe's first line, read without running it."""
    return (ast.get_docstring(ast.parse(path.read_text("utf-8"))) or "").partition("\n")[0]
