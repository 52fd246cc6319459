"""The arguments and options that several verbs share, and the values that their words stand for."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from kerastl.errors import InputError
from kerastl.tuning.space import depth_policy

UNITS = "kmgt"
_SIZE = re.compile(r"(?P<number>\d+\.?\d*(e\d+)?) ?(?P<unit>[kmgt])?(?P<binary>i)?b?", re.I)


def policy(text: str) -> bool | int | float | str:
    """The `trainable` policy that a word on the command line stands for.

    Example:
        >>> [policy(word) for word in ("heads", "all", "20", "0.25", "stage4")]
        [False, True, 20, 0.25, 'stage4']
    """
    return depth_policy(text)


RANDOM_RATE = 1e-3


def training(trainable: str | None, weights: str, backbone: str) -> tuple[dict, dict]:
    """Options of `create_model` and of `fit`: what trains, and how if it begins at random.

    Random layers that stay frozen teach nothing, so unless LAYERS were given all of them train,
    at once with the heads and all at the same rate.

    Example:
        >>> training(None, "imagenet", "MobileNetV2")
        ({'trainable': 'stage4'}, {})
        >>> training(None, "none", "MobileNetV2")[0]
        {'trainable': True, 'train_batch_norm': True}
        >>> training("0.5", "none", "MobileNetV2")
        ({'trainable': 0.5}, {})
    """
    # A .keras file brings its weights.
    if trainable is None and none(weights) is None and not backbone.endswith(".keras"):
        rates = {"head_epochs": 0, "depth_decay": 1.0, "learning_rate": RANDOM_RATE}
        return {"trainable": True, "train_batch_norm": True}, rates
    return {"trainable": policy(trainable or "stage4")}, {}


def reading(
    tasks: Sequence[str] | None,
    unknown: Sequence[str] | None,
    unsure: Sequence[str] | None,
    uncertain: Sequence[str] | None,
    image: str | None = None,
    group: str | None = None,
    tags: str | None = None,
) -> dict[str, Any]:
    """How a table is read: the options that were given, as the readers take them.

    Example:
        >>> reading(None, None, ["maybe"], ["defect=0.5"], group="patient")
        {'unsure': ['?', 'maybe'], 'uncertain': {'defect': 0.5}, 'group': 'patient'}
    """
    lists = {"tasks": tasks, "unknown": unknown, "unsure": ["?", *unsure] if unsure else None}
    found: dict[str, Any] = {name: list(words) for name, words in lists.items() if words}
    if uncertain:
        found["uncertain"] = _meaning(uncertain)
    return found | given(image=image, group=group, tags=tags)


def _meaning(words: Sequence[str]) -> Any:
    """One meaning of "?" for every label, or a meaning for each of those named."""
    if len(words) == 1 and "=" not in words[0]:
        return _number_or_word(words[0])
    return pairs(words, "--uncertain")


def pairs(words: Sequence[str], option: str) -> dict[str, Any]:
    """NAME=VALUE words as a mapping, numbers as numbers.

    Raises:
        InputError: Naming every word that is none.

    Example:
        >>> pairs(["defect=1", "type=0.3"], "--task-weight")
        {'defect': 1.0, 'type': 0.3}
    """
    odd = [repr(word) for word in words if "=" not in word]
    if odd:
        raise InputError(f"Expected {option} NAME=VALUE. Received:", odd)
    split_words = [word.rpartition("=") for word in words]
    return {name: _number_or_word(value) for name, _, value in split_words}


def _number_or_word(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def none(text: str) -> str | None:
    """The word, or None where it is "none"."""
    return None if text.lower() == "none" else text


def number_range(text: str, option: str) -> float | list[float] | tuple[float, float]:
    """What a number is chosen from: itself, a list of values, or anything between two.

    Raises:
        InputError: For words that are no numbers.

    Example:
        >>> [number_range(word, "--dropout") for word in ("0.2", "0.1,0.3", "0..0.5")]
        [0.2, [0.1, 0.3], (0.0, 0.5)]
    """
    mark = ".." if ".." in text else ","
    try:
        found = [float(word) for word in text.split(mark)]
    except ValueError:
        found = []
    if not found or (mark == ".." and len(found) != 2):
        raise InputError(
            f"Expected {option} with a number, values with commas between, or a range as "
            f"LOWEST..HIGHEST. Received: {text!r}."
        )
    if mark == "..":
        return found[0], found[1]
    return found if len(found) > 1 else found[0]


def picture_sizes(text: str | None) -> int | list[int] | None:
    """Pixels, or several numbers of them to choose from; None where none were given.

    Raises:
        InputError: For words that are no whole numbers.

    Example:
        >>> picture_sizes("224"), picture_sizes("160,224")
        (224, [160, 224])
    """
    words = [] if text is None else text.split(",")
    if not all(word.strip().isdecimal() and int(word) > 0 for word in words):
        raise InputError(
            f"Expected --image-size in pixels, several with commas between. Received: {text!r}."
        )
    found = [int(word) for word in words]
    return found if len(found) > 1 else (found[0] if found else None)


def byte_count(text: str | None, option: str) -> int | None:
    """Bytes from a size in words; None where none was given.

    Raises:
        InputError: For words that are no size.

    Example:
        >>> [byte_count(word, "--keep") for word in ("500MB", "2 GB", "1.5e9", "1GiB", None)]
        [500000000, 2000000000, 1500000000, 1073741824, None]
    """
    if text is None:
        return None
    found = _SIZE.fullmatch(text.strip())
    number = float(found["number"]) if found else math.inf
    if not found or not math.isfinite(number) or (found["binary"] and not found["unit"]):
        wanted = "a size such as 500MB, 2GB or 1.5e9 (bytes)"
        raise InputError(f"Expected {option} with {wanted}. Received: {text!r}.")
    power = UNITS.index(found["unit"].lower()) + 1 if found["unit"] else 0
    return round(number * (1024 if found["binary"] else 1000) ** power)


def given(**options: Any) -> dict[str, Any]:
    """The options that were given a value.

    Example:
        >>> given(cache=None, budget=0)
        {'budget': 0}
    """
    return {name: value for name, value in options.items() if value is not None}


def limit_pixels(pixels: int | None) -> int | None:
    """Let pictures have so many pixels, in this process and in those that it starts."""
    if pixels is not None:
        from kerastl.data.pictures import LIMIT

        os.environ[LIMIT] = str(pixels)
    return pixels


DEFAULT_BACKBONE = "EfficientNetLite0"

Data = Annotated[
    str,
    typer.Argument(
        metavar="DATA",
        help="A folder of class folders, a .csv table with a column `image`, or tfds:NAME.",
        show_default=False,
    ),
]
OwnData = Annotated[
    str | None,
    typer.Argument(
        metavar="DATA",
        help="As of train; by default the pictures that MODEL's run was made from.",
        show_default=False,
    ),
]
Model = Annotated[
    Path,
    typer.Argument(
        metavar="MODEL",
        help="A .keras file, any exported file or folder, or a run's folder.",
        show_default=False,
    ),
]

Backbone = Annotated[
    str, typer.Option(metavar="NAME", help="A name from `kerastl backbones`, or a .keras file.")
]
Weights = Annotated[
    str, typer.Option(metavar="NAME", help="imagenet, none (random), or a weights file.")
]
Trainable = Annotated[
    str | None,
    typer.Option(
        metavar="LAYERS",
        help="heads, all, a number of layers, a share, or the stage to train after.",
        show_default="stage4; all of random weights",
    ),
]
ImageSize = Annotated[
    int | None,
    typer.Option(metavar="PIXELS", min=1, help="By default what the backbone was made for."),
]
Epochs = Annotated[
    int, typer.Option(metavar="N", min=1, help="Epochs at most, of the heads and of the tail.")
]
BatchSize = Annotated[
    int | None, typer.Option(metavar="N", min=1, help="Pictures in a batch.", show_default="32")
]
Seed = Annotated[int, typer.Option(metavar="N", min=0, help="Seed of splits, weights and order.")]
SplitSeed = Annotated[
    int,
    typer.Option("--seed", metavar="N", min=0, help="Seed of the splits of a model without a run."),
]
Balance = Annotated[
    bool, typer.Option("--balance", help="Weigh rare positives by the known counts.")
]
TaskWeights = Annotated[
    list[str] | None,
    typer.Option(
        "--task-weight",
        metavar="TASK=NUMBER",
        help="The weight of a task's loss; repeatable.",
        show_default="1",
    ),
]
Metric = Annotated[
    str,
    typer.Option(
        "--thresholds",
        metavar="METRIC",
        help="Tune decision thresholds on val for f1, accuracy or balanced_accuracy; "
        "none leaves them at 0.5.",
    ),
]
RunFolder = Annotated[
    Path | None,
    typer.Option(
        "--out",
        metavar="FOLDER",
        help="The run's folder; by default saved_models/NAME/NUMBER.",
    ),
]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with an interrupted run.")]

TaskNames = Annotated[
    list[str] | None,
    typer.Option("--task", metavar="COLUMN", help="A table's column to predict; repeatable."),
]
Unknown = Annotated[
    list[str] | None,
    typer.Option(
        metavar="WORD",
        help="A further word for: nobody gave a label; repeatable.",
        show_default="blank",
    ),
]
Unsure = Annotated[
    list[str] | None,
    typer.Option(
        metavar="WORD",
        help="A further word for: the annotator was unsure; repeatable.",
        show_default="?",
    ),
]
Uncertain = Annotated[
    list[str] | None,
    typer.Option(
        metavar="MEANING",
        help="What a ? means in training: ignore, positive, negative or a number from 0 to 1; "
        "or LABEL=MEANING, repeatable.",
        show_default="ignore",
    ),
]

MaxPixels = Annotated[  # what a verb does with it is done when it is read
    int | None,
    typer.Option(
        metavar="N",
        min=1,
        callback=limit_pixels,
        help="The largest picture to read, in pixels; a JPEG may be four times as large where "
        "it is read at a lower scale.",
        show_default="100000000",
    ),
]
ImageColumn = Annotated[
    str | None,
    typer.Option(
        "--image", metavar="COLUMN", help="A table's column of pictures.", show_default="image"
    ),
]
Group = Annotated[
    str | None,
    typer.Option(
        metavar="COLUMN",
        help="A table's column of groups that no split may divide, as patients; or a pattern of "
        "the folders in its paths that are groups: 'patient*'.",
        show_default="group",
    ),
]
Tags = Annotated[
    str | None,
    typer.Option(
        metavar="TEXT", help="What stands between the tags of a table's cell.", show_default=";"
    ),
]

Cache = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER",
        help="A folder that keeps what is done; the next call goes on from there.",
    ),
]
Budget = Annotated[
    str | None,
    typer.Option(
        metavar="SIZE",
        help="Room that features may take, such as 500MB or 5GB; by default all there is.",
    ),
]
Engine = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="What runs frozen layers: auto (the fastest that agrees with Keras), keras, or "
        "openvino, also with a precision, as openvino:float16.",
    ),
]
Ray = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS",
        help="Work on a Ray cluster: auto, local, HOST:PORT or ray://HOST:PORT. All its "
        "machines have to see the pictures and the cache folder.",
    ),
]
