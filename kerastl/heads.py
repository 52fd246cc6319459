"""Heads: from shared features to one logits tensor a task, with its loss and metrics."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import keras

from kerastl.losses import MaskedBinaryCrossentropy
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


def losses_for(tasks: Sequence[Task]) -> Any:
    """The loss of each task, in the structure of the model's outputs."""
    return _as_outputs({task.name: _loss(task) for task in tasks})


def metrics_for(tasks: Sequence[Task]) -> Any:
    """Accuracy, and AUC where it is usual, in the structure of the model's outputs."""
    return _as_outputs({task.name: _metrics(task) for task in tasks})


def _as_outputs(values: dict[str, Any]) -> Any:
    return values if len(values) > 1 else next(iter(values.values()))


def _loss(task: Task) -> keras.losses.Loss:
    if task.kind == "multiclass":
        return keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=UNKNOWN)
    return MaskedBinaryCrossentropy()


def _metrics(task: Task) -> list[keras.metrics.Metric]:
    if task.kind == "multiclass":
        return [Masked(keras.metrics.SparseCategoricalAccuracy(name="accuracy"))]
    several = {"multi_label": True, "num_labels": task.units} if task.units > 1 else {}
    return [
        Masked(keras.metrics.BinaryAccuracy(name="accuracy", threshold=0.0)),
        Masked(keras.metrics.AUC(name="auc", from_logits=True, **several)),
    ]
