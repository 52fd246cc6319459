"""A model written in one format, and what runs the file again.

The SavedModel, which servers load, takes images or picture files as they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerastl.data.tasks import Task
from kerastl.deploy import tflite
from kerastl.deploy.decoding import decode_picture
from kerastl.deploy.formats import FORMATS
from kerastl.deploy.onnx import write_onnx, write_openvino
from kerastl.deploy.tflite import archive, image_spec, in_float32, scoring
from kerastl.deploy.tflite_metadata import with_metadata
from kerastl.inference.litert import SIGNATURE, LiteRTModel
from kerastl.inference.predictors import (
    ExportedPredictor,
    LiteRTPredictor,
    OnnxPredictor,
    OpenVINOPredictor,
    SavedModelPredictor,
)
from kerastl.inference.sidecar import INPUT
from kerastl.models.spec import spec_of

BYTES_SIGNATURE = "serve_bytes"
BYTES_INPUT = "encoded"


def write_saved_model(model: keras.Model, folder: str | Path) -> None:
    """Write a SavedModel that needs neither kerastl nor Keras.

    It has two signatures over the same weights. Both give by task name the scores
    `[batch, classes]`, float32, one per class name (two for a binary task):

    - `serving_default` takes `images`, uint8 RGB `[batch, height, width, 3]`;
    - `serve_bytes` takes `encoded`, strings `[batch]`: the bytes of JPEG and PNG files,
      which it decodes, turns upright and resizes as `kerastl.predict` does. One bad
      picture fails its batch. What differs from `predict` is told at `decode_picture`;
      other kinds of files are refused.

    Args:
        model: A kerastl model.
        folder: A folder that is not there yet.

    Raises:
        InputError: For a model of no fixed image size.

    Example:
        >>> import tempfile
        >>> from kerastl.models import classifier
        >>> x = keras.Input((8, 8, 3))
        >>> own = keras.Model(x, keras.layers.Conv2D(2, 3, name="conv")(x))
        >>> folder = Path(tempfile.mkdtemp(), "saved_model")
        >>> write_saved_model(classifier(own, ["cat", "dog"], image_size=8), folder)
        >>> calls = tf.saved_model.load(str(folder)).signatures
        >>> grey = tf.fill([5, 6, 3], tf.constant(99, tf.uint8))
        >>> calls["serve_bytes"](encoded=tf.io.encode_png(grey)[None])["label"].shape
        TensorShape([1, 2])
    """
    images = image_spec(model, tf.uint8, None)
    model = in_float32(model)
    score = scoring(model, spec_of(model).tasks)

    def score_bytes(encoded: Any) -> dict[str, Any]:
        size, one = images.shape[1:3], tf.TensorSpec(images.shape[1:], tf.uint8)
        decoded = tf.map_fn(
            lambda picture: decode_picture(picture, tuple(size)), encoded, fn_output_signature=one
        )
        return score(decoded)

    encoded = tf.TensorSpec((None,), tf.string, name=BYTES_INPUT)
    calls = {
        SIGNATURE: tf.function(score, input_signature=[images], autograph=False),
        BYTES_SIGNATURE: tf.function(score_bytes, input_signature=[encoded], autograph=False),
    }
    archive(model, folder, calls)


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
        return tflite.to_int8(model, images)
    return getattr(tflite, f"to_{form}")(model)


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
