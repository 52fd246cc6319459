"""The types of a hand-over as plain JSON values, and back: nothing is imported by its name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kerastl.errors import InputError
from kerastl.handover import ArrayType, ImageType, LabelType, Type

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
