"""A `tf.data.Dataset`: of pictures decoded in parallel, or given to fit and held to its form."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerastl.data.batches import Batch, check_on_bad, check_pictures, iter_batches
from kerastl.data.manifest import Manifest
from kerastl.data.pictures import PictureError, as_size, load_picture
from kerastl.data.tasks import UNKNOWN, Task, by_task
from kerastl.errors import InputError
from kerastl.models.spec import Spec
from kerastl.training.augmentation import Augment, augmenter
from kerastl.training.sampling import FILLER


def image_dataset(
    manifest: Manifest,
    image_size: int | tuple[int, int] = 224,
    batch_size: int = 32,
    *,
    shuffle: bool = False,
    seed: int = 0,
    augment: Augment | None = None,
    on_bad: str = "skip",
    labels: bool = True,
) -> tf.data.Dataset:
    """A dataset that `model.fit` takes: pictures decoded in parallel, in a fixed order.

    Args:
        manifest: The pictures and their labels.
        image_size: Height and width to stretch to: one number or (height, width).
        batch_size: Images in a batch.
        shuffle: Another order in each epoch, drawn from `seed`.
        seed: Seed of the order and of the augmentation.
        augment: A Keras layer, or several, called on each batch of uint8 images
            with `training=True`. The result is rounded and clipped to uint8. The
            layers' own seeds are set from `seed`.
        on_bad: "skip" leaves bad pictures out of their batches and notes each in
            `manifest.skipped`. The number of batches stays what it was, as Keras
            expects to know it: a batch of nothing but bad pictures has the first
            good one of the manifest instead. "raise" reads every picture once
            before the dataset is made and names all bad ones, so that none stops
            a run later.
        labels: False gives a dataset of images alone.

    Returns:
        Dataset of (uint8 `[batch, height, width, 3]`, labels). The labels are one
        array for a single task, else a dict by task name: int32 `[batch]` for
        multiclass, float32 `[batch, 1]` for binary, float32 `[batch, labels]` for
        multilabel.

    Raises:
        InputError: For a manifest without a good picture, and for any bad one
            under "raise".

    Example:
        >>> import pandas as pd, pathlib, tempfile
        >>> from kerastl.data.tasks import Task
        >>> path = pathlib.Path(tempfile.mkdtemp(), "a.ppm")
        >>> n = path.write_bytes(b"P6 1 1 255 " + bytes([9, 8, 7]))
        >>> frame = pd.DataFrame({"image": [str(path)], "label": [1]})
        >>> m = Manifest(frame, Task("label", ["x", "y"]))
        >>> for images, labels in image_dataset(m, image_size=1):
        ...     print(images.numpy().tolist(), labels.numpy().tolist())
        [[[[9, 8, 7]]]] [1]
    """
    size = as_size(image_size)
    check_on_bad(on_bad)
    if on_bad == "raise":
        _refuse_bad(manifest)
    keep = _keeper(*_first_good(manifest, size))
    data = _rows(manifest, shuffle, seed)
    data = data.map(_decoder(manifest, size), num_parallel_calls=tf.data.AUTOTUNE)
    data = data.batch(batch_size).map(keep)
    if augment is not None:
        change = augmenter(augment, seed)
        data = data.map(lambda images, rows: (change(images), rows))
    return data.map(_labeller(manifest, labels)).prefetch(tf.data.AUTOTUNE)


def _refuse_bad(manifest: Manifest) -> None:
    before = set(manifest.skipped)
    good = set(check_pictures(manifest).frame["image"])
    bad = [p for p in manifest.frame["image"] if p not in good]
    if bad:
        faults = [f"{p}: {manifest.skipped[p]}" for p in bad]
        for path in set(bad) - before:  # refused, not skipped
            del manifest.skipped[path]
        raise InputError(f"{len(bad)} of {len(manifest)} pictures cannot be used.", faults)


def _first_good(manifest: Manifest, size: tuple[int, int]) -> tuple[np.ndarray, int]:
    for row, path in enumerate(manifest.frame["image"]):
        try:
            return load_picture(path, size), row
        except PictureError as error:
            manifest.skipped[error.path] = error.cause
    bad = [f"{p}: {manifest.skipped[p]}" for p in manifest.frame["image"]]
    raise InputError("The manifest has no picture that can be used.", bad)


def _keeper(spare: np.ndarray, spare_row: int) -> Callable:
    """Only the good pictures of a batch, or the spare one where there are none."""

    def keep(images: tf.Tensor, rows: tf.Tensor, good: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        kept = tf.boolean_mask(images, good), tf.boolean_mask(rows, good)
        instead = tf.constant(spare[None]), tf.constant([spare_row], tf.int64)
        return tf.cond(tf.reduce_any(good), lambda: kept, lambda: instead)

    return keep


def _rows(manifest: Manifest, shuffle: bool, seed: int) -> tf.data.Dataset:
    rows = tf.data.Dataset.range(len(manifest))
    return rows.shuffle(len(manifest), seed=seed) if shuffle else rows


def _decoder(manifest: Manifest, size: tuple[int, int]) -> Callable:
    paths = manifest.frame["image"].tolist()

    def read(row: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        try:
            return load_picture(paths[int(row)], size), np.True_
        except PictureError as error:
            manifest.skipped[error.path] = error.cause
            return np.zeros((*size, 3), "uint8"), np.False_

    def decode(row: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        image, good = tf.numpy_function(read, [row], [tf.uint8, tf.bool])
        return tf.ensure_shape(image, (*size, 3)), row, tf.ensure_shape(good, ())

    return decode


def _labeller(manifest: Manifest, labels: bool) -> Callable:
    known = {name: tf.constant(array) for name, array in manifest.labels().items()}

    def attach(images: tf.Tensor, rows: tf.Tensor) -> Any:
        if not labels:
            return images
        found = {name: tf.gather(array, rows) for name, array in known.items()}
        return images, found if len(found) > 1 else next(iter(found.values()))

    return attach


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
