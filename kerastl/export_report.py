"""What an export wrote, and how well each file agrees with the Keras model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from kerastl.bootstrap import wilson
from kerastl.differences import Difference
from kerastl.errors import InputError
from kerastl.latency import Latency
from kerastl.sidecar import NAME
from kerastl.tflite_file import TFLiteFacts


@dataclass(frozen=True)
class Accuracy:
    """Accuracy on the known labels, with a 95 % bootstrap interval; None where n is 0."""

    value: float | None
    low: float | None
    high: float | None
    n: int

    def __str__(self) -> str:
        if self.value is None:
            return "no labels"
        return f"{self.value:.4f} [{self.low:.4f}, {self.high:.4f}] of {self.n}"


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
        """The 95 % interval (Wilson's) of `same`.

        A multilabel task's labels are not taken to be independent: n is the pictures.
        """
        return wilson(self.same, self.n)


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
        source: What the check ran on: "held-out pictures", or "random images",
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
        return asdict(self)

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
