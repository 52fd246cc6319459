"""Learning curves as one picture: error against examples, with bands and crossings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from kerastl.crossings import Crossing
from kerastl.drawing import GREY, INK, printable, write_png
from kerastl.power_law import PowerLaw

COLOURS = colormaps["tab10"].colors
STEPS = 120
LOWEST = 1e-3
"""Error below which a logarithmic axis shows nothing."""

ASIDE = 0.03
"""How far the dots of one candidate stand beside those of the next, in parts of a size."""


def plot_curves(
    frame: pd.DataFrame,
    fits: Mapping[str, PowerLaw],
    crossings: Sequence[Crossing],
    path: str | Path,
) -> Path:
    """Draw learning curves into one PNG, both axes logarithmic.

    Each trial is a dot, each candidate's fit a line with its 95 % band, or, where it has none,
    a dashed line through its means; a dotted upright line with a strip is where two cross.

    Args:
        frame: A `LearningCurve`'s.
        fits: Likewise.
        crossings: Likewise.
        path: Where to; the name ends in `.png`.

    Returns:
        The path. A file that was there is replaced only when the new one is whole.

    Raises:
        InputError: For another ending.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp(), "curves.png")
        >>> trial = {"candidate": "a", "size": 100, "score": 0.9, "failed": ""}
        >>> plot_curves(pd.DataFrame([trial]), {}, [], path).name
        'curves.png'
    """
    figure = Figure(figsize=(8, 5.5), layout="constrained")
    axes = figure.subplots()
    good = frame[frame["failed"] == ""]
    _scale(axes, good)
    for number, name in enumerate(dict.fromkeys(good["candidate"])):
        rows, colour = good[good["candidate"] == name], COLOURS[number % len(COLOURS)]
        _dots(axes, rows, colour, number)
        _curve(axes, rows, fits.get(name), colour)
    for one in crossings:
        _crossing(axes, one)
    _dress(axes, good)
    return write_png(figure, path)


def _scale(axes: Axes, rows: pd.DataFrame) -> None:
    """Logarithmic, with room around the trials, be they all alike."""
    errors = np.maximum(1 - rows["score"], LOWEST)
    axes.set_xscale("log")
    axes.set_yscale("log")
    if len(rows):
        axes.set_xlim(0.85 * rows["size"].min(), 1.2 * rows["size"].max())
        axes.set_ylim(0.75 * errors.min(), 1.3 * errors.max())


def _dots(axes: Axes, rows: pd.DataFrame, colour, number: int) -> None:
    sizes = rows["size"] * (1 + ASIDE) ** number
    errors = np.maximum(1 - rows["score"], LOWEST)
    axes.scatter(sizes, errors, s=14, color=colour, alpha=0.55, linewidths=0)


def _curve(axes: Axes, rows: pd.DataFrame, fit: PowerLaw | None, colour) -> None:
    label = printable(rows["candidate"].iloc[0])
    if fit is None:
        means = np.maximum(1 - rows.groupby("size")["score"].mean(), LOWEST)
        axes.plot(means.index, means, "--", color=colour, linewidth=1, label=f"{label} (means)")
        return
    sizes = np.geomspace(fit.sizes[0], fit.sizes[-1], STEPS)
    low, middle, high = np.maximum(
        np.quantile(fit.draws_at(sizes), [0.025, 0.5, 0.975], axis=0), LOWEST
    )
    axes.plot(sizes, middle, color=colour, label=label)
    axes.fill_between(sizes, low, high, color=colour, alpha=0.18, linewidth=0)


def _crossing(axes: Axes, one: Crossing) -> None:
    if one.size is not None:
        axes.axvspan(one.size.low, one.size.high, color=GREY, alpha=0.25, linewidth=0)
        axes.axvline(one.size.value, color=INK, linestyle=":", linewidth=1)


def _dress(axes: Axes, rows: pd.DataFrame) -> None:
    axes.set_xlabel("examples to train on")
    axes.set_ylabel("error on the test examples")
    axes.set_title("Error against data, 95 % bands", loc="left", color=INK)
    axes.set_xticks(sorted(set(rows["size"])))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda size, _: f"{size:,.0f}"))
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda error, _: f"{error:.3g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.tick_params(axis="x", labelrotation=45)
    axes.grid(color=GREY, alpha=0.3, linewidth=0.5)
    axes.legend(frameon=False)
