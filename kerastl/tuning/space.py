"""What a search chooses from: depths by their words, and ranges of the fit's numbers."""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kerastl.errors import InputError

if TYPE_CHECKING:  # the command line reads words of depths, and loads no Keras for that
    import keras_tuner

    from kerastl.models.spec import Trainable


Range = float | Sequence[float]
"""A number: fixed. A list: these values. A tuple (lowest, highest): anything between."""

DEFAULTS = {"learning_rate": 3e-4, "depth_decay": 0.7, "dropout": 0.2, "weight_decay": 1e-4}
"""What is tried first: those of `fit` and of `create_model`."""

ALLOWED = {
    "learning_rate": (lambda v: v > 0, "above 0"),
    "depth_decay": (lambda v: 0 < v <= 1, "above 0, up to 1"),
    "dropout": (lambda v: 0 <= v < 1, "from 0 to below 1"),
    "weight_decay": (lambda v: v >= 0, "from 0"),
}
"""Which numbers each may be, and in words."""

LOGARITHMIC = ("learning_rate", "weight_decay")


def depth_policy(word: str) -> Trainable:
    """The `trainable` policy that a word stands for.

    Example:
        >>> [depth_policy(word) for word in ("heads", "all", "20", "0.25", "stage4")]
        [False, True, 20, 0.25, 'stage4']
    """
    named: dict[str, bool] = {"heads": False, "none": False, "all": True}
    if word.lower() in named:
        return named[word.lower()]
    for kind in (int, float):
        try:
            return kind(word)
        except ValueError:
            continue
    return word


def depth_word(trainable: Trainable) -> str:
    """The word for a `trainable` policy.

    Example:
        >>> [depth_word(policy) for policy in (False, 0, True, 20, 0.25, "stage4")]
        ['heads', 'heads', 'all', '20', '0.25', 'stage4']
    """
    if isinstance(trainable, bool) or trainable == 0:
        return "all" if trainable else "heads"
    return str(trainable)


@dataclass(frozen=True)
class SearchSpace:
    """What a search chooses from.

    Attributes:
        depths: Words for what trains beside the heads, fewest layers first.
        learning_rate: The tail's highest rate; the heads' is ten times it.
        depth_decay: Factor of the rate from one stage to the one in front of it.
        dropout: In front of the heads.
        weight_decay: AdamW's.
        backbones: Names, where there is a choice.
        image_sizes: Pixels, where there is a choice.

    Raises:
        InputError: Naming every range that is none.

    Example:
        >>> import keras_tuner
        >>> space = SearchSpace(("heads", "stage4"), learning_rate=[1e-4, 1e-3], dropout=0.2)
        >>> hp = keras_tuner.HyperParameters()
        >>> space.declare(hp)
        >>> hp.values["trainable"], hp.values["dropout"], hp.values["learning_rate"]
        ('heads', 0.2, 0.0001)
    """

    depths: tuple[str, ...]
    learning_rate: Range = (3e-5, 3e-3)
    depth_decay: Range = (0.5, 1.0)
    dropout: Range = (0.0, 0.5)
    weight_decay: Range = (1e-6, 1e-2)
    backbones: tuple[str, ...] = ()
    image_sizes: tuple[int, ...] = ()

    def __post_init__(self):
        faults = [] if self.depths else ["depths: expected at least one, received none"]
        faults += range_faults({name: getattr(self, name) for name in DEFAULTS})
        if faults:
            raise InputError("There is nothing to search in.", faults)

    def declare(self, hp: keras_tuner.HyperParameters) -> None:
        """Declare all of it at once, which several workers of KerasTuner need."""
        hp.Choice("trainable", list(self.depths))
        for name, default in DEFAULTS.items():
            _declare(hp, name, getattr(self, name), default)
        for name, values in (("backbone", self.backbones), ("image_size", self.image_sizes)):
            if len(values) > 1:
                hp.Choice(name, list(values))


def _declare(hp: keras_tuner.HyperParameters, name: str, values: Range, default: float) -> None:
    if isinstance(values, numbers.Real):
        hp.Fixed(name, float(values))
    elif isinstance(values, tuple):
        low, high = map(float, values)
        sampling = "log" if name in LOGARITHMIC else "linear"
        hp.Float(name, low, high, sampling=sampling, default=min(max(default, low), high))
    else:
        choices = list(dict.fromkeys(map(float, values)))  # each value once
        hp.Choice(name, choices, default=min(choices, key=lambda v: abs(v - default)))


def range_faults(ranges: Mapping[str, Range]) -> list[str]:
    """A line for each range by name that is none.

    Example:
        >>> range_faults({"dropout": (0.5, 0.1), "learning_rate": 1e-3, "depth_decay": []})
        ['dropout: expected a tuple (lowest, highest), or a list of values, received (0.5, 0.1)',
         'depth_decay: expected at least one value, received none']
    """
    return [fault for name, values in ranges.items() for fault in _faults(name, values)]


def _faults(name: str, values: Any) -> Iterator[str]:
    given = list(values) if isinstance(values, (list, tuple)) else [values]
    allowed, words = ALLOWED[name]
    odd = [v for v in given if not (_finite(v) and allowed(v))]
    if odd:
        yield f"{name}: expected numbers {words}, received {odd[0]!r}"
    elif not given:
        yield f"{name}: expected at least one value, received none"
    elif isinstance(values, tuple) and (len(values) != 2 or not values[0] < values[1]):
        yield f"{name}: expected a tuple (lowest, highest), or a list of values, received {values}"
    elif isinstance(values, tuple) and name in LOGARITHMIC and values[0] == 0:
        yield f"{name}: the lowest of a range has to be above 0, received {values}"


def _finite(value: Any) -> bool:
    number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    return number and math.isfinite(value)
