"""What a pipeline's stage takes and gives: types of one example's value, and whether they fit.

They are written as plain JSON values and read back: nothing is imported by its name.
"""

from __future__ import annotations

import numbers
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from kerastl.errors import InputError, shorten

Type = Any
"""An ArrayType, an ImageType, a LabelType, a Python type; a dict of types by name for a dict
with these keys; None for anything at all."""

NUMBERS = {int: numbers.Integral, float: numbers.Real}
"""NumPy's numbers are instances of these, and not of Python's own."""


@dataclass(frozen=True)
class ArrayType:
    """An array of numbers.

    Args:
        shape: Of one example, without the batch; None where a side is open.
        dtype: Its name, as in "float32"; None for any number.

    Raises:
        InputError: For a side below 1, or a dtype that is no number's.

    Example:
        >>> print(ArrayType((None, 4), "float32"), fault_of(np.zeros((3, 5)), ArrayType((None, 4))))
        float32 [any, 4] float64 [3, 5]
    """

    shape: tuple[int | None, ...]
    dtype: str | None = None

    def __post_init__(self):
        object.__setattr__(self, "shape", tuple(self.shape))
        sides = all(n is None or (type(n) is int and n >= 1) for n in self.shape)
        if not sides or (self.dtype is not None and not _is_dtype(self.dtype)):
            raise InputError(
                "Expected sides that are whole numbers from 1 or None, and the name of a number's "
                f"dtype or None. Received: shape {self.shape}, dtype {self.dtype!r}."
            )

    def __str__(self) -> str:
        sides = ", ".join("any" if n is None else str(n) for n in self.shape)
        return f"{self.dtype or 'numbers'} [{sides}]"


class ImageType(ArrayType):
    """An image `[height, width, channels]`.

    Args:
        height: In pixels; None for any.
        width: Likewise.
        channels: 3 for RGB.
        dtype: As in `ArrayType`.

    Example:
        >>> print(ImageType(8, 8))
        an image uint8 [8, 8, 3]
    """

    def __init__(
        self,
        height: int | None = None,
        width: int | None = None,
        channels: int | None = 3,
        dtype: str | None = "uint8",
    ):
        super().__init__((height, width, channels), dtype)

    def __str__(self) -> str:
        return f"an image {super().__str__()}"


@dataclass(frozen=True)
class LabelType:
    """One of some class names.

    Args:
        classes: The names.

    Example:
        >>> print(LabelType(["cat", "dog"]))
        one of the labels cat, dog
    """

    classes: tuple[str, ...]

    def __post_init__(self):
        object.__setattr__(self, "classes", tuple(self.classes))

    def __str__(self) -> str:
        return f"one of the labels {', '.join(shorten(self.classes, most=10))}"


def told(kind: Type) -> str:
    """A type in words."""
    if isinstance(kind, Mapping):
        return "{" + ", ".join(f"{name}: {told(part)}" for name, part in kind.items()) + "}"
    if kind is None:
        return "anything"
    return kind.__name__ if isinstance(kind, type) else str(kind)


def told_value(value: Any) -> str:
    """A value in words: dtype and shape of an array, a short text as it is, else its type."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{name}: {told_value(part)}" for name, part in value.items()) + "}"
    if isinstance(value, str) and len(value) <= 40:
        return repr(value)
    array = _numbers(value)
    named = array is not None and not isinstance(value, (list, tuple))
    return f"{array.dtype} {list(array.shape)}" if named else type(value).__name__


def check_type(kind: Type) -> None:
    """Raise an InputError for what is no type of a hand-over."""
    if isinstance(kind, Mapping):
        for part in kind.values():
            check_type(part)
    elif not (kind is None or isinstance(kind, (ArrayType, LabelType, type))):
        raise InputError(
            "Expected a hand-over's type: ArrayType, ImageType, LabelType, a Python type, a dict "
            f"of types by name, or None for anything. Received: {kind!r}."
        )


def may_fit(given: Type, taken: Type) -> bool:
    """Whether a value of one type can be one of the other; False where none ever can.

    Args:
        given: What one stage gives.
        taken: What the next one takes.

    Example:
        >>> may_fit(ImageType(None, None), ImageType(8, 8)), may_fit(str, ImageType(8, 8))
        (True, False)
    """
    if given is None or taken is None:
        return True
    if isinstance(given, Mapping) and isinstance(taken, Mapping):
        return all(name in given and may_fit(given[name], taken[name]) for name in taken)
    if isinstance(given, ArrayType) and isinstance(taken, ArrayType):
        return _shapes_fit(given.shape, taken.shape) and _kinds_fit(given.dtype, taken.dtype)
    if isinstance(given, LabelType) and isinstance(taken, LabelType):
        return set(given.classes) <= set(taken.classes)
    ours, theirs = _python(given), _python(taken)
    if isinstance(taken, ArrayType):
        return not issubclass(ours, (str, bytes, Mapping))
    if isinstance(given, ArrayType) and theirs in NUMBERS:
        return given.shape == ()
    wide = NUMBERS.get(theirs, theirs)
    return issubclass(ours, wide) or issubclass(theirs, ours)


def fault_of(value: Any, kind: Type) -> str:
    """What a value is, where it is not of the type; "" where it is."""
    return "" if _is(value, kind) else told_value(value)


def taken_as(value: Any, kind: Type) -> Any:
    """A value that fits, in the very form that a stage declares: arrays in its dtype."""
    if isinstance(kind, Mapping):
        return {name: taken_as(value[name], part) for name, part in kind.items()}
    return np.asarray(value, kind.dtype) if isinstance(kind, ArrayType) else value


def _is(value: Any, kind: Type) -> bool:
    if kind is None:
        return True
    if isinstance(kind, Mapping):
        there = isinstance(value, Mapping) and all(name in value for name in kind)
        return there and all(_is(value[name], part) for name, part in kind.items())
    if isinstance(kind, LabelType):
        return isinstance(value, str) and value in kind.classes
    if isinstance(kind, ArrayType):
        array = _numbers(value)
        return array is not None and _shapes_fit(array.shape, kind.shape) and _holds(kind, array)
    return isinstance(value, NUMBERS.get(kind, kind))


def _shapes_fit(given: tuple[int | None, ...], taken: tuple[int | None, ...]) -> bool:
    same = (None in (a, b) or a == b for a, b in zip(given, taken, strict=False))
    return len(given) == len(taken) and all(same)


def _kinds_fit(given: str | None, taken: str | None) -> bool:
    """Whether no fraction would be cut: floats do not go into whole numbers."""
    if given is None or taken is None:
        return True
    order = "buifc"
    ours, theirs = (order.index(np.dtype(name).kind) for name in (given, taken))
    return ours <= max(theirs, order.index("i") if theirs else 0)


def _holds(kind: ArrayType, array: np.ndarray) -> bool:
    """Whether the type's dtype holds the values: whole numbers within its range."""
    if kind.dtype is None or not _kinds_fit(array.dtype.name, kind.dtype):
        return kind.dtype is None
    dtype = np.dtype(kind.dtype)
    if dtype.kind not in "iu" or np.can_cast(array.dtype, dtype) or not array.size:
        return True
    limits = np.iinfo(dtype)
    return bool(limits.min <= array.min() and array.max() <= limits.max)


