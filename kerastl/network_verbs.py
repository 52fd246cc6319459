"""Networks by name: what is there, and where each can be cut."""

from __future__ import annotations

from pathlib import Path

import keras
import pandas as pd

from kerastl.applications import default_image_size
from kerastl.backbones import list_backbones, make_backbone
from kerastl.console import say, show_frame
from kerastl.cuts import cuts_frame
from kerastl.errors import InputError, nearest
from kerastl.saving import load_model


def cuts(backbone: str, *, image_size: int | None, every: bool) -> None:
    """Print a network's stages, or every cut."""
    found = named_backbone(backbone)
    if isinstance(found, str):
        base = make_backbone(found, None, image_size)
        found = keras.Model(base.image, base.features, name=backbone)
    frame = cuts_frame(found)
    if not every:
        frame = frame[frame["stage"] != ""]
    show_frame(frame)
    say(f"\n{len(cuts_frame(found))} cuts. A stage or a layer is what --trainable and --at take.")
    say("KiB a picture are of stored features in float32; float16 takes half.")


def backbones(like: str) -> None:
    """Print the backbones and their picture sizes."""
    names = [n for n in list_backbones() if like.lower() in n.lower()]
    if not names:
        raise InputError(f"There is no backbone like {like!r}.{nearest(like, list_backbones())}")
    sizes = [f"{h} x {w}" for h, w in map(default_image_size, names)]
    show_frame(pd.DataFrame({"backbone": names, "picture": sizes}))


def named_backbone(name: str) -> str | keras.Model:
    """A backbone's name as it is; a .keras file as the model in it.

    Raises:
        InputError: For a file that is not there or cannot be read.

    Example:
        >>> named_backbone("MobileNetV2")
        'MobileNetV2'
    """
    if not name.endswith(".keras"):
        return name
    if not Path(name).is_file():
        raise InputError(f"There is no model file {name}.")
    try:
        return load_model(name)
    except InputError:
        return _plain_keras(name)


def _plain_keras(name: str) -> keras.Model:
    try:
        return keras.models.load_model(name, compile=False, safe_mode=True)
    except (ValueError, TypeError, OSError, KeyError) as error:
        raise InputError(f"The model file {name} cannot be read: {error}") from error
