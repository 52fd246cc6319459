"""One network for all tasks, or one for each? Both are trained, and the tasks compared."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from kerastl.data.manifest import Manifest
from kerastl.data.tasks import Task, known
from kerastl.errors import InputError
from kerastl.experiments.trials import Settings, Trials
from kerastl.inference.evaluation import Predictions
from kerastl.models.factories import Backbone
from kerastl.models.spec import Trainable
from kerastl.scoring.differences import Difference, difference
from kerastl.scoring.scores import records

EQUAL = ("epochs", "compute")

COLUMNS = (
    "task", "metric", "joint", "separate", "difference", "low", "high", "n", "known_train",
    "verdict",
)  # fmt: skip

SIMILAR = 0.1
"""Tasks have similar amounts of data where none has less than this share of the most."""

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class JointReport:
    """What `joint_or_separate` found: a row a task.

    Attributes:
        frame: Columns task, metric, joint and separate (means over repeats),
            difference (joint minus separate), low, high (its 95 % interval), n (known
            labels it is scored on), known_train (pictures of the train part with a
            known label) and verdict (of the joint network).
        repeats: Networks of each kind.
        part: The part of the data that is scored.
        notes: Negative transfer, tasks with too little data, and what was equal.

    Example:
        >>> row = ("type", "accuracy", 0.9, 0.95, -0.05, -0.08, -0.02, 400, 1200, "worse")
        >>> JointReport(pd.DataFrame([row], columns=list(COLUMNS)), 3, "test").negative_transfer
        ('type',)
    """

    frame: pd.DataFrame
    repeats: int
    part: str
    notes: tuple[str, ...] = field(default_factory=tuple)

    @property
    def negative_transfer(self) -> tuple[str, ...]:
        """The tasks for which the joint network is really worse."""
        return tuple(self.frame["task"][self.frame["verdict"] == "worse"])

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; what is undefined is None."""
        negative = list(self.negative_transfer)
        return {
            "tasks": records(self.frame), "repeats": self.repeats, "part": self.part,
            "negative_transfer": negative, "notes": list(self.notes),
        }  # fmt: skip

    def __str__(self) -> str:
        width = max(4, *(len(t) for t in self.frame["task"]))
        lines = [
            f"{'task':<{width}}  metric    joint  separate  difference               "
            "    n  train  verdict"
        ]
        for r in self.frame.to_dict("records"):
            apart = Difference(
                r["difference"], r["low"], r["high"], r["joint"], r["separate"], r["n"],
                self.repeats,
            )  # fmt: skip
            lines.append(
                f"{r['task']:<{width}}  {r['metric']:<8}  {r['joint']:5.3f}  {r['separate']:8.3f}  "
                f"{apart!s:<23}  {r['n']:>4}  {r['known_train']:>5}  {r['verdict']}"
            )
        return "\n".join([*lines, "", *self.notes])


def joint_or_separate(
    backbone: Backbone,
    data: Manifest,
    *,
    trainable: Trainable = "stage4",
    weights: str | Path | None = "imagenet",
    image_size: int | tuple[int, int] | None = None,
    repeats: int = 3,
    epochs: int = 20,
    equal: str = "epochs",
    seed: int = 0,
    cache: str | Path | None = None,
    progress: Progress | None = None,
    **fit_options: Any,
) -> JointReport:
    """Train one joint network for all tasks and a separate one for each, and compare.

    Every network starts from the same backbone; repeat i of both ways has the same
    seed. They are scored on the test part (on val where there is no test) on labels
    that are known: AUC for binary and multilabel tasks (the mean over labels),
    accuracy for multiclass. Features of the frozen part are made once for all.

    Args:
        backbone: A name of `list_backbones()` or a Keras model of one's own.
        data: A Manifest with at least two tasks, or one multilabel task, whose labels
            are then a binary task each; with a train and a test or val part.
        trainable: As in `set_trainable`: what trains beside the heads. False
            compares heads on shared features, anything else networks.
        weights: As in `create_model`.
        image_size: Height and width, or one number, in pixels.
        repeats: Networks of each kind; the interval holds their spread (see
            `difference`), so two or three show large differences only.
        epochs: Epochs of a network, at most.
        equal: "epochs": every network sees the pictures equally often. "compute":
            all separate networks together take as many steps as the joint one.
        seed: The first repeat's seed; the others follow.
        cache: A folder that keeps features and finished networks' scores. The same
            call again goes on where an interrupted one stopped.
        progress: Called with what has been done, how many networks, and of how many.
        **fit_options: Further options of `fit` and of `create_model` (dropout,
            train_batch_norm, preprocessing, loss_weights, positive_weights).

    Returns:
        The `JointReport`.

    Raises:
        InputError: For data with fewer than two tasks or without the parts, and for
            options that are none.

    References:
        Caruana, "Multitask Learning", Machine Learning 28, 1997.
        Standley et al., "Which Tasks Should Be Learned Together in Multi-task
        Learning?", ICML 2020.
    """
    data = one_task_a_label(data)
    _check(data, repeats, equal)
    part = "test" if data.has("test") else "val"
    share = 1 / len(data.tasks) if equal == "compute" else 1.0
    settings = Settings(backbone, trainable, weights, image_size, epochs, seed, fit_options)
    with Trials(settings, data, cache) as trials:
        runs = _Runs(trials, part, range(seed, seed + repeats), progress)
        joint = [runs.one(data.tasks, s) for s in runs.seeds]
        alone = {t.name: [runs.one((t,), s, share) for s in runs.seeds] for t in data.tasks}
    rows = [_row(data, t, joint, alone[t.name], seed) for t in data.tasks]
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    return JointReport(frame, repeats, part, tuple(_notes(frame, repeats, part, equal)))


