"""The contract of an export, for a file that was made elsewhere or earlier."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
from ai_edge_litert.interpreter import Interpreter

from kerastl.data.manifest import Manifest
from kerastl.data.tasks import Task
from kerastl.deploy.contract import (
    Accuracy,
    Agreement,
    ExportedFile,
    ExportReport,
    Labels,
    accuracies,
    agreement,
    breaches,
    run_all,
)
from kerastl.deploy.formats import FORMATS, check_formats
from kerastl.deploy.tflite import in_float32
from kerastl.deploy.tflite_facts import advice, measure_latency, read_facts
from kerastl.deploy.tflite_metadata import read_metadata
from kerastl.deploy.writers import RUNNERS, size_of
from kerastl.errors import InputError
from kerastl.inference.evaluation import batches_of, scored_part
from kerastl.inference.litert import LiteRTModel
from kerastl.inference.openvino import GRAPH
from kerastl.inference.predictors import KerasPredictor, Predictor, read_beside
from kerastl.inference.sidecar import NAME, Described, sidecar_of
from kerastl.models.saving import load_model
from kerastl.terminal import quiet

FORMS = "a .tflite or .onnx file, or the folder of a SavedModel or of OpenVINO"
UNCOMPARED = "scored on the labels alone: it was not compared with a Keras model"
DRAWS = 1000

Scores = Mapping[str, Mapping[str, np.ndarray]]


def check_file(
    file: str | Path,
    pictures: Any,
    *,
    model: keras.Model | str | Path | None = None,
    waive: Sequence[str] = (),
    latency: bool = True,
    seed: int = 0,
) -> ExportReport:
    """Hold one file to the contract of its format, whoever made it.

    With `model`, the file's scores are compared with the Keras model's, output by
    output as `export` compares them, and the tasks are the model's. Without it the
    file is scored on the labels alone, and a note says that its agreement was not
    checked; its tasks are then those of the `model.json` beside it, or the
    pictures' where the class names in a `.tflite` file's metadata are theirs.

    Args:
        file: A `.tflite` or `.onnx` file, the folder of a SavedModel or of OpenVINO.
        pictures: As `evaluate` takes them: a Manifest (its test part where it has
            one), (images, labels), or a dataset. With a model also images alone.
        model: The Keras model, or its `.keras` file, that the file should agree with.
        waive: Formats whose breach is accepted.
        latency: Whether to measure the time a picture takes (`.tflite` only).
        seed: Seed of the draws.

    Returns:
        The `ExportReport` of this one file. Its `cause` says what was broken; ""
        where the contract holds. Nothing is written or renamed.

    Raises:
        InputError: For a file that cannot be run, whose outputs are not those of the
            tasks, or whose tasks nothing tells; for pictures without labels where
            there is no model; and for a name in `waive` that is no format.

    Example:
        >>> check_file("gone.tflite", None)
        Traceback (most recent call last):
        kerastl.errors.InputError: Expected a .tflite or ... ... There is no gone.tflite.
    """
    path, form = Path(file), file_format(file)
    if waive:
        check_formats(tuple(waive))
    ours = None if model is None else _in_keras(model)
    theirs = _opened(path, form, ours, pictures)
    data, source = pictures, "pictures"
    if isinstance(pictures, Manifest):
        data, source = scored_part(pictures)
    ran: dict[str, Predictor] = {"file": theirs} | ({"keras": ours} if ours else {})
    made, labels, groups = run_all(ran, batches_of(theirs, data))
    drawn = {"groups": groups, "draws": DRAWS, "seed": seed}
    if ours is None and labels is None:
        raise InputError("Expected pictures with labels, or the model= to compare the file with.")
    at = theirs.thresholds
    good = {
        name: accuracies(theirs.tasks, labels, scores, thresholds=at, **drawn)
        for name, scores in made.items()
    }
    tasks = {
        task.name: _compared(task, labels, made, good["file"][task.name], at.get(task.name), drawn)
        for task in theirs.tasks
    }
    found = _examined(path, form, tasks, latency)
    if ours is None:
        found = replace(found, notes=(*found.notes, UNCOMPARED))
    count = len(made["file"][theirs.tasks[0].name])
    return ExportReport(
        source if labels else "pictures",
        count,
        good.get("keras", {}),
        (_judged(found, made, waive),),
    )


def file_format(path: str | Path) -> str:
    """The name of the format that a file has, told by what is in it.

    Args:
        path: A file or a folder.

    Raises:
        InputError: For what is none of the exported formats.

    Example:
        >>> file_format("model.onnx")
        Traceback (most recent call last):
        kerastl.errors.InputError: Expected a .tflite or .onnx file, ... There is no model.onnx.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"Expected {FORMS}. There is no {path}.")
    if (path / "saved_model.pb").is_file():
        return "saved_model"
    if (path / GRAPH).is_file() or path.name == GRAPH:
        return "openvino"
    if path.is_file() and path.suffix == ".onnx":
        return "onnx"
    if path.is_file() and path.suffix == ".tflite":
        return _tflite_format(path)
    raise InputError(f"Expected {FORMS}. Received: {path}, which is none of them.")


