"""A saved model of any form as one thing: images in, class scores by task out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import keras
import numpy as np
import tensorflow as tf

from kerastl.data.batches import image_array
from kerastl.data.tasks import Task, by_task, class_scores
from kerastl.errors import InputError
from kerastl.features.engines import forward
from kerastl.inference import sidecar
from kerastl.inference.litert import LiteRTModel
from kerastl.inference.onnx import OnnxModel
from kerastl.inference.openvino import GRAPH, OpenVINOModel
from kerastl.models.saving import load_model
from kerastl.models.spec import spec_of
from kerastl.scoring.decisions import complete
from kerastl.terminal import quiet

Size = tuple[int, int]
Thresholds = Mapping[str, Sequence[float]]
FORMS = "a .keras, .tflite or .onnx file, a SavedModel, OpenVINO's folder or the folder of a run"


class Predictor(Protocol):
    """What every form of a model can do.

    Attributes:
        tasks: What it predicts.
        image_size: Height and width of the images it takes, in pixels.
        thresholds: By name of each binary and multilabel task, the score from which
            on each label (of a binary task: the second class) is the answer.
    """

    tasks: tuple[Task, ...]
    image_size: Size
    thresholds: Thresholds

    def predict(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """Scores by task name, float32 `[n, classes]`, of images uint8 `[n, height, width, 3]`."""


class KerasPredictor:
    """A kerastl model in Keras.

    Args:
        model: A model that knows its tasks.
    """

    def __init__(self, model: keras.Model):
        spec = spec_of(model)
        self.model, self.tasks, self.image_size = model, spec.tasks, spec.image_size
        self.thresholds = complete(spec.tasks, spec.thresholds)
        self._forward = forward(model)

    def predict(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """See `Predictor`."""
        outputs = by_task(self.tasks, self._forward(image_array(images, self.image_size)))
        scores = {t.name: class_scores(t, outputs[t.name]) for t in self.tasks}
        return {name: values.astype("float32") for name, values in scores.items()}


class ExportedPredictor(ABC):
    """An exported model, held against what is told of it.

    Args:
        path: The file, or the folder of a SavedModel or of OpenVINO.
        tasks: The tasks its outputs belong to.
        image_size: Height and width, in pixels.
        thresholds: Those of the tasks; by default 0.5.

    Raises:
        InputError: If it is not whole, or another one than described.
    """

    def __init__(
        self,
        path: str | Path,
        tasks: tuple[Task, ...],
        image_size: Size,
        thresholds: Thresholds | None = None,
    ):
        self.path, self.tasks, self.image_size = Path(path), tasks, image_size
        self.thresholds = complete(tasks, thresholds)
        self._check_described(*self._open())

    @abstractmethod
    def _open(self) -> tuple[dict[str, int], Any]:
        """The number of scores by output name, and the shape of one image."""

    def _check_described(self, outputs: dict[str, int], shape: Any) -> None:
        told = {t.name: len(t.classes) for t in self.tasks}
        if (outputs, shape) != (told, (*self.image_size, 3)):
            raise InputError(
                f"{self.path} and the {sidecar.NAME} beside it do not belong together.",
                [f"the file: outputs {outputs}, images {shape}",
                 f"{sidecar.NAME}: outputs {told}, images {(*self.image_size, 3)}"],
            )  # fmt: skip


class SavedModelPredictor(ExportedPredictor):
    """An `ExportedPredictor` of a SavedModel folder."""

    def _open(self) -> tuple[dict[str, int], Any]:
        self._loaded = _load_saved_model(self.path)
        self._call = self._loaded.signatures["serving_default"]
        [*inputs] = self._call.structured_input_signature[1].values()
        shape = tuple(inputs[0].shape)[1:] if len(inputs) == 1 else None
        return {n: s.shape[-1] for n, s in self._call.structured_outputs.items()}, shape

    def predict(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """See `Predictor`."""
        images = tf.constant(image_array(images, self.image_size))
        outputs = self._call(**{sidecar.INPUT: images})
        return {t.name: outputs[t.name].numpy() for t in self.tasks}


class FilePredictor(ExportedPredictor):
    """An `ExportedPredictor` of what a runtime other than TensorFlow opens."""

    runtime: Callable[[Path], Any]

    def _open(self) -> tuple[dict[str, int], Any]:
        self.model = self.runtime(self.path)
        return self.model.outputs, (*self.model.image_size, 3)

    def predict(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """See `Predictor`."""
        outputs = self.model.predict(images)
        return {t.name: outputs[t.name] for t in self.tasks}


class LiteRTPredictor(FilePredictor):
    """An `ExportedPredictor` of a `.tflite` file."""

    runtime = LiteRTModel


class OnnxPredictor(FilePredictor):
    """An `ExportedPredictor` of an `.onnx` file."""

    runtime = OnnxModel


class OpenVINOPredictor(FilePredictor):
    """An `ExportedPredictor` of OpenVINO's folder."""

    runtime = OpenVINOModel


