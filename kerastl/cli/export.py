"""The files for phones and servers: made, checked and shown."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from kerastl.cli.console import err, in_words, loading, out, say, title
from kerastl.cli.options import (
    Group,
    ImageColumn,
    MaxPixels,
    SplitSeed,
    Tags,
    TaskNames,
    Unknown,
    Unsure,
    reading,
)
from kerastl.deploy.formats import ALL, DEFAULT, FORMATS, check_formats
from kerastl.errors import InputError

if TYPE_CHECKING:
    from kerastl.data.manifest import Manifest

Plain = Mapping[str, Any]

PANEL = "Ship a model"
REFUSED = 1
"""Exit code where a file breaks its contract."""

TASK, LEAST, OTHERS, WIDE = "task", 12, 74, 1000
"""A column's head, the letters of a name that always fit in its line, the room that the
other columns take, and more room than any table needs."""

SCORES = ("format", TASK, "accuracy", "minus Keras [95 %]", "same", "largest", "labels")
FILES = ("file", "size", "1 thread", "2 threads", "XNNPACK", "contract")

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
            metavar="DATA",
            help="Pictures to calibrate int8 with and to check the files on; by default those "
            "of MODEL's run.",
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
    image: ImageColumn = None,
    group: Group = None,
    tags: Tags = None,
    unknown: Unknown = None,
    unsure: Unsure = None,
    seed: SplitSeed = 0,
    no_latency: NoLatency = False,
    folder: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="FOLDER", help="Where to; by default the model's own folder."
        ),
    ] = None,
    max_pixels: MaxPixels = None,
) -> None:
    """Write a model for servers and phones, and check each file against Keras.

    A file that breaks its format's contract is set aside as NAME.rejected, and the
    exit code is 1.
    """
    chosen = check_formats(_formats(formats))
    with loading():
        from kerastl.cli.opening import open_for
        from kerastl.data.division import FILE, Division, run_of
        from kerastl.deploy.contract import RefusedExport
        from kerastl.deploy.exporting import export as export_model
        from kerastl.inference.sidecar import NAME, REPORT, read_report, update_report
        from kerastl.models.saving import MODEL, load_model

    file = _keras_file(model)
    net = load_model(file)
    words = reading(task, unknown, unsure, None, image, group, tags)
    folder = folder or file.parent
    if (folder / MODEL).exists() and folder.resolve() != file.parent.resolve():
        raise InputError(
            f"Expected --out with a folder of its own. Received: {folder}, which is another run's: "
            "what that run has seen is kept there."
        )
    found = open_for(file, data, seed=seed, **words)
    pictures, scored = (None, None) if found is None else (found.pictures, found.scored)
    try:
        report = export_model(
            net, folder, chosen, calibration=pictures, evaluation=scored, waive=_names(waive),
            latency=not no_latency, seed=seed,
        )  # fmt: skip
    except RefusedExport as error:
        report = error.report
    if (run := run_of(file)) is None:  # what another's run saw says nothing of these
        (folder / FILE).unlink(missing_ok=True)
    elif run != folder:  # what was seen goes with the files
        Division.read(run / FILE).write(folder / FILE)
        update_report(folder, training=read_report(run).get("training", {}))
    plain = report.to_dict()
    show_contract(plain)
    title(f"Written to {folder}/")
    say(", ".join([*map(_kept_as, plain["files"]), NAME, REPORT]))
    _end_where_refused(plain)


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
        str | None,
        typer.Argument(
            metavar="PICTURES",
            help="Labelled pictures: a folder of class folders, a .csv table with a column "
            "`image`, or tfds:NAME; by default those of FILE's run. With --model also a picture, "
            "or a folder of them.",
            show_default=False,
        ),
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option(
            metavar="MODEL", help="The .keras file, or its run's folder, that FILE was made from."
        ),
    ] = None,
    waive: Waive = "",
    task: TaskNames = None,
    image: ImageColumn = None,
    group: Group = None,
    tags: Tags = None,
    unknown: Unknown = None,
    unsure: Unsure = None,
    seed: SplitSeed = 0,
    no_latency: NoLatency = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the report as JSON and nothing else.")
    ] = False,
    max_pixels: MaxPixels = None,
) -> None:
    """Hold a file made elsewhere or earlier to the contract of an export.

    With --model its scores are compared with Keras'; without, it is scored on the
    labels alone. The exit code is 1 where it breaks the contract.
    """
    with loading():
        from kerastl.deploy.checking import check_file

    made_from = None if model is None else _keras_file(model)
    labelled = _pictures(
        pictures, file, made_from, seed, reading(task, unknown, unsure, None, image, group, tags)
    )
    report = check_file(
        file, labelled, model=made_from, waive=_names(waive), latency=not no_latency, seed=seed
    )
    plain = report.to_dict()
    if as_json:
        say(json.dumps(plain, indent=2, ensure_ascii=False))
    else:
        show_contract(plain)
    _end_where_refused(plain)


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
        from kerastl.deploy.preview.server import serve

    serve(model, host=host, port=port, open_browser=not no_browser, say=say)


def _formats(text: str) -> str | list[str]:
    return ALL if text.strip() == ALL else _names(text)


def _names(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _keras_file(model: Path) -> Path:
    from kerastl.models.saving import MODEL

    return model / MODEL if model.is_dir() else model


def _pictures(
    pictures: str | None, file: Path, model: Path | None, seed: int, reading: Mapping[str, Any]
) -> Manifest:
    """Labelled pictures; beside a model also a picture or a flat folder, without labels.

    By default those of the run that the file lies in, or the model.
    """
    import pandas as pd

    from kerastl.cli.opening import open_scored
    from kerastl.data.manifest import Manifest, path_column
    from kerastl.data.tasks import UNKNOWN
    from kerastl.data.walking import level
    from kerastl.inference.prediction import find_pictures
    from kerastl.models.saving import read_spec

    if pictures is None:
        return open_scored(model or file, None, seed=seed, **reading).scored
    path = Path(pictures)
    flat = path.is_dir() and not level(path).folders
    table = path.suffix.lower() in (".csv", ".tsv")
    if model is None or not (flat or (path.is_file() and not table)):
        return open_scored(model or file, pictures, seed=seed, **reading).scored
    tasks = read_spec(model).tasks
    columns = {column: UNKNOWN for task in tasks for column in task.columns}
    images = path_column(find_pictures(path))
    return Manifest(pd.DataFrame({"image": images, **columns}), tasks)


def show_contract(report: Plain) -> None:
    """Print how each file keeps its contract: scores by task, then size and speed, then notes.

    Args:
        report: An `ExportReport` as plain values, as it also stands in `report.json`.
    """
    from kerastl.inference.sidecar import NAME

    say(f"Checked on {report['pictures']} {report['source']}.")
    _show(_table(SCORES, _score_rows(report), words=2))
    out.print()
    _show(_table(FILES, map(_file_row, report["files"]), words=1))
    for file in report["files"]:
        for note in file["notes"]:
            say(f"{file['format']}: {in_words(note)}")
    for name in report["aside"]:
        say(f"{name}.older was {name}, of an earlier export that {NAME} does not describe.")


def _table(heads: Sequence[str], rows: Any, *, words: int) -> Table:
    """A table whose first columns hold words, to the left, and the others numbers.

    A task's name goes on in the next line where it is long; all else is one line.
    """
    table = Table(box=None, pad_edge=False, header_style="dim")
    for number, head in enumerate(heads):
        name, side = head == TASK, "left" if number < words else "right"
        table.add_column(
            Text(head), justify=side, no_wrap=not name, overflow="fold",
            max_width=max(LEAST, out.width - OTHERS) if name else None,
        )  # fmt: skip
    for row in rows:
        table.add_row(*map(Text, row))
    return table


def _show(table: Table) -> None:
    """Print a table whole: where a terminal is too narrow, no figure is cut short."""
    table.width = out.measure(table, options=out.options.update(width=WIDE)).maximum
    out.print(table, crop=False)


def _score_rows(report: Plain) -> Iterator[list[str]]:
    for task, keras_ in report["keras"].items():
        yield ["keras", task, _share(keras_["value"]), "", "", "", str(keras_["n"])]
    for file in report["files"]:
        for task, made in file["tasks"].items():
            good = made["accuracy"]
            yield [file["format"], task, _share(good["value"]), *_apart(made), str(good["n"])]


def _apart(made: Plain) -> list[str]:
    """How far a file is from Keras; blank where it was not compared."""
    if made["same"] is None:
        return ["", "", ""]
    largest = "NaN" if made["largest"] is None else f"{made['largest']:.2g}"
    return [_interval(made["difference"]), f"{made['same']:.1%}", largest]


def _interval(found: Plain | None) -> str:
    from kerastl.scoring.intervals import in_words

    if found is None or found["value"] is None:
        return ""
    return in_words(found["value"], found["low"], found["high"], "+.3f")


def _file_row(file: Plain) -> list[str]:
    times = {one["threads"]: f"{one['median']:.1f} ms" for one in file["latency"]}
    share = file["facts"] and file["facts"]["delegated"]
    state = "refused" if _refused(file) else "waived" if file["waived"] else "kept"
    return [Path(file["file"]).name, _size(file["size"]), times.get(1, ""), times.get(2, ""),
            "" if share is None else f"{share:.0%}", state]  # fmt: skip


def _refused(file: Plain) -> bool:
    return bool(file["cause"]) and not file["waived"]


def _kept_as(file: Plain) -> str:
    return f"{file['file']}.rejected" if _refused(file) else file["file"]


def _end_where_refused(report: Plain) -> None:
    """Say which files break their contract, and end with exit code 1 where one does."""
    broken = [file for file in report["files"] if _refused(file)]
    for file in broken:
        err.print(Text(f"Error: {file['file']}: {file['cause']}", style="red"), soft_wrap=True)
    if broken:
        raise typer.Exit(REFUSED)


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _size(size: int) -> str:
    return f"{size / 2**20:.1f} MiB" if size >= 2**20 else f"{size / 2**10:.1f} KiB"