def _tflite_format(path: Path) -> str:
    """By the types of its tensors: the name of a file from elsewhere may say anything."""
    LiteRTModel(path)  # says in a sentence what is wrong with a damaged file
    with quiet():
        details = Interpreter(str(path)).get_tensor_details()
    types = {np.dtype(detail["dtype"]).name for detail in details}
    if "float16" in types:
        return "float16"
    if "int8" not in types:
        return "float32"
    return "dynamic" if "float32" in types else "int8"


def _in_keras(model: keras.Model | str | Path) -> KerasPredictor:
    found = load_model(model) if isinstance(model, (str, Path)) else model
    return KerasPredictor(in_float32(found))


def _opened(path: Path, form: str, ours: KerasPredictor | None, pictures: Any) -> Predictor:
    described, teller = _described(path, ours, pictures)
    try:
        return RUNNERS[form](path, *described)
    except InputError as error:
        if not error.faults:  # not another model than described, but a damaged one
            raise
        has, wants = (fault.partition(": ")[2] for fault in error.faults)
        raise InputError(
            f"{path} does not fit {teller}. Expected an output of each task's name, with a score "
            "for each class, and the same picture size.",
            [f"the file: {has}", f"{teller}: {wants}"],
        ) from error


def _described(path: Path, ours: KerasPredictor | None, pictures: Any) -> tuple[Described, str]:
    """Tasks, picture size and thresholds that the file should have, and who says so."""
    told = read_beside(path) if sidecar_of(path).is_file() else None
    if ours is None:
        return (told, NAME) if told else (_by_metadata(path, pictures), "the pictures")
    if told and told[0] != ours.tasks:
        raise InputError(
            f"The {NAME} beside {path} tells an app of other tasks than the model has.",
            [f"{NAME}: {told[0]}", f"the model: {ours.tasks}"],
        )
    return (ours.tasks, ours.image_size, ours.thresholds), "the model"


def _by_metadata(path: Path, pictures: Any) -> Described:
    """The pictures' tasks, where the class names inside the file are theirs, in their order."""
    found = read_metadata(path) if path.suffix == ".tflite" else {}
    classes = {o["name"]: tuple(o["labels"]) for o in found.get("outputs", ()) if o["labels"]}
    if not classes or not isinstance(pictures, Manifest):
        raise InputError(
            f"There is no {NAME} beside {path} that names its tasks and classes. Give the model it "
            "was made from, or put the file where it was exported."
        )
    # A file of labels has a line for each class: a line break in a name is a space there.
    told = {t.name: tuple(" ".join(c.splitlines()) for c in t.classes) for t in pictures.tasks}
    if classes != told:
        raise InputError(
            f"The metadata of {path} has other classes than the pictures.",
            [f"the file: {classes}", f"the pictures: {told}"],
        )
    return pictures.tasks, LiteRTModel(path).image_size, {}


def _compared(
    task: Task,
    labels: Labels,
    made: Scores,
    accuracy: Accuracy,
    at: Sequence[float] | None,
    drawn: Mapping[str, Any],
) -> Agreement:
    theirs = made["file"][task.name]
    if "keras" not in made:
        return Agreement(None, None, len(theirs), accuracy)
    known = None if labels is None else labels[task.name]
    ours = made["keras"][task.name]
    return agreement(task, ours, theirs, accuracy, at, labels=known, **drawn)


def _examined(path: Path, form: str, tasks: Mapping[str, Agreement], latency: bool) -> ExportedFile:
    """What can be said of the file itself."""
    tflite = FORMATS[form].tflite
    facts = read_facts(path) if tflite else None
    return ExportedFile(
        form,
        str(path),
        size_of(path),
        dict(tasks),
        facts=facts,
        latency=tuple(measure_latency(path, n) for n in (1, 2)) if tflite and latency else (),
        notes=advice(form, facts, None, None),
    )


def _judged(file: ExportedFile, made: Scores, waive: Sequence[str]) -> ExportedFile:
    """The file with what it breaks; one that was compared with nothing is held to the rest."""
    compared = "keras" in made
    broken = breaches(FORMATS[file.format], file if compared else replace(file, tasks={}))
    if not compared:
        odd = [name for name, scores in made["file"].items() if not np.isfinite(scores).all()]
        broken = [*broken, *(f"{file.format}: {name} has scores that are NaN" for name in odd)]
    waived = bool(broken) and file.format in waive
    return replace(file, cause="; ".join(broken), waived=waived)
