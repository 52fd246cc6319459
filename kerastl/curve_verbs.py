"""What learning curves on the command line do, once Keras is loaded."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from kerastl.arguments import none
from kerastl.console import goes_on, say, title
from kerastl.curve_candidates import Candidate, joint, scratch, separate, transfer
from kerastl.errors import InputError, nearest
from kerastl.learning_curves import learning_curve
from kerastl.network_verbs import named_backbone
from kerastl.runs import open_data

FEWEST, DOUBLINGS = 16, 5
"""The smallest size, and how many sizes there are, where none are named."""

TAIL = 0.25
"""The share of the layers that `tail` trains."""

READY: Mapping[str, Callable[..., Candidate]] = {
    "transfer": transfer,
    "tail": lambda backbone, **options: transfer(backbone, trainable=TAIL, **options),
    "all": lambda backbone, **options: transfer(backbone, trainable=True, **options),
    "scratch": scratch,
    "joint": joint,
    "separate": separate,
}


def curve(
    data: str,
    *,
    candidates: str,
    sizes: str | None,
    seeds: int | None,
    backbone: str,
    weights: str,
    reading: Mapping[str, Any],
    seed: int,
    out: Path,
    options: Mapping[str, Any],
) -> None:
    """Read, train at every size, and show what was found."""
    names = check_candidates(candidates)
    manifest = open_data(data, seed=seed, **reading)
    count = len(manifest.split("train"))
    steps = default_sizes(count) if sizes is None else whole_numbers(sizes)
    common = {"backbone": backbone, "weights": weights, **options}
    how = {"weights": none(weights), "cache": out / "features", "verbose": 0, **options}
    network = named_backbone(backbone)
    with goes_on(out) as asked:
        ready = {name: _heeding(asked, READY[name](network, **how)) for name in names}
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


def check_candidates(words: str) -> list[str]:
    """The names of candidates, each once.

    Example:
        >>> check_candidates("transfer, scratch")
        ['transfer', 'scratch']
        >>> check_candidates("transfr")
        Traceback (most recent call last):
        kerastl.errors.InputError: Expected --candidates of transfer, ... Did you mean transfer?
    """
    names = list(dict.fromkeys(word.strip() for word in words.split(",") if word.strip()))
    odd = [name for name in names if name not in READY]
    if odd or not names:
        hint = nearest(odd[0], READY) if odd else ""
        raise InputError(f"Expected --candidates of {', '.join(READY)}. Received: {words!r}.{hint}")
    return names


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
