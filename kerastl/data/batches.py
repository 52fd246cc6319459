"""Batches of image arrays in plain Python: from a manifest, from arrays, from a dataset."""

from __future__ import annotations

import itertools
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from kerastl.data.manifest import Manifest
from kerastl.data.pictures import PictureError, as_size, read_picture
from kerastl.data.tasks import UNCERTAIN, UNKNOWN, Task, as_tasks, by_task
from kerastl.errors import InputError, shorten

SMALLEST = 32
"""The size at which all is read that is read at any: large JPEGs at their lowest scale."""


def label_array(task: Task, values: Any, rows: int) -> np.ndarray:
    """Labels as every part of kerastl holds them.

    Args:
        task: The task they belong to.
        values: Codes, `[rows]` or `[rows, labels]`; -1, -2 and NaN are unknown.
        rows: How many there must be.

    Returns:
        int32 `[rows]` for multiclass, float32 `[rows, 1]` for binary, and
        float32 `[rows, labels]` for multilabel; each unknown label is -1.

    Raises:
        InputError: For another shape, or a code that the task does not have.

    Example:
        >>> label_array(Task("t", ["no", "yes"], kind="binary"), [1, 0], rows=2).tolist()
        [[1.0], [0.0]]
    """
    given = np.asarray(values)
    units = task.units if task.kind == "multilabel" else 1
    expected = f"[{rows}, {units}]" if task.kind == "multilabel" else f"[{rows}]"
    if given.dtype.kind not in "biuf" or given.size != rows * units or len(given) != rows:
        got = f"{given.dtype} {list(given.shape)}"
        form = f"Expected labels of {task.name} ({_named(task)}) as {expected} numbers."
        raise InputError(f"{form} Received: {got}.")
    codes = np.nan_to_num(given.astype("float64"), nan=UNKNOWN).reshape(rows, units)
    top = len(task.classes) - 1 if task.kind == "multiclass" else 1
    codes[codes == UNCERTAIN] = UNKNOWN
    bad = (codes != UNKNOWN) & ((codes < 0) | (codes > top))
    if task.kind == "multiclass":
        bad |= codes != np.floor(codes)
    if bad.any():
        row, column = np.argwhere(bad)[0]
        where = f"{task.classes[column]}, row {row}" if task.kind == "multilabel" else f"row {row}"
        odd = f"Received: {codes[row, column]:g} ({where}), {bad.sum()} such."
        raise InputError(f"Expected labels of {task.name} from 0 to {top}, or -1. {odd}")
    return codes[:, 0].astype("int32") if task.kind == "multiclass" else codes.astype("float32")


def _named(task: Task) -> str:
    return ", ".join(shorten(task.classes, most=10))


def image_array(images: Any, size: tuple[int, int] | None = None) -> np.ndarray:
    """Images as uint8, numbers from 0 to 255 rounded; an InputError for anything else.

    Example:
        >>> image_array(np.full((1, 2, 2, 3), 127.6)).max()
        np.uint8(128)
    """
    given = np.asarray(images)
    form = "Expected images as RGB [n, height, width, 3], uint8 or numbers from 0 to 255."
    if given.ndim != 4 or given.shape[-1] != 3 or given.dtype.kind not in "iuf":
        raise InputError(f"{form} Received: {given.dtype} {list(given.shape)}.")
    if size is not None and given.shape[1:3] != size:
        got = "x".join(map(str, given.shape[1:3]))
        raise InputError(f"Expected images of {size[0]}x{size[1]} pixels. Received: {got}.")
    if given.dtype == np.uint8 or not given.size:
        return given.astype("uint8", copy=False)
    low, high = given.min(), given.max()
    if not (low >= 0 and high <= 255):  # so written that NaN fails too
        raise InputError(f"{form} Received: numbers from {low:g} to {high:g}.")
    if 0 < high <= 1 and given.dtype.kind == "f":
        raise InputError(f"{form} Received: fractions from 0 to 1. Multiply them by 255.")
    return np.rint(given).astype("uint8")


@dataclass(frozen=True, eq=False)
class Batch:
    """Some images with their labels.

    Attributes:
        images: uint8 `[batch, height, width, 3]`.
        labels: An array for each task name, or None where there are no labels.
        rows: int64 `[batch]`, the images' positions in what was given.
        groups: int `[batch]`, the images' groups; None where they come in none.
    """

    images: np.ndarray
    labels: dict[str, np.ndarray] | None
    rows: np.ndarray
    groups: np.ndarray | None = None


