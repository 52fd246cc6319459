"""Validation losses that are means over known labels, however these fall into batches.

Keras' loss of a multiclass task is a mean over the batch's known labels, and its loss of an epoch
the mean over batches: one that has a single known label would count as much as a full one, and one
that has none as a loss of 0. Weights put that right: examples of a batch with few known labels
count less.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerastl.data.tasks import Task, known


def uneven_tasks(model: keras.Model, tasks: Sequence[Task]) -> tuple[str, ...]:
    """The tasks whose compiled loss divides by the known labels of each batch.

    None where the model is compiled with weighted metrics, which would change with the weights.

    Example:
        >>> from kerastl.models.factories import classifier
        >>> model = classifier("MobileNet", ["cat", "dog"], weights=None, image_size=32)
        >>> uneven_tasks(model, model.kerastl_spec.tasks)
        ('label',)
    """
    losses = model.loss if isinstance(model.loss, Mapping) else {tasks[0].name: model.loss}
    if model.get_compile_config().get("weighted_metrics"):
        return ()
    return tuple(t.name for t in tasks if _divides_by_known(losses.get(t.name)))


def _divides_by_known(loss: Any) -> bool:
    by_known = getattr(loss, "ignore_class", None) is not None
    return by_known or getattr(loss, "normalizer", None) == "known"


def even_weights(
    labels: Mapping[str, np.ndarray],
    uneven: Sequence[str],
    batch_size: int,
    sizes: Sequence[int] | None = None,
) -> dict[str, np.ndarray] | None:
    """Weights by which the epoch's loss of each uneven task is the mean over its known labels.

    Args:
        labels: By task name, in the order of the batches.
        uneven: What `uneven_tasks` gave.
        batch_size: Examples in a batch.
        sizes: Examples in each batch as Keras counts them, where some have fillers.

    Returns:
        float32 `[examples]` by task name, 1 for the other tasks; None where nothing has to
        be put right.

    Example:
        >>> even_weights({"t": np.array([0, 1, -1, -1])}, ["t"], batch_size=2)["t"].tolist()
        [2.0, 2.0, 0.0, 0.0]
    """
    count = len(next(iter(labels.values())))
    batch = np.arange(count) // batch_size
    sizes = np.bincount(batch) if sizes is None else np.asarray(sizes)
    if len(sizes) < 2 or all(known(labels[name]).all() for name in uneven):
        return None
    found = {name: np.ones(count, "float32") for name in labels}
    for name in uneven:
        there = known(labels[name]).reshape(count, -1).sum(axis=1)
        if there.any():
            shares = np.bincount(batch, there, len(sizes)) / sizes
            found[name] = (shares / (there.sum() / sizes.sum()))[batch].astype("float32")
    return found


def evened(data: tf.data.Dataset, tasks: Sequence[Task], uneven: Sequence[str]) -> tf.data.Dataset:
    """A dataset with such weights, for losses over all examples: how many are known is not known.

    Args:
        data: What `formed` gave, without weights.
        tasks: The model's.
        uneven: What `uneven_tasks` gave.
    """

    def weigh(images: Any, labels: Any) -> tuple[Any, ...]:
        by_task = labels if len(tasks) > 1 else {tasks[0].name: labels}
        found = {}
        for name, values in by_task.items():
            share = tf.reduce_mean(tf.cast(values >= 0, tf.float32)) if name in uneven else 1.0
            found[name] = tf.fill(tf.shape(images)[:1], share)
        return images, labels, found if len(tasks) > 1 else found[tasks[0].name]

    return data.map(weigh)
