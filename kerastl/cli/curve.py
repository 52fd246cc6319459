"""Learning curves: their options, the candidates that are compared, the sizes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kerastl.cli.console import goes_on, loading, say, title
from kerastl.cli.options import (
    DEFAULT_BACKBONE,
    Backbone,
    Data,
    Epochs,
    Group,
    ImageColumn,
    ImageSize,
    MaxPixels,
    Tags,
    TaskNames,
    Uncertain,
    Unknown,
    Unsure,
    Weights,
    given,
    none,
    reading,
)
from kerastl.cli.train import PANEL
from kerastl.errors import InputError, nearest

if TYPE_CHECKING:
    from kerastl.experiments.curves.candidates import Candidate

FEWEST, DOUBLINGS = 16, 5
"""The smallest size, and how many sizes there are, where none are named."""

TAIL = 0.25
"""The share of the layers that `tail` trains."""

app = typer.Typer()


@app.command(
    rich_help_panel=PANEL,
    epilog="Example: kerastl curve flowers/ --candidates transfer,scratch --sizes 100,200,400,800",
)
def curve(
    data: Data,
    candidates: Annotated[
        str,
        typer.Option(
            metavar="NAMES",
            help="What is compared, with commas between: transfer (heads on frozen layers), tail "
            "(the last quarter trains), all (everything trains), scratch (everything, from random "
            "weights), joint (one network for all tasks), separate (one for each).",
        ),
    ] = "transfer,scratch",
    sizes: Annotated[
        str | None,
        typer.Option(
            metavar="NUMBERS",
            help="Pictures to train on, with commas between.",
            show_default="five, each twice the one before, up to all",
        ),
    ] = None,
    seeds: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="Repeats of each size.",
            show_default="8 to 3, fewer at the end",
        ),
    ] = None,
    backbone: Backbone = DEFAULT_BACKBONE,
    weights: Weights = "imagenet",
    image_size: ImageSize = None,
    epochs: Epochs = 20,
    task: TaskNames = None,
    image: ImageColumn = None,
    group: Group = None,
    tags: Tags = None,
    unknown: Unknown = None,
    unsure: Unsure = None,
    uncertain: Uncertain = None,
    seed: Annotated[
        int, typer.Option("--seed", metavar="N", min=0, help="Seed of the splits.")
    ] = 0,
    out: Annotated[
        Path,
        typer.Option(
            "--out", metavar="FOLDER", help="Keeps every trial, the tables and the picture."
        ),
    ] = Path("curves"),
    max_pixels: MaxPixels = None,
) -> None:
    """Train in several ways on more and more of the pictures: which way is better with how many?

    Interrupted, the same command goes on. More sizes, seeds and candidates may be added later.
    """
    options = {"epochs": epochs, **given(image_size=image_size)}
    words = reading(task, unknown, unsure, uncertain, image, group, tags)
    with loading():
        from kerastl.cli.claims import claim
        from kerastl.cli.opening import open_training, say_notes
        from kerastl.cli.runs import named_backbone
        from kerastl.experiments.curves.measuring import learning_curve

    claim(out)
    makers = named_candidates(candidates)
    manifest = open_training(data, backbone, weights, seed=seed, **words)
    say_notes(manifest)
    count = len(manifest.split("train"))
    steps = default_sizes(count) if sizes is None else whole_numbers(sizes)
    common = {"backbone": backbone, "weights": weights, **options}
    how = {"weights": none(weights), "cache": out / "features", "verbose": 0, **options}
    network = named_backbone(backbone)
    with goes_on(out) as asked:
        ready = {name: _heeding(asked, make(network, **how)) for name, make in makers.items()}
        found = learning_curve(ready, manifest, steps, seeds, folder=out, settings=common)
    title("What was found")
    say(found)
    say(f"\nIn {out}/: trials.csv, summary.csv, verdict.json, curves.png.")


def _heeding(asked: Sequence[int], candidate: Candidate) -> Candidate:
    """A candidate that does not begin where an interruption was asked for and not heard."""

    def train(part: Any, seed: int) -> Any:
        if asked:
            raise KeyboardInterrupt
        return candidate(part, seed)

    return train


def named_candidates(words: str) -> dict[str, Callable[..., Candidate]]:
    """What makes each candidate that is named.

    Example:
        >>> list(named_candidates("transfer, scratch"))
        ['transfer', 'scratch']
        >>> named_candidates("transfr")
        Traceback (most recent call last):
        kerastl.errors.InputError: Expected --candidates of transfer, ... Did you mean transfer?
    """
    from kerastl.experiments.curves.candidates import joint, scratch, separate, transfer

    known = {
        "transfer": transfer,
        "tail": partial(transfer, trainable=TAIL),
        "all": partial(transfer, trainable=True),
        "scratch": scratch,
        "joint": joint,
        "separate": separate,
    }
    names = list(dict.fromkeys(word.strip() for word in words.split(",") if word.strip()))
    odd = [name for name in names if name not in known]
    if odd or not names:
        hint = nearest(odd[0], known) if odd else ""
        raise InputError(f"Expected --candidates of {', '.join(known)}. Received: {words!r}.{hint}")
    return {name: known[name] for name in names}


def whole_numbers(words: str) -> list[int]:
    """Sizes from the command line.

    Example:
        >>> whole_numbers("100, 200")
        [100, 200]
        >>> whole_numbers("100,lots")
        Traceback (most recent call last):
        kerastl.errors.InputError: Expected --sizes whole numbers with commas between. ...
    """
    try:
        return [int(word) for word in words.split(",")]
    except ValueError:
        raise InputError(
            f"Expected --sizes whole numbers with commas between. Received: {words!r}."
        ) from None


def default_sizes(count: int) -> list[int]:
    """Sizes each twice the one before, up to all.

    Example:
        >>> default_sizes(1600), default_sizes(40)
        ([100, 200, 400, 800, 1600], [20, 40])
    """
    sizes = [count // 2**step for step in reversed(range(DOUBLINGS))]
    return [size for size in sizes if size >= FEWEST] or [count]
