"""What a learning curve found: scores by size, fits, crossings, a sentence and a picture."""

from __future__ import annotations

import contextlib
import itertools
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from kerastl.errors import InputError
from kerastl.experiments.curves.crossings import Crossing, CurveErrors, compare_means, crossing
from kerastl.experiments.curves.power_law import DRAWS, Estimate, PowerLaw, fit_power_law
from kerastl.files import replacing, write_json
from kerastl.plotting import GREY, INK, printable, write_png

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


COLUMNS = ("candidate", "size", "seed", "score", "n", "seconds", "failed")

Trial = tuple[str, int, int]
"""A candidate, a size and a seed."""


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
        scores: Of each trial `[n]`, one for each test example.
    """

    frame: pd.DataFrame
    seed: int = 0
    scores: Mapping[Trial, np.ndarray] = field(default_factory=dict)

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
            errors = self._errors(name)
            moves = errors.moves(DRAWS, self.seed, _own_seed(name))
            try:
                fits[name] = self._fit(name, errors, moves)
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
        """Each curve tested on its largest size, which its fit did not see.

        What is found there is found on the same test examples, so that others play no part.
        """
        found = []
        for errors, name in ((self._errors(name), name) for name in self.candidates):
            last = int(errors.levels[-1]) if len(errors.levels) else 0
            rest, there = errors.below(last), errors.at(last)
            with contextlib.suppress(InputError):  # the others alone make no curve
                told = _foretold(self._fit(name, rest), last, rest, len(there), self.seed)
                found.append(HeldBack(name, last, told, float(there.mean())))
        return tuple(found)

    @cached_property
    def summary(self) -> pd.DataFrame:
        """A row a candidate: its error at the largest size, and what more data would bring.

        Columns: candidate, size, error, doubling (what twice as many examples would take
        from the error), reliance (`PowerLaw.reliance`) and alpha, the error that is left
        with endless data; each with low and high.
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
        if len(self.candidates) == 1:
            return "There is nothing to compare: there is one candidate."
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
        return "\n".join([self._table(), self._scope(), "",
                          *map(_row, self.summary.to_dict("records")), *causes,
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

    def _scope(self) -> str:
        """What the intervals are for."""
        trained = [name for name in self.candidates if len(self._good(name))]
        lacking = [name for name in trained if self._errors(name).each is None]
        if not lacking:
            return "The 95 % intervals hold for other repeats and for other test examples."
        whose = f" of {', '.join(lacking)}" if len(lacking) < len(trained) else ""
        return f"The 95 % intervals{whose} hold for other repeats on these test examples."

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

    def _errors(self, name: str) -> CurveErrors:
        """A candidate's; by test example where every trial has a score for each of the same."""
        rows = self._good(name)
        scores = [self.scores.get(trial_of(row)) for row in rows.to_dict("records")]
        several = all(one is not None and len(one) > 1 for one in scores)
        alike = bool(scores) and several and len({len(one) for one in scores}) == 1
        each = 1 - np.stack(scores) if alike else None
        return CurveErrors(rows["size"].to_numpy(), 1 - rows["score"].to_numpy(), each)

    def _fit(self, name: str, errors: CurveErrors, moves: np.ndarray | None = None) -> PowerLaw:
        seed = [self.seed, _own_seed(name)]
        return fit_power_law(errors.sizes, errors.errors, moves=moves, seed=seed)

    def _compared(self, first: str, second: str) -> Crossing | None:
        errors = {name: self._errors(name) for name in (first, second)}
        shared = np.intersect1d(*(one.levels for one in errors.values()))
        if not len(shared):
            return None
        if len(shared) > 1 and first in self.fits and second in self.fits:
            return crossing({name: self.fits[name] for name in errors})
        return compare_means(errors)

    def _failures(self) -> list[str]:
        failed = self.frame[self.frame["failed"] != ""]
        return [f"{r.candidate} failed with {r.size} examples (seed {r.seed}): {r.failed}"
                for r in failed.itertuples()]  # fmt: skip


def _own_seed(name: str) -> int:
    """Of a candidate's draws: those of two that had the same would move together."""
    return zlib.crc32(name.encode("utf-8", "surrogatepass"))


def _foretold(fit: PowerLaw, size: int, rest: CurveErrors, repeats: int, seed: int) -> Estimate:
    """The mean of some measurements: the curve's own uncertainty and their scatter."""
    squares = sum(((part - part.mean()) ** 2).sum() for part in map(rest.at, rest.levels))
    freedom = len(rest.errors) - len(rest.levels)
    scatter = np.sqrt(squares / freedom / repeats)
    noise = np.random.default_rng(seed).standard_t(freedom, len(fit.alpha))
    return Estimate.of(np.clip(fit.draws_at(size)[:, 0] + noise * scatter, 0.0, 1.0))


def _columns(told: dict[str, Estimate]) -> dict[str, float]:
    ends = {"": "value", " low": "low", " high": "high"}
    return {f"{name}{end}": getattr(one, part)
            for name, one in told.items() for end, part in ends.items()}  # fmt: skip


def _row(row: dict[str, Any]) -> str:
    def told(name: str) -> str:
        return str(Estimate(row[name], row[f"{name} low"], row[f"{name} high"]))

    return (
        f"{row['candidate']}: error {told('error')} with {row['size']} examples, data reliance "
        f"{told('reliance')}; twice as many would take {told('doubling')} from it."
    )


def as_frame(rows: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """The trials as a table of the columns that `LearningCurve` has."""
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype({"failed": str})


def trial_of(row: Mapping[str, Any]) -> Trial:
    """Which trial a row of that table is of."""
    return row["candidate"], int(row["size"]), int(row["seed"])