def one_task_a_label(data: Manifest) -> Manifest:
    """The labels of a manifest's only task, if that is multilabel, as binary tasks.

    Example:
        >>> frame = pd.DataFrame({"image": ["a"], "scene.sea": [1], "scene.hill": [-1]})
        >>> data = Manifest(frame, Task("scene", ["sea", "hill"], "multilabel"))
        >>> [(t.name, t.kind) for t in one_task_a_label(data).tasks]
        [('scene.sea', 'binary'), ('scene.hill', 'binary')]
    """
    if not isinstance(data, Manifest) or [t.kind for t in data.tasks] != ["multilabel"]:
        return data
    tasks = [Task(column, ("no", "yes"), "binary") for column in data.tasks[0].columns]
    return replace(data, tasks=tuple(tasks))


class _Runs:
    """Trains the networks one after the other, and says how far it is."""

    def __init__(self, trials: Trials, part: str, seeds: range, progress: Progress | None):
        self.trials, self.part, self.seeds, self.progress = trials, part, seeds, progress
        self.done, self.total = 0, len(seeds) * (len(trials.data.tasks) + 1)

    def one(self, tasks: tuple[Task, ...], seed: int, share: float = 1.0) -> Predictions:
        found = self.trials.run(tasks, seed, self.part, share)
        self.done += 1
        if self.progress:
            what = "joint" if len(tasks) > 1 else tasks[0].name
            self.progress(what, self.done, self.total)
        return found


def _row(
    data: Manifest, task: Task, joint: list[Predictions], alone: list[Predictions], seed: int
) -> tuple:
    metric = "accuracy" if task.kind == "multiclass" else "auc"
    ours, theirs = (np.stack([p.scores[task.name] for p in way]) for way in (joint, alone))
    labels = joint[0].labels[task.name]
    groups = joint[0].groups
    found = difference(task, labels, ours, theirs, metric=metric, groups=groups, seed=seed)
    return (
        task.name, metric, found.ours, found.theirs, found.value, found.low, found.high,
        found.n, _known_pictures(data, task), found.verdict,
    )  # fmt: skip


def _known_pictures(data: Manifest, task: Task) -> int:
    """Pictures of the train part with a label of this task that somebody was sure of."""
    labels = data.split("train").certain().labels()[task.name]
    return int(known(labels.reshape(len(labels), -1)).any(axis=1).sum())


def _notes(frame: pd.DataFrame, repeats: int, part: str, equal: str) -> Iterator[str]:
    same = "epochs for every network" if equal == "epochs" else "steps for both ways in all"
    yield f"Scored on {part}, {repeats} networks of each kind; the same {same}."
    most = frame["known_train"].max()
    shares = ", ".join(f"{r.task} {r.known_train / max(most, 1):.0%}" for r in frame.itertuples())
    yield f"Known training data, as a share of the largest task's: {shares}."
    few = frame["task"][frame["known_train"] < SIMILAR * most].tolist()
    if few:
        yield (
            f"Not a similar amount of data, less than a tenth of the largest: {', '.join(few)}. "
            "There the joint network learns mostly the other tasks."
        )
    for verdict, says in (
        ("worse", "Negative transfer: the joint network is really worse for"),
        ("better", "The joint network is really better for"),
        ("no difference", "No difference for"),
        ("too few", "Too few known labels or networks to tell for"),
        ("undefined", "Cannot be scored, for want of known labels of both kinds:"),
    ):
        named = frame["task"][frame["verdict"] == verdict].tolist()
        if named:
            yield f"{says} {', '.join(named)}."
    if repeats == 1:
        yield "One network of each kind does not tell how training varies: give repeats=3 or more."


def _check(data: Manifest, repeats: int, equal: str) -> None:
    if not isinstance(data, Manifest):
        raise InputError(f"Expected a Manifest. Received: {type(data).__name__}.")
    faults = []
    if len(data.tasks) < 2:
        faults.append(
            f"expected at least 2 tasks, received {len(data.tasks)} ({data.tasks[0].name}): give "
            "a table with a column for each task, or name them with tasks="
        )
    if not data.has("train") or not (data.has("test") or data.has("val")):
        there = ", ".join(data.splits) or "none"
        faults.append(f"expected a train part and a test or val part, received: {there}")
    else:
        labels = data.split("train").labels()
        faults += [f"{t.name}: no label is known in the train part" for t in data.tasks
                   if not known(labels[t.name]).any()]  # fmt: skip
    if repeats < 1:
        faults.append(f"repeats: expected at least 1, received {repeats}")
    if equal not in EQUAL:
        faults.append(f"equal: expected {' or '.join(EQUAL)}, received {equal!r}")
    if faults:
        raise InputError("Joint and separate networks cannot be compared.", faults)
