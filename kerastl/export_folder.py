"""The folder of an export: good files take their places, bad ones and old ones go aside."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import keras

from kerastl.errors import InputError
from kerastl.export_report import ExportedFile, ExportReport
from kerastl.format_files import ports
from kerastl.formats import FORMATS
from kerastl.network_key import network_key
from kerastl.predictors import KerasPredictor
from kerastl.reports import update_report
from kerastl.sidecar import read_sidecar, sidecar_of, write_sidecar
from kerastl.spec import spec_of

REJECTED, OLDER = ".rejected", ".older"


def keep(
    model: keras.Model, ours: KerasPredictor, folder: Path, work: Path, report: ExportReport
) -> ExportReport:
    """Move what was written into place, and say in `model.json` and `report.json` what lies there.

    A good file replaces its older one; a bad one goes aside as `.rejected`. A file of an
    earlier export that is not replaced stays where `model.json` is still true of it: the
    same tasks, image size and thresholds. Otherwise it goes aside as `.older`.

    Args:
        model: The Keras model.
        ours: The same as a predictor.
        folder: The folder.
        work: Where the files were written, on the same disk.
        report: What was found of them.

    Returns:
        The report, with the names of the files that were set aside.
    """
    good = [file for file in report.files if not file.refused]
    stay, aside = _earlier(folder, ours, {file.format for file in good}) if good else ({}, [])
    key = network_key(model) if good else ""
    entries = {file.format: _entry(file, work / file.file, key, ours) for file in good}
    report = replace(report, aside=tuple(aside))
    if good:  # before anything is moved: what cannot be said costs nothing
        told = _tell(model, ours, work, report, {**stay, **entries})
    for file in report.files:
        _take(file, folder, work)
    for name in aside:
        _place(folder / name, folder / f"{name}{OLDER}", work / f"{name}{OLDER}")
    if good:
        os.replace(told, folder / told.name)
    update_report(folder, export=report.to_dict())
    return report


def _earlier(folder: Path, ours: KerasPredictor, new: set[str]) -> tuple[dict[str, Any], list[str]]:
    """What `model.json` goes on to say of files that stay, and the names of those that cannot."""
    lie = {name: form.file for name, form in FORMATS.items()
           if name not in new and (folder / form.file).exists()}  # fmt: skip
    told = sidecar_of(folder / "model")
    try:
        described = read_sidecar(told)
    except InputError:  # nothing says what these files are
        return {}, list(lie.values())
    if described != (ours.tasks, ours.image_size, ours.thresholds):
        return {}, list(lie.values())
    entries = json.loads(told.read_bytes()).get("files") or {}
    return {name: entries[name] for name in lie if name in entries}, []


def _take(file: ExportedFile, folder: Path, work: Path) -> None:
    new, bad = work / file.file, f"{file.file}{REJECTED}"
    if new.exists():
        target = bad if file.refused else file.file
        _place(new, folder / target, work / f"{file.file}{OLDER}")
    if not file.refused and (folder / bad).exists():  # of an earlier export
        os.replace(folder / bad, work / bad)


def _place(new: Path, target: Path, aside: Path) -> None:
    """Replace `target`; where a folder is in play, it is put back should that fail."""
    moved = target.is_dir() or (new.is_dir() and target.exists())
    if moved:
        os.replace(target, aside)
    try:
        os.replace(new, target)
    except OSError:
        if moved:
            os.replace(aside, target)
        raise


def _tell(
    model: keras.Model, ours: KerasPredictor, folder: Path, report: ExportReport, files: Any
) -> Path:
    order = sorted(files, key=list(FORMATS).index)
    scores = {task: asdict(accuracy) for task, accuracy in report.keras.items()}
    return write_sidecar(
        folder, ours.tasks, ours.image_size, ours.thresholds, scores=scores,
        files={name: files[name] for name in order}, data=spec_of(model).trained_on,
    )  # fmt: skip


def _entry(file: ExportedFile, path: Path, key: str, ours: KerasPredictor) -> dict[str, Any]:
    """What an app may check of a file before it loads it, and what it needs to run it."""
    return {
        "file": file.file, "bytes": file.size, "sha256": sha256(path),
        "network": key, "waived": file.waived,
        "signatures": ports(file.format, ours.tasks, ours.image_size, path),
    }  # fmt: skip


def sha256(path: Path) -> str:
    """The SHA-256 of a file; of a folder, that of the lines `sha256sum` has for its files.

    The lines are sorted by the paths inside the folder: what
    `find . -type f | sort | xargs sha256sum | sha256sum` says there.

    Example:
        >>> sha256(Path(os.devnull))[:8]
        'e3b0c442'
    """
    if not path.is_dir():
        return hashlib.sha256(path.read_bytes()).hexdigest()
    names = sorted(f"./{p.relative_to(path).as_posix()}" for p in path.rglob("*") if p.is_file())
    lines = [f"{sha256(path / name)}  {name}\n" for name in names]
    return hashlib.sha256("".join(lines).encode()).hexdigest()
