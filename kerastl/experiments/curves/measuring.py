"""learning_curve: which way of training is better with how much data, measured.

Trials that are done are kept in a folder: none is run twice.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import numbers
import time
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from kerastl.errors import InputError
from kerastl.experiments.curves.report import COLUMNS, LearningCurve, Trial, as_frame, trial_of
from kerastl.experiments.curves.subsets import CurveData
from kerastl.features.store.records import SUFFIX, DamagedPart, read_checked, write_checked
from kerastl.files import DIGEST, as_folder, hold_to, replacing, write_json
from kerastl.terminal import bar

SETTINGS, TRIALS = "settings.json", "kept.csv"
"""What the trials are of, and all of them, also those that a call does not ask for."""

SCORES = "scores"
"""A folder with a file for each trial that gave a score for each test example."""

Row = dict[str, Any]


@dataclass
class KeptTrials:
    """Trials that are done, written after each.

    Attributes:
        rows: The trials, of the columns of a `LearningCurve`'s frame.
        folder: Where they are kept; None keeps them nowhere.
        scores: Of each trial that succeeded `[n]`, one for each test example.
    """

    rows: list[Row] = field(default_factory=list)
    folder: Path | None = None
    scores: dict[Trial, np.ndarray] = field(default_factory=dict)

    @classmethod
    def of(cls, folder: str | Path, settings: Mapping[str, Any]) -> KeptTrials:
        """What a folder keeps; it is told what its trials are of, or held to it.

        Args:
            folder: Need not be there.
            settings: All that decides what a trial comes to, the data among it.

        Raises:
            InputError: Where its trials are of other settings, naming each, or cannot be
                read.
        """
        folder, given = as_folder(folder), {name: str(value) for name, value in settings.items()}
        if not (folder / TRIALS).exists():
            write_json(folder / SETTINGS, given)
            return cls([], folder)
        damaged = f"{folder} holds trials that cannot be read. Give another folder."
        other = (
            f"{folder} holds a learning curve of other data or settings. Give another folder, "
            f"or delete {folder / TRIALS} to begin anew."
        )
        hold_to(folder / SETTINGS, given, other, damaged)
        kept = cls([], folder)
        for row in _read(folder / TRIALS, damaged):
            kept._take(row)
        return kept

    @property
    def done(self) -> set[Trial]:
        """The trials that need not be run."""
        return set(map(trial_of, self.rows))

    def add(self, row: Row, scores: np.ndarray) -> None:
        """Keep one more: first what it scored, then that it is done."""
        self.rows.append(row)
        self.scores[trial_of(row)] = scores
        if self.folder is None:
            return
        if len(scores) > 1:
            path = self._path(row)
            path.parent.mkdir(parents=True, exist_ok=True)
            write_checked(path, {"tasks": [row["candidate"]]}, [scores])
        with replacing(self.folder / TRIALS) as unfinished:
            as_frame(self.rows).to_csv(unfinished, index=False)

    def _take(self, row: Row) -> None:
        """A trial of the folder, unless its scores are gone: then it is run again."""
        scores = np.array([row["score"]])
        if row["n"] > 1:
            try:
                _, [scores] = read_checked(self._path(row))
            except (FileNotFoundError, DamagedPart):
                return
        if scores.shape == (row["n"],):
            self.rows.append(row)
            self.scores[trial_of(row)] = scores

    def _path(self, row: Row) -> Path:
        told = json.dumps(trial_of(row)).encode()
        name = hashlib.blake2b(told, digest_size=DIGEST).hexdigest()
        return self.folder / SCORES / f"{name}{SUFFIX}"


def _read(path: Path, damaged: str) -> list[Row]:
    """The trials that succeeded: the others are tried again."""
    types = {"size": int, "seed": int, "n": int, "score": float}
    try:
        frame = pd.read_csv(path, keep_default_na=False, na_values={"score": [""]},
                            dtype={"candidate": str, "failed": str})  # fmt: skip
        frame = frame[list(COLUMNS)].astype(types)
    except (OSError, ValueError, KeyError) as error:
        raise InputError(damaged) from error
    return frame[frame["failed"] == ""].to_dict("records")


log = logging.getLogger("kerastl")

MOST, FEWEST = 8, 3
"""Repeats at the smallest size and at the largest one, where none are given."""


def learning_curve(
    candidates: Mapping[str, Callable[[Any, int], Any]],
    data: Any,
    sizes: Sequence[int],
    seeds: int | Mapping[int, int] | None = None,
    *,
    strata: Sequence[Hashable] | None = None,
    folder: str | Path | None = None,
    settings: Mapping[str, Any] | None = None,
    verbose: int = 1,
) -> LearningCurve:
    """Train every candidate on parts of the data, and say which is better with how much.

    Each seed draws parts of its own, each within the next larger one, with every class in
    its share; all candidates train on the same parts. The errors are fitted by
    e(n) = alpha + eta n^gamma (see `power_law`); where they do not fall so, the means are
    compared. The intervals hold how repeats differ; where candidates give a score for each
    test example, as the ready ones do, they hold which test examples there were, too.

    Args:
        candidates: By name, what is called with a part of the data and a seed, trains on
            it and gives its scores from 0 to 1 on test examples that are always the same:
            one for each of them, or their mean alone. Ready ones: `curve_candidates`.
        data: A Manifest, whose train part is divided; a candidate gets the part with the
            whole's val and test parts. Or a list, an array, a frame, or a tuple of arrays.
        sizes: Examples to train on.
        seeds: Repeats of each size, or by size how many; by default 8 at the smallest
            and 3 at the largest.
        strata: What each example belongs to; a Manifest's are its joint labels.
        folder: Keeps every finished trial and the report. Called again with the same
            data, it goes on where it was, and tries again what failed; other sizes, seeds
            and candidates are added. A candidate is known by its name: one that has changed
            needs another name.
        settings: What the candidates have in common, kept in the folder: trials of other
            settings are not mixed with these.
        verbose: 1 shows a line a trial and a bar, 0 nothing.

    Returns:
        The `LearningCurve`. A trial that failed is a row with its cause.

    Raises:
        InputError: For data, sizes, seeds and candidates that will not do; for a folder of
            other data or settings; and where no trial succeeded.

    Example:
        >>> def guess(part, seed):
        ...     return 1 - 2 / len(part) ** 0.5
        >>> sizes = [100, 200, 400, 800]
        >>> curve = learning_curve({"guess": guess}, list(range(900)), sizes, 3, verbose=0)
        >>> print(curve.fits["guess"].at(1600))
        0.050 [0.050, 0.050]
    """
    _check_candidates(candidates)
    sizes = [sizes] if isinstance(sizes, numbers.Integral) else list(sizes)
    divided = CurveData.of(data, strata)
    first = divided.parts(sizes, 0)  # sizes that will not do are told first
    repeats = _repeats(sizes, seeds)
    further = {seed: divided.parts(sizes, seed) for seed in range(1, max(repeats.values()))}
    drawn = {0: first, **further}
    kept = KeptTrials()
    if folder is not None:
        about = {"data": divided.digest(), **(settings or {})}
        kept = KeptTrials.of(folder, about)
    plan = [(name, size, seed) for size in sorted(repeats) for seed in range(repeats[size])
            for name in candidates]  # fmt: skip
    missing, traced = [trial for trial in plan if trial not in kept.done], set()
    with _told(len(plan), len(plan) - len(missing), bool(verbose)) as tell:
        for name, size, seed in missing:
            row, scores = _trial(
                name, candidates[name], divided.take(drawn[seed][size]), size, seed, traced
            )
            kept.add(row, scores)
            tell(row)
    return _report(kept, plan, folder)


@contextlib.contextmanager
def _told(total: int, done: int, show: bool) -> Iterator[Callable[[Row], None]]:
    """A function that shows a trial's outcome, and how many are still to come."""
    if not show:
        yield lambda row: None
        return
    with bar() as progress:
        task = progress.add_task("trials", total=total, completed=done, note="")

        def tell(row: Row) -> None:
            progress.advance(task)
            told = row["failed"] or f"{row['score']:.3f}"
            number = f"trial {progress.tasks[task].completed:.0f} of {total}"
            line = f"{number}: {row['candidate']}, {row['size']} examples, {told}"
            progress.console.print(line, markup=False, highlight=False, soft_wrap=True)

        yield tell


