"""What a learning curve found: scores by size, fits, crossings, and a verdict in a sentence."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from kerastl.crossings import Crossing, compare_means, crossing
from kerastl.curve_plot import plot_curves
from kerastl.errors import InputError
from kerastl.files import replacing, write_json
from kerastl.power_law import Estimate, PowerLaw, fit_power_law

COLUMNS = ("candidate", "size", "seed", "score", "n", "seconds", "failed")


@dataclass(frozen=True)
class HeldBack:
    """How a curve that was fitted without the largest size foretold the error there.

    Attributes:
        candidate: The curve's name.
        size: The size that was held back.
        foretold: The error that the smaller sizes foretold for the mean that was found.
        found: The mean error that was measured.
    """

    candidate: str
    size: int
    foretold: Estimate
    found: float

    @property
    def held(self) -> bool:
        """Whether what was found lies in the interval."""
        return self.foretold.low <= self.found <= self.foretold.high

    def __str__(self) -> str:
        word = "as found" if self.held else "and that is not what was found"
        return (
            f"{self.candidate}: the smaller sizes foretell an error of {self.foretold} at "
            f"{self.size} examples, {word}: {self.found:.3f}."
        )


@dataclass(frozen=True)
class LearningCurve:
    """The scores of several candidates at several sizes, and what follows from them.

    Attributes:
        frame: A row a trial: candidate, size, seed, score, n (test examples behind it),
            seconds, failed (the cause, or "").
        seed: Seed of the fits' draws.
    """

    frame: pd.DataFrame
    seed: int = 0

    @property
    def candidates(self) -> list[str]:
        """Their names, in the order in which they were given."""
        return list(dict.fromkeys(self.frame["candidate"]))

    @property
    def fits(self) -> dict[str, PowerLaw]:
        """By candidate its curve; one of `unfitted` has none."""
        return self._fitted[0]

    @property
    def unfitted(self) -> dict[str, str]:
        """By candidate why it has no curve: too few sizes or repeats, or another shape."""
        return self._fitted[1]

    @cached_property
    def _fitted(self) -> tuple[dict[str, PowerLaw], dict[str, str]]:
        fits, causes = {}, {}
        for name in self.candidates:
            try:
                fits[name] = self._fit(self._good(name))
            except InputError as error:
                causes[name] = error.message
        return fits, causes

    @cached_property
    def crossings(self) -> tuple[Crossing, ...]:
        """Every pair of candidates with each other, where they share a size.

        Where one of the two has no curve, or they share but one size, the means are compared.
        """
        pairs = itertools.combinations(self.candidates, 2)
        return tuple(one for pair in pairs if (one := self._compared(*pair)) is not None)

    @cached_property
    def held_back(self) -> tuple[HeldBack, ...]:
        """Each curve tested on its largest size, which its fit did not see."""
        found = []
        for name in self.candidates:
            rows = self._good(name)
            last = rows["size"].max()
            rest, there = rows[rows["size"] < last], rows[rows["size"] == last]
            with contextlib.suppress(InputError):  # the others alone make no curve
                errors = 1 - there["score"]
                told = _foretold(self._fit(rest), int(last), rest, len(errors), self.seed)
                found.append(HeldBack(name, int(last), told, float(errors.mean())))
        return tuple(found)

    @cached_property
    def summary(self) -> pd.DataFrame:
        """A row a candidate: its error at the largest size, and what more data would bring.

        Columns: candidate, size, error, doubling (what twice as many examples would take
        from the error) and reliance, each with low and high, and alpha, the error that is
        left with endless data.
        """
        rows = []
        for name, fit in self.fits.items():
            size = fit.sizes[-1]
            told = {
                "error": fit.at(size), "doubling": fit.doubling(size),
                "reliance": fit.reliance(size), "alpha": Estimate.of(np.maximum(fit.alpha, 0)),
            }  # fmt: skip
            rows.append({"candidate": name, "size": size, **_columns(told)})
        return pd.DataFrame(rows)

    @property
    def verdict(self) -> str:
        """Which candidate is better at which sizes, in a sentence for each pair."""
        if not self.crossings:
            return "There is nothing to compare: no two candidates have a size in common."
        return " ".join(map(str, self.crossings))

    def save(self, folder: str | Path) -> Path:
        """Write the trials, the summary, the verdict and the picture.

        Args:
            folder: Gets trials.csv, summary.csv, verdict.json and curves.png.

        Returns:
            The folder.
        """
        folder = Path(folder)
        for name, frame in (("trials", self.frame), ("summary", self.summary)):
            with replacing(folder / f"{name}.csv") as unfinished:
                frame.to_csv(unfinished, index=False)
        told = {"verdict": self.verdict, "held_back": [str(one) for one in self.held_back]}
        write_json(folder / "verdict.json", told)
        plot_curves(self.frame, self.fits, self.crossings, folder / "curves.png")
        return folder

    def __str__(self) -> str:
        causes = [f"{name}: {why}" for name, why in self.unfitted.items()]
        return "\n".join([self._table(), "", *map(_row, self.summary.to_dict("records")), *causes,
                          *map(str, self.held_back), *self._failures(), self.verdict])  # fmt: skip

    def _table(self) -> str:
        sizes = sorted(set(self.frame["size"]))
        cells = {name: [self._cell(name, size) for size in sizes] for name in self.candidates}
        table = pd.DataFrame(cells, index=pd.Index(sizes, name="examples"))
        what = f"Mean error{self._tested()} (lowest to highest of the repeats, how many)"
        return f"{what}\n{table.to_string()}"

    def _tested(self) -> str:
        """On how many examples, where every score is the mean of as many."""
        counts = set(self.frame.loc[self.frame["failed"] == "", "n"])
        alike = len(counts) == 1 and counts != {1}
        return f" on the same {counts.pop():,} test examples" if alike else ""

    def _cell(self, name: str, size: int) -> str:
        rows = self._good(name)
        errors = 1 - rows.loc[rows["size"] == size, "score"]
        if not len(errors):
            return "failed"
        if len(errors) == 1:
            return f"{errors.mean():.3f}"
        return f"{errors.mean():.3f} ({errors.min():.3f} to {errors.max():.3f}, {len(errors)})"

    def _good(self, name: str) -> pd.DataFrame:
        return self.frame[(self.frame["candidate"] == name) & (self.frame["failed"] == "")]

    def _fit(self, rows: pd.DataFrame) -> PowerLaw:
        return fit_power_law(rows["size"], 1 - rows["score"], seed=self.seed)

    def _compared(self, first: str, second: str) -> Crossing | None:
        rows = {name: self._good(name) for name in (first, second)}
        shared = len(set(rows[first]["size"]) & set(rows[second]["size"]))
        if not shared:
            return None
        if shared > 1 and first in self.fits and second in self.fits:
            return crossing({name: self.fits[name] for name in rows})
        return compare_means({name: (one["size"].to_numpy(), 1 - one["score"].to_numpy())
                             for name, one in rows.items()})  # fmt: skip

    def _failures(self) -> list[str]:
        failed = self.frame[self.frame["failed"] != ""]
        return [f"{r.candidate} failed with {r.size} examples (seed {r.seed}): {r.failed}"
                for r in failed.itertuples()]  # fmt: skip


def _foretold(fit: PowerLaw, size: int, rows: pd.DataFrame, repeats: int, seed: int) -> Estimate:
    """The mean of some measurements: the curve's own uncertainty and their scatter."""
    apart = rows["score"] - rows.groupby("size")["score"].transform("mean")
    freedom = len(rows) - rows["size"].nunique()
    scatter = np.sqrt((apart**2).sum() / freedom / repeats)
    noise = np.random.default_rng(seed).standard_t(freedom, len(fit.alpha))
    return Estimate.of(fit.draws_at(size)[:, 0] + noise * scatter)


def _columns(told: dict[str, Estimate]) -> dict[str, float]:
    ends = {"": "value", " low": "low", " high": "high"}
    return {f"{name}{end}": getattr(one, part)
            for name, one in told.items() for end, part in ends.items()}  # fmt: skip


def _row(row: dict[str, Any]) -> str:
    def told(name: str) -> str:
        return str(Estimate(row[name], row[f"{name} low"], row[f"{name} high"]))

    return (
        f"{row['candidate']}: error {told('error')} with {row['size']} examples; twice as many "
        f"would take {told('doubling')} from it."
    )


def as_frame(rows: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """The trials as a table of the columns that `LearningCurve` has."""
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype({"failed": str})
