"""A pipeline in a folder: its learnt stages as files, its callables by name only."""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import keras

from kerastl import __version__
from kerastl.errors import InputError, nearest
from kerastl.files import as_folder, sha256, write_json
from kerastl.models.saving import load_model, save_model
from kerastl.pipelines.pipeline import Pipeline
from kerastl.pipelines.stages import Stage, knows_tasks
from kerastl.pipelines.types import from_json, to_json

NAME = "pipeline.json"
VERSION = 1
LARGEST = 4 * 1024 * 1024
FILE = re.compile(r"stage_\d{1,4}_[0-9a-f]{12}\.keras")
"""Names of the learnt stages' files: the stage's number and what is in it."""

KINDS = ("callable", "keras", "kerastl")


def save_pipeline(pipeline: Pipeline, folder: str | Path) -> Path:
    """Write a pipeline into a folder: `pipeline.json`, and a `.keras` file for each model.

    `pipeline.json` has the order, the hand-overs and the SHA-256 of each file. Plain
    callables are kept by name only; they are given again when it is loaded. A pipeline
    that was there before stays whole until the new one is.

    Args:
        pipeline: The pipeline.
        folder: Where to; it is made where it is missing.

    Returns:
        The folder.

    Raises:
        InputError: For a model with Lambda layers, which no file can hold safely, and
            where the folder cannot be written.

    Example:
        >>> x = keras.Input((2,))
        >>> doubled = keras.Model(x, keras.layers.Rescaling(2.0)(x), name="double")
        >>> made = Pipeline({"sort": sorted, "double": doubled})
        >>> load_pipeline(save_pipeline(made, tempfile.mkdtemp()), {"sort": sorted})
        Pipeline(sort -> double)
    """
    folder = as_folder(folder)
    _check_models(pipeline)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        stages = [_saved(stage, number, folder) for number, stage in enumerate(pipeline.stages, 1)]
        made_by = {"kerastl": __version__, "keras": keras.__version__}
        write_json(folder / NAME, {"version": VERSION, "made_by": made_by, "stages": stages})
        _remove_older(folder, {stage.get("file") for stage in stages})
    except OSError as error:
        raise InputError(
            f"The pipeline could not be written into {folder}: {error.strerror or error}."
        ) from error
    return folder


def load_pipeline(folder: str | Path, callables: Mapping[str, Any] | None = None) -> Pipeline:
    """Read a pipeline that `save_pipeline` wrote.

    Args:
        folder: The folder.
        callables: By name of each stage that is no model, its callable; or a `Stage`,
            which is needed where the saved hand-over is a Python type of one's own.

    Returns:
        The pipeline.

    Raises:
        InputError: For callables that are missing, odd, or of another hand-over than was
            saved; for a file that is missing or changed, or a `pipeline.json` that is
            none. All of them at once.
    """
    folder, given = Path(folder), dict(callables or {})
    entries = _entries(folder / NAME)
    learnt = {e["name"] for e in entries if e["kind"] != "callable"}
    faults = [fault for e in entries for fault in _file_faults(folder, e)]
    faults += _odd(given, [e["name"] for e in entries], learnt)
    stages = []
    for entry in entries if not faults else [e for e in entries if e["kind"] == "callable"]:
        try:
            stages.append(_loaded(folder, entry, given))
        except InputError as error:
            faults += [f"{entry['name']}: {error.message}", *error.faults]
    if faults:
        raise InputError(f"The pipeline in {folder} cannot be loaded.", faults)
    return Pipeline(stages)


def _check_models(pipeline: Pipeline) -> None:
    faults = [
        f"{stage.name}: the layer {layer.name!r}"
        for stage in pipeline.stages if stage.learnt
        for layer in stage.call._flatten_layers() if isinstance(layer, keras.layers.Lambda)
    ]  # fmt: skip
    if faults:
        raise InputError(
            "Expected models without Lambda layers, which are Python code that no file can hold "
            "safely. Make such a layer a stage of its own, or a registered layer class.", faults,
        )  # fmt: skip


def _saved(stage: Stage, number: int, folder: Path) -> dict[str, Any]:
    about = {"name": stage.name, "takes": to_json(stage.takes), "gives": to_json(stage.gives)}
    if not stage.learnt:
        return {**about, "kind": "callable", "batched": stage.batched}
    ours = knows_tasks(stage.call)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".pipeline-") as work:
        new = Path(work) / "model.keras"
        save_model(stage.call, new) if ours else stage.call.save(new)
        digest = sha256(new)
        name = f"stage_{number}_{digest[:12]}.keras"
        os.replace(new, folder / name)
    kind = {"kind": "kerastl", "answers": stage.answers} if ours else {"kind": "keras"}
    return {**about, **kind, "file": name, "sha256": digest}


