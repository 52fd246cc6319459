"""Keras as kerastl needs it: on TensorFlow, in float32, channels last.

`KERAS_BACKEND` and `keras.json` may say otherwise, for other programs. The backend is chosen when
kerastl is imported, before Keras is; the rest is looked at when Keras has been loaded.
"""

from __future__ import annotations

import os
import sys

from kerastl.errors import InputError

BACKEND = "tensorflow"
NEEDED = {"floatx": "float32", "image_data_format": "channels_last"}

notes: list[str] = []
"""What was set aside, for whoever shows it."""

_command: list[bool] = []


def choose() -> None:
    """Have Keras run on TensorFlow, where it is not loaded yet; it loads nothing."""
    if "keras" in sys.modules:
        return
    given = os.environ.get("KERAS_BACKEND", BACKEND)
    if given != BACKEND:
        notes.append(f"KERAS_BACKEND={given} is set aside: kerastl runs on TensorFlow.")
    os.environ["KERAS_BACKEND"] = BACKEND


def take() -> None:
    """Say that this process is a command of kerastl's, whose Keras is its own to set."""
    _command.append(True)


def check() -> None:
    """Hold the Keras of this process to what kerastl needs; a command's is set so.

    Raises:
        InputError: Naming each setting that is another, and how to mend it.

    Example:
        >>> check()  # fine where Keras is as it comes
    """
    import keras

    faults = []
    if keras.config.backend() != BACKEND:
        faults.append(
            f"the backend is {keras.config.backend()!r}: set KERAS_BACKEND={BACKEND}, or import "
            "kerastl before keras"
        )
    for name, needed in NEEDED.items():
        given = getattr(keras.config, name)()
        if given == needed:
            continue
        if _command:
            notes.append(f"{name} {given} of keras.json is set aside: kerastl needs {needed}.")
            getattr(keras.config, f"set_{name}")(needed)
        else:
            faults.append(
                f"{name} is {given!r}: call keras.config.set_{name}({needed!r}) before, "
                "or mend keras.json"
            )
    if faults:
        raise InputError("kerastl needs Keras with other settings than this process has.", faults)
