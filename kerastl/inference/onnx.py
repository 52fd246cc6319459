"""An `.onnx` file as a function from pictures to scores, run by ONNX Runtime."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kerastl.data.batches import image_array
from kerastl.errors import InputError
from kerastl.terminal import quiet

TASKS = "kerastl_tasks"
"""Key in the file's metadata of the tasks' names, in JSON, in the order of the outputs."""

BATCH = 32
"""Images that are run at a time."""

Ports = dict[str, tuple[str, Sequence[Any]]]
"""Type and shape of inputs or outputs by name."""


class OnnxModel:
    """An exported file, ready to run on this CPU.

    Args:
        path: The `.onnx` file.
        threads: Threads it may use; None lets ONNX Runtime choose.

    Raises:
        InputError: If the file is no whole ONNX model, or does not take one batch of
            RGB images in uint8; and where onnxruntime is not installed.

    Example:
        >>> OnnxModel("gone.onnx")
        Traceback (most recent call last):
        kerastl.errors.InputError: Expected an ONNX model file. Received: gone.onnx, which ...
    """

    def __init__(self, path: str | Path, threads: int | None = None):
        self.path = Path(path)
        self._session, given, made, told = _open(self.path, threads)
        self._input, (batch, *self._size, _) = _checked_input(self.path, given)
        self._batch = 1 if batch == 1 else BATCH
        self.outputs = _outputs(self.path, made, told)
        self._names = list(made)

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width, in pixels, of the images the file takes."""
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
        made = self._session.run(self._names, {self._input: images})
        return dict(zip(self.outputs, made, strict=True))


def task_names(outputs: Sequence[str], told: str | None, path: Path) -> list[str]:
    """The name of each output's task.

    Args:
        outputs: The outputs' own names.
        told: What the file says of them: the tasks' names in JSON; None where it says
            nothing, and each output bears its task's name.
        path: The file, for the error.

    Returns:
        The tasks' names in the order of the outputs.

    Raises:
        InputError: Where `told` does not belong to these outputs.

    Example:
        >>> task_names(["images_", "zone"], '["images", "zone"]', Path("model.onnx"))
        ['images', 'zone']
    """
    if told is None:
        return list(outputs)
    try:
        names = json.loads(told)
    except (ValueError, RecursionError):
        names = None
    strings = isinstance(names, list) and all(isinstance(name, str) for name in names)
    if not strings or len(names) != len(outputs) or len(set(names)) < len(names):
        raise InputError(
            f"Expected {path} to name a task for each of its outputs, {list(outputs)}. Received: "
            f"{told[:200]}. Export it again."
        )
    return names


def in_batches(
    run: Callable[[np.ndarray], Mapping[str, np.ndarray]],
    images: np.ndarray,
    batch: int,
    widths: Mapping[str, int],
) -> dict[str, np.ndarray]:
    """The scores of all images, made by `run` from `batch` of them at a time.

    Args:
        run: A function from images to scores by name.
        images: `[n, height, width, 3]`; n may be 0.
        batch: Images at a time, at most.
        widths: The number of scores by name.

    Returns:
        By name float32 `[n, scores]`.

    Example:
        >>> def brightness(images):
        ...     return {"grey": images.mean(axis=(1, 2))[:, :1]}
        >>> in_batches(brightness, np.full((3, 2, 2, 3), 7), 2, {"grey": 1})["grey"].tolist()
        [[7.0], [7.0], [7.0]]
    """
    ran = [run(images[start : start + batch]) for start in range(0, len(images), batch)]
    none = {name: np.zeros((0, width), "float32") for name, width in widths.items()}
    return {name: np.concatenate([none[name], *(r[name] for r in ran)]) for name in none}


def is_images(shape: Sequence[Any]) -> bool:
    """Whether a shape is `[batch, height, width, 3]`, its batch open (no int) or 1.

    Example:
        >>> is_images(["batch", 8, 8, 3]), is_images([1, 8, 8, 3]), is_images([1, 3, 8, 8])
        (True, True, False)
    """
    if len(shape) != 4 or shape[3] != 3 or (isinstance(shape[0], int) and shape[0] != 1):
        return False
    return all(isinstance(n, int) and n > 0 for n in shape[1:3])


def is_scores(shape: Sequence[Any]) -> bool:
    """Whether a shape is `[batch, scores]`, the number of scores known.

    Example:
        >>> is_scores(["batch", 3]), is_scores([1, "scores"]), is_scores([3])
        (True, False, False)
    """
    return len(shape) == 2 and isinstance(shape[1], int)


def _checked_input(path: Path, given: Ports) -> tuple[str, Sequence[Any]]:
    """Name and shape of the one input."""
    for name, (kind, shape) in given.items() if len(given) == 1 else ():
        if kind == "tensor(uint8)" and is_images(shape):
            return name, shape
    raise InputError(
        "Expected a model of one input [batch, height, width, 3] in uint8, of one image size "
        f"and any batch, or a batch of one. Received: {path} with {given}."
    )


def _outputs(path: Path, made: Ports, told: str | None) -> dict[str, int]:
    """The number of scores by task name, in the order of the outputs."""
    if not all(kind == "tensor(float)" and is_scores(shape) for kind, shape in made.values()):
        raise InputError(
            f"Expected outputs [batch, scores] in float32. Received: {path} with {made}."
        )
    tasks = task_names(list(made), told, path)
    return {task: shape[1] for task, (_, shape) in zip(tasks, made.values(), strict=True)}


def _open(path: Path, threads: int | None) -> tuple[Any, Ports, Ports, str | None]:
    """A session, its inputs, its outputs, and what the file says of its tasks."""
    if not path.is_file():
        raise InputError(f"Expected an ONNX model file. Received: {path}, which is no file.")
    runtime = _onnxruntime()
    options = runtime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = threads or 0
    try:
        with quiet():
            # Its fallback would print, and try the same once more.
            session = runtime.InferenceSession(
                str(path), options, ["CPUExecutionProvider"], enable_fallback=0
            )
            given, made = _ports(session.get_inputs()), _ports(session.get_outputs())
            return session, given, made, session.get_modelmeta().custom_metadata_map.get(TASKS)
    except Exception as error:  # ONNX Runtime's exceptions have no common type of their own
        line = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InputError(
            f"Expected a whole ONNX model file. Received: {path}, which ONNX Runtime refuses "
            f"({line[:200]}). Export or copy the file again."
        ) from error


def _ports(found: Iterable[Any]) -> Ports:
    return {port.name: (port.type, port.shape) for port in found}


def _onnxruntime() -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise InputError(
            "An .onnx file is run by onnxruntime, which is not installed. "
            "Run: pip install 'kerastl[onnx]'."
        ) from error
    return onnxruntime
