"""What a model was trained on, in one word: the same for the same pictures and labels."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kerastl.batches import ordered_map
from kerastl.content_index import contents
from kerastl.contents import content_digest
from kerastl.files import DIGEST
from kerastl.manifest import Manifest
from kerastl.tasks import Task


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
