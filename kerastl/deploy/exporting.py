"""From a Keras model to files for other runtimes, each one checked before it is kept.

Good files take their places in the folder; bad ones, and old ones that it would misread, go aside.
"""

from __future__ import annotations

import itertools
import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kerastl.data.batches import Batch
from kerastl.data.manifest import Manifest
from kerastl.deploy import tflite
from kerastl.deploy.contract import (
    ExportedFile,
    ExportReport,
    RefusedExport,
    accuracies,
    agreement,
    breaches,
    run_all,
)
from kerastl.deploy.formats import DEFAULT, FORMATS, check_formats
from kerastl.deploy.tflite_facts import advice, measure_latency, read_facts, slowness
from kerastl.deploy.writers import RUNNERS, ports, size_of, write_format
from kerastl.errors import InputError
from kerastl.files import as_folder, disk_error, sha256, writable
from kerastl.inference.evaluation import batches_of, scored_part
from kerastl.inference.predictors import KerasPredictor, Predictor
from kerastl.inference.sidecar import read_sidecar, sidecar_of, update_report, write_sidecar
from kerastl.models.graph import network_key
from kerastl.models.spec import spec_of

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
        scored_on=report.source, files={name: files[name] for name in order},
        data=spec_of(model).trained_on,
    )  # fmt: skip


def _entry(file: ExportedFile, path: Path, key: str, ours: KerasPredictor) -> dict[str, Any]:
    """What an app may check of a file before it loads it, and what it needs to run it."""
    return {
        "file": file.file, "bytes": file.size, "sha256": sha256(path),
        "network": key, "waived": file.waived,
        "signatures": ports(file.format, ours.tasks, ours.image_size, path),
    }  # fmt: skip


CALIBRATION, EVALUATION, RANDOM = 200, 256, 64
DRAWS = 1000
THREADS = (1, 2)


def export(
    model: keras.Model,
    path: str | Path,
    formats: Sequence[str] = DEFAULT,
    *,
    calibration: Any = None,
    evaluation: Any = None,
    waive: Sequence[str] = (),
    latency: bool = True,
    seed: int = 0,
) -> ExportReport:
    """Write a model for servers and phones, and check what was written.

    Every file takes uint8 RGB images `[batch, height, width, 3]` (in a `.tflite`
    file the batch is 1), preprocesses them itself and gives one output per task:
    class scores `[batch, classes]`. Beside them go `model.json`, which says what an
    app needs to know, and `report.json`. A file is kept only when it holds the
    contract of its format (`formats.FORMATS`) against the Keras model. One that was
    there before is replaced only by one that does; of another format it stays, or, where
    `model.json` would no longer be true of it, goes aside as `<name>.older`.

    Args:
        model: A kerastl model.
        path: The folder to write into.
        formats: Of "saved_model", "float32", "float16", "dynamic", "int8" (the last
            four are TFLite), and where their packages are installed "weights_int8",
            "onnx" and "openvino"; "all" is every one that is installed.
        calibration: For int8: a Manifest (its train part), images, (images,
            labels) or a `tf.data.Dataset`; 200 pictures of it set the ranges.
        evaluation: The pictures to check on, all of them, as `evaluate` takes
            them. By default up to 256 of the calibration Manifest's test part, or else
            of its val part. Where there are none, random images are used, and the report says so.
        waive: Formats whose file is kept though it breaks its contract.
        latency: Whether to measure what a picture takes, on one thread and on two.
        seed: Seed of every choice and draw.

    Returns:
        The `ExportReport`.

    Raises:
        InputError: For formats or pictures that will not do.
        RefusedExport: An InputError: when a format could not be written, and when a
            file breaks its contract; it is kept as `<name>.rejected`. The other files
            and the report, which is the error's `report`, are written all the same.

    Example:
        >>> from kerastl.models import classifier
        >>> x = keras.Input((8, 8, 3))
        >>> own = keras.Model(x, keras.layers.Conv2D(2, 3, name="conv")(x))
        >>> model = classifier(own, ["cat", "dog"], image_size=8)
        >>> report = export(model, tempfile.mkdtemp(), ["float32"])
        >>> [file.file for file in report.files], report.files[0].tasks["label"].same
        (['model_float32.tflite'], 1.0)
    """
    folder, chosen = as_folder(path), check_formats(formats)
    _check_waived(waive, chosen)
    # Half precision is no yardstick: a file is held against the same weights in float32.
    model = tflite.in_float32(model)
    tflite.image_spec(model, "uint8", 1)  # raises where the size is open
    ours = KerasPredictor(model)
    images = _calibration(ours, calibration, seed) if "int8" in chosen else None
    batches, source = _evaluation(ours, calibration, evaluation, seed)
    batches = _begun(batches)
    writable(folder)
    try:
        with tempfile.TemporaryDirectory(dir=folder, prefix=".export-") as work:
            causes = {f: write_format(model, f, Path(work) / FORMATS[f].file, images)
                      for f in chosen}  # fmt: skip
            report = _check(ours, Path(work), causes, (batches, source), seed)
            report = _judged(report, Path(work), images, waive=waive, latency=latency)
            report = keep(model, ours, folder, Path(work), report)
    except OSError as error:
        cause = error.strerror or str(error)
        raise disk_error(error, folder) or InputError(
            f"The export into {folder} could not be written: {cause}. No file is half written."
        ) from error
    _raise_refused(report)
    return report


