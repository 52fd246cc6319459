"""What the stages of a pipeline cost, as one picture: a bar for each, with its interval."""

from __future__ import annotations

import textwrap
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from kerastl.drawing import BLUE, GREY, INK, ORANGE, printable, write_png

WIDE = 8.5
LONGEST = 24


def plot_costs(frame: pd.DataFrame, title: str, score: float, path: str | Path) -> Path:
    """Draw what each stage costs into one PNG, the first stage at the top.

    A bar is the cost, the whisker its 95 % interval; it is red where that is outside the
    noise. A diamond is what the score gains where the stage is left out.

    Args:
        frame: An `Attribution`'s.
        title: Its verdict.
        score: The pipeline's.
        path: Where to; the name ends in `.png`.

    Returns:
        The path. A file that was there is replaced only when the new one is whole.

    Raises:
        InputError: For another ending.
    """
    return write_png(_figure(frame, title, score), path)


def _figure(frame: pd.DataFrame, title: str, score: float) -> Figure:
    figure = Figure(figsize=(WIDE, 2.1 + 0.55 * len(frame)), layout="constrained")
    axes = figure.subplots()
    _bars(axes, frame)
    _left_out(axes, frame)
    _frame(axes, frame)
    axes.set_title(_wrapped(title), fontsize=10, color=INK, loc="left")
    axes.set_xlabel(
        f"score lost through the stage, with 95 % interval (score {score:.3f}, "
        f"n = {frame['n'].iloc[0]})", fontsize=9, color=INK,
    )  # fmt: skip
    if len(axes.get_legend_handles_labels()[0]):
        figure.legend(loc="outside lower center", ncols=3, fontsize=8, frameon=False)
    return figure


def _bars(axes: Axes, frame: pd.DataFrame) -> None:
    real = (frame["cost_low"] > 0) | (frame["cost_high"] < 0)
    known = frame["cost"].notna()
    for rows, colour, label in (
        (real, ORANGE, "outside the noise"),
        (known & ~real, BLUE, "inside the noise"),
    ):
        part = frame[rows]
        if len(part):
            axes.barh(part.index, part["cost"], height=0.55, color=colour, alpha=0.85, label=label)
            _whiskers(axes, part, part.index.to_numpy(), "cost")
    for at in frame.index[~known]:
        axes.text(0, at, " no truths", va="center", fontsize=8, color=GREY)


def _left_out(axes: Axes, frame: pd.DataFrame) -> None:
    part = frame[frame["without"].notna()]
    if len(part):
        at = part.index.to_numpy() + 0.38
        axes.scatter(part["without"], at, marker="D", s=26, facecolors="white", edgecolors=INK,
                     linewidths=1.1, zorder=4, label="gained where it is left out")  # fmt: skip
        _whiskers(axes, part, at, "without")


def _whiskers(axes: Axes, part: pd.DataFrame, at: np.ndarray, what: str) -> None:
    ends = np.abs(part[[f"{what}_low", f"{what}_high"]].to_numpy() - part[[what]].to_numpy()).T
    axes.errorbar(part[what], at, xerr=ends, fmt="none", ecolor=INK, elinewidth=1.1, capsize=3,
                  zorder=3)  # fmt: skip


def _frame(axes: Axes, frame: pd.DataFrame) -> None:
    names = [_name(row) for _, row in frame.iterrows()]
    axes.set_yticks(range(len(frame)), names, fontsize=9, color=INK)
    axes.set_ylim(len(frame) - 0.3, -0.6)
    axes.axvline(0, color=GREY, linewidth=1, zorder=0)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(GREY)
    axes.tick_params(axis="x", colors=INK, labelsize=8, length=3)
    axes.tick_params(axis="y", length=0)


def _name(row: pd.Series) -> str:
    shared = f"\nwith {printable(row['together'], LONGEST)}" if row["together"] else ""
    hurts = "\nhurts" if row["verdict"].endswith("hurts") else ""
    return f"{printable(row['stage'], LONGEST)}{shared}{hurts}"


def _wrapped(text: str) -> str:
    lines = textwrap.wrap(text, 92, max_lines=3, placeholder=" …")
    return "\n".join(printable(line, 92) for line in lines)