def _numbers(value: Any) -> np.ndarray | None:
    if isinstance(value, (str, bytes, Mapping)):
        return None
    try:
        array = np.asarray(value)
    except (ValueError, TypeError):  # a list of rows of other lengths
        return None
    return array if array.dtype.kind in "buifc" else None


def _python(kind: Type) -> type:
    if isinstance(kind, Mapping):
        return dict
    if isinstance(kind, LabelType):
        return str
    return np.ndarray if isinstance(kind, ArrayType) else kind


def _is_dtype(name: Any) -> bool:
    try:
        return isinstance(name, str) and np.dtype(name).kind in "buifc"
    except TypeError:
        return False


PLAIN = {t.__name__: t for t in (bool, bytes, dict, float, int, list, object, str, tuple)}
"""The Python types that a file may name; any other has to be given again."""

DEEPEST = 8


def to_json(kind: Type) -> Any:
    """A type as plain JSON values; a Python type of one's own by its full name.

    Example:
        >>> to_json(ImageType(8, None)), to_json({"size": int})
        ({'image': [8, None, 3], 'dtype': 'uint8'}, {'by_name': {'size': {'python': 'int'}}})
    """
    if isinstance(kind, ArrayType):
        form = "image" if isinstance(kind, ImageType) else "array"
        return {form: list(kind.shape), "dtype": kind.dtype}
    if isinstance(kind, LabelType):
        return {"labels": list(kind.classes)}
    if isinstance(kind, Mapping):
        return {"by_name": {str(name): to_json(part) for name, part in kind.items()}}
    if kind is None:
        return None
    plain = PLAIN.get(kind.__name__) is kind
    return {"python": kind.__name__ if plain else f"{kind.__module__}.{kind.__qualname__}"}


def from_json(plain: Any, depth: int = 0) -> Type:
    """The type that `to_json` made.

    Raises:
        InputError: For values that are none, and for a Python type of someone's own.

    Example:
        >>> print(from_json({"image": [8, None, 3], "dtype": "uint8"}))
        an image uint8 [8, any, 3]
        >>> from_json({"python": "os.system"})
        Traceback (most recent call last):
        kerastl.errors.InputError: Expected a Stage ... Received: 'os.system' ...
    """
    match plain:
        case None:
            return None
        case {"image": [_, _, _] as shape, "dtype": dtype}:
            return ImageType(*shape, dtype)
        case {"array": [*shape], "dtype": dtype}:
            return ArrayType(tuple(shape), dtype)
        case {"labels": [*classes]} if all(isinstance(c, str) for c in classes):
            return LabelType(tuple(classes))
        case {"by_name": {**parts}} if depth < DEEPEST:
            return {name: from_json(part, depth + 1) for name, part in parts.items()}
        case {"python": str(name)} if name in PLAIN:
            return PLAIN[name]
        case {"python": str(name)}:
            raise InputError(
                f"Expected a Stage for a hand-over of a Python type of one's own: Stage(name, "
                f"call, takes=..., gives=...). Received: {name!r} in the file alone."
            )
    raise InputError(f"Expected the type of a hand-over. Received: {str(plain)[:200]}.")
