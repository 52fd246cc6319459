"""What a search is of, kept beside it: another search does not go on in its folder."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras

from kerastl.content_index import stamp
from kerastl.files import as_folder, write_json
from kerastl.kept_settings import hold_to
from kerastl.manifest import Manifest
from kerastl.network_key import network_key
from kerastl.training_data import identity

SETTINGS = "search.json"
TRIALS = "trials"
"""In a search's folder: what it is of, and KerasTuner's own files."""


DAMAGED = "{} is damaged. Begin anew with overwrite=True (--overwrite)."


def data_digest(data: Manifest) -> str:
    """What the train and val parts are known by: their labels, and their files' stamps."""
    digest = hashlib.blake2b(digest_size=8)
    for part in (data.split("train"), data.split("val")):
        digest.update(identity(part))
        digest.update(b"".join(stamp(path) or b"-" for path in part.frame["image"]))
    return digest.hexdigest()


def same_search(folder: Path, settings: Mapping[str, Any], overwrite: bool) -> None:
    """Write what a search is of, or compare it with that of the trials that are there.

    Args:
        folder: The search's.
        settings: All that decides what a trial of given values comes to.
        overwrite: Whether to write over what is there.

    Raises:
        InputError: Naming each setting that differs, and how to begin anew; and where the
            folder is a file.
    """
    path = as_folder(folder) / SETTINGS
    given = {name: _described(v) for name, v in settings.items()}
    begun = any((folder / TRIALS).glob("trial_*"))
    if not begun:
        shutil.rmtree(folder / TRIALS, ignore_errors=True)  # an oracle that was never asked
    if path.exists() and begun and not overwrite:
        other = (
            f"{folder} holds a search with other settings. Give another folder, or begin anew "
            "with overwrite=True (--overwrite)."
        )
        hold_to(path, given, other, DAMAGED.format(path))
    else:
        write_json(path, given)


def _described(value: Any) -> str:
    if isinstance(value, keras.Model):
        return f"{value.name} {network_key(value)}"
    if isinstance(value, keras.layers.Layer):
        value = keras.saving.serialize_keras_object(value)
    return str(value) if isinstance(value, (str, Path)) else repr(value)
