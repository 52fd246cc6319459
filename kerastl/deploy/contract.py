"""The contract of an export: what each file has to hold, what was found, and the report of both."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from kerastl.data.batches import Batch
from kerastl.data.tasks import Task
from kerastl.deploy.formats import Format
from kerastl.deploy.tflite_facts import Latency, TFLiteFacts
from kerastl.errors import InputError
from kerastl.inference.evaluation import join
from kerastl.inference.predictors import Predictor
from kerastl.inference.sidecar import NAME
from kerastl.scoring.decisions import decided
from kerastl.scoring.differences import Difference, difference
from kerastl.scoring.intervals import exact, in_words
from kerastl.scoring.scores import score


@dataclass(frozen=True)
class Accuracy:
    """Accuracy on the known labels with its 95 % interval; None where n is 0 or too small."""

    value: float | None
    low: float | None
    high: float | None
    n: int

    def __str__(self) -> str:
        if self.value is None:
            return "no labels"
        return f"{in_words(self.value, self.low, self.high, '.4f')} of {self.n}"


@dataclass(frozen=True)
class Agreement:
    """How one file's scores for a task compare with the Keras model's.

    Args:
        same: Share of the pictures (for a multilabel task, of the labels) with
            the same answer at the model's thresholds; None where nothing was compared.
        largest: The largest difference between two scores; None if one is NaN.
        n: Pictures compared.
        accuracy: The file's own accuracy.
        difference: The file's accuracy less Keras', paired by picture, with its
            interval; None without labels.
    """

    same: float | None
    largest: float | None
    n: int
    accuracy: Accuracy
    difference: Difference | None = None

    @property
    def same_interval(self) -> tuple[float, float]:
        """The 95 % interval of `same`, exact as in `exact`.

        A multilabel task's labels are not taken to be independent: n is the pictures.
        """
        return exact(self.same * self.n, self.n)


@dataclass(frozen=True)
class ExportedFile:
    """One file that was written, or why it was not.

    Args:
        format: A name of `formats.FORMATS`.
        file: Its path.
        size: In bytes; of a folder, of all files in it.
        tasks: By task, how it agrees with the Keras model.
        cause: Why it was refused; "" where it is good.
        waived: Whether it was kept all the same, by wish.
        facts: What a `.tflite` file is made of.
        latency: How long it takes for a picture, by threads.
        notes: What is worth knowing of it.
    """

    format: str
    file: str
    size: int
    tasks: dict[str, Agreement]
    cause: str = ""
    waived: bool = False
    facts: TFLiteFacts | None = None
    latency: tuple[Latency, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def refused(self) -> bool:
        """Whether it was not kept."""
        return bool(self.cause) and not self.waived


@dataclass(frozen=True)
class ExportReport:
    """What `export` wrote and how well it agrees; also in `report.json`.

    Args:
        source: What the check ran on, in words: held-out pictures, others, or random images,
            whose agreement says little of real ones.
        pictures: How many.
        keras: By task, the Keras model's own accuracy.
        files: One entry for each format.
        aside: Files of an earlier export of other tasks, sizes or thresholds, which are
            now called `<name>.older`.
    """

    source: str
    pictures: int
    keras: dict[str, Accuracy]
    files: tuple[ExportedFile, ...]
    aside: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; what is undefined is None."""
        return _defined(asdict(self))

    def __str__(self) -> str:
        return "\n".join(_lines(self))


class RefusedExport(InputError):
    """An export of which some files were not kept.

    Attributes:
        report: What was found of all of them.
    """

    def __init__(self, message: str, faults: Sequence[str], report: ExportReport):
        super().__init__(message, faults)
        self.report = report


def _lines(report: ExportReport) -> Iterator[str]:
    yield f"checked on {report.pictures} {report.source}"
    for task, accuracy in report.keras.items():
        yield f"  {task:<12}  accuracy in Keras  {accuracy}"
    for file in report.files:
        yield f"{file.file}  {', '.join(_about(file))}"
        if file.cause:
            yield f"  {'waived' if file.waived else 'refused'}: {file.cause}"
        for task, a in file.tasks.items():
            yield from _task_lines(task, a)
        yield from (f"  note: {note}" for note in file.notes)
    for name in report.aside:
        yield f"{name}.older was {name}, of an earlier export that {NAME} does not describe"


def _about(file: ExportedFile) -> Iterator[str]:
    yield _size(file.size)
    for one in file.latency:
        yield f"{one} with {one.threads} thread{'s'[: one.threads - 1]}"
    if file.facts is not None and file.facts.delegated is not None:
        parts = file.facts.partitions
        yield f"XNNPACK {file.facts.delegated:.0%} in {parts} part{'s'[: parts != 1]}"


def _task_lines(name: str, task: Agreement) -> Iterator[str]:
    if task.same is not None:
        largest = "NaN" if task.largest is None else f"{task.largest:.2g}"
        yield f"  {name:<12}  same answer {task.same:.2%}, largest difference {largest}"
    if task.accuracy.n:
        change = "" if task.difference is None else f", {task.difference} of Keras'"
        yield f"  {'' if task.same is not None else name:<12}  accuracy {task.accuracy}{change}"


def _size(size: int) -> str:
    return f"{size / 2**20:.1f} MiB" if size >= 2**20 else f"{size / 2**10:.1f} KiB"


Labels = Mapping[str, np.ndarray] | None
ByTask = dict[str, np.ndarray]


