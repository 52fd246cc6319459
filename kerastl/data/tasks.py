"""What to predict: a task, its classes and its kind; and what "unknown" means."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kerastl.errors import InputError
from kerastl.files import is_text

UNKNOWN = -1
"""An unknown label: one rule everywhere, a label is known iff it is >= 0."""

UNCERTAIN = -2
"""In a manifest's frame: unknown because the annotator was unsure ("?"), where
UNKNOWN is a label that nobody gave. The labels that training sees know UNKNOWN only."""

KINDS = ("multiclass", "multilabel", "binary")


@dataclass(frozen=True)
class Task:
    """A thing to predict from a picture.

    Args:
        name: The task's name; it names the model's output and the label column.
        classes: The class names in the order of the codes. A binary task has
            two: first the negative, then the positive class.
        kind: "multiclass" (one of the classes), "multilabel" (any of them) or
            "binary" (the second class or not).

    Raises:
        InputError: For an empty or repeated name, or a kind that is none.

    Example:
        >>> task = Task("defect", ["functional", "defective"], kind="binary")
        >>> task.units, task.columns
        (1, ('defect',))
        >>> Task("scene", ["sea", "hill"], kind="multilabel").columns
        ('scene.sea', 'scene.hill')
    """

    name: str
    classes: tuple[str, ...]
    kind: str = "multiclass"

    def __post_init__(self):
        object.__setattr__(self, "classes", tuple(str(c) for c in self.classes))
        faults = list(_faults(self))
        if faults:
            raise InputError(f"The task {self.name!r} cannot be used.", faults)

    @property
    def units(self) -> int:
        """Number of logits the task's head has."""
        return 1 if self.kind == "binary" else len(self.classes)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of a manifest's frame that hold this task's labels."""
        if self.kind == "multilabel":
            return tuple(f"{self.name}.{c}" for c in self.classes)
        return (self.name,)

    def to_dict(self) -> dict[str, Any]:
        """The task as plain JSON values; `Task(**d)` reads them back."""
        return {"name": self.name, "classes": list(self.classes), "kind": self.kind}


def _faults(task: Task) -> Iterable[str]:
    if not isinstance(task.name, str) or not task.name.strip():
        yield f"Expected a name that is not empty. Received: {task.name!r}."
    elif "/" in task.name or not task.name.isprintable():
        yield f"Expected a name without '/' or control characters. Received: {task.name!r}."
    if task.kind not in KINDS:
        yield f"Expected a kind of {', '.join(KINDS)}. Received: {task.kind!r}."
    elif task.kind == "binary" and len(task.classes) != 2:
        yield f"Expected 2 classes, the negative one first. Received: {list(task.classes)}."
    elif task.kind == "multiclass" and len(task.classes) < 2:
        yield f"Expected at least 2 classes. Received: {list(task.classes)}."
    elif not task.classes:
        yield "Expected at least 1 label. Received: none."
    repeated = sorted({c for c in task.classes if task.classes.count(c) > 1})
    if repeated:
        yield f"Expected each class once. Repeated: {', '.join(repeated)}."
    for name in (c for c in task.classes if isinstance(c, str) and not is_text(c)):
        yield f"Expected classes that can be written in UTF-8. Received: {name!r}."


def as_tasks(tasks: Task | Iterable[Task]) -> tuple[Task, ...]:
    """One task or several as a tuple of tasks with names of their own."""
    found = (tasks,) if isinstance(tasks, Task) else tuple(tasks)
    names = [t.name for t in found]
    repeated = sorted({n for n in names if names.count(n) > 1})
    if not found or repeated:
        what = f"Repeated: {', '.join(repeated)}" if repeated else "Received: none"
        raise InputError(f"Expected at least one task, each with a name of its own. {what}.")
    return found


def known(labels: np.ndarray) -> np.ndarray:
    """Where a label is known: a boolean array of the shape of `labels`.

    Example:
        >>> known(np.array([0.0, 1.0, -1.0])).tolist()
        [True, True, False]
    """
    return np.asarray(labels) >= 0


def class_scores(task: Task, logits: np.ndarray) -> np.ndarray:
    """One score in [0, 1] per class name from a head's logits.

    Args:
        task: The task the head was made for.
        logits: `[n, task.units]`.

    Returns:
        float64 `[n, len(task.classes)]`: softmax for a multiclass task, sigmoid
        for a multilabel one, and `1 - p, p` for a binary one.

    Example:
        >>> class_scores(Task("t", ["no", "yes"], kind="binary"), np.zeros((1, 1))).tolist()
        [[0.5, 0.5]]
    """
    logits = np.asarray(logits, dtype="float64").reshape(-1, task.units)
    if task.kind == "multiclass":
        e = np.exp(logits - logits.max(axis=1, keepdims=True))
        return e / e.sum(axis=1, keepdims=True)
    p = 1 / (1 + np.exp(-np.clip(logits, -700, 700)))
    return np.concatenate([1 - p, p], axis=1) if task.kind == "binary" else p


def by_task(tasks: Sequence[Task], values: Any) -> dict[str, Any]:
    """What a model takes or gives (one array, or a dict for several tasks) by task name."""
    if isinstance(values, Mapping):
        return {t.name: values[t.name] for t in tasks}
    return {tasks[0].name: values}
