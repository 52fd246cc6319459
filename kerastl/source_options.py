"""How the examples of a fit are made, and whether their features may be stored."""

from __future__ import annotations

import numbers
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kerastl.augmentation import Augment
from kerastl.errors import InputError
from kerastl.progress import tell


@dataclass(frozen=True)
class Options:
    """How the examples are made, the same for every phase."""

    batch_size: int
    seed: int
    augment: Augment | None = None
    views: int = 1
    cache: bool | str | Path = "auto"
    engine: str = "auto"
    budget: int | None = None
    show: bool = False

    @property
    def folder(self) -> Path | None:
        """The user's own folder for features."""
        own = not isinstance(self.cache, bool) and self.cache != "auto"
        return Path(self.cache) if own else None


def use_features(options: Options) -> bool:
    """Whether the options let features be stored.

    Raises:
        InputError: For options that exclude each other.

    Example:
        >>> use_features(Options(32, 0)), use_features(Options(32, 0, cache=False))
        (True, False)
    """
    budget = options.budget
    if budget is not None and (not _whole(budget) or budget < 0):
        raise InputError(f"Expected budget= in bytes, 0 or more. Received: {budget!r}.")
    if options.views > 1 and options.augment is None:
        raise InputError(f"views={options.views} needs augment=: views are its stored results.")
    changing = options.augment is not None and options.views == 1
    if options.cache is False:
        return False
    if changing and options.cache != "auto":
        raise InputError(
            "Random augmentation and stored features exclude each other. Give views=k to "
            "store k augmented copies of each picture, or cache=False."
        )
    if changing:
        tell(
            "Every epoch runs the whole network: augmentation changes the pictures each time. "
            "views=k would store k augmented copies of each.",
            options.show,
        )
    return not changing


def _whole(value: Any) -> bool:
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)
