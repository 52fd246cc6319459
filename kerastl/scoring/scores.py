"""How good the scores are: each measure with its number of labels and its interval."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from kerastl.data.tasks import Task, as_tasks, known
from kerastl.errors import InputError
from kerastl.scoring import measures
from kerastl.scoring.decisions import HALF, complete
from kerastl.scoring.intervals import TOO_FEW, in_words, resampled
from kerastl.scoring.limits import limits, wanted
from kerastl.scoring.measures import Answers, Measures, metrics_of

COLUMNS = ("task", "class", "metric", "value", "low", "high", "n", "positives", "interval")
LEVEL = "95 %"


@dataclass(frozen=True)
class Scores:
    """What `score` and `evaluate` give: one row per measure, nothing without its n.

    Args:
        frame: Columns task, class ("" for the whole task), metric, value, low,
            high (its 95 % interval, see `score`), n (known labels), positives (of
            the class; missing for a whole task) and interval: "95 %", "too few" where
            there is too little for one, "" where none was asked for.
        confusion: Counts by task, true classes down, predicted classes across;
            for multiclass and binary tasks.
        reliability: By task, a row per filled bin: low, high, confidence (mean),
            frequency (how often it was so), n.
        notes: Why a value is missing, which classes an average leaves out, and
            the thresholds that are not 0.5.
    """

    frame: pd.DataFrame
    confusion: dict[str, pd.DataFrame] = field(default_factory=dict)
    reliability: dict[str, pd.DataFrame] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def get(self, task: str, metric: str, class_: str = "") -> float:
        """One value.

        Args:
            task: The task's name.
            metric: As in the frame's column.
            class_: The class; "" for the whole task.

        Returns:
            The value, NaN where it is undefined (`notes` says why).

        Raises:
            InputError: If there is no such row.
        """
        f = self.frame
        found = f[(f["task"] == task) & (f["metric"] == metric) & (f["class"] == class_)]
        if found.empty:
            have = sorted(set(zip(f["task"], f["metric"], strict=True)))
            raise InputError(
                f"Expected a task and a metric that were scored. Received: {task!r}, "
                f"{metric!r}, class {class_!r}. There are:",
                [f"{t}: {m}" for t, m in have],
            )
        return float(found["value"].iloc[0])

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; what is undefined is None."""
        confusion = {
            t: {"classes": list(c.index), "counts": c.to_numpy().tolist()}
            for t, c in self.confusion.items()
        }
        return {"scores": records(self.frame), "confusion": confusion, "notes": list(self.notes)}

    def __str__(self) -> str:
        lines = []
        for task, part in self.frame.groupby("task", sort=False):
            lines += [f"{task}", *_table(part), ""]
        return "\n".join([*lines, *self.notes]).rstrip()


