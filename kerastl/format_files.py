"""A model written in one format, and what runs the file again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import keras
import numpy as np

from kerastl import conversion
from kerastl.formats import FORMATS
from kerastl.litert import SIGNATURE, LiteRTModel
from kerastl.onnx_conversion import write_onnx, write_openvino
from kerastl.predictors import (
    ExportedPredictor,
    LiteRTPredictor,
    OnnxPredictor,
    OpenVINOPredictor,
    SavedModelPredictor,
)
from kerastl.saved_model_writer import BYTES_INPUT, BYTES_SIGNATURE, write_saved_model
from kerastl.sidecar import INPUT
from kerastl.spec import spec_of
from kerastl.tasks import Task
from kerastl.tflite_metadata import with_metadata

RUNNERS: Mapping[str, type[ExportedPredictor]] = {
    **dict.fromkeys(FORMATS, LiteRTPredictor),
    "saved_model": SavedModelPredictor,
    "onnx": OnnxPredictor,
    "openvino": OpenVINOPredictor,
}
"""By format, what runs its file."""

_WRITERS = {"saved_model": write_saved_model, "onnx": write_onnx, "openvino": write_openvino}


def write_format(model: keras.Model, form: str, file: Path, images: np.ndarray | None) -> str:
    """Write one format.

    Args:
        model: A kerastl model in float32.
        form: The format's name.
        file: The file or folder, which is not there yet.
        images: The calibration pictures, for a format that needs them.

    Returns:
        The reason if the model cannot be converted, else "".

    Raises:
        OSError: If the file cannot be written.
    """
    try:
        if form in _WRITERS:
            _WRITERS[form](model, file)
        else:
            file.write_bytes(with_metadata(_converted(model, form, images), spec_of(model).tasks))
    except OSError:
        raise
    except Exception as error:  # the converter raises nearly every type there is
        line = (str(error).strip().splitlines() or [type(error).__name__])[0]
        return f"the converter refuses the model: {line[:300]}"
    return ""


def _converted(model: keras.Model, form: str, images: np.ndarray | None) -> bytes:
    if FORMATS[form].calibrated:
        return conversion.to_int8(model, images)
    return getattr(conversion, f"to_{form}")(model)


def ports(form: str, tasks: Sequence[Task], image_size: tuple[int, int], path: Path) -> dict:
    """The signatures of a written file: their inputs and outputs by name, in plain JSON values.

    Args:
        form: The file's format.
        tasks: Its tasks.
        image_size: Height and width, in pixels.
        path: The file or folder.

    Returns:
        By signature `inputs` and `outputs`, each with its dtype and its shape (null is
        any number), and where it holds codes their scale and zero point.
    """
    if FORMATS[form].tflite:
        return {SIGNATURE: LiteRTModel(path).ports}
    made = {t.name: {"dtype": "float32", "shape": [None, len(t.classes)]} for t in tasks}
    images = {INPUT: {"dtype": "uint8", "shape": [None, *image_size, 3]}}
    found = {SIGNATURE: {"inputs": images, "outputs": made}}
    if form == "saved_model":
        encoded = {BYTES_INPUT: {"dtype": "string", "shape": [None]}}
        found[BYTES_SIGNATURE] = {"inputs": encoded, "outputs": made}
    return found


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(f.stat().st_size for f in files if f.is_file())
