"""What an exported file has to hold to be kept: each format's own tolerances."""

from __future__ import annotations

from collections.abc import Iterator

from kerastl.export_report import Agreement, ExportedFile
from kerastl.formats import Format


def breaches(form: Format, file: ExportedFile) -> list[str]:
    """What a file breaks of its format's contract, in sentences; empty where it holds.

    A share or a difference breaks it only where its whole 95 % interval lies beyond the
    tolerance: what may be the luck of few pictures is no breach.

    Args:
        form: The format.
        file: What was found of the file.

    Example:
        >>> from kerastl.formats import FORMATS
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
