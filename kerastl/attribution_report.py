"""What each stage of a pipeline costs, as a table, a picture and a sentence."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from kerastl.attribution_plot import plot_costs
from kerastl.differences import Difference
from kerastl.files import replacing


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
