"""Static weights of the tasks' losses in a joint network, chosen on validation data."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from kerastl.data.manifest import Manifest
from kerastl.data.tasks import Task
from kerastl.errors import InputError
from kerastl.experiments.trials import Settings, Trials
from kerastl.inference.evaluation import Predictions
from kerastl.models.factories import Backbone
from kerastl.models.spec import Trainable
from kerastl.scoring.differences import Difference, difference
from kerastl.scoring.scores import records

COLUMNS = ("changed", "weight", "task", "metric", "score", "difference", "low", "high", "n",
           "verdict")  # fmt: skip

Change = tuple[str, float]


@dataclass(frozen=True)
class TaskWeights:
    """What `tune_task_weights` found.

    Attributes:
        weights: By task name, for `create_model(loss_weights=...)`.
        frame: A row for each change and task: changed (the task whose weight was
            changed), weight, task, metric, score (mean over repeats), difference (to
            the network with all weights 1), low, high, n and verdict.
        notes: What was chosen and why.

    Example:
        >>> row = ("defect", 4.0, "type", "accuracy", 0.9, 0.0, -0.01, 0.01, 90, "no difference")
        >>> frame = pd.DataFrame([row], columns=list(COLUMNS))
        >>> print(TaskWeights({"defect": 1.0, "type": 1.0}, frame, ("No difference.",)))
        defect x 4      type: accuracy 0.900  +0.000 [-0.010, +0.010]  no difference
        No difference.
    """

    weights: Mapping[str, float]
    frame: pd.DataFrame
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; what is undefined is None."""
        rows = records(self.frame)
        return {"weights": dict(self.weights), "changes": rows, "notes": list(self.notes)}

    def __str__(self) -> str:
        lines = []
        for r in self.frame.itertuples():
            found = Difference(r.difference, r.low, r.high, r.score, math.nan, r.n, 1)
            lines.append(
                f"{r.changed + f' x {r.weight:g}':<14}  {r.task}: {r.metric} {r.score:.3f}  "
                f"{found}  {r.verdict}"
            )
        return "\n".join([*lines, *self.notes])


def tune_task_weights(
    backbone: Backbone,
    data: Manifest,
    *,
    candidates: Sequence[float] = (0.25, 1.0, 4.0),
    trainable: Trainable = "stage4",
    weights: str | Path | None = "imagenet",
    image_size: int | tuple[int, int] | None = None,
    repeats: int = 3,
    epochs: int = 20,
    seed: int = 0,
    cache: str | Path | None = None,
    progress: Callable[[str, int, int], None] | None = None,
    **fit_options: Any,
) -> TaskWeights:
    """Choose the weight of each task's loss, by validation.

    A joint network with all weights 1 is compared with networks in which one task
    has another weight. A change is taken only where some task is really better by it
    on val and none is really worse, at intervals corrected for all comparisons
    (Bonferroni); of several such changes the one with the largest mean gain. All
    other weights stay 1: nothing is claimed of a combination that was not trained.

    Args:
        backbone: As in `joint_or_separate`, and so are the arguments not named here.
        data: A Manifest with at least two tasks, a train and a val part. The test
            part is not looked at.
        candidates: Weights to try; 1 is always among them.
        trainable: What trains beside the heads. With False the weights cannot
            matter: heads on shared features do not touch each other.
        weights: The backbone's.
        image_size: In pixels.
        repeats: Networks for each change.
        epochs: Epochs of a network, at most.
        seed: The first repeat's seed.
        cache: A folder for features and finished networks' scores.
        progress: Called with what has been done, how many networks, and of how many.
        **fit_options: Further options of `fit` and `create_model`.

    Returns:
        The `TaskWeights`.

    Raises:
        InputError: For data with fewer than two tasks or without the parts, and for
            candidates that are no positive numbers.
    """
    _check(data, candidates, repeats, trainable, fit_options)
    changes = [(t.name, float(c)) for t in data.tasks for c in dict.fromkeys(candidates) if c != 1]
    settings = Settings(backbone, trainable, weights, image_size, epochs, seed, fit_options)
    done, total = 0, repeats * (1 + len(changes))

    def trained(trials: Trials, what: str) -> list[Predictions]:
        nonlocal done
        found = []
        for s in range(seed, seed + repeats):
            found.append(trials.run(data.tasks, s, "val"))
            done += 1
            if progress:
                progress(what, done, total)
        return found

    with Trials(settings, data, cache) as trials:
        equal = trained(trials, "all weights 1")
        frame = pd.DataFrame(
            [
                row
                for name, weight in changes
                for row in _rows(
                    data.tasks, (name, weight), equal, seed, 1 - 0.05 / _tests(changes, data),
                    trained(trials.varied(loss_weights={name: weight}), f"{name} x {weight:g}"),
                )
            ],
            columns=list(COLUMNS),
        )  # fmt: skip
    return _chosen(data.tasks, frame)


