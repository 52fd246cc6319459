"""A search as one picture: the score against the depth, trial by trial."""

from __future__ import annotations

import textwrap
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from kerastl.plotting import BLUE, GREY, INK, ORANGE, printable, write_png
from kerastl.tuning.depth_choice import best_depth, chosen_depth, short_answer

RATES = colormaps["viridis"]
SIDE_BY_SIDE, UPRIGHT = 7, 14
"""More depths, or longer words, have their names slanted."""


def plot_leaderboard(
    frame: pd.DataFrame, depths: pd.DataFrame, measure: str, path: str | Path
) -> Path:
    """Draw the trials of a search into one PNG.

    Each trial is a dot over its depth, in the order and the colour of its learning rate.
    The best of each depth has its 95 % interval, the strip reaches from the best score one
    standard error down, and the ring is the choice.

    Args:
        frame: A `Leaderboard`'s.
        depths: Likewise.
        measure: What the score is, in words.
        path: Where to; the name ends in `.png`.

    Returns:
        The path. A file that was there is replaced only when the new one is whole.

    Raises:
        InputError: For another ending.

    Example:
        >>> import tempfile
        >>> from kerastl.tuning.leaderboard import TrialRecord, leaderboard
        >>> from kerastl.data.tasks import Task
        >>> scores = ({"sky": np.eye(2)[[0, 1, 0]]},)
        >>> trial = TrialRecord("0", {"trainable": "heads"}, 0, 5, 1.0, "", scores)
        >>> board = leaderboard([trial], Task("sky", ["grey", "blue"]), {"sky": [0, 1, 1]}, draws=9)
        >>> path = Path(tempfile.mkdtemp(), "board.png")
        >>> plot_leaderboard(board.frame, board.depths, board.measure, path).name
        'board.png'
    """
    return write_png(_figure(frame, depths, measure), path)


def _figure(frame: pd.DataFrame, depths: pd.DataFrame, measure: str) -> Figure:
    high = 6.5 if _slanted(depths) else 5.5
    wide = min(16, max(7, 2.5 + 1.2 * len(depths)))
    figure = Figure(figsize=(wide, high), layout="constrained")
    axes = figure.subplots()
    dots = _placed(frame, depths)
    norm = _norm(dots)
    _strip(axes, best_depth(depths))
    _dots(axes, dots, norm)
    _bests(axes, depths, dots)
    _names(axes, depths)
    axes.set_title(
        _wrapped(short_answer(depths), int(9 * wide)), fontsize=11, color=INK, loc="left"
    )
    axes.set_ylabel(_score_axis(measure, int(frame["n"].iloc[0])), fontsize=9, color=INK)
    axes.set_xlabel("layers of the backbone that train", fontsize=9, color=INK)
    figure.legend(loc="outside lower center", ncols=3, fontsize=8, frameon=False)
    if norm is not None:
        _bar(figure, axes, norm)
    return figure


def _placed(frame: pd.DataFrame, depths: pd.DataFrame) -> pd.DataFrame:
    """The trials with a score and their places: those of a depth side by side, by rate."""
    by = [c for c in ("backbone", "trainable") if c in depths]
    number = {key: i for i, key in enumerate(depths[by].itertuples(index=False, name=None))}
    dots = frame[frame["score"].notna()]
    if "learning_rate" not in dots:
        dots = dots.assign(learning_rate=np.nan)
    keys = list(dots[by].itertuples(index=False, name=None))
    dots = dots.assign(depth=[number[key] for key in keys])
    rank = dots.groupby("depth")["learning_rate"].rank(method="first", na_option="top")
    count = dots.groupby("depth")["trial"].transform("size")
    step = np.minimum(0.12, 0.6 / count.clip(lower=1))
    return dots.assign(place=dots["depth"] + (rank - (count + 1) / 2) * step)


def _norm(dots: pd.DataFrame) -> LogNorm | None:
    """The scale of the learning rates, where they differ."""
    rates = dots["learning_rate"].dropna().unique()
    return LogNorm(rates.min(), rates.max()) if len(rates) > 1 else None


