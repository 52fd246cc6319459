"""What an export wrote, and how well each file agrees with the Keras model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any


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
            the same answer at the model's thresholds.
        largest: The largest difference between two scores; None if one is NaN.
        n: Pictures compared.
        accuracy: The file's own accuracy.
    """

    same: float
    largest: float | None
    n: int
    accuracy: Accuracy


@dataclass(frozen=True)
class ExportedFile:
    """One file that was written, or why it was not.

    Args:
        format: "saved_model", "float32" or "int8".
        file: Its path.
        size: In bytes; of a folder, of all files in it.
        tasks: By task, how it agrees with the Keras model.
        cause: Why it was refused; "" where it is good.
    """

    format: str
    file: str
    size: int
    tasks: dict[str, Agreement]
    cause: str = ""


@dataclass(frozen=True)
class ExportReport:
    """What `export` wrote and how well it agrees; also in `report.json`.

    Args:
        source: What the check ran on: "held-out pictures", or "random images",
            whose agreement says little of real ones.
        pictures: How many.
        keras: By task, the Keras model's own accuracy.
        files: One entry for each format.
    """

    source: str
    pictures: int
    keras: dict[str, Accuracy]
    files: tuple[ExportedFile, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; what is undefined is None."""
        return asdict(self)

    def __str__(self) -> str:
        return "\n".join(_lines(self))


def _lines(report: ExportReport) -> Iterator[str]:
    yield f"checked on {report.pictures} {report.source}"
    for task, accuracy in report.keras.items():
        yield f"  {task:<12}  accuracy in Keras  {accuracy}"
    for file in report.files:
        yield f"{file.file}  {_size(file.size)}"
        if file.cause:
            yield f"  refused: {file.cause}"
        for task, a in file.tasks.items():
            largest = "NaN" if a.largest is None else f"{a.largest:.2g}"
            yield f"  {task:<12}  same answer {a.same:.2%}, largest difference {largest}"
            if a.accuracy.n:
                yield f"  {'':<12}  accuracy {a.accuracy}"


def _size(size: int) -> str:
    return f"{size / 2**20:.1f} MiB" if size >= 2**20 else f"{size / 2**10:.1f} KiB"
