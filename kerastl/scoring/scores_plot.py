"""Scores as one picture: per task who is taken for whom, how sure, and how good per class."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from kerastl.plotting import BLUE, GREY, INK, ORANGE, printable, write_png
from kerastl.scoring.intervals import TOO_FEW, in_words
from kerastl.scoring.scores import Scores

MOST_CLASSES = 30
SHADES = colormaps["Blues"]


def plot_scores(scores: Scores, path: str | Path) -> Path:
    """Draw scores into one PNG, a row for each task.

    A row shows the confusion matrix (shares of the true class, with counts; a
    multilabel task has none), the F1 of each class with its 95 % interval, if any, and
    the reliability diagram. Of more than 30 classes the 30 with the most
    pictures are drawn.

    Args:
        scores: What `evaluate` gave.
        path: Where to; the name ends in `.png`.

    Returns:
        The path. A file that was there is replaced only when the new one is whole.

    Raises:
        InputError: For another ending.

    Example:
        >>> import tempfile
        >>> from kerastl.scoring.scores import score
        >>> from kerastl.data.tasks import Task
        >>> sky = {"sky": np.array([0, 1, 1])}, {"sky": np.eye(2)[[0, 1, 0]]}
        >>> scores = score(Task("sky", ["grey", "blue"]), *sky, draws=9)
        >>> plot_scores(scores, Path(tempfile.mkdtemp(), "scores.png")).name
        'scores.png'
    """
    return write_png(_figure(scores), path)


def _figure(scores: Scores) -> Figure:
    tasks = list(dict.fromkeys(scores.frame["task"]))
    parts = {t: scores.frame[scores.frame["task"] == t] for t in tasks}
    classes = {t: _classes(part) for t, part in parts.items()}
    heights = [max(4.0, 1.8 + 0.3 * len(c)) for c in classes.values()]
    figure = Figure(figsize=(14, sum(heights) + 0.3), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.12, h_pad=0.12)
    rows = figure.subfigures(len(tasks), 1, height_ratios=heights, squeeze=False)[:, 0]
    for row, task in zip(rows, tasks, strict=True):
        row.suptitle(_title(task, parts[task]), color=INK, fontsize=12, x=0.01, ha="left")
        left, middle, right = row.subplots(1, 3, width_ratios=[1.15, 1, 1])
        _confusion(left, scores.confusion.get(task), classes[task])
        _bars(middle, parts[task], classes[task])
        _reliability(right, scores.reliability.get(task))
    return figure


def _classes(part: pd.DataFrame) -> list[str]:
    named = part[part["class"] != ""].drop_duplicates("class")
    most = named.nlargest(MOST_CLASSES, "positives")["class"]
    return [c for c in named["class"] if c in set(most)]


def _title(task: str, part: pd.DataFrame) -> str:
    whole = part[part["class"] == ""].set_index("metric")
    row = whole.loc["accuracy"]
    name = printable(task, 60)
    if np.isnan(row["value"]):
        return f"{name}: no known label"
    told = f"{row['value']:.3f}"
    if row["interval"]:
        told = in_words(row["value"], row["low"], row["high"])
    area = whole.loc["auc", "value"]
    auc = "" if np.isnan(area) else f", AUC {area:.3f}"
    return f"{name}: accuracy {told}{auc}, n = {row['n']}"


def _confusion(axes: Axes, counts: pd.DataFrame | None, classes: list[str]) -> None:
    if counts is None or not counts.to_numpy().sum():
        _empty(
            axes,
            "no confusion matrix:\na picture may have several labels"
            if counts is None
            else "no known label",
        )
        return
    shown = counts.loc[classes, classes].to_numpy()
    share = shown / np.maximum(1, counts.loc[classes].sum(axis=1).to_numpy()[:, None])
    axes.imshow(share, cmap=SHADES, vmin=0, vmax=1)
    size = min(11, 130 / len(classes))
    for (i, j), n in np.ndenumerate(shown):
        if n:
            colour = "white" if share[i, j] > 0.5 else INK
            axes.text(j, i, str(n), ha="center", va="center", color=colour, fontsize=size)
    _names(axes, classes, "y")
    _names(axes, classes, "x")
    axes.set(xlabel="predicted", ylabel="true", anchor="N")
    axes.set_title("Confusion, shaded by share of the true class", **_small())
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def _bars(axes: Axes, part: pd.DataFrame, classes: list[str]) -> None:
    rows = part[part["metric"] == "f1"].set_index("class").loc[classes]
    value, place = rows["value"].to_numpy(), np.arange(len(classes))
    axes.barh(place, np.nan_to_num(value), height=0.62, color=BLUE, alpha=0.85)
    ends = np.abs(rows[["low", "high"]].to_numpy() - value[:, None]).T
    there = np.isfinite(ends).all(axis=0)
    axes.errorbar(value[there], place[there], xerr=ends[:, there], fmt="none", ecolor=INK,
                  elinewidth=1.1, capsize=2.5)  # fmt: skip
    for i, row in enumerate(rows.to_dict("records")):
        v, n = row["value"], row["positives"]
        few = f" [{TOO_FEW}]" if row["interval"] == TOO_FEW else ""
        told = "undefined" if np.isnan(v) else f"{v:.2f}{few}"
        at = np.nanmax([0, v, row["high"]]) + 0.02
        axes.text(at, i, f"{told}  n = {n}", va="center", color=INK, fontsize=8)
    _names(axes, classes, "y")
    axes.set(xlim=(0, 1.35), xticks=np.linspace(0, 1, 6), ylim=(len(classes) - 0.5, -0.5))
    left_out = part["class"].nunique() - 1 - len(classes)
    rest = f"; {left_out} rarer classes left out" if left_out else ""
    axes.set_title(f"F1, 95 % interval, n positives{rest}", **_small())
    _plain(axes)


def _reliability(axes: Axes, bins: pd.DataFrame | None) -> None:
    if bins is None or bins.empty:
        _empty(axes, "no known label")
        return
    share = bins["n"] / bins["n"].sum()
    axes.bar((bins["low"] + bins["high"]) / 2, share, width=1 / 15, color=GREY, alpha=0.35,
             label="share of the pictures")  # fmt: skip
    axes.plot([0, 1], [0, 1], color=GREY, linestyle="--", linewidth=1, label="perfect")
    axes.plot(bins["confidence"], bins["frequency"], color=ORANGE, marker="o", markersize=5,
              linewidth=1.6, label="this model")  # fmt: skip
    axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="score", ylabel="how often it was right")
    axes.set(anchor="NW", box_aspect=0.75)
    axes.set_title("Reliability", **_small())
    axes.legend(loc="upper left", bbox_to_anchor=(0, -0.2), ncols=3, fontsize=8, frameon=False)
    _plain(axes)


def _names(axes: Axes, classes: list[str], side: str) -> None:
    size = max(6, min(9, 200 / len(classes)))
    options = {}
    if side == "x":
        turn = 90 if len(classes) > 10 else 40
        options = {"rotation": turn, "ha": "right", "va": "center" if turn == 90 else "top"}
        options["rotation_mode"] = "anchor"
    ticks = axes.set_xticks if side == "x" else axes.set_yticks
    ticks(range(len(classes)), [printable(c) for c in classes], fontsize=size, **options)


def _empty(axes: Axes, why: str) -> None:
    axes.text(0.5, 0.5, why, ha="center", va="center", color=GREY, transform=axes.transAxes)
    axes.axis("off")


def _plain(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(GREY)
    axes.tick_params(colors=INK, labelsize=8, length=3)


def _small() -> dict:
    return {"fontsize": 10, "color": INK, "loc": "left"}