def _check_waived(waive: Sequence[str], chosen: Sequence[str]) -> None:
    odd = [name for name in waive if name not in chosen]
    if isinstance(waive, str) or odd:
        raise InputError(
            f"Expected waive= a list of formats that are exported ({', '.join(chosen)}). "
            f"Received: {waive!r}."
        )


def _calibration(ours: Predictor, data: Any, seed: int) -> np.ndarray:
    if data is None:
        raise InputError(
            "Expected calibration= pictures for int8, such as the training data. Received: none. "
            "Give them, or leave int8 out: formats=('saved_model', 'float32')."
        )
    if isinstance(data, Manifest) and data.has("train"):
        data = data.split("train")
    found = [b.images for b in batches_of(ours, data, most=CALIBRATION, seed=seed)]
    images = np.concatenate(found) if found else np.zeros((0, 1, 1, 3), "uint8")
    varied = images[images.min(axis=(1, 2, 3)) < images.max(axis=(1, 2, 3))]
    if not len(varied):
        raise InputError(
            f"Expected calibration pictures that show something. Received: {len(images)}, all of "
            "one colour. Give pictures like those the model will see."
        )
    return varied


def _evaluation(
    ours: Predictor, calibration: Any, evaluation: Any, seed: int
) -> tuple[Iterable[Batch], str]:
    if isinstance(evaluation, Manifest):
        part, words = scored_part(evaluation)
        return batches_of(ours, part), words
    if evaluation is not None:
        return batches_of(ours, evaluation), "evaluation pictures"
    if isinstance(calibration, Manifest) and (calibration.has("test") or calibration.has("val")):
        part, words = scored_part(calibration)
        return batches_of(ours, part, most=EVALUATION, seed=seed), words
    images = _random_images(ours.image_size, seed)
    return [Batch(images, None, np.arange(len(images)))], "random images"


def _begun(batches: Iterable[Batch]) -> Iterator[Batch]:
    """The same batches, the first one read: what is wrong with it is told before the work."""
    rest = iter(batches)
    for first in rest:
        return itertools.chain([first], rest)
    raise InputError("Expected at least one evaluation picture that can be read.")


def _random_images(image_size: tuple[int, int], seed: int) -> np.ndarray:
    """Half of them noise, half of them patches, which reach deeper layers."""
    rng = np.random.default_rng(seed)
    height, width = image_size
    noise = rng.integers(0, 256, (RANDOM // 2, height, width, 3), dtype="uint8")
    coarse = rng.integers(0, 256, (RANDOM // 2, 4, 4, 3), dtype="uint8")
    rows, columns = np.arange(height) * 4 // height, np.arange(width) * 4 // width
    return np.concatenate([noise, coarse[:, rows][:, :, columns]])


def _check(
    ours: KerasPredictor,
    work: Path,
    causes: dict[str, str],
    pictures: tuple[Iterable[Batch], str],
    seed: int,
) -> ExportReport:
    """Run every file that was written beside the Keras model, on the same pictures."""
    tasks, size, at = ours.tasks, ours.image_size, ours.thresholds
    predictors: dict[str, Predictor] = {"keras": ours}
    for form in (form for form, cause in causes.items() if not cause):
        predictors[form] = RUNNERS[form](work / FORMATS[form].file, tasks, size, at)
    made, labels, groups = run_all(predictors, pictures[0])
    drawn = {"groups": groups, "draws": DRAWS, "seed": seed}
    good = {n: accuracies(tasks, labels, s, thresholds=at, **drawn) for n, s in made.items()}
    files = []
    for form, cause in causes.items():
        found = {
            n: agreement(t, made["keras"][n], made[form][n], good[form][n], at.get(n),
                         labels=None if labels is None else labels[n], **drawn)
            for n, t in ((t.name, t) for t in (tasks if form in made else ()))
        }  # fmt: skip
        file = FORMATS[form].file
        files.append(ExportedFile(form, file, size_of(work / file), found, cause))
    n = len(made["keras"][tasks[0].name])
    return ExportReport(pictures[1], n, good["keras"], tuple(files))


def _judged(
    report: ExportReport,
    work: Path,
    images: np.ndarray | None,
    *,
    waive: Sequence[str],
    latency: bool,
) -> ExportReport:
    """The report with what each file is made of, what it breaks and what helps."""
    written = {f.format: work / f.file for f in report.files if not f.cause}
    facts = {n: read_facts(path) for n, path in written.items() if FORMATS[n].tflite}
    times = {n: tuple(measure_latency(written[n], threads) for threads in THREADS)
             for n in (facts if latency else ())}  # fmt: skip
    files = []
    for file in report.files:
        name = file.format
        notes = (
            *advice(name, facts.get(name), facts.get("float32"), images),
            *slowness(name, times.get(name, ()), times.get("float32", ())),
        )
        file = replace(file, facts=facts.get(name), latency=times.get(name, ()), notes=notes)
        broken = [] if file.cause else breaches(FORMATS[name], file)
        waived = bool(broken) and name in waive
        files.append(replace(file, cause=file.cause or "; ".join(broken), waived=waived))
    return replace(report, files=tuple(files))


def _raise_refused(report: ExportReport) -> None:
    faults = [f"{f.file}: {f.cause}" for f in report.files if f.refused]
    if faults:
        raise RefusedExport(
            f"{len(faults)} of {len(report.files)} files were not kept. Expected files that can "
            "be converted and hold the contract of their format. report.json has the figures; "
            "waive a format to keep its file as it is.",
            faults,
            report,
        )