def _report(kept: KeptTrials, plan: list[Trial], folder: Any) -> LearningCurve:
    by_trial = {trial_of(row): row for row in kept.rows}
    asked = [by_trial[trial] for trial in plan]
    if all(row["failed"] for row in asked):
        causes = dict.fromkeys(f"{row['candidate']}: {row['failed']}" for row in asked)
        raise InputError("No trial succeeded, so there is no curve.", causes)
    found = LearningCurve(as_frame(asked), scores={t: kept.scores[t] for t in plan})
    if folder is not None:
        found.save(folder)
    return found


def _trial(
    name: str, candidate: Callable, part: Any, size: int, seed: int, traced: set[tuple[str, str]]
) -> tuple[Row, np.ndarray]:
    start, failed, scores = time.perf_counter(), "", np.zeros(0)
    try:
        scores = _scores(candidate(part, seed))
    except Exception as error:  # whatever a user's function raises costs its own trial
        failed = (str(error).strip().splitlines() or [""])[0] or type(error).__name__
        if not isinstance(error, InputError) and (name, failed) not in traced:
            traced.add((name, failed))  # where it happened is told once, and not of a sentence
            log.warning("%s failed with %d examples (seed %d).", name, size, seed, exc_info=error)
    took = round(time.perf_counter() - start, 3)
    score = float("nan") if failed else float(scores.mean())
    row = {"candidate": name, "size": size, "seed": seed, "score": score, "n": scores.size,
           "seconds": took, "failed": failed}  # fmt: skip
    return row, scores