def score(
    tasks: Task | Iterable[Task],
    labels: Mapping[str, np.ndarray],
    scores: Mapping[str, np.ndarray],
    *,
    thresholds: Mapping[str, Sequence[float]] | None = None,
    only: Collection[str] | None = None,
    groups: np.ndarray | None = None,
    draws: int = 1000,
    seed: int = 0,
) -> Scores:
    """Score predictions on the labels that are known.

    A whole task gets accuracy, macro F1, AUC (one class against the rest), expected
    calibration error (15 equal bins of the top score; for multilabel of each label's
    score, averaged) and log loss. A class gets precision, recall, F1 and AUC, and a
    label its average precision too. A multilabel task's accuracy is that of its
    single known labels, and it gets its labels' mean average precision. Averages
    over classes (macro F1, AUC, average precision) are over those with a known
    positive and a known negative; the notes name the others.

    An interval holds the truth in 95 of 100 such sets of pictures, in small ones too:
    `limits` says how for each measure. Where there is too little for that, as with fewer
    than 5 positives for an AUC, it says "too few". Pictures that come in groups, such as
    a patient's, are not taken for independent.

    Args:
        tasks: The tasks.
        labels: By task: codes `[n]`, `[n, 1]` for binary, `[n, labels]` for
            multilabel; unknown is -1, a soft label is positive from 0.5.
        scores: By task: `[n, classes]` in [0, 1], one per class name.
        thresholds: By task, as a Spec's: a label is given, and the second class of
            a binary task is the answer, from this score on; by default 0.5.
        only: The metrics to compute; by default all.
        groups: `[n]`, the group of each picture, as `Manifest.groups`; None where each
            stands for itself.
        draws: Bootstrap draws over pictures, or over groups, for the measures that need
            them; 0 for no intervals. Draws in which a value is undefined are left out.
        seed: Seed of the draws.

    Returns:
        The `Scores`.

    Raises:
        InputError: For labels, scores or thresholds that do not fit their task.

    Example:
        >>> task = Task("sky", ["grey", "blue"])
        >>> s = score(task, {"sky": np.array([0, 1, 1, -1])}, {"sky": np.eye(2)[[0, 1, 0, 0]]})
        >>> round(s.get("sky", "accuracy"), 3), s.get("sky", "recall", "blue")
        (0.667, 0.5)

    References:
        Guo et al., "On Calibration of Modern Neural Networks", ICML 2017.
        Efron and Tibshirani, "An Introduction to the Bootstrap", 1993.
    """
    tasks = as_tasks(tasks)
    _check(tasks, labels, scores, groups, draws)
    at = complete(tasks, thresholds)
    rows, notes, confusion, reliability = [], [], {}, {}
    for task in tasks:
        codes = measures.codes_of(task, labels[task.name])
        found = measures.answers(task, codes, scores[task.name], at.get(task.name))
        of = None if groups is None else np.asarray(groups)[measures.with_label(codes)]
        rows += _rows(task, found, only, of, draws, seed)
        notes += [*_notes(task, found), *_moved(task, at.get(task.name, ()))]
        reliability[task.name] = _reliability(found)
        if task.kind != "multilabel":
            confusion[task.name] = _confusion(task, found)
    frame = pd.DataFrame(rows, columns=list(COLUMNS)).astype({"positives": "Int64"})
    return Scores(frame, confusion, reliability, tuple(notes))


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """A frame's rows as plain JSON values; what is undefined is None."""
    return [{k: _plain(v) for k, v in row.items()} for row in frame.to_dict("records")]


def _rows(
    task: Task,
    a: Answers,
    only: Collection[str] | None,
    groups: np.ndarray | None,
    draws: int,
    seed: int,
) -> Iterator[tuple]:
    keys = [key for key in metrics_of(task) if only is None or key[1] in only]
    values = _measured(task, a, keys, np.ones((len(a.truth), 1)))
    vary = list(dict.fromkeys(one for key in keys for one in wanted(task, [a], key)))
    counts = resampled(len(a.truth), draws if vary else 0, seed, groups)
    blocks = [_measured(task, a, vary, c) for c in counts]
    drawn = {key: np.concatenate([b[key] for b in blocks]) for key in vary if blocks}
    n_of = dict(zip(task.classes, a.seen.sum(axis=0).tolist(), strict=True))
    positives = dict(zip(task.classes, (a.truth & a.seen).sum(axis=0).tolist(), strict=True))
    for key, found in values.items():
        name, metric = key
        value, low, high, said = float(found[0]), math.nan, math.nan, ""
        if draws and not math.isnan(value):
            low, high = limits(task, [a], key, value, drawn, groups)
            said = TOO_FEW if math.isnan(low) else LEVEL
        n = n_of[name] if name else int(a.counted.sum())
        yield task.name, name, metric, value, low, high, n, positives.get(name), said


def _measured(
    task: Task, a: Answers, keys: Sequence[tuple[str, str]], counts: np.ndarray
) -> dict[tuple[str, str], np.ndarray]:
    made = Measures(task, a, counts)
    return {key: made[key] for key in keys}


def _notes(task: Task, a: Answers) -> Iterator[str]:
    if not len(a.truth):
        yield f"{task.name}: no known label, so nothing could be scored."
        return
    positive, seen = (a.truth & a.seen).sum(axis=0), a.seen.sum(axis=0)

    def named(mask: np.ndarray) -> str:
        return ", ".join(c for c, m in zip(task.classes, mask, strict=True) if m)

    labels = task.kind == "multilabel"
    if names := named(seen == 0):
        yield f"{task.name}: no known label of {names}: nothing of it could be scored."
    if names := named((positive == 0) & (seen > 0)):
        curves = "recall, AUC and average precision" if labels else "recall and AUC"
        yield f"{task.name}: no known positive of {names}: {curves} are undefined."
    if names := named((positive == seen) & (seen > 0)):
        yield f"{task.name}: no known negative of {names}: AUC is undefined."
    if names := named(~a.both):
        averages = "macro F1, AUC and average precision" if labels else "macro F1 and AUC"
        yield f"{task.name}: the averages ({averages}) leave out {names}."
    if names := named(~(a.picked & a.seen).any(axis=0) & (seen > 0)):
        yield f"{task.name}: {names} was never predicted: precision is undefined."