def _strip(axes: Axes, best: pd.Series) -> None:
    error = np.nan_to_num(best["standard_error"])
    axes.axhspan(best["score"] - error, best["score"], color=GREY, alpha=0.3, linewidth=0,
                 label="within one standard error of the best")  # fmt: skip


def _dots(axes: Axes, dots: pd.DataFrame, norm: LogNorm | None) -> None:
    colours = BLUE if norm is None else RATES(norm(dots["learning_rate"].to_numpy()))
    size = 34 if len(dots) <= 30 else 22
    axes.scatter(dots["place"], dots["score"], s=size, c=colours, edgecolors=INK, linewidths=0.5,
                 zorder=3)  # fmt: skip


def _bests(axes: Axes, depths: pd.DataFrame, dots: pd.DataFrame) -> None:
    """The intervals of each depth's best, and a ring around the choice."""
    place = dots.set_index("trial")["place"]
    done = depths[depths["verdict"] != "failed"]
    at = place[done["trial"]].to_numpy()
    ends = np.abs(done[["low", "high"]].to_numpy() - done["score"].to_numpy()[:, None]).T
    axes.errorbar(at, done["score"], yerr=np.nan_to_num(ends), fmt="none", ecolor=INK,
                  elinewidth=1.1, capsize=3, zorder=2,
                  label="best of a depth, 95 % interval")  # fmt: skip
    chosen = chosen_depth(depths)
    axes.scatter([place[chosen["trial"]]], [chosen["score"]], s=170, facecolors="none",
                 edgecolors=ORANGE, linewidths=2, zorder=4, label="the choice")  # fmt: skip


def _names(axes: Axes, depths: pd.DataFrame) -> None:
    slanted = _slanted(depths)
    turn = {"rotation": 35, "ha": "right", "rotation_mode": "anchor"} if slanted else {}
    names = [_name(row, ", " if slanted else "\n") for _, row in depths.iterrows()]
    axes.set_xticks(range(len(depths)), names, fontsize=8, color=INK, **turn)
    axes.set_xlim(-0.6, len(depths) - 0.4)
    bold = chosen_depth(depths).name
    axes.get_xticklabels()[bold].set(color=ORANGE, fontweight="bold")
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(GREY)
    axes.tick_params(axis="y", colors=INK, labelsize=8, length=3)


def _slanted(depths: pd.DataFrame) -> bool:
    lines = [line for _, row in depths.iterrows() for line in _name(row, "\n").split("\n")]
    return len(depths) > SIDE_BY_SIDE or max(map(len, lines)) > UPRIGHT


def _name(row: pd.Series, between: str) -> str:
    """A depth under its dots: backbone, word, layers, and whether it has no dot."""
    word, layers = str(row["trainable"]), row["layers"]
    counted = [] if word == str(layers) else [printable(word)]
    backbone = [printable(str(row["backbone"]))] if "backbone" in row else []
    plural = "1 layer" if layers == 1 else f"{layers} layers"
    failed = ["failed"] if row["verdict"] == "failed" else []
    return between.join([*backbone, *counted, plural, *failed])


def _bar(figure: Figure, axes: Axes, norm: LogNorm) -> None:
    bar = figure.colorbar(ScalarMappable(norm, RATES), ax=axes, pad=0.02, aspect=30)
    ticks = np.geomspace(norm.vmin, norm.vmax, 5)
    bar.set_ticks(ticks, labels=[f"{rate:.1e}" for rate in ticks], fontsize=8)
    bar.minorticks_off()
    bar.ax.tick_params(colors=INK, length=3)
    bar.set_label("learning rate", fontsize=9, color=INK)
    bar.outline.set_visible(False)


def _score_axis(measure: str, n: int) -> str:
    count = f"{n} pictures of val"
    return f"{measure}, {count}" if len(measure) < 20 else f"{_wrapped(measure, 50)}\n{count}"


def _wrapped(text: str, wide: int) -> str:
    """At most two lines, of characters that the font has."""
    lines = textwrap.wrap(text, wide, max_lines=2, placeholder=" …")
    return "\n".join(printable(line, wide) for line in lines)
