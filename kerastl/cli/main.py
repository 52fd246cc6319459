"""The command line: one verb for each thing to do, the same options everywhere.

The verbs stand in eight modules. None of them loads Keras before a verb is called.
"""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from kerastl import __version__
from kerastl.cli import curve, demo, export, features, labels, networks, search, train
from kerastl.cli.claims import release_all
from kerastl.cli.console import explained, typed
from kerastl.terminal import write_anything


class _Explained(TyperGroup):
    """The group of all verbs, which says in a sentence what is wrong."""

    def invoke(self, ctx: Any) -> Any:
        with explained():  # inside: Typer would end an interruption without a word
            try:
                return super().invoke(ctx)
            finally:
                release_all()

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name, command, rest = super().resolve_command(ctx, args)
        typed(command)
        return name, command, rest


app = typer.Typer(
    name="kerastl",
    cls=_Explained,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Begin with: [bold]kerastl train PICTURES[/bold], a folder of class folders.",
)
for module in (
    train, search, curve, export, labels, features, networks, demo,
):  # fmt: skip
    app.add_typer(module.app)


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


def main() -> None:
    """Entry point of the console script."""
    write_anything()
    app(prog_name="kerastl")
