"""Arrays from outside, held to the form that every part of kerastl expects."""

from __future__ import annotations

from typing import Any

import numpy as np

from kerastl.errors import InputError, shorten
from kerastl.tasks import UNCERTAIN, UNKNOWN, Task


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
    if high <= 1 and (given != np.rint(given)).any():
        raise InputError(f"{form} Received: fractions from 0 to 1. Multiply them by 255.")
    return np.rint(given).astype("uint8")
