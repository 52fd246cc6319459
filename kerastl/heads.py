"""Heads: from shared features to one logits tensor a task, with its loss and metrics."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from kerastl.errors import InputError, nearest
from kerastl.losses import MaskedBinaryCrossentropy, is_weight
from kerastl.metrics import Masked
from kerastl.tasks import UNKNOWN, Task


def add_heads(
    features: Any, tasks: Sequence[Task], dropout: float, seed: int, taken: Sequence[str] = ()
) -> Any:
    """Logits for each task from features `[batch, features]`.

    Args:
        features: The tensor all heads share.
        tasks: The tasks.
        dropout: Share of the features dropped in front of the heads; 0 for none.
        seed: Seed of the dropout and of the heads' first weights.
        taken: Layer names that are in use.

    Returns:
        One tensor `[batch, units]` for one task, else a dict by task name.
    """
    names = head_names(tasks, taken)
    if dropout:
        features = keras.layers.Dropout(dropout, seed=seed, name="heads_dropout")(features)
    logits = {
        task.name: keras.layers.Dense(
            task.units,
            # Logits stay in float32 under mixed precision, as Keras advises.
            dtype="float32",
            kernel_initializer=keras.initializers.GlorotUniform(seed=seed + number),
            name=name,
        )(features)
        for number, (task, name) in enumerate(zip(tasks, names, strict=True))
    }
    return logits if len(tasks) > 1 else logits[tasks[0].name]


def head_names(tasks: Sequence[Task], taken: Sequence[str] = ()) -> list[str]:
    """A layer name for each task: the task's name as far as TensorFlow can carry it.

    Example:
        >>> head_names([Task("Größe in cm", ["s", "l"]), Task("type", ["a", "b"])])
        ['Gr_e_in_cm', 'type']
    """
    names: list[str] = []
    for number, task in enumerate(tasks):
        name = re.sub(r"[^A-Za-z0-9_.-]+", "_", task.name).lstrip("_-.") or f"head_{number}"
        while name in names or name in taken:
            name += "_head"
        names.append(name)
    return names


def losses_for(
    tasks: Sequence[Task], positive_weights: Mapping[str, Sequence[float]] | None = None
) -> Any:
    """The loss of each task, in the structure of the model's outputs.

    Args:
        tasks: The tasks.
        positive_weights: By the name of a binary or multilabel task, a weight
            for each of its labels: see `MaskedBinaryCrossentropy`.

    Raises:
        InputError: For weights that do not fit the tasks.
    """
    weights = dict(positive_weights or {})
    faults = [*_name_faults(tasks, weights), *_positive_faults(tasks, weights)]
    if faults:
        raise InputError("The positive weights do not fit the tasks.", faults)
    return _as_outputs({task.name: _loss(task, weights.get(task.name)) for task in tasks})


def task_weights(tasks: Sequence[Task], loss_weights: Mapping[str, float] | None = None) -> Any:
    """The weight of each task's loss, in the structure of the model's outputs.

    Args:
        tasks: The tasks.
        loss_weights: By task name; 1 for a task that is not there.

    Raises:
        InputError: For weights that do not fit the tasks.

    Example:
        >>> task_weights([Task("a", "xy"), Task("b", "xy")], {"b": 0.5})
        {'a': 1.0, 'b': 0.5}
    """
    weights = dict(loss_weights or {})
    faults = list(_name_faults(tasks, weights))
    for name, weight in weights.items():
        if not is_weight(weight) or np.ndim(weight):
            faults.append(f"{name}: expected a number, finite and not negative, got {weight!r}")
    if faults:
        raise InputError("The loss weights do not fit the tasks.", faults)
    return _as_outputs({task.name: float(weights.get(task.name, 1)) for task in tasks})


def metrics_for(tasks: Sequence[Task]) -> Any:
    """Accuracy, and AUC where it is usual, in the structure of the model's outputs."""
    return _as_outputs({task.name: _metrics(task) for task in tasks})


def _as_outputs(values: dict[str, Any]) -> Any:
    return values if len(values) > 1 else next(iter(values.values()))


def _name_faults(tasks: Sequence[Task], weights: Mapping[str, Any]) -> Iterator[str]:
    names = [task.name for task in tasks]
    for name in weights:
        if name not in names:
            there = ", ".join(names)
            yield f"{name}: there is no such task; the tasks are {there}.{nearest(name, names)}"


def _positive_faults(tasks: Sequence[Task], weights: Mapping[str, Any]) -> Iterator[str]:
    for task in tasks:
        if task.name not in weights:
            continue
        given, size = weights[task.name], f"{task.units} weight{'s' * (task.units > 1)}"
        if task.kind == "multiclass":
            yield f"{task.name}: a multiclass task has no positive labels; leave it out"
        elif not is_weight(given) or np.shape(given) != (task.units,):
            yield f"{task.name}: expected {size}, finite and not negative, got {given!r}"


def _loss(task: Task, weights: Sequence[float] | None) -> keras.losses.Loss:
    if task.kind == "multiclass":
        return keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=UNKNOWN)
    return MaskedBinaryCrossentropy(pos_weight=weights)


def _metrics(task: Task) -> list[keras.metrics.Metric]:
    if task.kind == "multiclass":
        return [Masked(keras.metrics.SparseCategoricalAccuracy(name="accuracy"))]
    several = {"multi_label": True, "num_labels": task.units} if task.units > 1 else {}
    return [
        Masked(keras.metrics.BinaryAccuracy(name="accuracy", threshold=0.0)),
        Masked(keras.metrics.AUC(name="auc", from_logits=True, **several)),
    ]
