"""What a kerastl model knows of itself beyond its layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import keras

from kerastl import backend
from kerastl.data.tasks import Task, as_tasks
from kerastl.errors import InputError
from kerastl.models.floats import take_floats
from kerastl.scoring.decisions import check_thresholds

backend.check()

Trainable = bool | int | float | str


@dataclass(frozen=True)
class Spec:
    """A model's tasks and how it was made; saved beside its weights.

    Attributes:
        tasks: What it predicts, in the order of its outputs.
        image_size: Height and width of the pictures it takes.
        backbone: Name of the backbone.
        backbone_output: The backbone's last layer.
        features: The layer whose output the heads share, `[batch, features]`.
        trainable: The policy that was asked for.
        train_batch_norm: Whether BatchNorm in trained stages trains too.
        rates: Layer -> the rate (dropout, noise) it had before it was frozen.
        thresholds: Task -> the score from which on each label is given: one number
            per label, for a binary task one, of its second class. A task that is
            not there is decided at 0.5.

    Raises:
        InputError: For two tasks of one name, and for thresholds that do not fit the tasks.
    """

    tasks: tuple[Task, ...]
    image_size: tuple[int, int]
    backbone: str
    backbone_output: str
    features: str
    trainable: Trainable = False
    train_batch_norm: bool = False
    rates: Mapping[str, float] = field(default_factory=dict)
    thresholds: Mapping[str, Sequence[float]] = field(default_factory=dict)
    trained_on: tuple[str | None, ...] = ()

    def __post_init__(self):
        object.__setattr__(self, "tasks", as_tasks(self.tasks))
        object.__setattr__(self, "thresholds", check_thresholds(self.tasks, self.thresholds))

    def to_dict(self) -> dict[str, Any]:
        """The spec as plain JSON values."""
        plain = dict(vars(self))
        plain["tasks"] = [t.to_dict() for t in self.tasks]
        plain["image_size"] = list(self.image_size)
        plain["rates"] = dict(self.rates)
        plain["trained_on"] = list(self.trained_on)
        plain["thresholds"] = {name: list(values) for name, values in self.thresholds.items()}
        return plain

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Spec:
        """The spec that `to_dict` made.

        Raises:
            InputError: When the values are not those of a spec.
        """
        try:
            values = dict(plain)
            values["tasks"] = tuple(Task(**t) for t in values["tasks"])
            height, width = values["image_size"]
            values["image_size"] = (int(height), int(width))
            values["trained_on"] = tuple(values.get("trained_on", ()))
            return cls(**values)
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"This is no description of a kerastl model: {error}") from error


def spec_of(model: keras.Model) -> Spec:
    """The spec of a model that kerastl made or loaded.

    Raises:
        InputError: For a model that has none.
    """
    found = getattr(model, "kerastl_spec", None)
    if found is None:
        raise InputError(
            f"The model {getattr(model, 'name', model)!r} does not know its tasks. Expected one "
            "from classifier, multilabel_classifier, multitask_classifier or kerastl.load_model."
        )
    return found


def with_spec(model: keras.Model, spec: Spec, **changes: Any) -> keras.Model:
    """`model`, now carrying `spec` with the given fields changed, and taking floats too."""
    model.kerastl_spec = replace(spec, **changes)
    return take_floats(model)
