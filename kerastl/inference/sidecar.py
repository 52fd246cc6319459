"""`model.json`: what an app needs to know of the model files that it lies beside.

Beside it lies report.json, to which each step of a run writes its own part.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from kerastl import __version__
from kerastl.data.tasks import Task, as_tasks
from kerastl.errors import InputError
from kerastl.files import write_json
from kerastl.scoring.decisions import complete, threshold_count, threshold_faults

REPORT = "report.json"


def update_report(folder: str | Path, **parts: Any) -> Path:
    """Put parts into a folder's report.json and keep the others that stand there."""
    return write_json(Path(folder) / REPORT, {**read_report(folder), **parts})


def read_report(folder: str | Path) -> dict[str, Any]:
    """What stands in a folder's report.json; nothing where there is none that can be read."""
    try:
        there = json.loads((Path(folder) / REPORT).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return there if isinstance(there, dict) else {}


NAME = "model.json"
OLDER = "labels.json"
"""What it was called; read where there is none."""
VERSION = 1
"""Of what stands in it."""

INPUT = "images"
"""Name of the exported files' one input."""

Described = tuple[tuple[Task, ...], tuple[int, int], dict[str, tuple[float, ...]]]

MAKERS = ("keras", "tensorflow")
LARGEST = 16 * 1024 * 1024
LARGEST_SIDE = 16384


def describe(
    tasks: Sequence[Task],
    image_size: tuple[int, int],
    thresholds: Mapping[str, Sequence[float]] | None = None,
    *,
    files: Mapping[str, Any] | None = None,
    scores: Mapping[str, Any] | None = None,
    scored_on: str = "",
    data: Sequence[str | None] = (),
) -> dict[str, Any]:
    """The contents of `model.json` as plain JSON values.

    Args:
        tasks: The tasks; each one's scores are the output of the same name.
        image_size: Height and width, in pixels.
        thresholds: By task, as a Spec's; by default 0.5.
        files: By format what there is to say of its file, in plain JSON values.
        scores: By task, likewise.
        scored_on: What pictures the scores are of, in words.
        data: The digests of what the model was trained on, as in its Spec.
    """
    at = complete(tasks, thresholds)
    return {
        "version": VERSION,
        "made_by": {"kerastl": __version__, **{name: _version(name) for name in MAKERS}},
        "input": {
            "name": INPUT,
            "dtype": "uint8",
            "shape": [*image_size, 3],
            "layout": "height, width, channels",
            "colour_order": "RGB",
            "range": [0, 255],
            "resizing": "bilinear with antialiasing, stretched to the shape",
        },
        "tasks": [_described(t, at.get(t.name)) for t in tasks],
        "files": dict(files or {}),
        "scores": dict(scores or {}),
        "scored_on": scored_on,
        "training_data": list(data),
    }


def write_sidecar(
    folder: str | Path,
    tasks: Sequence[Task],
    image_size: tuple[int, int],
    thresholds: Mapping[str, Sequence[float]] | None = None,
    **more: Any,
) -> Path:
    """Write `model.json` into a folder, whole or not at all; what it takes is `describe`'s."""
    return write_json(Path(folder) / NAME, describe(tasks, image_size, thresholds, **more))


def sidecar_of(file: str | Path) -> Path:
    """Where a model file's `model.json` is, or the `labels.json` of an older export."""
    beside = Path(file).parent
    older = beside / OLDER
    return older if older.is_file() and not (beside / NAME).is_file() else beside / NAME


def read_sidecar(path: str | Path) -> Described:
    """The tasks, the image size and the thresholds that a `model.json` gives.

    Args:
        path: The file.

    Returns:
        The tasks; (height, width) in pixels; and by name the thresholds of each
        binary and multilabel task, 0.5 where the file (an older one) has none.

    Raises:
        InputError: If the file is missing or malformed, with every fault in it.
    """
    values = _load(Path(path))
    faults = list(_faults(values))
    tasks: list[Task] = []
    for number, plain in enumerate(values["tasks"] if not faults else []):
        try:
            tasks.append(_task(plain))
        except InputError as error:
            faults += [f"tasks, number {number}: {fault}" for fault in error.faults]
    if faults:
        raise InputError(f"{path} does not describe an exported model. Export it again.", faults)
    height, width, _ = values["input"]["shape"]
    told = {t["name"]: t["thresholds"] for t in values["tasks"] if "thresholds" in t}
    return as_tasks(tasks), (height, width), complete(tasks, told)


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None  # a build under another name, such as tensorflow-cpu


def _task(plain: Mapping[str, Any]) -> Task:
    task = Task(plain["name"], tuple(plain["classes"]), plain["kind"])
    faults = list(threshold_faults(task, plain["thresholds"])) if "thresholds" in plain else []
    if faults:
        raise InputError(f"The thresholds of {task.name!r} cannot be used.", faults)
    return task


def _described(task: Task, thresholds: Sequence[float] | None) -> dict[str, Any]:
    told = {**task.to_dict(), "output": task.name, "scores": _meaning(task)}
    return {**told, "thresholds": list(thresholds)} if threshold_count(task) else told


def _meaning(task: Task) -> str:
    if task.kind == "multilabel":
        return (
            "one per class, each from 0 to 1; a label is given where its score is at least its "
            "threshold, in the order of the classes"
        )
    if task.kind == "binary":
        return (
            "two, from 0 to 1, together 1; the second class is the answer where its score is at "
            "least the threshold, else the first"
        )
    return "one per class, from 0 to 1, together 1; the largest is the answer"


def _load(path: Path) -> Any:
    if not path.is_file():
        raise InputError(
            f"Expected {path}, which names the classes of the model file beside it. There is no "
            "such file: copy it from where the model was exported."
        )
    if path.stat().st_size > LARGEST:
        raise InputError(f"{path} is too large for a file of labels ({LARGEST} bytes at most).")
    try:
        return json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is no JSON ({error}). Export the model again.") from error


def _faults(values: Any) -> Iterator[str]:
    if not isinstance(values, Mapping):
        yield "expected an object with input and tasks"
        return
    about = values.get("input")
    shape = about.get("shape") if isinstance(about, Mapping) else None
    if not _is_shape(shape):
        yield f"input: expected a shape [height, width, 3]; received {shape!r}"
    tasks = values.get("tasks")
    if not isinstance(tasks, list) or not tasks:
        yield f"tasks: expected a list of at least one; received {tasks!r}"
        return
    for number, task in enumerate(tasks):
        if not _is_task(task):
            yield f"tasks, number {number}: expected a name, a kind and a list of classes"


def _is_shape(shape: Any) -> bool:
    whole = isinstance(shape, list) and len(shape) == 3 and all(type(n) is int for n in shape)
    return whole and shape[2] == 3 and all(1 <= n <= LARGEST_SIDE for n in shape[:2])


def _is_task(task: Any) -> bool:
    if not isinstance(task, Mapping) or not isinstance(task.get("classes"), list):
        return False
    words = [task.get("name"), task.get("kind"), *task["classes"]]
    return all(isinstance(word, str) for word in words)
