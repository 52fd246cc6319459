"""The built-in example: real electroluminescence pictures of solar cells."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from kerastl.data.manifest import Manifest, Policy
from kerastl.data.readers.tabular import read_frame
from kerastl.data.tasks import Task
from kerastl.errors import InputError

PACKAGE = "elpv_dataset"
LICENCE = "pictures CC BY-NC-SA 4.0 (not for commercial use), code Apache-2.0"
SOURCE = (
    "Buerhop-Lutz et al., A Benchmark for Visual Identification of Defective Solar Cells in "
    "Electroluminescence Imagery, EU PVSEC 2018"
)
PUBLISHED = {"SVM": 0.8244, "VGG19, fine-tuned": 0.8842}
"""Accuracy of defect on a 75/25 split: Deitsch et al., Solar Energy 185, 2019, table 4."""

DEFECT = Task("defect", ["functional", "defective"], kind="binary")
TYPE = Task("type", ["mono", "poly"])


def read_solar_cells(
    *,
    doubtful: str = "hard",
    uncertain: Policy = "ignore",
    fractions: Sequence[float] = (0.6375, 0.1125, 0.25),
    seed: int = 0,
) -> Manifest:
    """2,624 solar cells, 300 x 300 pixels, with two tasks: `defect` and `type`.

    Each cell has a probability of being defective: 0, 1/3, 2/3 or 1. The two in
    the middle are the annotators' doubt.

    Args:
        doubtful: What those in doubt are labelled: "hard", defective above 1/2;
            "soft", the probability itself; "unknown", "?", an uncertain label.
        uncertain: What uncertain labels stand for in training; see `read_csv`.
        fractions: Shares of train, val and test. By default a quarter is held
            out, as in the published results, and 15 % of the rest validates.
        seed: Seed of the stratified division.

    Returns:
        A Manifest with a binary task, defect, and a multiclass one, type.

    Raises:
        InputError: Where the package that ships the pictures is not installed.

    Example:
        >>> data = read_solar_cells()
        >>> len(data), [t.name for t in data.tasks], len(data.split("test"))
        (2624, ['defect', 'type'], 656)
    """
    ways = {"hard": lambda p: float(p > 0.5), "soft": float, "unknown": _or_unknown}
    if doubtful not in ways:
        raise InputError(f"Expected doubtful= of {', '.join(ways)}. Received: {doubtful!r}.")
    folder = solar_cells_folder()
    names = ["image", "probability", "type"]
    table = pd.read_csv(folder / "labels.csv", sep=r"\s+", header=None, names=names)
    frame = table[["image", "type"]].assign(defect=table["probability"].map(ways[doubtful]))
    return read_frame(
        frame,
        tasks=[DEFECT, TYPE],
        images=folder,
        uncertain=uncertain,
        fractions=fractions,
        seed=seed,
        stable=False,
    )


def solar_cells_folder() -> Path:
    """The folder with labels.csv and images/ of the installed package."""
    found = importlib.util.find_spec(PACKAGE)
    if found is None or found.origin is None:
        raise InputError(
            "The solar cells come with the package elpv-dataset, which is not installed. "
            "Run: pip install 'kerastl[demo]'."
        )
    return Path(found.origin).parent / "data"


def _or_unknown(probability: float) -> float | str:
    return probability if probability in (0, 1) else "?"
