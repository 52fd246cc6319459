"""The data that a command names: to train on, to score a model on, or only to run through."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from pathlib import Path
from typing import Any

import pandas as pd

from kerastl.cli.console import err
from kerastl.data.division import FILE as DIVISION
from kerastl.data.division import Division, run_of
from kerastl.data.manifest import Manifest, path_column
from kerastl.data.readers.csv_file import csv_table
from kerastl.data.readers.grouping import groups_of_paths
from kerastl.data.readers.tabular import picture_paths, read_csv, read_folder
from kerastl.data.tasks import UNKNOWN, Task
from kerastl.data.walking import Walked
from kerastl.errors import InputError, nearest
from kerastl.inference.evaluation import scored_part
from kerastl.inference.prediction import search
from kerastl.inference.sidecar import read_report, read_sidecar, sidecar_of
from kerastl.models.saving import MODEL, read_spec
from kerastl.training.data import training_digest

READ_WITH = ("unknown", "unsure", "image", "group", "tags")
"""What a run remembers of how it read its table."""

TABLES = (".csv", ".tsv")
NO_LABELS = Task("label", ("no", "yes"), kind="binary")


def open_data(
    data: str, *, tasks: Sequence[str] | Sequence[Task] = (), seed: int = 0, **words: Any
) -> Manifest:
    """Read the pictures that a command names: a folder, a .csv table or tfds:NAME.

    Args:
        data: What to read.
        tasks: Columns of a table to predict; by default all that are not taken. Or
            a model's tasks, whose classes need not all be there.
        seed: Seed of the splits.
        **words: Of a table: `unknown`, `unsure`, `uncertain`, `image`, `group` and `tags`, as
            `read_csv` has them; of a folder `group`, as `read_folder` has it.

    Raises:
        InputError: For data that cannot be read, or options of a table for others.
    """
    path = Path(data)
    table = path.suffix.lower() in (".csv", ".tsv")
    folder = not table and not data.startswith("tfds:")
    odd = [] if table else [name for name in words if not (folder and name == "group")]
    if odd:
        options = ", ".join(f"--{name}" for name in odd)
        raise InputError(f"{options}: only a .csv table has such columns and words.")
    named = [task for task in tasks if isinstance(task, str)]
    if data.startswith("tfds:"):
        from kerastl.data.readers.tfds import read_tfds

        return read_tfds(data.removeprefix("tfds:"), seed=seed, tasks=named or None)
    if table:
        whole = len(named) == len(tasks)
        return read_csv(path, seed=seed, tasks=list(tasks) or None, to_train=whole, **words)
    if named:
        raise InputError("--task names a column of a table. A folder's classes are its folders.")
    alone = len(tasks) == 1 and tasks[0].kind != "multilabel"
    task = tasks[0] if alone else "label"
    return read_folder(path, task=task, seed=seed, **words)


@dataclass(frozen=True)
class Opened:
    """The pictures that a model is to be used on, and those of them that it is scored on.

    Args:
        pictures: All of them.
        scored: Those that are scored; None where the model has seen them all.
        source: What these are, in words: held-out pictures, or others.
    """

    pictures: Manifest
    scored: Manifest | None
    source: str


def open_for(
    model: Path, data: str | None, *, seed: int = 0, told: bool = True, **words: Any
) -> Opened | None:
    """The pictures for a model, and those that it is scored on: none that its run has seen.

    Beside a model of a run lies its division: each picture, known by content, is in the part that
    it was in, whatever the seed, and others are held out, unless they are of a group that was
    trained on. How many were seen is told. Of a model without a run, only data that its own
    record names are known to be divided as they were when it was trained; of others nothing is
    known, which is told, and all are scored, or the test part that they come with.

    Args:
        model: A run's folder, or a file in it.
        data: As in `open_data`; None stands for the run's own pictures.
        seed: As in `open_data`.
        told: Whether to say how many were seen.
        **words: As in `open_data`; by default a table is read as the run read its own.

    Returns:
        The pictures; None where there are no data to read.

    Raises:
        InputError: As `open_data`, and for a division that is damaged.
    """
    run = run_of(model)
    made = {} if run is None else read_report(run).get("training", {})
    if data is None:
        data = made.get("data", "")
        if not data.startswith("tfds:") and not (data and Path(data).exists()):
            return None
    tasks, trained_on = _told_by(model)
    known = {task.name: task for task in tasks}
    words["tasks"] = [known.get(name, name) for name in words.get("tasks", ())] or tasks
    found = _read(data, seed, _read_with(data, made), words)
    if run is None:
        return _of_unknown_origin(model, found, trained_on)
    found, seen = Division.read(run / DIVISION).applied(found)
    if seen and told and not found.has("test"):
        _tell(f"None of the {len(found):,} pictures is held out: all were trained or tuned on.")
    elif seen and told:
        _tell(f"{len(found):,} pictures, {seen:,} of them were trained or tuned on: left out.")
    if not (found.has("test") or found.has("val")):
        return Opened(found, None, "")
    return Opened(found, *scored_part(found))


def _read(
    data: str, seed: int, remembered: Mapping[str, Any], words: Mapping[str, Any]
) -> Manifest:
    """Data as a run read its own; a column that others lack is told, and done without."""
    try:
        return open_data(data, seed=seed, **{**remembered, **words})
    except InputError:
        extra = [n for n in ("image", "group") if n not in words and _lacks(data, remembered, n)]
        if not extra:
            raise
    fewer = {name: word for name, word in remembered.items() if name not in extra}
    found = open_data(data, seed=seed, **{**fewer, **words})
    lacking = " and ".join(f"--{name} {remembered[name]}" for name in extra)
    _tell(f"{data} is read without {lacking}, with which the run read its own data.")
    return found


def _lacks(data: str, remembered: Mapping[str, Any], name: str) -> bool:
    """Whether data have no column, or no folder, of what the run read its own with."""
    word = remembered.get(name)
    if word is None:
        return False
    if "*" in word:
        return not any(groups_of_paths(word, list_pictures(data).frame["image"].tolist()))
    if Path(data).suffix.lower() not in TABLES:
        return True
    return word not in csv_table(data, None, os.path.dirname(data)).text.columns


def _read_with(data: str, made: Mapping[str, Any]) -> dict[str, Any]:
    """How a run read its own data, as far as it is of use for these."""
    if Path(data).suffix.lower() in TABLES:
        return {name: made[name] for name in READ_WITH if made.get(name)}
    return {"group": made["group"]} if made.get("group") and Path(data).is_dir() else {}


def open_scored(model: Path, data: str | None, **options: Any) -> Opened:
    """The pictures that a model is scored on, of which there have to be some.

    Args:
        model: As in `open_for`.
        data: As in `open_for`.
        **options: As in `open_for`.

    Raises:
        InputError: As `open_for`, and where there are no data, or all of them were seen.
    """
    if data is None and not model.exists():
        raise InputError(f"There is no model {model}.")
    found = open_for(model, data, **options)
    if found is None:
        raise InputError(
            f"Expected DATA: labelled pictures. Those that {model} was made from are not there."
        )
    if found.scored is None:
        raise InputError(
            f"All {len(found.pictures):,} pictures were trained or tuned on. Expected some that "
            "are held out: give others as DATA."
        )
    return found


def _told_by(model: Path) -> tuple[tuple[Task, ...], Sequence[str | None]]:
    """The tasks of a model, and the digests of what it was trained on, as its file tells them."""
    file = model / MODEL if (model / MODEL).is_file() else model
    try:
        if file.suffix == ".keras":
            spec = read_spec(file)
            return spec.tasks, spec.trained_on
        beside = sidecar_of(file)
        return read_sidecar(beside)[0], json.loads(beside.read_bytes()).get("training_data") or ()
    except InputError:  # said where the file is opened, by what it is
        return (), ()


def _of_unknown_origin(model: Path, found: Manifest, trained_on: Sequence[str | None]) -> Opened:
    """Data for a model without a run: divided as they were, or else scored whole."""
    if found.has("train") and trained_on:
        train = found.split("train")
        if {training_digest(train, found.tasks)} == set(trained_on):
            return Opened(found, *scored_part(found))
    scored = scored_part(found)[0] if found.splits and not found.drawn else found.certain()
    _tell(
        f"Nothing tells which pictures {model} was trained on: {len(scored):,} of {len(found):,} "
        "are scored, perhaps some that it has seen."
    )
    plain = scored.frame.drop(columns="split", errors="ignore")
    return Opened(found, replace(scored, frame=plain, drawn=False), "pictures")


def _tell(words: str) -> None:
    err.print(words, markup=False, highlight=False, soft_wrap=True)


def seen_before(*files: str | None) -> Division | None:
    """What was trained or tuned on in the runs that a network's files come from, if in any."""
    runs = [run_of(Path(file)) for file in files if file and Path(file).is_file()]
    divisions = [Division.read(run / DIVISION) for run in runs if run is not None]
    return reduce(Division.with_earlier, divisions) if divisions else None


