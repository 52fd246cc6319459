"""The formats that a model can be exported in, and how far each may be from the Keras model."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from kerastl.errors import InputError, nearest


@dataclass(frozen=True)
class Format:
    """A format: the file that it writes, and the contract that the file must hold to be kept.

    Attributes:
        name: Its name, as in "float32".
        file: The file, or folder, that it writes.
        largest: The largest difference of any score from the Keras model's; None
            where it is not held.
        same: The least share of pictures with the Keras model's answer.
        points: The accuracy that may be lost, a share (0.02 is two points). It is
            broken only where the 95 % interval of the paired difference lies wholly
            beyond it.
        package: The module that it needs beyond kerastl's own needs, else "".
        extra: What installs that module: `pip install 'kerastl[EXTRA]'`.

    Example:
        >>> FORMATS["int8"].calibrated, FORMATS["onnx"].tflite
        (True, False)
    """

    name: str
    file: str
    largest: float | None
    same: float
    points: float
    package: str = ""
    extra: str = ""

    @property
    def quantised(self) -> bool:
        """Whether its weights are 8-bit integers."""
        return self.name in ("dynamic", "int8", "weights_int8")

    @property
    def calibrated(self) -> bool:
        """Whether it needs pictures that show the ranges of the activations."""
        return self.name == "int8"

    @property
    def tflite(self) -> bool:
        """Whether the LiteRT interpreter runs it."""
        return self.file.endswith(".tflite")

    @property
    def installed(self) -> bool:
        """Whether what it needs can be imported."""
        return not self.package or importlib.util.find_spec(self.package) is not None


_ALL = (
    Format("saved_model", "saved_model", 1e-3, 0.99, 0.0),
    Format("float32", "model_float32.tflite", 1e-3, 0.99, 0.0),
    Format("float16", "model_float16.tflite", 0.02, 0.99, 0.0),
    Format("dynamic", "model_dynamic.tflite", None, 0.92, 0.02),
    Format("int8", "model_int8.tflite", None, 0.90, 0.03),
    Format(
        "weights_int8", "model_weights_int8.tflite", None, 0.92, 0.02,
        "ai_edge_quantizer", "quantizer",
    ),
    Format("onnx", "model.onnx", 1e-3, 0.99, 0.0, "tf2onnx", "onnx"),
    Format("openvino", "model_openvino", 1e-3, 0.99, 0.0, "openvino", "fast"),
)  # fmt: skip

FORMATS: Mapping[str, Format] = MappingProxyType({form.name: form for form in _ALL})
"""Every format by its name.

The exact ones compute as Keras does: what is over 1e-3 is a fault, not rounding. The limits
of the others are set beside a measurement, EfficientNetLite0 (ImageNet weights, heads on
160 solar cells, 96 others scored): float16 moved a score by 0.007 at most. 8 bits changed
the answer of 5 of 96 cells in a task that is hard (0.77 accuracy, so many scores are near
the threshold) and of none in an easy one; the accuracy differed by no more than the noise.
"""

DEFAULT = ("saved_model", "float32", "float16", "dynamic", "int8")
"""Those that `export` writes when none is named."""

ALL = "all"


def check_formats(formats: Sequence[str] | str) -> tuple[str, ...]:
    """The names of formats, each once, in the order given.

    Args:
        formats: A name of `FORMATS`, several, or "all": every one whose package is
            installed.

    Returns:
        The names.

    Raises:
        InputError: For none, for a name that is no format, and for a format whose
            package is not installed; all of them at once.

    Example:
        >>> check_formats(["int8", "float32", "int8"])
        ('int8', 'float32')
        >>> check_formats("flaot16")
        Traceback (most recent call last):
        kerastl.errors.InputError: Expected formats of ... Did you mean float16?
    """
    if formats == ALL:
        return tuple(name for name, form in FORMATS.items() if form.installed)
    given = (formats,) if isinstance(formats, str) else tuple(dict.fromkeys(formats))
    odd = [name for name in given if name not in FORMATS]
    if odd or not given:
        hint = nearest(odd[0], [*FORMATS, ALL]) if odd else ""
        known = ", ".join(FORMATS)
        raise InputError(f"Expected formats of {known}, or all. Received: {formats!r}.{hint}")
    missing = [FORMATS[name] for name in given if not FORMATS[name].installed]
    if missing:
        raise InputError("Some formats need packages that are not installed.", map(_lack, missing))
    return given


def _lack(form: Format) -> str:
    return f"{form.name} needs {form.package}. Run: pip install 'kerastl[{form.extra}]'."
