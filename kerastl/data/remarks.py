"""What is said of pictures that could be read: a guess at their values, and one colour alone."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from kerastl.data.depths import OWN, Span

NAMED = 5
"""As many pictures does a line name."""

FLAT = 2
"""Grey levels between the darkest and the brightest of what counts as one colour."""

log = logging.getLogger("kerastl")


class Remarks:
    """What was seen of pictures as they were decoded, by path; a manifest's parts share it.

    Example:
        >>> remarks = Remarks()
        >>> remarks.note("a.png", np.zeros((4, 4, 3), "uint8"), None)
        >>> remarks.lines(["a.png", "b.png"])
        ['1 of 2 pictures is of one colour as read: a.png']
    """

    def __init__(self):
        self.spans: dict[str, Span] = {}
        self.flat: dict[str, bool] = {}
        self._spans: dict[bytes, Span] = {}
        self._flat: dict[bytes, bool] = {}
        self._told: set[str] = set()

    def note(self, path: str, pixels: np.ndarray, span: Span | None) -> None:
        """Keep what is odd about a picture.

        Args:
            path: Of the picture.
            pixels: uint8 `[height, width, 3]`, as read.
            span: As `read_picture` gave it.
        """
        self.spans.pop(path, None)
        self.flat.pop(path, None)
        if span is not None:
            self.spans[path] = span
        if of_one_colour(pixels):
            self.flat[path] = True

    def share(self, paths: Sequence[str], keys: Sequence[bytes | None]) -> None:
        """Copies of a picture, of which only one was decoded, get what was noted of that one.

        Args:
            paths: Of the pictures.
            keys: The content of each; None where it is not known.
        """
        for noted, known in ((self.spans, self._spans), (self.flat, self._flat)):
            pairs = [(path, key) for path, key in zip(paths, keys, strict=True) if key is not None]
            known |= {key: noted[path] for path, key in pairs if path in noted}
            noted |= {path: known[key] for path, key in pairs if key in known}

    def lines(self, paths: Sequence[str]) -> list[str]:
        """Sentences about some pictures; none where there is nothing to say."""
        return [*_of_one_colour(paths, self.flat), *_of_spans(paths, self.spans)]

    def tell(self, paths: Sequence[str]) -> None:
        """Log the sentences about some pictures as warnings, each of them once."""
        for line in self.lines(paths):
            if line not in self._told:
                self._told.add(line)
                log.warning("note: %s", line)


def of_one_colour(pixels: np.ndarray) -> bool:
    """Whether a picture shows nothing; some of its rows are looked at first.

    Example:
        >>> of_one_colour(np.full((9, 9, 3), 7, "uint8")), of_one_colour(np.eye(9)[..., None] * 9)
        (True, False)
    """
    some = pixels[:: max(1, len(pixels) // 8)]
    return _is_flat(some) and _is_flat(pixels)


def _is_flat(pixels: np.ndarray) -> bool:
    return all(int(c.max()) - int(c.min()) <= FLAT for c in np.moveaxis(pixels, -1, 0))


def _of_one_colour(paths: Sequence[str], flat: dict[str, bool]) -> Iterator[str]:
    if found := [path for path in paths if path in flat]:
        verb = "is" if len(found) == 1 else "are"
        yield f"{len(found)} of {_count(paths)} {verb} of one colour as read: {_named(found)}"


def _of_spans(paths: Sequence[str], spans: dict[str, Span]) -> Iterator[str]:
    deep = {path: spans[path] for path in paths if path in spans}
    counts = Counter(deep.values()).most_common()
    if not counts or (len(counts) == 1 and counts[0][0] in OWN):
        return
    said = f"{len(deep)} of {_count(paths)} {'has' if len(deep) == 1 else 'have'}"
    said += " more than 8 bits, or signed values. Taken for black and white are"
    if len(counts) == 1:
        yield f"{said} {_ends(counts[0][0])}."
        return
    parts = [f"{_ends(counts[0][0])} in {counts[0][1]}"]
    for span, count in counts[1:]:
        parts.append(f"{_ends(span)} in {count} ({_named([p for p in deep if deep[p] == span])})")
    yield f"{said} {'; '.join(parts)}: the same value is another grey there."


def _ends(span: Span) -> str:
    return f"{span[0]:.10g} and {span[1]:.10g}"


def _count(paths: Sequence[str]) -> str:
    return f"{len(paths):,} picture{'s' * (len(paths) != 1)}"


def _named(paths: Sequence[str]) -> str:
    names = [os.path.basename(path) for path in paths[:NAMED]]
    return ", ".join([*names, "…"] if len(paths) > NAMED else names)
