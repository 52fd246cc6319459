"""A `tf.data.Dataset` given to fit: held to its form, and whether it is the same each time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerastl.batches import Batch, iter_batches
from kerastl.errors import InputError
from kerastl.sampling import FILLER
from kerastl.spec import Spec
from kerastl.tasks import UNKNOWN, Task, by_task

FORM = "Expected a batched dataset of (images, labels)."

LIVE = "cache=False: every epoch then runs the whole network"


def check_dataset(data: tf.data.Dataset, spec: Spec) -> tf.data.Dataset:
    """The dataset, if its elements and its first batch are what the model takes.

    Args:
        data: A dataset of (images, labels), or of (images, labels, weights).
        spec: The model's.

    Raises:
        InputError: For one that is endless, empty, not batched, without labels or of
            another structure, and one whose first batch does not fit or cannot be read.
    """
    if data.cardinality() == tf.data.INFINITE_CARDINALITY:
        raise InputError("The dataset is endless. Give a finite one, without repeat().")
    _check_elements(data.element_spec)
    if _first_batch(data, spec) is None:
        raise InputError("The dataset is empty. Expected at least one batch.")
    return data


def check_storable(data: tf.data.Dataset, part: str) -> None:
    """Refuse a dataset whose features, stored, would not be what it gives in each epoch.

    What validates may come in any order: its scores are the same.

    Args:
        data: One that `check_dataset` passed.
        part: "train" or "validation".

    Raises:
        InputError: With the reason and the ways out.
    """
    if len(data.element_spec) == 3:
        raise InputError(
            "Features are stored without the weights that the dataset gives with its labels. "
            f"Leave them out, or give {LIVE}."
        )
    if part == "train" and changes(data):
        raise InputError(
            "The dataset is shuffled, or changed at random, anew each time it is read, so "
            "features stored of it would be of one reading only. Leave shuffle out: fit shuffles "
            "by itself, drawn by seed and epoch (with image_dataset_from_directory give "
            "shuffle=False; validation_split would then divide the classes, so better give fit "
            "kerastl.read_folder(folder)). Random changes go to augment= and views=. Or give "
            f"{LIVE}."
        )


def changes(data: tf.data.Dataset) -> bool:
    """Whether a dataset gives other examples, or another order, each time it is read.

    Its steps are asked whether they shuffle, and its first batch is read twice. What
    differs only behind the first batch, and is no step of its own, goes unseen.

    Example:
        >>> numbers = tf.data.Dataset.range(100).batch(10)
        >>> changes(numbers), changes(numbers.shuffle(10))
        (False, True)
        >>> changes(numbers.shuffle(10, reshuffle_each_iteration=False))
        False
    """
    return _reshuffles(data) or not _same(_first(data), _first(data))


def most_examples(data: tf.data.Dataset) -> int:
    """How many examples a dataset has at most: its batches are as large as the first."""
    count = int(data.cardinality())
    batches = count if count >= 0 else sum(1 for _ in data)
    return batches * len(keras.tree.flatten(_first(data))[0])


def held(data: tf.data.Dataset, spec: Spec, most: int) -> Any:
    """A dataset as arrays in memory, from which examples can be drawn in any order.

    Args:
        data: One that `check_dataset` passed.
        spec: The model's.
        most: Bytes that its images may take.

    Returns:
        uint8 images and labels by task name; or the dataset itself where it takes
        more, has weights, or is not the same each time it is read.
    """
    batches: list[Batch] = []
    if len(data.element_spec) == 3 or changes(data):
        return data
    for batch in iter_batches(data, spec.tasks, spec.image_size):
        batches.append(batch)
        if sum(b.images.nbytes for b in batches) > most:
            return data
    labels = {
        t.name: np.concatenate([b.labels[t.name] for b in batches if b.labels]) for t in spec.tasks
    }
    return np.concatenate([b.images for b in batches]), labels


def formed(data: tf.data.Dataset, tasks: Sequence[Task], devices: int = 1) -> tf.data.Dataset:
    """The dataset with images and labels in the form of every other: see `label_array`.

    Args:
        data: One that `check_dataset` passed.
        tasks: The model's.
        devices: How many share each batch evenly, which may need fillers.
    """

    def form(images: Any, labels: Any, *weights: Any) -> tuple[Any, ...]:
        given = by_task(tasks, labels)
        found = {t.name: _formed_labels(t, given[t.name]) for t in tasks}
        images = tf.round(images) if images.dtype.is_floating else images
        images = tf.cast(images, tf.uint8)
        fillers = -tf.shape(images)[0] % devices
        images, *weights = (_filled(x, x[-1:], fillers) for x in (images, *weights))
        found = {name: _filled(x, x[-1:] * 0 + FILLER, fillers) for name, x in found.items()}
        return (images, found[tasks[0].name] if len(tasks) == 1 else found, *weights)

    return data.map(form)


def _filled(values: Any, row: Any, count: Any) -> Any:
    return tf.concat([values, tf.repeat(row, count, axis=0)], axis=0)


def _formed_labels(task: Task, values: Any) -> Any:
    multiclass = task.kind == "multiclass"
    form = [-1] if multiclass else [-1, task.units if task.kind == "multilabel" else 1]
    codes = tf.reshape(tf.cast(values, tf.float32), form)
    codes = tf.where(codes >= 0, codes, tf.cast(UNKNOWN, tf.float32))  # NaN is unknown too
    return tf.cast(codes, tf.int32) if multiclass else codes


def _check_elements(element: Any) -> None:
    if isinstance(element, Mapping):
        names = ", ".join(map(str, element))
        raise InputError(
            f"{FORM} Received: a dict of {names}. Make pairs of it with map, such as "
            "data.map(lambda x: (x['image'], x['label']))."
        )
    if not isinstance(element, tuple) or len(element) == 1:
        raise InputError(f"{FORM} Received: images without labels.")
    images = element[0]
    if len(element) > 3 or not isinstance(images, tf.TensorSpec):
        what = f"{len(element)} parts" if len(element) > 3 else f"images as {type(images).__name__}"
        raise InputError(f"{FORM} Received: {what}.")
    if images.shape.rank == 3:
        shape = ", ".join(str(n or "any") for n in images.shape)
        raise InputError(f"{FORM} Received: single images of [{shape}]. Add .batch(32).")


def _first_batch(data: tf.data.Dataset, spec: Spec) -> Batch | None:
    try:
        return next(iter_batches(data.take(1), spec.tasks, spec.image_size), None)
    except tf.errors.OpError as error:
        lines = (error.message or "").strip().splitlines() or [type(error).__name__]
        raise InputError(f"The dataset cannot be read: {lines[0]}") from error


def _first(data: tf.data.Dataset) -> Any:
    return next(data.take(1).as_numpy_iterator(), ())


def _same(first: Any, second: Any) -> bool:
    pairs = zip(keras.tree.flatten(first), keras.tree.flatten(second), strict=True)
    return all(
        np.array_equal(a, b, equal_nan=np.asarray(a).dtype.kind == "f") for a, b in pairs
    )  # fmt: skip


def _reshuffles(data: Any) -> bool:
    """Whether one of its steps shuffles anew; False where TensorFlow does not tell."""
    again = getattr(data, "_reshuffle_each_iteration", False)
    steps_before = getattr(data, "_inputs", list)()
    return again in (True, None) or any(map(_reshuffles, steps_before))
