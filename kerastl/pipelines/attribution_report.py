"""What each stage of a pipeline costs, as a table, a picture and a sentence.

What the stages of a pipeline cost, as one picture: a bar for each, with its interval.
"""

from __future__ import annotations

import math
import textwrap
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from kerastl.files import replacing
from kerastl.plotting import BLUE, GREY, INK, ORANGE, printable, write_png
from kerastl.scoring.differences import Difference

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


@dataclass(frozen=True)
class StageCost:
    """What one stage costs, in the unit of the score.

    Attributes:
        name: The stage.
        cost: The score with its oracle less that with the oracle before it; None
            where no truths were given.
        gain: The score with its oracle less the pipeline's: what this stage and all
            before it cost together; None likewise.
        together: The stages without truths right before it; the cost is theirs too.
        without: The score of the pipeline without the stage less the pipeline's; None
            where it was not tried, or the stage cannot be left out.
        skipped: For how many examples the stage had none to give.
    """

    name: str
    cost: Difference | None
    gain: Difference | None
    together: tuple[str, ...]
    without: Difference | None
    skipped: int

    @property
    def verdict(self) -> str:
        """What may be said: costs, gains, no difference, no truths; and whether it hurts."""
        words = {"better": "costs", "worse": "gains"}
        told = "no truths" if self.cost is None else words.get(self.cost.verdict, self.cost.verdict)
        return f"{told}, hurts" if self.hurts else told

    @property
    def hurts(self) -> bool:
        """Whether the pipeline without it scores higher, outside the noise."""
        return self.without is not None and self.without.verdict == "better"


@dataclass(frozen=True)
class Attribution:
    """Which stage of a pipeline costs how much of the score.

    Attributes:
        costs: One `StageCost` for each stage, in order.
        score: The pipeline's mean score, as it is.
        n: Examples behind every figure.
        left_out: Examples that were left out, because a truth is unknown.

    Example:
        >>> cost = Difference(0.2, 0.15, 0.25, ours=1.0, theirs=0.8, n=200, repeats=1)
        >>> told = Attribution((StageCost("read", cost, cost, (), None, 0),), 0.8, 200, 0)
        >>> print(told.verdict)
        The stage 'read' costs 0.200 [0.150, 0.250] of the score, which is 0.800 (n = 200).
        >>> list(told.frame["verdict"])
        ['costs']
    """

    costs: tuple[StageCost, ...]
    score: float
    n: int
    left_out: int

    def __getitem__(self, name: str) -> StageCost:
        return {cost.name: cost for cost in self.costs}[name]

    @property
    def frame(self) -> pd.DataFrame:
        """One row a stage, in order: `stage`; `cost`, `cost_low`, `cost_high`, and the same
        for `gain` and `without`, NaN where there is none; `together`, the stages that share
        the cost; `n`, `skipped` and `verdict`.
        """
        return pd.DataFrame([self._row(cost) for cost in self.costs])

    def _row(self, c: StageCost) -> dict[str, object]:
        row: dict[str, object] = {"stage": c.name}
        for what, found in (("cost", c.cost), ("gain", c.gain), ("without", c.without)):
            row[what] = found.value if found else math.nan
            row[f"{what}_low"] = found.low if found else math.nan
            row[f"{what}_high"] = found.high if found else math.nan
        together, verdict = ", ".join(c.together), c.verdict
        return {**row, "together": together, "n": self.n, "skipped": c.skipped, "verdict": verdict}

    @property
    def verdict(self) -> str:
        """One sentence on what the stages cost; and one each where there is more to say."""
        costly = sorted((c for c in self.costs if c.cost and c.cost.verdict == "better"),
                        key=lambda c: -c.cost.value)  # fmt: skip
        return " ".join([self._costly(costly), *self._more(costly)])

    def _costly(self, costly: list[StageCost]) -> str:
        if not costly:
            return (
                f"No stage's cost is outside the noise; the score is {self.score:.3f} "
                f"(n = {self.n})."
            )
        first, *others = (f"{_named(c)} {_figures(c.cost)}" for c in costly)
        which = f"of the score, which is {self.score:.3f} (n = {self.n})"
        return ", ".join([f"The {first} {which}", *others]) + "."

    def _more(self, costly: list[StageCost]) -> list[str]:
        known = [c for c in self.costs if c.cost]
        told = []
        if costly and any(c.cost.verdict == "no difference" for c in known):
            told.append("What the other stages cost is inside the noise.")
        for c in known:
            if c.cost.verdict == "worse":
                told.append(f"With the truths of {c.name!r} it scores lower by "
                            f"{_figures(c.cost, -1)}.")  # fmt: skip
        for c in (c for c in self.costs if c.hurts):
            told.append(f"The stage {c.name!r} hurts: without it the score is higher by "
                        f"{_figures(c.without)}.")  # fmt: skip
        after = [c.name for c in self.costs[self.costs.index(known[-1]) + 1 :]] if known else []
        if after:
            cost = "costs" if len(after) == 1 else "cost"
            told.append(f"What {_listed(after)} {cost} is not known: no truths were given.")
        if self.left_out:
            told.append(f"{self.left_out} examples without a known truth were left out.")
        return told

    def plot(self, path: str | Path) -> Path:
        """Draw the costs with their intervals into one PNG; see `plot_costs`."""
        title = self._costly([c for c in self.costs if c.cost and c.cost.verdict == "better"])
        return plot_costs(self.frame, title, self.score, path)

    def write(self, folder: str | Path) -> None:
        """Write attribution.csv and attribution.png, each whole or not at all."""
        with replacing(Path(folder) / "attribution.csv") as unfinished:
            self.frame.to_csv(unfinished, index=False)
        self.plot(Path(folder) / "attribution.png")

    def __str__(self) -> str:
        return self.verdict


def _named(c: StageCost) -> str:
    if not c.together:
        return f"stage {c.name!r} costs"
    return f"stages {_listed([*c.together, c.name])} together cost"


def _listed(names: list[str]) -> str:
    *first, last = (repr(name) for name in names)
    return f"{', '.join(first)} and {last}" if first else last


def _figures(d: Difference, sign: int = 1) -> str:
    low, high = sorted((sign * d.low, sign * d.high))
    return f"{sign * d.value:.3f} [{low:.3f}, {high:.3f}]"
