"""What the verbs on exported files do, once Keras is loaded."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import pandas as pd
from rich.table import Table
from rich.text import Text

from kerastl.console import err, out, say, title
from kerastl.export_report import RefusedExport
from kerastl.exporting import export as export_model
from kerastl.file_check import check_file
from kerastl.formats import check_formats
from kerastl.manifest import Manifest
from kerastl.prediction import find_pictures
from kerastl.reports import REPORT
from kerastl.runs import MODEL, open_data
from kerastl.saving import load_model, read_spec
from kerastl.sidecar import NAME
from kerastl.tasks import UNKNOWN

Plain = Mapping[str, Any]

TASK, LEAST, OTHERS, WIDE = "task", 12, 74, 1000
"""A column's head, the letters of a name that always fit in its line, the room that the
other columns take, and more room than any table needs."""

SCORES = ("format", TASK, "accuracy", "minus Keras [95 %]", "same", "largest", "labels")
FILES = ("file", "size", "1 thread", "2 threads", "XNNPACK", "contract")


def export(
    model: Path,
    data: str | None,
    *,
    formats: Sequence[str] | str,
    waive: Sequence[str],
    latency: bool,
    reading: Mapping[str, Any],
    seed: int,
    out_folder: Path | None,
) -> bool:
    """Export a model beside itself, or to another folder, and show the contract.

    Returns:
        Whether a file was refused.
    """
    chosen, file = check_formats(formats), _keras_file(model)
    net = load_model(file)
    manifest = None if data is None else open_data(data, seed=seed, **reading)
    folder = out_folder or file.parent
    plain = _exported(
        net, folder, chosen, calibration=manifest, evaluation=manifest, waive=waive,
        latency=latency, seed=seed,
    )  # fmt: skip
    show_contract(plain)
    title(f"Written to {folder}/")
    say(", ".join([*map(_kept_as, plain["files"]), NAME, REPORT]))
    return _say_refused(plain)


def _exported(net: keras.Model, folder: Path, formats: Sequence[str], **options: Any) -> Plain:
    """The report of an export, also where files were refused."""
    try:
        return export_model(net, folder, formats, **options).to_dict()
    except RefusedExport as error:
        return error.report.to_dict()


def check(
    file: Path,
    pictures: str,
    *,
    model: Path | None,
    waive: Sequence[str],
    latency: bool,
    reading: Mapping[str, Any],
    seed: int,
    as_json: bool,
) -> bool:
    """Hold one file to its contract and show it.

    Returns:
        Whether it breaks the contract.
    """
    made_from = None if model is None else _keras_file(model)
    data = _pictures(pictures, made_from, seed, reading)
    report = check_file(file, data, model=made_from, waive=waive, latency=latency, seed=seed)
    plain = report.to_dict()
    if as_json:
        say(json.dumps(plain, indent=2, ensure_ascii=False))
    else:
        show_contract(plain)
    return _say_refused(plain)


def try_model(model: Path, *, host: str, port: int, open_browser: bool) -> None:
    """Serve the page that shows what a phone would, until it is interrupted."""
    from kerastl import try_server  # a server is needed by this verb alone

    try_server.serve(model, host=host, port=port, open_browser=open_browser, say=say)


def _keras_file(model: Path) -> Path:
    return model / MODEL if model.is_dir() else model


def _pictures(pictures: str, model: Path | None, seed: int, reading: Mapping[str, Any]) -> Manifest:
    """Labelled pictures; beside a model also a picture or a flat folder, without labels."""
    path = Path(pictures)
    flat = path.is_dir() and not any(p.is_dir() for p in path.iterdir())
    table = path.suffix.lower() in (".csv", ".tsv")
    if model is None or not (flat or (path.is_file() and not table)):
        return open_data(pictures, seed=seed, **reading)
    tasks = read_spec(model).tasks
    columns = {column: UNKNOWN for task in tasks for column in task.columns}
    return Manifest(pd.DataFrame({"image": find_pictures(path), **columns}), tasks)


def show_contract(report: Plain) -> None:
    """Print how each file keeps its contract: scores by task, then size and speed, then notes.

    Args:
        report: An `ExportReport` as plain values, as it also stands in `report.json`.
    """
    say(f"Checked on {report['pictures']} {report['source']}.")
    _show(_table(SCORES, _score_rows(report), words=2))
    out.print()
    _show(_table(FILES, map(_file_row, report["files"]), words=1))
    for file in report["files"]:
        for note in file["notes"]:
            say(f"{file['format']}: {note}")
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
    if found is None or None in (found["low"], found["high"]):
        return ""
    return f"{found['value']:+.3f} [{found['low']:+.3f}, {found['high']:+.3f}]"


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


def _say_refused(report: Plain) -> bool:
    broken = [file for file in report["files"] if _refused(file)]
    for file in broken:
        err.print(Text(f"Error: {file['file']}: {file['cause']}", style="red"), soft_wrap=True)
    return bool(broken)


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _size(size: int) -> str:
    return f"{size / 2**20:.1f} MiB" if size >= 2**20 else f"{size / 2**10:.1f} KiB"