def iter_batches(
    data: Any,
    tasks: Task | Iterable[Task],
    image_size: int | tuple[int, int] | None,
    batch_size: int = 32,
    *,
    threads: int | None = None,
    on_bad: str = "skip",
) -> Iterator[Batch]:
    """Go once through `data`, batch by batch, in its own order.

    Args:
        data: A manifest; or `(images, labels)` arrays, or images alone; or a
            batched `tf.data.Dataset` or `keras.utils.PyDataset` of these. Images
            in arrays are RGB, `[n, height, width, 3]`, uint8 or numbers from 0
            to 255, which are rounded.
        tasks: The tasks whose labels are wanted; none for the images alone.
        image_size: Height and width: pictures of a manifest are resized to it,
            arrays must have it. None takes arrays as they are.
        batch_size: Images in a batch; a dataset keeps its own batches.
        threads: Threads that decode pictures; as many as cores by default.
        on_bad: "skip" leaves a bad picture out and notes it in
            `manifest.skipped`; "raise" stops there.

    Returns:
        An iterator over batches. Only a few are in memory at any time.

    Raises:
        InputError: For data of another form, and for a bad picture under "raise".

    Example:
        >>> task = Task("label", ["cat", "dog"])
        >>> data = (np.zeros((5, 8, 8, 3), "uint8"), [0, 1, 0, 1, -1])
        >>> [b.labels["label"].tolist() for b in iter_batches(data, task, 8, batch_size=3)]
        [[0, 1, 0], [1, -1]]
    """
    tasks = as_tasks(tasks) if tasks else ()
    size = None if image_size is None else as_size(image_size)
    check_on_bad(on_bad)
    if isinstance(data, Manifest):
        return _manifest_batches(data, tasks, size, batch_size, threads, on_bad)
    return _array_batches(_pieces(data, batch_size), tasks, size)


def check_pictures(
    manifest: Manifest,
    image_size: int | tuple[int, int] | None = None,
    *,
    threads: int | None = None,
) -> Manifest:
    """Decode each picture once and keep the good ones.

    Args:
        manifest: The pictures.
        image_size: Resize too, as a later run will; not needed to find bad ones.
        threads: Threads that decode; as many as cores by default.

    Returns:
        The manifest without the bad pictures, which are in `skipped` with their causes.

    Example:
        >>> import pandas as pd
        >>> frame = pd.DataFrame({"image": ["gone.png"], "label": [0]})
        >>> m = check_pictures(Manifest(frame, Task("label", ["cat", "dog"])))
        >>> len(m), m.skipped
        (0, {'gone.png': 'no such file'})
    """
    size = as_size(SMALLEST if image_size is None else image_size)

    def fault(path: str) -> PictureError | None:
        read = _read(manifest, path, size)
        return read if isinstance(read, PictureError) else None  # drop the pixels at once

    found = ordered_map(fault, manifest.frame["image"], threads, ahead=64)
    good = [row for row, error in enumerate(found) if not _note(manifest, error)]
    return manifest.take(good)


def tell_remarks(*data: Any) -> None:
    """Say what is odd about the pictures of manifests, those of one data set together."""
    found: dict[int, tuple[Manifest, list[str]]] = {}
    for part in data:
        if isinstance(part, Manifest):
            _, paths = found.setdefault(id(part.remarks), (part, []))
            paths.extend(part.frame["image"])
    for part, paths in found.values():
        part.remarks.tell(paths)


def ordered_map(
    call: Callable, items: Iterable, threads: int | None = None, *, ahead: int = 64
) -> Iterator:
    """`map(call, items)` in threads, in order, never more than `ahead` items in advance."""
    threads = threads or count_cores()
    items = iter(items)
    with ThreadPoolExecutor(threads) as pool:
        waiting = deque(pool.submit(call, i) for i in itertools.islice(items, ahead))
        try:
            while waiting:
                result = waiting.popleft().result()
                waiting.extend(pool.submit(call, i) for i in itertools.islice(items, 1))
                yield result
        finally:
            for future in waiting:
                future.cancel()


