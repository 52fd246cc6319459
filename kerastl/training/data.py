"""The data of a fit in the three forms it may have: checked, split, and known by its digest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from kerastl.data.batches import image_array, iter_batches, label_array, ordered_map
from kerastl.data.manifest import Manifest
from kerastl.data.tasks import Task, by_task, known
from kerastl.errors import InputError
from kerastl.features.store.index import contents
from kerastl.files import DIGEST, content_digest
from kerastl.models.spec import Spec
from kerastl.terminal import warn
from kerastl.training.tfdata import check_dataset


def training_digest(data: Any, tasks: Sequence[Task], cache: Path | None = None) -> str | None:
    """A digest of training data, by the content of their pictures and by their labels.

    It does not depend on the order of the examples, nor on where the pictures lie or
    what their files are called. One label that changes changes it.

    Args:
        data: A Manifest, or (images, labels by task).
        tasks: Their tasks.
        cache: A folder of stored features, whose index spares reading the files again.

    Returns:
        64 hexadecimal digits; None for a `tf.data.Dataset`, which would have to be read.

    Example:
        >>> images = np.arange(2 * 12, dtype="uint8").reshape(2, 2, 2, 3)
        >>> labels, tasks = {"pet": np.array([0, 1])}, [Task("pet", ["cat", "dog"])]
        >>> here = training_digest((images, labels), tasks)
        >>> here == training_digest((images[::-1], {"pet": labels["pet"][::-1]}), tasks)
        True
        >>> here == training_digest((images, {"pet": labels["pet"][::-1]}), tasks)
        False
    """
    if isinstance(data, Manifest):
        keys, labels = _of_files(data.frame["image"].tolist(), cache), data.labels()
    elif isinstance(data, tuple):
        keys, labels = [_short(image.tobytes()) for image in data[0]], data[1]
    else:
        return None
    ordered = sorted(tasks, key=lambda task: task.name)
    rows = zip(keys, _rows(ordered, labels, len(keys)), strict=True)
    told = sorted(_short(key + row.tobytes()) for key, row in rows if key is not None)
    about = json.dumps([task.to_dict() for task in ordered], sort_keys=True)
    return hashlib.sha256(about.encode() + b"".join(told)).hexdigest()


def _of_files(paths: list[str], cache: Path | None) -> list[bytes | None]:
    if cache is not None:
        return contents(paths, cache).keys
    return list(ordered_map(content_digest, paths))


def _rows(tasks: Sequence[Task], labels: Mapping[str, np.ndarray], n: int) -> np.ndarray:
    columns = [np.asarray(labels[task.name], "<f8").reshape(n, -1) for task in tasks]
    return np.hstack(columns) if columns else np.zeros((n, 0))


def _short(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=DIGEST).digest()


def parts(train: Any, validation_data: Any) -> tuple[Any, Any]:
    """Training and validation data; a whole Manifest brings both.

    What uncertain labels stand for in training counts for nothing in validation.

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
    if isinstance(validation_data, Manifest):
        validation_data = validation_data.certain()
    return train, validation_data


def checked(data: Any, spec: Spec) -> Any:
    """The data in one of three forms: a Manifest, (images, labels by task), a dataset."""
    if isinstance(data, Manifest):
        _same_tasks(data.tasks, spec.tasks)
        return data
    if isinstance(data, tf.data.Dataset):
        return check_dataset(data, spec)
    if not isinstance(data, (tuple, list)) or len(data) != 2:
        raise InputError(
            "Expected a Manifest, (images, labels) or a batched tf.data.Dataset of both. "
            f"Received: {type(data).__name__}."
        )
    images = image_array(data[0], spec.image_size)
    given = by_task(spec.tasks, data[1])
    return images, {t.name: label_array(t, given[t.name], len(images)) for t in spec.tasks}


def learnable(data: Any, tasks: Sequence[Task]) -> Any:
    """Checked training data, each task of which has a known label.

    Args:
        data: What `checked` gave.
        tasks: Their tasks.

    Raises:
        InputError: Naming the tasks that have none.

    Example:
        >>> tasks = [Task("a", ["x", "y"]), Task("b", ["x", "y"])]
        >>> labels = {"a": np.array([0, -1]), "b": np.array([-1, -1])}
        >>> learnable((np.zeros((2, 8, 8, 3)), labels), tasks)
        Traceback (most recent call last):
        kerastl.errors.InputError: Nothing could be learnt of 1 task. Leave it out of the model.
          b: none of its 2 labels for training is known
    """
    faults = [
        f"{name}: none of its {count} labels for training is known"
        for name, count in unlabelled(data, tasks).items()
    ]
    if faults:
        what = "1 task. Leave it" if len(faults) == 1 else f"{len(faults)} tasks. Leave them"
        raise InputError(f"Nothing could be learnt of {what} out of the model.", faults)
    return data