def run_all(
    predictors: Mapping[str, Predictor], batches: Iterable[Batch]
) -> tuple[dict[str, ByTask], Labels, np.ndarray | None]:
    """Every predictor's scores for the same pictures, which are read once.

    Args:
        predictors: By name.
        batches: The pictures, with their labels or without.

    Returns:
        Scores by predictor and task, the labels by task or None, and the pictures' groups
        or None.

    Raises:
        InputError: If there is no picture.
    """
    made: dict[str, list[ByTask]] = {name: [] for name in predictors}
    labels: list[Labels] = []
    groups: list[np.ndarray | None] = []
    for batch in batches:
        labels.append(batch.labels)
        groups.append(batch.groups)
        for name, predictor in predictors.items():
            made[name].append(predictor.predict(batch.images))
    if not labels:
        raise InputError("Expected at least one evaluation picture that can be read.")
    known = None if labels[0] is None else join(labels)
    of = None if groups[0] is None else np.concatenate(groups)
    return {name: join(each) for name, each in made.items()}, known, of


def accuracies(
    tasks: Sequence[Task],
    labels: Labels,
    scores: ByTask,
    *,
    thresholds: Mapping[str, Sequence[float]] | None = None,
    groups: np.ndarray | None = None,
    draws: int,
    seed: int,
) -> dict[str, Accuracy]:
    """The accuracy by task at its thresholds; without labels its n is 0."""
    if labels is None:
        return {t.name: Accuracy(None, None, None, 0) for t in tasks}
    usable = {n: np.clip(np.nan_to_num(s), 0, 1) for n, s in scores.items()}
    only = ("accuracy",)
    found = score(
        tasks, labels, usable, thresholds=thresholds, only=only, groups=groups, draws=draws,
        seed=seed,
    ).frame  # fmt: skip
    return {
        r.task: Accuracy(_plain(r.value), _plain(r.low), _plain(r.high), int(r.n))
        for r in found.itertuples()
    }


def agreement(
    task: Task,
    ours: np.ndarray,
    theirs: np.ndarray,
    accuracy: Accuracy,
    thresholds: Sequence[float] | None = None,
    *,
    labels: np.ndarray | None = None,
    groups: np.ndarray | None = None,
    draws: int = 1000,
    seed: int = 0,
) -> Agreement:
    """Compare a file's scores with the Keras model's.

    Args:
        task: The task.
        ours: The Keras model's, `[n, classes]`.
        theirs: The file's, `[n, classes]`.
        accuracy: The file's accuracy.
        thresholds: The task's, at which both are decided; None is 0.5.
        labels: The task's, as in `score`: what the two accuracies differ by is
            measured on those that are known.
        groups: As in `score`.
        draws: Bootstrap draws of that difference.
        seed: Their seed.

    Example:
        >>> task, none = Task("t", ["a", "b"]), Accuracy(None, None, None, 0)
        >>> ours, theirs = np.array([[0.9, 0.1], [0.4, 0.6]]), np.array([[0.8, 0.2], [0.7, 0.3]])
        >>> made = agreement(task, ours, theirs, none)
        >>> made.same, round(made.largest, 3), made.n
        (0.5, 0.3, 2)
    """
    alike = decided(task, ours, thresholds) == decided(task, theirs, thresholds)
    alike = alike if task.kind == "multilabel" else alike.all(axis=1)
    largest, lost = _plain(np.abs(ours - theirs).max()), None
    if labels is not None and accuracy.n:
        usable = (np.clip(np.nan_to_num(s), 0, 1) for s in (theirs, ours))
        lost = difference(
            task, labels, *usable, metric="accuracy", thresholds=thresholds, groups=groups,
            draws=draws, seed=seed,
        )  # fmt: skip
    return Agreement(float(alike.mean()), largest, len(ours), accuracy, lost)


def _plain(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _defined(value: Any) -> Any:
    """Plain values with None for every NaN, at any depth."""
    if isinstance(value, dict):
        return {name: _defined(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_defined(part) for part in value)
    return None if isinstance(value, float) and math.isnan(value) else value


def breaches(form: Format, file: ExportedFile) -> list[str]:
    """What a file breaks of its format's contract, in sentences; empty where it holds.

    A share or a difference breaks it only where its whole 95 % interval lies beyond the
    tolerance: what may be the luck of few pictures is no breach.

    Args:
        form: The format.
        file: What was found of the file.

    Example:
        >>> from kerastl.deploy.formats import FORMATS
        >>> file = ExportedFile("int8", "model_int8.tflite", 1000, {})
        >>> breaches(FORMATS["int8"], file)
        []
    """
    found = [f"{form.name}: {what}" for what in _operators(file)]
    for name, task in file.tasks.items():
        found += [f"{form.name}: {name} {what}" for what in _answers(form, task)]
    return found


def _operators(file: ExportedFile) -> Iterator[str]:
    if file.facts is not None and file.facts.flex:
        yield f"needs TensorFlow's own operators, which no phone has: {', '.join(file.facts.flex)}"
    if file.facts is not None and file.facts.custom:
        yield f"needs operators that are not built in: {', '.join(file.facts.custom)}"


def _answers(form: Format, task: Agreement) -> Iterator[str]:
    if task.largest is None:
        yield "has scores that are NaN"
        return
    if form.largest is not None and task.largest > form.largest:
        yield f"has a score that differs by {task.largest:.2g}; {form.largest:g} is allowed"
    if task.same_interval[1] < form.same:
        low, high = task.same_interval
        yield (
            f"gives the Keras model's answer {task.same:.1%} [{low:.1%}, {high:.1%}] of the time "
            f"(n = {task.n}); {form.same:.0%} is the least"
        )
    lost = task.difference
    if lost is not None and lost.high < -form.points:
        yield (
            f"loses {-lost.value:.3f} [{-lost.high:.3f}, {-lost.low:.3f}] of accuracy "
            f"(n = {lost.n}); {form.points:g} may be lost"
        )