FILES = {".tflite": LiteRTPredictor, ".onnx": OnnxPredictor}


def load_predictor(path: str | Path) -> Predictor:
    """Open a saved model, whichever form it has.

    Args:
        path: A `.keras` file; a `.tflite` or `.onnx` file, a SavedModel or OpenVINO's
            folder (all with the description that they were exported with beside
            them); or the folder of a run, which holds `model.keras`.

    Returns:
        The predictor: `tasks`, `image_size`, `thresholds` and `predict(images)`.

    Raises:
        InputError: If the path is none of these, or the file is damaged.

    Example:
        >>> load_predictor("model.h5")
        Traceback (most recent call last):
        kerastl.errors.InputError: Expected a .keras, ... Received: model.h5, which is nothing.
    """
    path = Path(path)
    if path.name == GRAPH and path.is_file():
        path = path.parent
    if path.is_dir():
        return _open_folder(path)
    if path.suffix == ".keras":
        return KerasPredictor(load_model(path))
    if path.suffix in FILES and path.is_file():
        return FILES[path.suffix](path, *read_beside(path))
    found = "a file of another kind" if path.exists() else "nothing"
    raise InputError(f"Expected {FORMS}. Received: {path}, which is {found}.")


def as_predictor(model: keras.Model | Predictor | str | Path) -> Predictor:
    """A model in memory, an open one, or the path of one, as a predictor."""
    if isinstance(model, (str, Path)):
        return load_predictor(model)
    return KerasPredictor(model) if isinstance(model, keras.Model) else model


def read_beside(path: Path) -> sidecar.Described:
    """What the `model.json` beside a model file (or SavedModel folder) says."""
    return sidecar.read_sidecar(sidecar.sidecar_of(path))


def _open_folder(folder: Path) -> Predictor:
    if (folder / "saved_model.pb").is_file():
        return SavedModelPredictor(folder, *read_beside(folder))
    if (folder / GRAPH).is_file():
        return OpenVINOPredictor(folder, *read_beside(folder))
    for name in ("model.keras", "saved_model"):
        if (folder / name).exists():
            return load_predictor(folder / name)
    raise InputError(
        f"Expected {FORMS}. Received: {folder}, a folder with none of saved_model.pb, {GRAPH} and "
        "model.keras in it."
    )


def _load_saved_model(path: Path) -> Any:
    try:
        with quiet():
            loaded = tf.saved_model.load(str(path))
    except Exception as error:  # a damaged folder raises nearly every type there is
        line = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InputError(
            f"Expected a whole SavedModel folder. Received: {path}, which TensorFlow refuses "
            f"({line[:200]}). Export or copy it again."
        ) from error
    if "serving_default" not in getattr(loaded, "signatures", {}):
        raise InputError(f"The SavedModel {path} has no signature 'serving_default'. Export again.")
    return loaded