def _tests(changes: Sequence[Change], data: Manifest) -> int:
    return max(1, len(changes) * len(data.tasks))


def _rows(
    tasks: Sequence[Task], change: Change, equal: list[Predictions], seed: int, level: float,
    found: list[Predictions],
) -> Iterator[tuple]:  # fmt: skip
    for task in tasks:
        metric = "accuracy" if task.kind == "multiclass" else "auc"
        ours, theirs = (np.stack([p.scores[task.name] for p in way]) for way in (found, equal))
        apart = difference(
            task, equal[0].labels[task.name], ours, theirs, metric=metric,
            groups=equal[0].groups, level=level, draws=2000, seed=seed,
        )  # fmt: skip
        yield (
            *change, task.name, metric, apart.ours, apart.value, apart.low, apart.high, apart.n,
            apart.verdict,
        )  # fmt: skip


def _chosen(tasks: Sequence[Task], frame: pd.DataFrame) -> TaskWeights:
    """The best change that helps some task and harms none, if there is one."""
    weights = {t.name: 1.0 for t in tasks}
    gains = {
        change: rows["difference"].mean()
        for change, rows in frame.groupby(["changed", "weight"], sort=False)
        if (rows["verdict"] == "better").any() and not (rows["verdict"] == "worse").any()
    }
    if not gains:
        note = "All weights stay 1: no change really helps one task and harms none."
        return TaskWeights(weights, frame, (note,))
    name, weight = max(gains, key=gains.get)
    rows = frame[(frame["changed"] == name) & (frame["weight"] == weight)]
    better = ", ".join(rows["task"][rows["verdict"] == "better"])
    note = f"{name} gets weight {weight:g}: really better for {better}, and really worse for none."
    return TaskWeights({**weights, name: float(weight)}, frame, (note,))


def _check(
    data: Manifest, candidates: Sequence[float], repeats: int, trainable: Trainable,
    options: Mapping[str, Any],
) -> None:  # fmt: skip
    if not isinstance(data, Manifest):
        raise InputError(f"Expected a Manifest. Received: {type(data).__name__}.")
    faults = []
    if len(data.tasks) < 2:
        faults.append(f"expected at least 2 tasks, received 1 ({data.tasks[0].name})")
    faults += [f"expected a {p} part; there is none" for p in ("train", "val") if not data.has(p)]
    faults += [f"candidates: expected positive numbers, received {c!r}" for c in candidates
               if not isinstance(c, (int, float)) or not 0 < c < math.inf]  # fmt: skip
    if repeats < 1:
        faults.append(f"repeats: expected at least 1, received {repeats}")
    if trainable is False or trainable == 0:
        faults.append(
            "trainable=False: heads alone do not touch each other, so their weights do not matter"
        )
    if "loss_weights" in options:
        faults.append("loss_weights= is what is looked for here: leave it out")
    if faults:
        raise InputError("The tasks' weights cannot be tuned.", faults)