def watchable(data: Any, tasks: Sequence[Task], again: bool = True) -> tuple[Any, tuple[str, ...]]:
    """Checked validation data that tell how good a model is, and the tasks they tell nothing of.

    A loss over no known label is 0, which no later epoch would better. Data of which no label
    is known are therefore taken for none; either is a warning.

    Args:
        data: What `checked` gave.
        tasks: Their tasks.
        again: As in `kerastl.terminal.warn`.

    Returns:
        The data, or None; and the names of the tasks that have no known label there.

    Example:
        >>> task = Task("a", ["x", "y"])
        >>> watchable((np.zeros((2, 8, 8, 3)), {"a": np.array([-1, -1])}), [task])
        (None, ('a',))
    """
    counts = unlabelled(data, tasks)
    if len(counts) == len(tasks):
        warn(
            f"None of the {sum(counts.values()):,} labels for validation is known. The fit goes on "
            "as without validation data: no best epoch is chosen. Put pictures with known labels "
            "there.",
            again=again,
        )
        return None, tuple(counts)
    for name, count in counts.items():
        warn(
            f"{name}: none of its {count:,} labels for validation is known, so the other tasks "
            "alone choose the best epoch. Put pictures with known labels of it there.",
            again=again,
        )
    return data, tuple(counts)


def unlabelled(data: Any, tasks: Sequence[Task]) -> dict[str, int]:
    """The tasks that have no known label, each with the number of its labels.

    Args:
        data: What `checked` gave. A dataset is read until each task has a known label,
            which is mostly one batch.
        tasks: Their tasks.

    Example:
        >>> tasks = [Task("a", ["x", "y"]), Task("b", ["x", "y"])]
        >>> unlabelled((None, {"a": np.array([0, -1]), "b": np.array([-1, -1])}), tasks)
        {'b': 2}
    """
    if isinstance(data, tf.data.Dataset):
        several = (batch.labels for batch in iter_batches(data, tasks, None))
    else:
        several = iter([data.labels() if isinstance(data, Manifest) else data[1]])
    counts = {task.name: 0 for task in tasks}
    for labels in several:
        counts = {n: c + labels[n].size for n, c in counts.items() if not known(labels[n]).any()}
        if not counts:
            break
    return counts


def _same_tasks(given: tuple[Task, ...], expected: tuple[Task, ...]) -> None:
    if set(given) != set(expected):
        raise InputError(
            "The data's tasks are not the model's.",
            [f"the data have {t}" for t in given] + [f"the model has {t}" for t in expected],
        )


def identity(data: Any) -> bytes:
    """What tells these data from others: paths and labels, or the arrays themselves.

    A Manifest's is text: its frame, and what uncertain labels stand for.
    """
    if isinstance(data, Manifest):
        frame = data.frame.drop(columns="group", errors="ignore").to_csv(index=False)
        policy = json.dumps({c: float(v) for c, v in data.uncertain.items()}, sort_keys=True)
        return f"{frame}{policy}".encode("utf-8", "surrogateescape")
    if isinstance(data, tuple):
        images, labels = data
        return images.tobytes() + b"".join(labels[name].tobytes() for name in sorted(labels))
    return repr(data).encode()


def content(data: Any, cache: Path | None = None) -> bytes:
    """What tells these data from others, the content of a Manifest's pictures with it.

    Args:
        data: In one of the three forms.
        cache: As in `training_digest`.
    """
    if not isinstance(data, Manifest):
        return identity(data)
    keys = _of_files(data.frame["image"].tolist(), cache)
    return identity(data) + b"".join(key or b"-" for key in keys)


def steps(data: Any) -> int:
    """Batches in an epoch."""
    if isinstance(data, tf.data.Dataset):
        count = int(data.cardinality())
        return count if count > 0 else sum(1 for _ in data)
    return len(data)