def _moved(task: Task, thresholds: Sequence[float]) -> Iterator[str]:
    """The thresholds that are not 0.5, in words."""
    labels = task.classes if task.kind == "multilabel" else task.classes[1:]
    moved = [f"{c} {t:.3f}" for c, t in zip(labels, thresholds, strict=False) if t != HALF]
    if moved:
        yield f"{task.name}: decided at a score of {', '.join(moved)}; 0.5 where none is named."


def _confusion(task: Task, a: Answers) -> pd.DataFrame:
    counts = a.truth.astype("int64").T @ a.picked.astype("int64")
    index = pd.Index(task.classes, name="true")
    return pd.DataFrame(counts, index=index, columns=pd.Index(task.classes, name="predicted"))


def _reliability(a: Answers) -> pd.DataFrame:
    confidence, right = a.confidence[a.counted], a.right[a.counted]
    frame = pd.DataFrame({"bin": measures.bins_of(confidence), "c": confidence, "r": right})
    by_bin = frame.groupby("bin").agg(
        confidence=("c", "mean"), frequency=("r", "mean"), n=("c", "size")
    )
    by_bin.insert(0, "low", by_bin.index / measures.BINS)
    by_bin.insert(1, "high", (by_bin.index + 1) / measures.BINS)
    return by_bin.reset_index(drop=True)


def _check(
    tasks: tuple[Task, ...],
    labels: Mapping,
    scores: Mapping,
    groups: np.ndarray | None,
    draws: int,
) -> None:
    faults = [f"{t.name}: {what}" for t in tasks for what in _faults(t, labels, scores)]
    lengths = {len(np.asarray(labels[t.name])) for t in tasks if t.name in labels}
    if groups is not None and lengths - {len(groups)}:
        faults.append(f"expected a group for each of {max(lengths)} pictures: {len(groups)} given.")
    if draws < 0:
        faults.append(f"Expected draws of 0 or more. Received: {draws}.")
    if faults:
        raise InputError("Expected labels and scores that fit the tasks.", faults)


def _faults(task: Task, labels: Mapping, scores: Mapping) -> Iterator[str]:
    missing = [w for w, d in (("labels", labels), ("scores", scores)) if task.name not in d]
    if missing:
        yield f"no {' and no '.join(missing)}."
        return
    y, s = np.asarray(labels[task.name]), np.asarray(scores[task.name])
    wide = (len(s), len(task.classes))
    if s.shape != wide:
        yield f"expected scores of shape [n, {len(task.classes)}]. Received: {list(s.shape)}."
    elif not np.isfinite(s).all() or s.min(initial=0) < -1e-6 or s.max(initial=1) > 1 + 1e-6:
        yield "expected scores in [0, 1]. Received values outside, or NaN."
    shapes = [wide] if task.kind == "multilabel" else [(len(s),), (len(s), 1)]
    if y.shape not in shapes:
        yield f"expected labels of shape {list(shapes[0])}. Received: {list(y.shape)}."
    else:
        most = len(task.classes) - 1 if task.kind == "multiclass" else 1
        if y[known(y)].max(initial=0) > most:
            yield f"expected labels up to {most}. Received: {y.max()}."


def _table(part: pd.DataFrame) -> list[str]:
    """Lines for the whole task, then one line per class."""
    whole = part[part["class"] == ""].to_dict("records")
    lines = [f"  {r['metric']:<17}  {_cell(r, 3):<22}  n = {r['n']}" for r in whole]
    by_name = {c: p.to_dict("records") for c, p in part.groupby("class", sort=False) if c}
    width = max(5, *map(len, by_name))
    heads = "".join(f"{r['metric']:<19}" for r in next(iter(by_name.values())))
    lines += ["", f"  {'class':<{width}}  {heads}positives of n"]
    for name, rows in by_name.items():
        cells = "".join(f"{_cell(r, 2):<19}" for r in rows)
        lines.append(f"  {name:<{width}}  {cells}{rows[0]['positives']} of {rows[0]['n']}")
    return lines


def _cell(row: Mapping[str, Any], digits: int) -> str:
    if math.isnan(row["value"]):
        return "undefined"
    form = f".{digits}f"
    if not row["interval"]:
        return f"{row['value']:{form}}"
    return in_words(row["value"], row["low"], row["high"], form)


def _plain(value: Any) -> Any:
    if value is pd.NA or (isinstance(value, float) and math.isnan(value)):
        return None
    return value.item() if isinstance(value, np.generic) else value