def _scores(given: Any) -> np.ndarray:
    scores = np.atleast_1d(np.asarray(given, "float64"))
    if scores.ndim != 1 or not scores.size or not ((scores >= 0) & (scores <= 1)).all():
        told = f"{scores.min()} to {scores.max()}" if scores.size else "nothing"
        raise InputError(
            "Expected a score from 0 to 1, or one for each test example. Received: "
            f"{told}, shape {list(scores.shape)}."
        )
    return scores


def _check_candidates(candidates: Any) -> None:
    faults = []
    if not isinstance(candidates, Mapping) or not candidates:
        faults = [f"received {candidates!r}"]
    else:
        faults += [f"{name!r}: expected a name" for name in candidates
                   if not isinstance(name, str) or not name.strip()]  # fmt: skip
        faults += [f"{name}: {call!r} cannot be called" for name, call in candidates.items()
                   if not callable(call)]  # fmt: skip
    if faults:
        raise InputError("Expected candidates= callables by name, one at least.", faults)


def _repeats(sizes: Sequence[int], seeds: Any) -> dict[int, int]:
    if seeds is None:
        counts = np.linspace(MOST, FEWEST, len(sizes)).round().astype(int).tolist()
        return dict(zip(sorted(sizes), counts, strict=True))
    found = {size: seeds.get(size, 0) for size in sizes} if isinstance(seeds, Mapping) else (
        dict.fromkeys(sizes, seeds))  # fmt: skip
    odd = {s: n for s, n in found.items() if not _whole(n)}
    if odd:
        raise InputError(
            "Expected seeds= how many repeats, 1 or more, for all sizes or by size.",
            [f"{size}: received {count!r}" for size, count in odd.items()],
        )
    return {int(size): int(count) for size, count in found.items()}


def _whole(count: Any) -> bool:
    return isinstance(count, numbers.Integral) and not isinstance(count, bool) and count >= 1
