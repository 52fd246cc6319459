"""The scores of pictures: read, batched and run through a model, block by block."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from kerastl.batches import ordered_map
from kerastl.filling import Progress
from kerastl.pictures import PictureError, load_picture
from kerastl.predictors import Predictor

BLOCK = 1024
"""Pictures in a block: what a killed call or a dead node has to do again."""

Told = Callable[[int], None]
"""Called with the number of pictures that were done since the last time."""


@dataclass(frozen=True)
class Scored:
    """What a model says of some pictures.

    Attributes:
        scores: By task name, `[pictures, classes]`; those of a picture that could not
            be read mean nothing.
        errors: By position, why a picture could not be read.
    """

    scores: Mapping[str, np.ndarray]
    errors: Mapping[int, str]


class Count:
    """Pictures done, told whoever wants to know."""

    def __init__(self, progress: Progress | None, total: int, done: int = 0):
        self._progress, self._total, self._done = progress, total, 0
        self.add(done)

    def add(self, more: int) -> None:
        """More pictures are done."""
        self._done += more
        if self._progress and more:
            self._progress(self._done, self._total)


def score_files(
    predictor: Predictor, paths: Sequence[str], batch_size: int, told: Told | None = None
) -> Scored:
    """Score picture files. No batch goes beyond a block, so that blocks give the same alone.

    Args:
        predictor: The model.
        paths: The files.
        batch_size: Pictures in a batch.
        told: Called after each batch.
    """
    black = np.zeros((*predictor.image_size, 3), "uint8")
    pictures = ordered_map(lambda path: read_or_cause(path, predictor.image_size), paths)
    scores, errors = [], {}
    for at in _batches(len(paths), batch_size):
        read = list(itertools.islice(pictures, at.stop - at.start))
        errors |= {at.start + i: one for i, one in enumerate(read) if isinstance(one, str)}
        images = np.stack([black if isinstance(one, str) else one for one in read])
        scores.append(predictor.predict(images))
        if told:
            told(len(read))
    return Scored(_joined(scores), errors)


def score_images(
    predictor: Predictor, images: np.ndarray, batch_size: int, told: Told | None = None
) -> Scored:
    """Score images uint8 `[n, height, width, 3]`."""
    scores = []
    for at in _batches(len(images), batch_size):
        scores.append(predictor.predict(images[at]))
        if told:
            told(at.stop - at.start)
    return Scored(_joined(scores), {})


def join(parts: Iterable[Scored]) -> Scored:
    """The scores of consecutive blocks as one.

    Example:
        >>> parts = [Scored({"t": np.ones((2, 1))}, {1: "truncated"})] * 2
        >>> join(parts).errors
        {1: 'truncated', 3: 'truncated'}
    """
    scores, errors, start = [], {}, 0
    for part in parts:
        scores.append(part.scores)
        errors |= {start + at: cause for at, cause in part.errors.items()}
        start += len(next(iter(part.scores.values())))
    return Scored(_joined(scores), errors)


def blocks(count: int) -> list[slice]:
    """The positions of pictures in blocks."""
    return [slice(at, min(at + BLOCK, count)) for at in range(0, count, BLOCK)]


def read_or_cause(path: str, image_size: tuple[int, int]) -> np.ndarray | str:
    """An image, or why the picture cannot be read."""
    try:
        return load_picture(path, image_size)
    except PictureError as error:
        return error.cause


def _batches(count: int, batch_size: int) -> Iterator[slice]:
    for block in blocks(count):
        for at in range(block.start, block.stop, batch_size):
            yield slice(at, min(at + batch_size, block.stop))


def _joined(scores: Sequence[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    return {name: np.concatenate([part[name] for part in scores]) for name in scores[0]}
