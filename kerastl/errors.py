"""The one error a user's input can raise, and the words that go with it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

SHOWN = 20


class InputError(ValueError):
    """Input that kerastl cannot use: one sentence, then every fault found.

    Args:
        message: What was expected, what was received and how to mend it.
        faults: Each single fault, with its path or line. All of them at once.

    Example:
        >>> print(InputError("The table has 2 faults.", ["line 2: no file a", "line 5: no file b"]))
        The table has 2 faults.
          line 2: no file a
          line 5: no file b
    """

    def __init__(self, message: str, faults: Iterable[str] = ()):
        self.message = message
        self.faults = tuple(faults)
        super().__init__("\n  ".join([message, *shorten(self.faults)]))


class DiskError(InputError):
    """A place that nothing can be written to; what was there is whole.

    Attributes:
        full: Whether it is for want of room.
    """

    full = False


def shorten(lines: Sequence[str], most: int = SHOWN) -> list[str]:
    """The first `most` lines, and a line that counts the rest.

    Example:
        >>> shorten(["a", "b", "c"], most=2)
        ['a', 'b', '... and 1 more']
    """
    rest = len(lines) - most
    return [*lines[:most], f"... and {rest} more"] if rest > 0 else list(lines)


def nearest(word: str, words: Iterable[str], most: int = 3) -> str:
    """A question that names the words nearest to `word`, or nothing.

    Example:
        >>> nearest("MobilNetV2", ["MobileNetV2", "VGG16"])
        ' Did you mean MobileNetV2?'
        >>> nearest("zzz", ["VGG16"])
        ''
    """
    by_lower = {w.lower(): w for w in words}
    found = difflib.get_close_matches(str(word).lower(), by_lower, n=most, cutoff=0.6)
    return f" Did you mean {' or '.join(by_lower[w] for w in found)}?" if found else ""