def count_cores() -> int:
    """The cores this process may use, which in a container can be fewer than there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def check_on_bad(on_bad: str) -> None:
    """Hold `on_bad` to its two words."""
    if on_bad not in ("skip", "raise"):
        raise InputError(f"Expected on_bad='skip' or 'raise'. Received: on_bad={on_bad!r}.")


def _read(manifest: Manifest, path: str, size: tuple[int, int] | None) -> np.ndarray | PictureError:
    try:
        pixels, span = read_picture(path, size)
    except PictureError as error:
        return error
    manifest.remarks.note(path, pixels, span)
    return pixels


def _note(manifest: Manifest, read: Any) -> bool:
    if isinstance(read, PictureError):
        manifest.skipped[read.path] = read.cause
    return isinstance(read, PictureError)


def _manifest_batches(
    manifest: Manifest,
    tasks: Sequence[Task],
    size: tuple[int, int] | None,
    batch_size: int,
    threads: int | None,
    on_bad: str,
) -> Iterator[Batch]:
    if size is None:
        raise InputError("Expected an image_size, as pictures differ in theirs. Received: None.")
    labels = manifest.labels()
    missing = [t.name for t in tasks if t.name not in labels]
    if missing:
        there = ", ".join(labels)
        raise InputError(f"The manifest has no task {', '.join(missing)}. Its tasks are: {there}.")
    reads = ordered_map(
        lambda path: _read(manifest, path, size),
        manifest.frame["image"],
        threads,
        ahead=2 * batch_size,
    )
    groups = manifest.groups
    for rows, images in _good(manifest, reads, batch_size, on_bad):
        of = None if groups is None else groups[rows]
        yield Batch(images, {t.name: labels[t.name][rows] for t in tasks}, rows, of)


def _good(
    manifest: Manifest, reads: Iterator, batch_size: int, on_bad: str
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    rows, images = [], []
    for row, read in enumerate(reads):
        if _note(manifest, read):
            if on_bad == "raise":
                raise InputError("A picture cannot be used.", [str(read)])
            continue
        rows.append(row)
        images.append(read)
        if len(rows) == batch_size:
            yield np.array(rows), np.stack(images)
            rows, images = [], []
    if rows:
        yield np.array(rows), np.stack(images)


def _pieces(data: Any, batch_size: int) -> Iterator[tuple[Any, Any]]:
    """What was given as (images, labels or None), piece by piece."""
    if hasattr(data, "element_spec"):  # a tf.data.Dataset, known without importing TensorFlow
        return map(_pair, _finite(data, data.cardinality() == -1).as_numpy_iterator())
    if hasattr(data, "num_batches") and hasattr(data, "__getitem__"):  # a keras PyDataset
        count = _finite(data, data.num_batches is None).num_batches
        return (_pair(data[i]) for i in range(count))
    return _slices(*_pair(data), batch_size)


def _finite(data: Any, endless: bool) -> Any:
    if endless:
        raise InputError("Expected a dataset that ends; this one repeats for ever. Use take(n).")
    return data


def _pair(piece: Any) -> tuple[Any, Any]:
    if isinstance(piece, (tuple, list)):
        if not 1 <= len(piece) <= 3:
            form = "Expected images, (images, labels) or (images, labels, weights)."
            raise InputError(f"{form} Received: {len(piece)} parts.")
        return piece[0], piece[1] if len(piece) > 1 else None
    return piece, None


def _slices(images: Any, labels: Any, batch_size: int) -> Iterator[tuple[Any, Any]]:
    images = np.asarray(images)
    if images.ndim != 4:
        image_array(images)  # says what is wrong
    _check_lengths(len(images), labels)
    for start in range(0, len(images), batch_size):
        part = slice(start, start + batch_size)
        yield images[part], _sliced(labels, part)


def _check_lengths(rows: int, labels: Any) -> None:
    named = labels if isinstance(labels, Mapping) else {} if labels is None else {"": labels}
    for name, values in named.items():
        n = np.asarray(values).shape[:1]
        if n != (rows,):
            what = f"labels of {name}" if name else "labels"
            raise InputError(f"Expected {rows} {what}, one an image. Received: {n[0] if n else 0}.")


def _sliced(labels: Any, part: slice) -> Any:
    if isinstance(labels, Mapping):
        return {name: np.asarray(values)[part] for name, values in labels.items()}
    return None if labels is None else np.asarray(labels)[part]


def _array_batches(
    pieces: Iterator, tasks: Sequence[Task], size: tuple[int, int] | None
) -> Iterator[Batch]:
    start = 0
    for given, labels in pieces:
        images = image_array(given, size)
        rows = np.arange(start, start + len(images))
        yield Batch(images, _labels(tasks, labels, len(rows)), rows)
        start += len(rows)


def _labels(tasks: Sequence[Task], values: Any, rows: int) -> dict[str, np.ndarray] | None:
    if values is None:
        return None
    names = [t.name for t in tasks]
    if isinstance(values, Mapping):
        missing = [n for n in names if n not in values]
        if missing:
            there = ", ".join(map(str, values))
            raise InputError(f"The labels lack {', '.join(missing)}. There are: {there}.")
    elif len(tasks) > 1:
        raise InputError(f"Expected labels as a dict with {', '.join(names)}. Received: an array.")
    found = by_task(tasks, values)
    return {t.name: label_array(t, found[t.name], rows) for t in tasks}
