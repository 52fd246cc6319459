"""OpenVINO's files (`model.xml`, `model.bin`) as a function from pictures to scores."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from kerastl.data.batches import image_array
from kerastl.errors import InputError
from kerastl.features.openvino import core
from kerastl.inference.onnx import BATCH, in_batches, is_images, is_scores, task_names
from kerastl.terminal import quiet

GRAPH, WEIGHTS = "model.xml", "model.bin"
TASKS = ["kerastl", "tasks"]
"""Where the graph's runtime information has the tasks' names, as an `.onnx` file's metadata."""


class OpenVINOModel:
    """An exported folder, ready to run on this CPU.

    It computes in float32. OpenVINO itself would take bfloat16 where a CPU has it.

    Args:
        path: The folder of `model.xml` and `model.bin`, or the `.xml` file.
        threads: Threads it may use; None lets OpenVINO choose.

    Raises:
        InputError: If the two are no whole model, or it does not take one batch of
            RGB images in uint8; and where openvino is not installed.

    Example:
        >>> OpenVINOModel("gone")
        Traceback (most recent call last):
        kerastl.errors.InputError: Expected OpenVINO's model.xml and ... There is no gone/model.xml.
    """

    def __init__(self, path: str | Path, threads: int | None = None):
        path = Path(path)
        self.path = path if path.suffix == ".xml" else path / GRAPH
        with _whole(self.path):
            network = core().read_model(self.path)
            self._batch, *self._size = _checked_input(self.path, network)
            self.outputs = _outputs(self.path, network)
            self._request = _compiled(network, threads)

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width, in pixels, of the images the model takes."""
        height, width = self._size
        return height, width

    def predict(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """The scores of some images.

        Args:
            images: uint8 `[n, height, width, 3]`, RGB.

        Returns:
            By task name float32 `[n, scores]`.

        Raises:
            InputError: For images of another size or type.
        """
        images = image_array(images, self.image_size)
        return in_batches(self._run, images, self._batch, self.outputs)

    def _run(self, images: np.ndarray) -> dict[str, np.ndarray]:
        self._request.infer([np.ascontiguousarray(images)])
        made = enumerate(self.outputs)  # copied: the next run overwrites the tensors
        return {task: self._request.get_output_tensor(i).data.copy() for i, task in made}


@contextlib.contextmanager
def _whole(path: Path) -> Iterator[None]:
    """Turn what OpenVINO raises for a file that is missing or damaged into an InputError."""
    missing = [p for p in (path, path.with_suffix(".bin")) if not p.is_file()]
    if missing:
        raise InputError(
            f"Expected OpenVINO's {GRAPH} and {WEIGHTS} in one folder. There is no {missing[0]}."
        )
    try:
        with quiet():
            yield
    except (RuntimeError, UnicodeDecodeError) as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise InputError(
            f"Expected a whole OpenVINO model. Received: {path}, which OpenVINO refuses "
            f"({(lines or ['no reason given'])[-1][:200]}). Export or copy its folder again."
        ) from error


def _compiled(network: Any, threads: int | None) -> Any:
    hints: dict[str, Any] = {"INFERENCE_PRECISION_HINT": "f32"}
    if threads:
        hints["INFERENCE_NUM_THREADS"] = threads
    return core().compile_model(network, "CPU", hints).create_infer_request()


def _checked_input(path: Path, network: Any) -> tuple[int, int, int]:
    """The batch to run at a time, the height and the width."""
    found = [(i.element_type.to_string(), _shape(i)) for i in network.inputs]
    for kind, shape in found if len(found) == 1 else []:
        if kind == "u8" and is_images(shape):
            return (1 if shape[0] == 1 else BATCH), shape[1], shape[2]
    raise InputError(
        "Expected a model of one input [batch, height, width, 3] in uint8 (u8), of one image size "
        f"and any batch, or a batch of one. Received: {path} with {found}."
    )


def _outputs(path: Path, network: Any) -> dict[str, int]:
    """The number of scores by task name, in the order of the outputs."""
    names = [next(iter(sorted(o.names)), f"output {i}") for i, o in enumerate(network.outputs)]
    found = [(o.element_type.to_string(), _shape(o)) for o in network.outputs]
    if not all(kind == "f32" and is_scores(shape) for kind, shape in found):
        raise InputError(
            f"Expected outputs [batch, scores] in float32 (f32). Received: {path} with {found}."
        )
    told = network.get_rt_info(TASKS).astype(str) if network.has_rt_info(TASKS) else None
    tasks = task_names(names, told, path)
    return {task: shape[1] for task, (_, shape) in zip(tasks, found, strict=True)}


def _shape(port: Any) -> list[int | None]:
    return [None if d.is_dynamic else d.get_length() for d in port.partial_shape]
