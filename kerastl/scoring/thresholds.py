"""The score from which on a label is given, chosen on validation pictures."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from kerastl.data.tasks import Task, as_tasks
from kerastl.errors import InputError, nearest
from kerastl.scoring import measures
from kerastl.scoring.decisions import HALF
from kerastl.scoring.intervals import exact, in_words, interval, resampled
from kerastl.scoring.scores import records, score

METRICS = ("f1", "accuracy", "balanced_accuracy")
FEWEST = 5
"""Known positives and negatives that a label needs for a threshold of its own."""

COLUMNS = (
    "task", "label", "threshold", "metric", "at_half", "tuned", "gain", "low", "high", "n",
    "positives", "note",
)  # fmt: skip


@dataclass(frozen=True)
class Thresholds:
    """What `choose_thresholds` and `tune_thresholds` give.

    Args:
        values: By name of each binary and multilabel task, one number per label
            (of a binary task one, of its second class), as a Spec's `thresholds`.
        frame: A row per label: task, label, threshold, metric, at_half and tuned
            (its value at 0.5 and at the threshold, on these pictures), gain (of
            tuning, on pictures that it did not see), low and high (its 95 % interval;
            none where nothing was tuned), n (known labels), positives, and a note.
    """

    values: dict[str, tuple[float, ...]]
    frame: pd.DataFrame

    def records(self) -> list[dict[str, Any]]:
        """The frame's rows as plain JSON values; what is undefined is None."""
        return records(self.frame)

    def __str__(self) -> str:
        if self.frame.empty:
            return "No task has a threshold: of exclusive classes the largest score is the answer."
        return "\n".join(_table(self.frame))


def choose_thresholds(
    tasks: Task | Iterable[Task],
    labels: Mapping[str, np.ndarray],
    scores: Mapping[str, np.ndarray],
    *,
    metric: str = "f1",
    draws: int = 200,
    seed: int = 0,
) -> Thresholds:
    """Choose the threshold of each label of the binary and multilabel tasks.

    It is the one with the highest mean of the metric over bootstrap draws of the
    pictures, which smooths what few positives happen to show. Candidates are 0.5 and
    the middles between neighbouring scores; of equally good ones the nearest to 0.5.

    Tuning must prove itself: each draw also chooses a threshold by itself, which is
    compared with 0.5 on the pictures that the draw left out. Where that gains
    nothing on average, 0.5 is kept, as it is for a label with fewer than 5 known
    positives or negatives.

    Args:
        tasks: The tasks; multiclass ones have no threshold.
        labels: By task, as `score` takes them; unknown ones count nowhere.
        scores: By task: `[n, classes]` in [0, 1].
        metric: "f1", "accuracy" or "balanced_accuracy", of each label by itself.
        draws: Bootstrap draws over the pictures.
        seed: Seed of the draws.

    Returns:
        The `Thresholds`.

    Raises:
        InputError: For another metric, or labels or scores that do not fit.

    Reference:
        Breiman, "Out-of-bag estimation", technical report, Berkeley 1996.

    Example:
        >>> task = Task("rust", ["no", "yes"], "binary")
        >>> p = np.linspace(0, 1, 21)
        >>> found = choose_thresholds(task, {"rust": p > 0.22}, {"rust": np.c_[1 - p, p]})
        >>> round(found.values["rust"][0], 3), found.frame["tuned"].tolist()
        (0.225, [1.0])
    """
    tasks = as_tasks(tasks)
    check_options(metric, draws)
    score(tasks, labels, scores, draws=0)  # says what does not fit
    rows, values = [], {}
    for task in (t for t in tasks if t.kind != "multiclass"):
        codes = measures.codes_of(task, labels[task.name])
        found = list(_labels(task, codes, scores[task.name], metric, draws, seed))
        values[task.name] = tuple(row["threshold"] for row in found)
        rows += [{"task": task.name, "metric": metric, **row} for row in found]
    return Thresholds(values, pd.DataFrame(rows, columns=list(COLUMNS)))


def check_metric(metric: str) -> str:
    """The name of a metric that thresholds can be chosen by, or an InputError."""
    if metric in METRICS:
        return metric
    hint = nearest(metric, METRICS)
    raise InputError(f"Expected metric= of {', '.join(METRICS)}. Received: {metric!r}.{hint}")


def check_options(metric: str, draws: int) -> None:
    """Hold the options of a choice of thresholds to what they may be."""
    check_metric(metric)
    if draws < 1:
        raise InputError(f"Expected draws of at least 1. Received: {draws}.")


def _labels(
    task: Task, codes: np.ndarray, scores: np.ndarray, metric: str, draws: int, seed: int
) -> Iterator[dict[str, Any]]:
    """A row for each label; all labels see the same draws of the task's pictures."""
    a = measures.answers(task, codes, scores)
    counts = list(resampled(len(a.truth), draws, seed))
    for c in range(1 if task.kind == "binary" else 0, len(task.classes)):
        seen = a.seen[:, c]
        drawn = [block[seen] for block in counts]
        row = _label(a.truth[seen, c], a.scores[seen, c], drawn, metric)
        yield {"label": task.classes[c], **row}


