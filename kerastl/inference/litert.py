"""A `.tflite` file as a function from pictures to scores, run by the LiteRT interpreter."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from kerastl.data.batches import image_array
from kerastl.errors import InputError
from kerastl.terminal import quiet

IDENTIFIER = b"TFL3"
SIGNATURE = "serving_default"


class LiteRTModel:
    """An exported file, ready to run.

    Outputs are addressed by their names in the file's signature: the order of the
    outputs inside the file is another one and means nothing.

    Args:
        path: The `.tflite` file.
        threads: Threads the interpreter may use; None lets it choose.

    Raises:
        InputError: If the file is no whole TFLite model, or does not take one
            batch of RGB images.

    Example:
        >>> LiteRTModel(__file__)  # a text file
        Traceback (most recent call last):
        kerastl.errors.InputError: Expected a TFLite model file. Received: ...litert.py...
    """

    def __init__(self, path: str | Path, threads: int | None = None):
        self.path = Path(path)
        self._interpreter = _open(self.path, threads)
        self._runner = self._interpreter.get_signature_runner(_signature(self))
        self._output_details = self._runner.get_output_details()
        [(self._input_name, self._input)] = self._inputs().items()

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width, in pixels, of the images the file takes."""
        _, height, width, _ = self._input["shape"].tolist()
        return height, width

    @property
    def input_dtype(self) -> str:
        """The type of the input's values, such as "uint8"."""
        return np.dtype(self._input["dtype"]).name

    @property
    def input_scale(self) -> tuple[float, int]:
        """Scale and zero point of a quantised input; (1.0, 0) where a code is a grey level."""
        scale, zero = self._input["quantization"]
        return (float(scale), int(zero)) if scale else (1.0, 0)

    @property
    def outputs(self) -> dict[str, int]:
        """The number of scores by output name."""
        return {name: int(d["shape"][-1]) for name, d in self._output_details.items()}

    @property
    def ports(self) -> dict[str, dict[str, Any]]:
        """The `inputs` and the `outputs` by name, in plain JSON values.

        Each has its `dtype` and its `shape`; where it holds codes also the `scale` and
        the `zero_point`: value = (code - zero_point) * scale.
        """
        given = {self._input_name: self._input}
        return {
            "inputs": {name: _port(details) for name, details in given.items()},
            "outputs": {name: _port(details) for name, details in self._output_details.items()},
        }

    def predict(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """The scores of some images, one run of the interpreter for each.

        Args:
            images: uint8 `[n, height, width, 3]`, RGB.

        Returns:
            By output name float32 `[n, scores]`, real values also where the file
            holds quantised ones.

        Raises:
            InputError: For images of another size or type.
        """
        images = image_array(images, self.image_size)
        ran = [self._runner(**{self._input_name: self._encode(one)}) for one in images]
        return {name: self._gather(name, [r[name] for r in ran]) for name in self.outputs}

    def _inputs(self) -> dict[str, Any]:
        inputs = self._runner.get_input_details()
        shapes = {name: d["shape"].tolist() for name, d in inputs.items()}
        if any(len(s) != 4 or s[0] != 1 or s[3] != 3 for s in shapes.values()) or len(shapes) != 1:
            raise InputError(
                f"Expected a model of one input [1, height, width, 3]. Received: "
                f"{self.path} with {shapes}."
            )
        return inputs

    def _encode(self, image: np.ndarray) -> np.ndarray:
        scale, zero = self.input_scale
        dtype = np.dtype(self._input["dtype"])
        if (scale, zero) == (1.0, 0):
            return image[None].astype(dtype)
        limits = np.iinfo(dtype)
        return np.clip(np.round(image[None] / scale) + zero, limits.min, limits.max).astype(dtype)

    def _gather(self, name: str, ran: list[np.ndarray]) -> np.ndarray:
        if not ran:
            return np.zeros((0, self.outputs[name]), "float32")
        values = np.concatenate(ran).astype("float32")
        scale, zero = self._output_details[name]["quantization"]
        return (values - zero) * np.float32(scale) if scale else values


def _port(details: Mapping[str, Any]) -> dict[str, Any]:
    scale, zero = details["quantization"]
    codes = {"scale": float(scale), "zero_point": int(zero)} if scale else {}
    return {"dtype": np.dtype(details["dtype"]).name, "shape": details["shape"].tolist(), **codes}


def _open(path: Path, threads: int | None) -> Any:
    from ai_edge_litert.interpreter import Interpreter

    if not path.is_file():
        raise InputError(f"Expected a TFLite model file. Received: {path}, which is no file.")
    with path.open("rb") as file:
        if file.read(8)[4:] != IDENTIFIER:
            raise InputError(
                f"Expected a TFLite model file. Received: {path}, which does not begin as one does."
            )
    try:
        with quiet():
            interpreter = Interpreter(str(path), num_threads=threads)
            interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise InputError(
            f"Expected a whole TFLite model of built-in operations. Received: {path}, which the "
            f"interpreter refuses ({_first_line(error)}). Export or copy the file again."
        ) from error
    return interpreter


def _signature(model: LiteRTModel) -> str:
    found: Mapping[str, Any] = model._interpreter.get_signature_list()
    if SIGNATURE in found or len(found) == 1:
        return SIGNATURE if SIGNATURE in found else next(iter(found))
    raise InputError(
        f"Expected a TFLite model with a signature {SIGNATURE!r}, which names its outputs. "
        f"Received: {model.path} with {sorted(found) or 'none'}. Export it with kerastl."
    )


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0][:200]
