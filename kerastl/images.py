"""Pictures as a tf.data.Dataset of (uint8 images, labels), decoded in parallel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from kerastl.augmentation import Augment, augmenter
from kerastl.batches import check_on_bad, check_pictures
from kerastl.errors import InputError
from kerastl.manifest import Manifest
from kerastl.pictures import PictureError, as_size, load_picture


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
        >>> from kerastl.tasks import Task
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