def _label(
    truth: np.ndarray, scores: np.ndarray, counts: list[np.ndarray], metric: str
) -> dict[str, Any]:
    # In float32, as predictors give them: a threshold must divide those too.
    scores = scores.astype("float32").astype("float64")
    order = np.argsort(scores, kind="stable")
    truth, scores, counts = truth[order], scores[order], [c[order] for c in counts]
    n, positives = len(truth), int(truth.sum())
    few = [w for w, k in (("positives", positives), ("negatives", n - positives)) if k < FEWEST]
    best, gains, note = HALF, np.zeros(1), ""
    if few:
        note = f"kept at 0.5: fewer than {FEWEST} known {' and '.join(few)}"
    else:
        best, gains = _best(truth, scores, counts, metric)
        if best != HALF and not np.nanmean(gains) > 0:
            best, note = HALF, "kept at 0.5: tuning gains nothing on pictures it did not see"
    at = np.searchsorted(scores, [HALF, best], "left")
    half, tuned = _values(truth, at, np.ones((n, 1)), metric)[:, 0]
    gain = float(np.nanmean(gains))
    low, high = (math.nan, math.nan) if few else _limits(gain, gains, n)
    return {
        "threshold": best, "at_half": float(half), "tuned": float(tuned), "gain": gain,
        "low": low, "high": high, "n": n, "positives": positives, "note": note,
    }  # fmt: skip


def _limits(gain: float, gains: np.ndarray, n: int) -> tuple[float, float]:
    """Where the middle 95 % of the draws' gains lie, and what n pictures may never have shown.

    A draw leaves out a third of the pictures, so that its gain varies more than the gain on
    all. What turns out otherwise only on pictures of a kind that is not there it cannot show.
    """
    low, high = interval(gains)
    unseen = exact(0, n)[1]
    return (
        max(gain - math.hypot(gain - low, unseen), -1.0),
        min(gain + math.hypot(high - gain, unseen), 1.0),
    )


def _best(
    truth: np.ndarray, scores: np.ndarray, counts: list[np.ndarray], metric: str
) -> tuple[float, np.ndarray]:
    """The candidate with the highest mean over the draws, and what choosing so gains.

    Returns:
        The threshold; and by draw the gain over 0.5 of the draw's own best candidate,
        on the pictures that the draw left out.
    """
    distinct = np.unique(scores)
    candidates = np.unique(np.append((distinct[1:] + distinct[:-1]) / 2, HALF))
    # The nearest to 0.5 first: of equally good ones the first is taken.
    candidates = candidates[np.argsort(np.abs(candidates - HALF), kind="stable")]
    at = np.searchsorted(scores, candidates, "left")
    total, gains = np.zeros(len(candidates)), []
    for block in counts:
        # A draw without a positive or a negative is undefined for every candidate alike.
        taken = np.nan_to_num(_values(truth, at, block, metric))
        left_out = _values(truth, at, (block == 0).astype(block.dtype), metric)
        gains.append(left_out[taken.argmax(axis=0), np.arange(block.shape[1])] - left_out[0])
        total += taken.sum(axis=1)
    good = candidates[total >= total.max() * (1 - 1e-9)]
    return float(good[0]), np.concatenate(gains)


def _values(truth: np.ndarray, at: np.ndarray, counts: np.ndarray, metric: str) -> np.ndarray:
    """The metric where sorted pictures are positive from a place on: `[places, draws]`.

    Args:
        truth: bool `[n]`, in the order of the scores.
        at: `[places]`, the first picture that is called positive.
        counts: `[n, draws]`; a draw without both classes gives NaN.
        metric: One of METRICS.
    """
    every, below = _below(counts), _below(counts * truth[:, None])
    positives, negatives = below[-1], every[-1] - below[-1]
    hits = positives - below[at]
    called = every[-1] - every[at]
    refused = negatives - (called - hits)
    with np.errstate(invalid="ignore", divide="ignore"):
        if metric == "f1":
            found = 2 * hits / (called + positives)
        elif metric == "accuracy":
            found = (hits + refused) / every[-1]
        else:
            found = (hits / positives + refused / negatives) / 2
    return np.where((positives > 0) & (negatives > 0), found, math.nan)


def _below(counts: np.ndarray) -> np.ndarray:
    """Running totals from zero, `[n + 1, draws]`."""
    sums = np.zeros((len(counts) + 1, counts.shape[1]))
    np.cumsum(counts, axis=0, out=sums[1:])
    return sums


def _table(frame: pd.DataFrame) -> Iterator[str]:
    names = [f"{t}: {c}" for t, c in zip(frame["task"], frame["label"], strict=True)]
    width, metric = max(map(len, names)), frame["metric"].iloc[0]
    yield f"{'':<{width}}  threshold  {metric} at 0.5 -> tuned, gain on pictures left out"
    for name, row in zip(names, frame.to_dict("records"), strict=True):
        gain = in_words(row["gain"], row["low"], row["high"], "+.3f")
        told = f"{row['at_half']:.3f} -> {row['tuned']:.3f}, {gain}"
        count = f"{row['positives']} of {row['n']} positive"
        note = f"; {row['note']}" if row["note"] else ""
        yield f"{name:<{width}}  {row['threshold']:<9.3f}  {told}, {count}{note}"
