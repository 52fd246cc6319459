"""The networks that a search's trials are copied from, each built once."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras

from kerastl.data.tasks import Task
from kerastl.errors import InputError
from kerastl.models.cuts import stages
from kerastl.models.factories import Backbone, create_model
from kerastl.models.graph import nodes
from kerastl.models.spec import Trainable, spec_of
from kerastl.models.trainable import first_trained
from kerastl.tuning.space import depth_policy, depth_word

log = logging.getLogger("kerastl")

STAGES = 4
"""Stages from behind that are tried where no depths are given, beside the heads alone."""


@dataclass
class Bases:
    """The networks of each backbone and size, all of whose layers train.

    They are copied for each trial, so that all trials start from the same weights.

    Args:
        backbone: As in `UnfreezeHyperModel`, and so are the others.
        tasks: What they predict.
        weights: The backbone's.
        image_size: In pixels.
        seed: Of weights that are not given.
        options: Further options of `create_model`.
    """

    backbone: Backbone | Sequence[str]
    tasks: tuple[Task, ...]
    weights: str | Path | None
    image_size: Any
    seed: int
    options: Mapping[str, Any] = field(default_factory=dict)
    _built: dict[Any, keras.Model] = field(default_factory=dict)

    @property
    def backbones(self) -> tuple[Any, ...]:
        """The backbones to choose from."""
        several = isinstance(self.backbone, (list, tuple))
        return tuple(self.backbone) if several else (self.backbone,)

    @property
    def sizes(self) -> tuple[Any, ...]:
        """The sizes to choose from; a list is several, a tuple one height and width."""
        several = isinstance(self.image_size, list)
        return tuple(self.image_size) if several else (self.image_size,)

    def __len__(self) -> int:
        return len(self.backbones) * len(self.sizes)

    def base(self, values: Mapping[str, Any]) -> keras.Model:
        """The network that a trial of these values is copied from."""
        which = values.get("backbone", self.backbones[0]), values.get("image_size", self.sizes[0])
        key = which if isinstance(which[0], str) else (which[0].name, which[1])
        if key not in self._built:
            built = create_model(
                which[0], self.tasks, trainable=True, weights=self.weights,
                image_size=which[1], seed=self.seed, **self.options,
            )  # fmt: skip
            built.name = spec_of(built).backbone  # by which its copies are named
            self._built[key] = built
        return self._built[key]

    def depths(self, given: Sequence[Trainable] | None) -> tuple[str, ...]:
        """The words of the depths that there are, fewest layers first.

        Raises:
            InputError: Naming every choice and every depth that is none, for each backbone.
        """
        faults = [
            *_choice_faults("backbone", self.backbones, str, "names"),
            *_choice_faults("image_size", self.sizes, int, "whole numbers from 1"),
        ]
        if faults:
            raise InputError("There is nothing to choose from.", faults)
        each = [self.base({"backbone": backbone}) for backbone in self.backbones]
        words = _shared_stages(each) if given is None else [depth_word(depth) for depth in given]
        faults = [fault for base in each for fault in _faults(base, words)]
        if faults:
            raise InputError("A search tries depths that the backbone has.", faults)
        return tuple(_distinct(each[0], words))


def depths_there(
    bases: Bases, given: Sequence[Trainable] | None, faults: list[str]
) -> tuple[str, ...]:
    """The depths of a search.

    Raises:
        InputError: For their faults together with those that were found before.
    """
    try:
        found = bases.depths(given)
    except InputError as error:
        if not faults:
            raise
        faults += error.faults or [str(error)]
    if faults:
        raise InputError("There can be no trials so.", faults)
    return found


def layers_under(model: keras.Model, word: str) -> int:
    """How many layers of the backbone train at a depth."""
    spec = spec_of(model)
    names = [node.operation.name for node in nodes(model)]
    count = names.index(spec.backbone_output) + 1
    return count - first_trained(model, spec, depth_policy(word))


def _shared_stages(models: Sequence[keras.Model]) -> list[str]:
    """The heads alone, and the last stages that all of the backbones have."""
    first, *others = map(_stages, models)
    return ["heads", *[s for s in first if all(s in other for other in others)][:STAGES]]


def _stages(model: keras.Model) -> list[str]:
    """The stages with backbone layers behind them, from the last one on."""
    names = [node.operation.name for node in nodes(model)]
    last = names.index(spec_of(model).backbone_output)
    return [cut.stage for cut in reversed(stages(model)) if cut.index < last]


def _choice_faults(name: str, values: Sequence[Any], kind: type, words: str) -> Iterator[str]:
    if not values:
        yield f"{name}: expected at least one, received none"
    elif len(values) > 1 and not all(type(v) is kind and (kind is str or v > 0) for v in values):
        yield f"{name}: expected {words} to choose from, received {list(values)}"
    elif len(values) > 1 and len(set(values)) < len(values):
        yield f"{name}: expected each once, received {list(values)}"


def _faults(model: keras.Model, words: Sequence[str]) -> Iterator[str]:
    for word in words:
        try:
            layers_under(model, word)
        except InputError as error:
            yield f"depths: {error}"


def _distinct(model: keras.Model, words: Sequence[str]) -> list[str]:
    """One word for each number of layers, fewest first."""
    found: dict[int, str] = {}
    for word in words:
        layers = layers_under(model, word)
        if found.setdefault(layers, word) != word:
            log.info("The depths %s and %s are one: %d layers.", found[layers], word, layers)
    return [found[layers] for layers in sorted(found)]
