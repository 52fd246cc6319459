"""What should "?" mean in training? Known labels are hidden, and the meanings compared."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import pandas as pd

from kerastl.data.batches import tell_remarks
from kerastl.data.manifest import Manifest
from kerastl.data.tasks import UNCERTAIN, UNKNOWN, Task, known
from kerastl.errors import InputError, nearest
from kerastl.experiments.hiding import chance_of_uncertain, components, hide
from kerastl.experiments.parallel_heads import ParallelHeads, dropout_of
from kerastl.features.extract import extract_features
from kerastl.inference.evaluation import groups_of
from kerastl.models.cuts import split
from kerastl.models.spec import spec_of
from kerastl.scoring.differences import Difference, difference
from kerastl.scoring.scores import records
from kerastl.training.data import checked

COLUMNS = (
    "task", "label", "column", "policy", "auc", "average_precision", "difference", "low", "high",
    "n", "positives", "repeats", "verdict",
)  # fmt: skip

ASSUMED = (
    "Assumed: labels are uncertain at random given the picture. Where annotators were unsure of "
    "just those of one truth among pictures that look alike, no hiding of known labels shows it."
)


@dataclass(frozen=True)
class PolicyReport:
    """What `compare_policies` found: a row for each label and policy.

    Attributes:
        frame: Columns task, label, column (of the manifest), policy, auc and
            average_precision (means over repeats), difference (of the AUC to
            ignore's), low, high, n (known labels it is scored on), positives
            (among them), repeats and verdict.
        shares: By column, the share of positives among the known training labels:
            what the policy soft stands for.
        left_out: By column, why it could not be compared.
        level: Of the intervals: 95 % corrected for the number of policies.

    Example:
        >>> rows = [("sky", "blue", "sky", p, a, a, d, d - 0.01, d + 0.01, 90, 40, 5, v)
        ...         for p, a, d, v in [("ignore", 0.80, 0.0, "reference"),
        ...                            ("negative", 0.78, -0.02, "worse"),
        ...                            ("soft", 0.83, 0.03, "better")]]
        >>> report = PolicyReport(pd.DataFrame(rows, columns=list(COLUMNS)), {"sky": 0.4})
        >>> report.chosen, report.uncertain()
        ({'sky': 'soft'}, {'sky': 0.4})
    """

    frame: pd.DataFrame
    shares: Mapping[str, float]
    left_out: Mapping[str, str] = field(default_factory=dict)
    level: float = 0.95

    @property
    def chosen(self) -> dict[str, str]:
        """By column the best policy that is really better than ignore, else ignore."""
        found = dict.fromkeys([*self.shares, *self.left_out], "ignore")
        better = self.frame[self.frame["verdict"] == "better"].sort_values("difference")
        # The last of a column is the best, and takes the place of the others.
        return found | dict(zip(better["column"], better["policy"], strict=True))

    def uncertain(self) -> dict[str, str | float]:
        """The choice as `Manifest.with_uncertain` takes it.

        A column for which self-trained was chosen is ignored here: `self_train`
        gives its labels, from a model that was trained so.
        """
        words = ("ignore", "negative", "positive")
        return {
            column: policy if policy in words else self.shares[column]
            for column, policy in self.chosen.items()
            if policy != "self-trained"
        } | dict.fromkeys(self.self_trained, "ignore")

    @property
    def self_trained(self) -> tuple[str, ...]:
        """The columns for which self-trained was chosen: those for `self_train`."""
        return tuple(c for c, policy in self.chosen.items() if policy == "self-trained")

    @property
    def notes(self) -> tuple[str, ...]:
        """What was chosen and why, what was left out, and what is assumed."""
        return tuple(self._notes())

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; what is undefined is None."""
        return {
            "policies": records(self.frame), "chosen": self.chosen,
            "uncertain": self.uncertain(), "shares": dict(self.shares), "level": self.level,
            "notes": list(self.notes),
        }  # fmt: skip

    def __str__(self) -> str:
        lines: list[str] = []
        for column, rows in self.frame.groupby("column", sort=False):
            lines += [*_table(str(column), rows, self.level), ""]
        return "\n".join([*lines, *self.notes])

    def _notes(self) -> Iterator[str]:
        for column in self.shares:
            policy = self.chosen[column]
            if policy == "ignore":
                yield f"{column}: ignore is kept; no policy is really better: no difference."
            else:
                yield f"{column}: {policy} is chosen; it is really better than ignore."
        yield from (
            f"{c}: ignore is kept; not compared: {why}." for c, why in self.left_out.items()
        )
        if self.shares:
            yield ASSUMED


def _table(column: str, rows: pd.DataFrame, level: float) -> Iterator[str]:
    first = rows.iloc[0]
    yield (
        f"{column}: scored on {first['n']} known labels of val, {first['positives']} positive; "
        f"{first['repeats']} repeats; intervals {100 * level:.4g} %"
    )
    yield f"  {'policy':<12}  {'AUC':<5}  {'AP':<5}  {'AUC to ignore':<23}  verdict"
    for r in rows.to_dict("records"):
        apart = Difference(
            r["difference"], r["low"], r["high"], math.nan, math.nan, r["n"], r["repeats"], level
        )
        shown = "" if r["verdict"] == "reference" else str(apart)
        yield (
            f"  {r['policy']:<12}  {r['auc']:.3f}  {r['average_precision']:.3f}  {shown:<23}  "
            f"{r['verdict']}"
        )


POLICIES = ("ignore", "negative", "positive", "soft", "self-trained")

DRAWS = 2000
"""Bootstrap draws: the intervals are wider than 95 %, so their ends lie further out."""

Progress = Callable[[str, int, int], None]


class Column(NamedTuple):
    """A yes-or-no column with uncertain training labels."""

    task: Task
    label: str
    name: str


@dataclass(frozen=True)
class Study:
    """Features and codes of the two parts, `[n, features]` and `[n, columns]`; groups of val."""

    columns: tuple[Column, ...]
    train: np.ndarray
    codes: np.ndarray
    val: np.ndarray
    truth: np.ndarray
    groups: np.ndarray | None


def compare_policies(
    model: keras.Model,
    data: Manifest,
    *,
    policies: Sequence[str] = POLICIES,
    repeats: int = 5,
    epochs: int = 20,
    seed: int = 0,
    cache: str | Path | None = None,
    progress: Progress | None = None,
) -> PolicyReport:
    """Find out, label by label, what uncertain labels should mean in training.

    Each repeat hides as many known training labels as are uncertain (at most half
    of either class), more often of pictures that look like the uncertain ones. That
    assumes that labels are missing at random given the picture. The hidden and
    the uncertain labels then have each policy's meaning:

    - ignore: nothing is learnt from them;
    - negative, positive: they are 0, or 1;
    - soft: they are the share of positives among the known training labels;
    - self-trained: they are the scores of a head that was trained with ignore.

    Heads alone are trained, on the features in front of the model's own heads and
    from fresh weights, and scored on the known labels of the val part. A policy is
    chosen over ignore only where its AUC is really better: where the interval of the
    paired difference excludes 0, at 1 - 0.05 / k for k policies compared to ignore
    (Bonferroni; over labels nothing is corrected).

    Args:
        model: A kerastl model; it is not changed.
        data: A Manifest of its tasks with a train and a val part.
        policies: Those to compare; ignore is always among them.
        repeats: Hidings, each with a seed of its own for the heads.
        epochs: Epochs of each training.
        seed: The first repeat's seed; the others follow.
        cache: A folder that keeps the features for the next call.
        progress: Called with what has been done, repeats done, and all of them.

    Returns:
        The `PolicyReport`.

    Raises:
        InputError: For data without uncertain labels or without a train or val part,
            and for a policy that is none.
    """
    compared = _check(model, data, policies, repeats, epochs)
    study, left_out = _study(model, data, cache)
    if not study.columns:
        return PolicyReport(pd.DataFrame(columns=list(COLUMNS)), {}, left_out)
    trained = _train(study, compared, repeats, epochs, seed, dropout_of(model), progress)
    level = 1 - 0.05 / max(1, len(compared) - 1)
    rows = [
        row
        for number, column in enumerate(study.columns)
        for row in _rows(study, number, column, trained, level, seed)
    ]
    shares = {c.name: _share(study.codes[:, i]) for i, c in enumerate(study.columns)}
    return PolicyReport(pd.DataFrame(rows, columns=list(COLUMNS)), shares, left_out, level)


def _study(model: keras.Model, data: Manifest, cache: Any) -> tuple[Study, dict[str, str]]:
    """The features and codes of the columns that can be compared, and why others cannot."""
    train, val = data.split("train"), data.split("val")
    prefix = split(model, spec_of(model).features).prefix
    found = [extract_features(prefix, part, tasks=data.tasks, cache=cache) for part in (train, val)]
    tell_remarks(train, val)
    wanted = list(_uncertain_columns(data))
    names = [c.name for c in wanted]
    codes, truth = (
        part.frame[names].to_numpy("float64")[f.rows]
        for part, f in zip((train, val), found, strict=True)
    )
    why = [_hindrance(codes[:, i], truth[:, i]) for i in range(len(wanted))]
    use = [i for i, reason in enumerate(why) if not reason]
    left_out = {n: reason for n, reason in zip(names, why, strict=True) if reason}
    inputs = [np.asarray(f.values[:, 0], "float32") for f in found]
    columns = tuple(wanted[i] for i in use)
    groups = groups_of(val, found[1].rows)
    return Study(columns, inputs[0], codes[:, use], inputs[1], truth[:, use], groups), left_out


def _hindrance(codes: np.ndarray, truth: np.ndarray) -> str:
    """Why a column cannot be compared, or nothing."""
    for name, values, least in (("train", codes, 2), ("val", truth, 1)):
        positive, negative = (values >= 0.5).sum(), (known(values) & (values < 0.5)).sum()
        if min(positive, negative) < least:
            return (
                f"its {name} part has {positive} known positives and {negative} known negatives; "
                f"at least {least} of each are needed"
            )
    return ""


def _train(
    study: Study, policies: tuple[str, ...], repeats: int, epochs: int, seed: int,
    dropout: float, progress: Progress | None,
) -> dict[str, np.ndarray]:  # fmt: skip
    """Scores on val by policy, `[repeats, n, columns]`."""
    plain = [p for p in policies if p != "self-trained"]
    shape, labels = study.train.shape, len(study.columns)
    side_by_side = ParallelHeads(shape[1], labels, len(plain), shape[0], epochs, dropout)
    alone = None
    if "self-trained" in policies:
        alone = ParallelHeads(shape[1], labels, 1, shape[0], epochs, dropout)
    found: dict[str, list[np.ndarray]] = {p: [] for p in policies}
    inputs = components(study.train, seed)
    chances = [chance_of_uncertain(inputs, c, seed) for c in study.codes.T]
    for repeat in range(repeats):
        visible, asked = _hidden(study.codes, chances, [seed, repeat])
        targets = [_meaning(p, visible, asked) for p in plain]
        side_by_side.fit(study.train, np.concatenate(targets, axis=1), seed + repeat)
        for policy, scores in zip(plain, side_by_side.scores(study.val), strict=True):
            found[policy].append(scores)
        if alone is not None:
            guessed = side_by_side.scores(study.train)[plain.index("ignore")]
            alone.fit(study.train, np.where(asked, guessed, visible), seed + repeat)
            found["self-trained"].append(alone.scores(study.val)[0])
        if progress:
            progress("policies", repeat + 1, repeats)
    return {p: np.stack(scores) for p, scores in found.items()}


def _hidden(
    codes: np.ndarray, chances: Sequence[np.ndarray], seed: list[int]
) -> tuple[np.ndarray, np.ndarray]:
    """Codes with -1 wherever nothing is known now, and where a policy gives a meaning."""
    unsure = codes == UNCERTAIN
    masks = [
        hide(codes[:, i], chances[i], int(unsure[:, i].sum()), [*seed, i])
        for i in range(codes.shape[1])
    ]
    asked = unsure | np.stack(masks, axis=1)
    return np.where(asked | ~known(codes), UNKNOWN, codes), asked


def _meaning(policy: str, visible: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """The training labels `[n, columns]` under a policy."""
    value = {"ignore": UNKNOWN, "negative": 0.0, "positive": 1.0}.get(policy)
    if value is None:
        value = [_share(column) for column in visible.T]
    return np.where(asked, value, visible)


def _share(codes: np.ndarray) -> float:
    """The share of positives among the known labels."""
    return float(codes[known(codes)].mean())


def _rows(
    study: Study, i: int, column: Column, trained: Mapping[str, np.ndarray], level: float, seed: int
) -> Iterator[tuple]:
    """A row for each policy of one column."""
    task, truth = Task(column.task.name, (column.label,), "multilabel"), study.truth[:, i : i + 1]
    scores = {p: s[..., i : i + 1] for p, s in trained.items()}

    def apart(policy: str, metric: str, draws: int) -> Difference:
        return difference(
            task, truth, scores[policy], scores["ignore"], metric=metric, level=level,
            class_=column.label, groups=study.groups, draws=draws, seed=seed,
        )  # fmt: skip

    for policy in trained:
        found, precision = apart(policy, "auc", DRAWS), apart(policy, "average_precision", 1)
        verdict = "reference" if policy == "ignore" else found.verdict
        yield (
            column.task.name, column.label, column.name, policy, found.ours, precision.ours,
            found.value, found.low, found.high, found.n, int((truth >= 0.5).sum()), found.repeats,
            verdict,
        )  # fmt: skip


def _uncertain_columns(data: Manifest) -> Iterator[Column]:
    frame = data.split("train").frame
    for task in data.tasks:
        labels = task.classes if task.kind == "multilabel" else task.classes[1:]
        if task.kind != "multiclass":
            for label, name in zip(labels, task.columns, strict=True):
                if (frame[name] == UNCERTAIN).any():
                    yield Column(task, label, name)


def _check(
    model: keras.Model, data: Any, policies: Sequence[str], repeats: int, epochs: int
) -> tuple[str, ...]:
    """The policies to compare, ignore first; raises for what cannot be compared."""
    if not isinstance(data, Manifest):
        raise InputError(f"Expected a Manifest. Received: {type(data).__name__}.")
    checked(data, spec_of(model))
    faults = [f"there is no policy {p!r}; there are: {', '.join(POLICIES)}.{nearest(p, POLICIES)}"
              for p in policies if p not in POLICIES]  # fmt: skip
    numbers = {"repeats": repeats, "epochs": epochs}
    faults += [f"{n}: expected at least 1, received {v}" for n, v in numbers.items() if v < 1]
    missing = [p for p in ("train", "val") if not data.has(p)]
    if missing:
        there = ", ".join(data.splits) or "none"
        faults.append(f"expected a train and a val part, received: {there}")
    elif not list(_uncertain_columns(data)):
        faults.append(_nothing_uncertain(data))
    if faults:
        raise InputError("The policies for uncertain labels cannot be compared.", faults)
    return tuple(dict.fromkeys(["ignore", *policies]))


def _nothing_uncertain(data: Manifest) -> str:
    if all(t.kind == "multiclass" for t in data.tasks):
        names = ", ".join(t.name for t in data.tasks)
        return (
            f"expected a binary or multilabel task, received multiclass only ({names}): an "
            "uncertain label of these can only be ignored"
        )
    return (
        'expected uncertain labels ("?") of a binary or multilabel task in the train part, '
        "received none: name the words that mark them with unsure= when reading the table"
    )
