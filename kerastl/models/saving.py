"""One `.keras` file that still knows its tasks, and that plain Keras opens too."""

from __future__ import annotations

import json
import os
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import keras

from kerastl import __version__
from kerastl.errors import InputError
from kerastl.files import as_folder, writing
from kerastl.models.factories import compile_model
from kerastl.models.graph import functional, outputs
from kerastl.models.spec import Spec, spec_of, with_spec

MODEL = "model.keras"
"""The name of the model's file in the folder of a run."""

ENTRY = "kerastl.json"
"""The file inside the `.keras` archive; Keras reads past it."""

LARGEST_ENTRY = 4 * 1024 * 1024


def save_model(model: keras.Model, path: str | Path) -> Path:
    """Write a model and its tasks into one `.keras` file.

    The optimizer's state is left out: the file is a model to use or to build
    on. `keras.models.load_model` opens it without kerastl.

    Args:
        model: A kerastl model.
        path: Where to; the name ends in `.keras`.

    Returns:
        The path. A file that was there is replaced only when the new one is whole.

    Raises:
        InputError: For a model without tasks, or another ending.
        DiskError: Where the disk is full, or closed to this process.
    """
    path, spec = Path(path), spec_of(model)
    if path.suffix != ".keras":
        raise InputError(f"Expected a file name that ends in .keras. Received: {str(path)!r}.")
    folder = as_folder(path.parent)
    # Without compile(), so that opening the file needs no loss of kerastl's.
    bare = keras.Model(functional(model).inputs[0], outputs(model), name=model.name)
    with writing(path):
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=f".{path.stem}-") as unfinished:
            new = Path(unfinished) / path.name
            bare.save(new)
            with zipfile.ZipFile(new, "a") as archive:
                archive.writestr(ENTRY, json.dumps({"kerastl": __version__, **spec.to_dict()}))
            os.replace(new, path)
    return path


def load_model(path: str | Path) -> keras.Model:
    """Read a model that `save_model` wrote, compiled and with its tasks.

    Args:
        path: A `.keras` file.

    Returns:
        The compiled model.

    Raises:
        InputError: When there is no such file, or it is not one of kerastl's.
    """
    path = Path(path)
    spec = read_spec(path)
    try:
        model = keras.models.load_model(path, compile=False, safe_mode=True)
    except (ValueError, TypeError, OSError, KeyError) as error:
        raise InputError(f"The model file {path} cannot be read: {_first_line(error)}") from error
    return compile_model(with_spec(model, spec))


def read_spec(path: str | Path) -> Spec:
    """The spec inside a `.keras` file, without loading the model.

    Raises:
        InputError: When there is no such file, or it is not one of kerastl's.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"There is no model file {path}.")
    try:
        with zipfile.ZipFile(path) as archive:
            return Spec.from_dict(_entry(archive, path))
    except (zipfile.BadZipFile, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InputError(
            f"{path} is not a whole .keras file ({_first_line(error)}). "
            "Expected one that kerastl.save_model wrote."
        ) from error


def _entry(archive: zipfile.ZipFile, path: Path) -> dict[str, Any]:
    if ENTRY not in archive.namelist():
        raise InputError(
            f"{path} is a Keras model without kerastl's tasks. To build on it, load it with "
            "keras.models.load_model and give it as the backbone."
        )
    if archive.getinfo(ENTRY).file_size > LARGEST_ENTRY:
        raise InputError(f"{path} holds a description that is too large to be one of kerastl's.")
    plain = json.loads(archive.read(ENTRY))
    if not isinstance(plain, dict):
        raise InputError(f"{path} holds a description that is no JSON object.")
    plain.pop("kerastl", None)
    return plain


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
