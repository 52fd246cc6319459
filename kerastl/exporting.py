"""From a Keras model to files for other runtimes, each one checked before it is kept."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kerastl import conversion, labels_file
from kerastl.agreement import accuracies, agreement, run_all
from kerastl.batches import Batch
from kerastl.errors import InputError, nearest
from kerastl.evaluation import batches_of, held_out
from kerastl.export_report import Agreement, ExportedFile, ExportReport
from kerastl.manifest import Manifest
from kerastl.predictors import KerasPredictor, LiteRTPredictor, Predictor, SavedModelPredictor
from kerastl.reports import update_report

FILES = {
    "saved_model": "saved_model",
    "float32": "model_float32.tflite",
    "int8": "model_int8.tflite",
}
EXACT = ("saved_model", "float32")
LIMIT = 1e-3
"""The largest difference from a Keras score that an exact file may have."""

CALIBRATION, EVALUATION, RANDOM = 200, 256, 16
DRAWS = 1000


def export(
    model: keras.Model,
    path: str | Path,
    formats: Sequence[str] = tuple(FILES),
    *,
    calibration: Any = None,
    evaluation: Any = None,
    seed: int = 0,
) -> ExportReport:
    """Write a model for servers and phones, and check what was written.

    Every file takes uint8 RGB images `[batch, height, width, 3]` (in a `.tflite`
    file the batch is 1), preprocesses them itself and gives one output per task:
    class scores `[batch, classes]`. Beside them go `labels.json`, which has the
    thresholds that make answers of them, and `report.json`. A file is kept only
    when its scores are those of the Keras model; one that was there before is
    replaced only by a better one.

    Args:
        model: A kerastl model.
        path: The folder to write into.
        formats: Of "saved_model", "float32" and "int8" (TFLite both).
        calibration: For int8: a Manifest (its train part), images, (images,
            labels) or a `tf.data.Dataset`; 200 pictures of it set the ranges.
        evaluation: The pictures to check on, all of them, as `evaluate` takes
            them. By default up to 256 of the calibration Manifest's test part.
            Where there are none, random images are used, and the report says so.
        seed: Seed of every choice and draw.

    Returns:
        The `ExportReport`.

    Raises:
        InputError: For formats or pictures that will not do; when a format could
            not be written; and when a SavedModel or float32 file differs from
            the Keras model by more than 1e-3: it is kept as `<name>.rejected`.
            The other files and the report are then written all the same.

    Example:
        >>> from kerastl.models import classifier
        >>> x = keras.Input((8, 8, 3))
        >>> own = keras.Model(x, keras.layers.Conv2D(2, 3, name="conv")(x))
        >>> model = classifier(own, ["cat", "dog"], image_size=8)
        >>> report = export(model, tempfile.mkdtemp(), ["float32"])
        >>> [file.file for file in report.files], report.files[0].tasks["label"].same
        (['model_float32.tflite'], 1.0)
    """
    folder, chosen = Path(path), _check_formats(formats)
    # Half precision is no yardstick: a file is held against the same weights in float32.
    model = conversion.in_float32(model)
    ours = KerasPredictor(model)
    images = _calibration(ours, calibration, seed) if "int8" in chosen else None
    batches, source = _evaluation(ours, calibration, evaluation, seed)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".export-") as work:
            causes = {f: _write(model, f, Path(work) / FILES[f], images) for f in chosen}
            report = _check(ours, Path(work), causes, (batches, source), seed)
            _keep(ours, folder, Path(work), report)
    except OSError as error:
        cause = error.strerror or str(error)
        raise InputError(
            f"The export into {folder} could not be written: {cause}. No file is half written."
        ) from error
    _raise_refused(report)
    return report


def _check_formats(formats: Sequence[str]) -> tuple[str, ...]:
    chosen = (formats,) if isinstance(formats, str) else tuple(dict.fromkeys(formats))
    odd = [f for f in chosen if f not in FILES]
    if odd or not chosen:
        hint = nearest(odd[0], FILES) if odd else ""
        raise InputError(f"Expected formats of {', '.join(FILES)}. Received: {formats!r}.{hint}")
    return chosen


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
        evaluation = held_out(evaluation)
    if evaluation is not None:
        return batches_of(ours, evaluation), "held-out pictures"
    if isinstance(calibration, Manifest) and calibration.has("test"):
        part = held_out(calibration)
        return batches_of(ours, part, most=EVALUATION, seed=seed), "held-out pictures"
    images = _random_images(ours.image_size, seed)
    return [Batch(images, None, np.arange(len(images)))], "random images"


def _random_images(image_size: tuple[int, int], seed: int) -> np.ndarray:
    """Half of them noise, half of them patches, which reach deeper layers."""
    rng = np.random.default_rng(seed)
    height, width = image_size
    noise = rng.integers(0, 256, (RANDOM // 2, height, width, 3), dtype="uint8")
    coarse = rng.integers(0, 256, (RANDOM // 2, 4, 4, 3), dtype="uint8")
    rows, columns = np.arange(height) * 4 // height, np.arange(width) * 4 // width
    return np.concatenate([noise, coarse[:, rows][:, :, columns]])


def _write(model: keras.Model, form: str, file: Path, images: np.ndarray | None) -> str:
    """Write one format; the reason if the model cannot be converted, else ""."""
    try:
        if form == "saved_model":
            conversion.write_saved_model(model, file)
        else:
            made = (
                conversion.to_int8(model, images)
                if form == "int8"
                else conversion.to_float32(model)
            )
            file.write_bytes(made)
    except OSError:
        raise
    except Exception as error:  # the converter raises nearly every type there is
        line = (str(error).strip().splitlines() or [type(error).__name__])[0]
        return f"the converter refuses the model: {line[:300]}"
    return ""


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
        opened = SavedModelPredictor if form == "saved_model" else LiteRTPredictor
        predictors[form] = opened(work / FILES[form], tasks, size, at)
    made, labels = run_all(predictors, pictures[0])
    good = {n: accuracies(tasks, labels, s, thresholds=at, draws=DRAWS, seed=seed)
            for n, s in made.items()}  # fmt: skip
    files = []
    for form, cause in causes.items():
        found = {
            n: agreement(t, made["keras"][n], made[form][n], good[form][n], at.get(n))
            for n, t in ((t.name, t) for t in (tasks if form in made else ()))
        }
        cause = cause or _verdict(form, found)
        files.append(ExportedFile(form, FILES[form], _size(work / FILES[form]), found, cause))
    n = len(made["keras"][tasks[0].name])
    return ExportReport(pictures[1], n, good["keras"], tuple(files))


def _verdict(form: str, tasks: dict[str, Agreement]) -> str:
    """Why a file's scores will not do; "" where they do."""
    limit = LIMIT if form in EXACT else np.inf
    off = {n: a.largest for n, a in tasks.items() if a.largest is None or a.largest > limit}
    told = [f"{n} by {'NaN' if d is None else f'{d:.2g}'}" for n, d in off.items()]
    return f"its scores differ from the Keras model's: {', '.join(told)}" if told else ""


def _keep(ours: Predictor, folder: Path, work: Path, report: ExportReport) -> None:
    """Move what was written into place: a good file over its older one, a bad one aside."""
    for file in report.files:
        new = work / file.file
        if new.exists():
            name = f"{file.file}.rejected" if file.cause else file.file
            _place(new, folder / name, work / f"{file.file}.older")
    labels_file.write_labels(folder, ours.tasks, ours.image_size, ours.thresholds)
    update_report(folder, export=report.to_dict())


def _place(new: Path, target: Path, aside: Path) -> None:
    """Replace `target`, which may be a folder: it is put back where that fails."""
    moved = target.is_dir()
    if moved:
        os.replace(target, aside)
    try:
        os.replace(new, target)
    except OSError:
        if moved:
            os.replace(aside, target)
        raise


def _size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(f.stat().st_size for f in files if f.is_file())


def _raise_refused(report: ExportReport) -> None:
    faults = [f"{f.file}: {f.cause}" for f in report.files if f.cause]
    if faults:
        raise InputError(
            f"{len(faults)} of {len(report.files)} files were not kept. Expected files that can "
            "be converted and give the Keras model's scores. report.json has the figures.",
            faults,
        )
