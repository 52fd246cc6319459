"""Files of predictions in a cache folder: parts, each whole and checked. They need no Keras.

A part is a digest of 16 bytes, then an .npz with arrays and, as JSON, what they are of.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kerastl.features.store.shards import NAME, publish
from kerastl.files import DIGEST

FOLDER = "predictions"
"""Of the parts, within the cache folder; in it one folder for each model."""

SUFFIX = ".part"

MODEL = "model.keras"
"""A file beside the parts with the model, for workers on other machines."""

LARGEST = 1024**3


class DamagedPart(ValueError):
    """A part that is not what was written; its text is the cause."""


def write_checked(path: Path, told: Mapping[str, Any], arrays: Sequence[np.ndarray]) -> None:
    """Publish a part.

    Args:
        path: The file; its folder exists.
        told: Plain JSON values. `tasks` names what each array is of.
        arrays: Scores.

    Raises:
        InputError: Where it cannot be written.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "a.part"
        >>> write_checked(path, {"tasks": ["a"]}, [np.array([0.5])])
        >>> read_checked(path)
        ({'tasks': ['a']}, [array([0.5])])
    """
    named = {f"scores{n}": values for n, values in enumerate(arrays)}
    data = io.BytesIO()
    np.savez(data, told=np.frombuffer(json.dumps(told).encode(), "uint8"), **named)
    content = data.getvalue()
    publish(path, [_digest(content), content])


def read_checked(path: Path) -> tuple[dict[str, Any], list[np.ndarray]]:
    """What `write_checked` wrote.

    Args:
        path: The file.

    Raises:
        FileNotFoundError: Where there is none.
        DamagedPart: With the cause.
    """
    try:
        if path.stat().st_size > LARGEST:
            raise DamagedPart("it is too large to be one")
        data = path.read_bytes()
        if _digest(data[DIGEST:]) != data[:DIGEST]:
            raise DamagedPart("its checksum is wrong: cut short, or a changed bit")
        return _parsed(data[DIGEST:])
    except FileNotFoundError:
        raise
    except OSError as error:
        raise DamagedPart((error.strerror or str(error)).lower()) from error
    except Exception as error:  # ZIP files and NumPy raise nearly every type there is
        raise DamagedPart(str(error)) from error


def prediction_folders(cache: Path) -> list[Path]:
    """The folders of parts in a cache folder, one for each model."""
    place = cache / FOLDER
    found = sorted(place.iterdir()) if place.is_dir() else []
    return [p for p in found if NAME.fullmatch(p.name) and p.is_dir() and part_files(p)]


def part_files(folder: Path) -> list[Path]:
    """The parts of one model, in the order of their names."""
    return sorted(p for p in folder.glob(f"*{SUFFIX}") if NAME.fullmatch(p.stem))


def _parsed(data: bytes) -> tuple[dict[str, Any], list[np.ndarray]]:
    with np.load(io.BytesIO(data), allow_pickle=False) as file:
        told = json.loads(file["told"].tobytes())
        return told, [file[f"scores{n}"] for n in range(len(told["tasks"]))]


def _digest(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=DIGEST).digest()
