"""Values of more than 8 bits as grey levels: which value is black, and which one white."""

from __future__ import annotations

import numpy as np

Span = tuple[float, float]
"""The value that is black, and the one that is white."""

OWN = ((0, 65535), (0, 1))
"""Spans that nobody needs to be told of: all 16 bits, and floats from 0 to 1."""

OFFSET, REACH = 2**15, 2**12
"""Unsigned numbers that all lie within `REACH` of `OFFSET` are signed ones, moved up by it."""

SLIGHT = 1 / 16
"""What resampling leaves below 0 or above 1, as a share of the largest value: it is cut off."""


def to_grey(values: np.ndarray, top: float | None = None) -> tuple[np.ndarray, Span]:
    """Values as 8-bit grey, and the span that they were scaled from: see `span_of`.

    Args:
        values: Integers or floats of any shape. NaN stands for 0.
        top: The largest value that there may be, where the file says so.

    Returns:
        uint8 of the same shape, and the span.

    Example:
        >>> grey, span = to_grey(np.array([0, 2048, 4000], "uint16"))
        >>> grey.tolist(), span
        ([0, 128, 249], (0, 4095))
    """
    if values.dtype.kind == "f":
        values = np.nan_to_num(values.astype("float64"), nan=0.0, posinf=np.inf, neginf=-np.inf)
    sound = values[np.isfinite(values)]
    low, high = sound.min(initial=sound[0]) if sound.size else 0, sound.max(initial=0)
    span = black, white = span_of(low, high, values.dtype, top)
    shares = (values.clip(black, white).astype("float64") - black) * (255 / (white - black))
    return np.rint(shares).astype("uint8"), span


def span_of(low: float, high: float, dtype: np.dtype, top: float | None = None) -> Span:
    """What is black and what is white in a picture whose values lie from `low` to `high`.

    White is the least 2^8 - 1, 2^10 - 1, 2^12 - 1 and so on that holds all values: scaled from
    its own darkest to its own brightest value, each picture of a set would show the same value
    as another grey. 12-bit pictures share one span unless one is very dark. Floats up to 1
    have white at 1. Below 0, black is the least power of 4 that holds all values.

    Args:
        low: The smallest value.
        high: The largest one.
        dtype: Of the values as they are stored; no span is wider.
        top: The largest value that there may be, where the file says so.

    Returns:
        Black and white.

    Example:
        >>> [span_of(0, high, np.dtype("uint16")) for high in (200, 3000, 40000)]
        [(0, 255), (0, 4095), (0, 65535)]
        >>> span_of(-1000, 3000, np.dtype("int16")), span_of(0, 0.7, np.dtype("float32"))
        ((-1024, 4095), (0, 1))
    """
    low, high = (v.item() if isinstance(v, np.generic) else v for v in (low, high))
    whole = dtype.kind != "f"
    if whole and low >= OFFSET - REACH and high < OFFSET + REACH and not top:
        black, white = _span(low - OFFSET, high - OFFSET, whole)
        return black + OFFSET, white + OFFSET
    black, white = _span(low, max(high, top or high), whole)
    if not whole:
        return black, white
    limits = np.iinfo(dtype)
    return max(black, int(limits.min)), min(white, int(limits.max))


def _span(low: float, high: float, whole: bool) -> Span:
    if low >= 0 or -low < SLIGHT * high:
        return 0, 1 if not whole and high <= 1 + SLIGHT else max(_power(high + 1), 256) - 1
    if whole:
        return -max(_power(-low), 256), max(_power(high + 1), 256) - 1
    return -_power(-low), _power(high)


def _power(value: float) -> int:
    """The least power of 4 that is at least `value`."""
    power = 1
    while power < value:
        power *= 4
    return power
