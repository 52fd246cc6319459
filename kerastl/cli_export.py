"""The files for phones and servers, as the command line makes, checks and shows them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kerastl.arguments import reading
from kerastl.console import loading
from kerastl.formats import ALL, DEFAULT, FORMATS
from kerastl.options import SplitSeed, TaskNames, Unknown, Unsure

PANEL = "Ship a model"
REFUSED = 1
"""Exit code where a file breaks its contract."""

app = typer.Typer()

Waive = Annotated[
    str,
    typer.Option(
        metavar="NAMES",
        help="Formats, with commas between, that are accepted though they break the contract.",
        show_default="none",
    ),
]
NoLatency = Annotated[
    bool, typer.Option("--no-latency", help="Do not measure how long a picture takes.")
]


@app.command(
    rich_help_panel=PANEL, epilog="Example: kerastl export saved_models/flowers/1 flowers/"
)
def export(
    model: Annotated[
        Path,
        typer.Argument(
            metavar="MODEL", help="A .keras file, or the folder of a run.", show_default=False
        ),
    ],
    data: Annotated[
        str | None,
        typer.Argument(
            metavar="DATA", help="Pictures to calibrate int8 with and to check the files on."
        ),
    ] = None,
    formats: Annotated[
        str,
        typer.Option(
            metavar="NAMES",
            help=f"Of {', '.join(FORMATS)}, with commas between; or all that are installed: all.",
        ),
    ] = ",".join(DEFAULT),
    waive: Waive = "",
    task: TaskNames = None,
    unknown: Unknown = None,
    unsure: Unsure = None,
    seed: SplitSeed = 0,
    no_latency: NoLatency = False,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Where to; by default the model's own folder."),
    ] = None,
) -> None:
    """Write a model for servers and phones, and check each file against Keras.

    A file that breaks its format's contract is set aside as NAME.rejected, and the
    exit code is 1.
    """
    with loading():
        from kerastl import export_verbs

    if export_verbs.export(
        model, data, formats=_formats(formats), waive=_names(waive), latency=not no_latency,
        seed=seed, out_folder=out, reading=reading(task, unknown, unsure, None),
    ):  # fmt: skip
        raise typer.Exit(REFUSED)


@app.command(
    rich_help_panel=PANEL,
    epilog="Example: kerastl check model_int8.tflite flowers/ --model saved_models/flowers/1",
)
def check(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="A .tflite or .onnx file, or the folder of a SavedModel or of OpenVINO.",
            show_default=False,
        ),
    ],
    pictures: Annotated[
        str,
        typer.Argument(
            metavar="PICTURES",
            help="Labelled pictures: a folder of class folders, a .csv table with a column "
            "`image`, or tfds:NAME. With --model also a picture, or a folder of them.",
            show_default=False,
        ),
    ],
    model: Annotated[
        Path | None,
        typer.Option(
            metavar="MODEL", help="The .keras file, or its run's folder, that FILE was made from."
        ),
    ] = None,
    waive: Waive = "",
    task: TaskNames = None,
    unknown: Unknown = None,
    unsure: Unsure = None,
    seed: SplitSeed = 0,
    no_latency: NoLatency = False,
    json: Annotated[
        bool, typer.Option("--json", help="Print the report as JSON and nothing else.")
    ] = False,
) -> None:
    """Hold a file made elsewhere or earlier to the contract of an export.

    With --model its scores are compared with Keras'; without, it is scored on the
    labels alone. The exit code is 1 where it breaks the contract.
    """
    with loading():
        from kerastl import export_verbs

    if export_verbs.check(
        file, pictures, model=model, waive=_names(waive), latency=not no_latency, seed=seed,
        reading=reading(task, unknown, unsure, None), as_json=json,
    ):  # fmt: skip
        raise typer.Exit(REFUSED)


@app.command("try", rich_help_panel=PANEL, epilog="Example: kerastl try saved_models/flowers/1")
def try_(
    model: Annotated[
        Path,
        typer.Argument(
            metavar="MODEL",
            help="A .tflite file, or the folder of a run that was exported.",
            show_default=False,
        ),
    ],
    host: Annotated[
        str,
        typer.Option(
            metavar="ADDRESS",
            help="Where the page is served; 0.0.0.0 opens it to the whole network.",
        ),
    ] = "127.0.0.1",
    port: Annotated[
        int,
        typer.Option(metavar="N", min=0, max=65535, help="0 takes one that is free."),
    ] = 0,
    no_browser: Annotated[
        bool, typer.Option("--no-browser", help="Do not open a browser.")
    ] = False,
) -> None:
    """Show on a page what a phone would: the camera's scores, live."""
    with loading():
        from kerastl import export_verbs

    export_verbs.try_model(model, host=host, port=port, open_browser=not no_browser)


def _formats(text: str) -> str | list[str]:
    return ALL if text.strip() == ALL else _names(text)


def _names(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]
