"""The data of a fit in the three forms it may be given: checked, split and known again."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from kerastl.arrays import image_array, label_array
from kerastl.errors import InputError
from kerastl.manifest import Manifest
from kerastl.spec import Spec
from kerastl.tasks import Task, by_task


def parts(train: Any, validation_data: Any) -> tuple[Any, Any]:
    """Training and validation data; a whole Manifest brings both.

    Example:
        >>> parts("a", "b")
        ('a', 'b')
    """
    if isinstance(train, Manifest) and train.has("train") and len(train.splits) > 1:
        if validation_data is None and train.has("val"):
            validation_data = train.split("val")
        train = train.split("train")
    if isinstance(validation_data, Manifest) and len(validation_data.splits) > 1:
        validation_data = validation_data.split("val")
    return train, validation_data


def checked(data: Any, spec: Spec) -> Any:
    """The data in one of three forms: a Manifest, (images, labels by task), a dataset."""
    if isinstance(data, Manifest):
        _same_tasks(data.tasks, spec.tasks)
        return data
    if isinstance(data, tf.data.Dataset):
        if data.cardinality() == tf.data.INFINITE_CARDINALITY:
            raise InputError("The dataset is endless. Give a finite one, without repeat().")
        return data
    if not isinstance(data, (tuple, list)) or len(data) != 2:
        raise InputError(
            "Expected a Manifest, (images, labels) or a batched tf.data.Dataset of both. "
            f"Received: {type(data).__name__}."
        )
    images = image_array(data[0], spec.image_size)
    given = by_task(spec.tasks, data[1])
    return images, {t.name: label_array(t, given[t.name], len(images)) for t in spec.tasks}


def _same_tasks(given: tuple[Task, ...], expected: tuple[Task, ...]) -> None:
    if set(given) != set(expected):
        raise InputError(
            "The data's tasks are not the model's.",
            [f"the data have {t}" for t in given] + [f"the model has {t}" for t in expected],
        )


def identity(data: Any) -> bytes:
    """What tells these data from others: paths and labels, or the arrays themselves."""
    if isinstance(data, Manifest):
        return data.frame.drop(columns="group", errors="ignore").to_csv(index=False).encode()
    if isinstance(data, tuple):
        images, labels = data
        return images.tobytes() + b"".join(labels[name].tobytes() for name in sorted(labels))
    return repr(data).encode()


def steps(data: Any) -> int:
    """Batches in an epoch."""
    if isinstance(data, tf.data.Dataset):
        known = int(data.cardinality())
        return known if known > 0 else sum(1 for _ in data)
    return len(data)