def _remove_older(folder: Path, named: set[str | None]) -> None:
    """Remove what an older pipeline, or a save that was killed, left there."""
    for path in folder.glob("stage_*.keras"):
        if FILE.fullmatch(path.name) and path.name not in named:
            path.unlink(missing_ok=True)


def _entries(path: Path) -> list[dict[str, Any]]:
    if not path.is_file():
        raise InputError(f"Expected the folder of a pipeline. Received: {path.parent}, without "
                         f"{NAME} in it.")  # fmt: skip
    if path.stat().st_size > LARGEST:
        raise InputError(f"{path} is too large for the description of a pipeline.")
    try:
        values = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is no JSON ({error}). Save the pipeline again.") from error
    faults = list(_faults(values))
    if faults:
        raise InputError(f"{path} does not describe a pipeline. Save it again.", faults)
    return values["stages"]


def _faults(values: Any) -> Iterator[str]:
    stages = values.get("stages") if isinstance(values, dict) else None
    if not isinstance(stages, list) or not stages:
        yield "expected an object with a list of stages"
        return
    if values.get("version") != VERSION:
        yield f"version: expected {VERSION}, received {values.get('version')!r}"
    for number, entry in enumerate(stages, 1):
        yield from (f"stage {number}: {fault}" for fault in _entry_faults(entry))
    names = [entry.get("name") for entry in stages if isinstance(entry, dict)]
    yield from (f"the name {n!r} is there {names.count(n)} times"
                for i, n in enumerate(names) if n in names[:i])  # fmt: skip


def _entry_faults(entry: Any) -> Iterator[str]:
    if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
        yield "expected an object with a name"
    elif entry.get("kind") not in KINDS:
        yield f"kind: expected one of {', '.join(KINDS)}, received {entry.get('kind')!r}"
    elif entry["kind"] == "callable":
        if not isinstance(entry.get("batched"), bool):
            yield f"batched: expected true or false, received {entry.get('batched')!r}"
    else:
        file, digest = entry.get("file"), entry.get("sha256")
        if not isinstance(file, str) or not FILE.fullmatch(file):
            yield f"file: expected a name such as stage_1_0123456789ab.keras, received {file!r}"
        if not isinstance(digest, str):
            yield f"sha256: expected a text, received {digest!r}"


def _file_faults(folder: Path, entry: Mapping[str, Any]) -> Iterator[str]:
    if entry["kind"] == "callable":
        return
    path = folder / entry["file"]
    if not path.is_file():
        yield f"{entry['name']}: there is no file {path}"
    elif sha256(path) != entry["sha256"]:
        yield f"{entry['name']}: {path} is not the file that was saved; its SHA-256 differs"


def _odd(given: Mapping[str, Any], names: list[str], learnt: set[str]) -> list[str]:
    faults = [
        f"{n}: it is a model with a file; give no callable for it" for n in given if n in learnt
    ]
    return faults + [
        f"{n}: the pipeline has no such stage.{nearest(n, names)}" for n in given if n not in names
    ]


def _loaded(folder: Path, entry: Mapping[str, Any], given: Mapping[str, Any]) -> Stage:
    name = entry["name"]
    if entry["kind"] == "kerastl":
        return Stage(name, load_model(folder / entry["file"]), answers=entry.get("answers"))
    if entry["kind"] == "keras":
        return Stage(name, _keras_model(folder / entry["file"]))
    if name not in given:
        raise InputError(f"its callable is missing: load_pipeline(folder, {{{name!r}: ...}})")
    return _given_stage(entry, given[name])


def _given_stage(entry: Mapping[str, Any], thing: Any) -> Stage:
    if not isinstance(thing, Stage):
        takes, gives = from_json(entry.get("takes")), from_json(entry.get("gives"))
        return Stage(entry["name"], thing, takes, gives, entry["batched"])
    saved = [entry["name"], entry.get("takes"), entry.get("gives"), entry["batched"]]
    ours = [thing.name, to_json(thing.takes), to_json(thing.gives), thing.batched]
    parts = zip(("name", "takes", "gives", "batched"), saved, ours, strict=True)
    faults = [f"{part}: saved {a!r}, given {b!r}" for part, a, b in parts if a != b]
    if faults:
        raise InputError("expected the stage as it was saved", faults)
    return thing


def _keras_model(path: Path) -> keras.Model:
    try:
        return keras.models.load_model(path, compile=False, safe_mode=True)
    except (ValueError, TypeError, OSError, KeyError) as error:
        line = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InputError(f"{path} cannot be read: {line[:200]}") from error