def open_training(data: str, *files: str | None, seed: int = 0, **words: Any) -> Manifest:
    """Data to train on, of which none is held out that a network was trained on before.

    Args:
        data: As in `open_data`.
        *files: Of the networks: backbones and weights, of which some may be files of runs.
        seed: As in `open_data`.
        **words: As in `open_data`.

    Raises:
        InputError: As `open_data`, and for a division that is damaged.
    """
    found, earlier = open_data(data, seed=seed, **words), seen_before(*files)
    for file in files:
        if _of_no_run(file):
            _tell(
                f"Nothing tells which pictures {file} was trained on: it may have seen some of "
                "those that are held out here."
            )
    if earlier is None:
        return found
    found, seen = earlier.spared(found)
    if seen:
        _tell(f"{seen:,} pictures were trained or tuned on before: they are not held out.")
    return found


def _of_no_run(file: str | None) -> bool:
    """Whether it is a network of ours that was trained, and no run says on what."""
    alone = file and file.endswith(".keras") and Path(file).is_file() and not run_of(Path(file))
    return bool(alone and _told_by(Path(file))[1])


def say_notes(manifest: Manifest) -> None:
    """Tell what was noted of data whose summary is not shown."""
    for note in manifest.notes:
        _tell(f"note: {note}")


def list_pictures(data: str) -> Manifest:
    """Every picture that a command names, all labels unknown.

    Args:
        data: A folder, searched also below and through links; a .csv or .tsv table, of which
            the column of pictures is read; or tfds:NAME.

    Raises:
        InputError: For data that cannot be read, or have no picture.

    Example:
        >>> import pathlib, tempfile
        >>> root = pathlib.Path(tempfile.mkdtemp())
        >>> for name in ("a.png", "b.jpg", "notes.txt"):
        ...     (root / name).touch()
        >>> len(list_pictures(str(root)))
        2
    """
    if data.startswith("tfds:"):
        return open_data(data)
    suffix = os.path.splitext(data)[1].lower()
    if suffix in TABLES:
        names, skipped = list(dict.fromkeys(picture_paths(data))), {}
    else:
        found = _below(data)
        names, skipped = found.pictures, found.without_pictures
    frame = pd.DataFrame({"image": path_column(names), NO_LABELS.name: UNKNOWN})
    return Manifest(frame, (NO_LABELS,), skipped)


def _below(data: str) -> Walked:
    if not os.path.isdir(data):
        above, name = os.path.split(os.path.abspath(data))
        there = os.listdir(above) if os.access(above, os.R_OK) else []
        raise InputError(f"There is no folder {data}.{nearest(name, there)}")
    return search(data)
