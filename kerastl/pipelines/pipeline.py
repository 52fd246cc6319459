"""Stages one after another, each with a typed hand-over to the next."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kerastl.errors import InputError, nearest
from kerastl.pipelines.stages import Stage, as_stages
from kerastl.pipelines.types import fault_of, may_fit, taken_as, told

log = logging.getLogger("kerastl")


@dataclass(frozen=True)
class Trace:
    """What every stage of a pipeline gave for a batch.

    Attributes:
        outputs: By stage, one value for each example; None where there is none.
        skipped: By stage, the numbers of the examples for which it had a value to work
            on and gave None.

    Example:
        >>> Trace({"find": [3, None]}, {"find": (1,)})["find"]
        [3, None]
    """

    outputs: Mapping[str, list[Any]]
    skipped: Mapping[str, tuple[int, ...]]

    def __getitem__(self, name: str) -> list[Any]:
        if name not in self.outputs:
            ran = f"There are: {', '.join(self.outputs)}."
            raise InputError(f"No stage {name!r} ran.{nearest(name, self.outputs)} {ran}")
        return self.outputs[name]


class Pipeline:
    """Stages in their order, as one thing: a batch in, one value for each example out.

    A stage is a callable with a name, a Keras model, or a trained kerastl model. These are
    a pipeline's stages; those of `kerastl.stages` are parts of one network. What a stage
    declares to take and give is held at every hand-over: a mismatch that can be known is
    refused when the pipeline is made, any other when it runs. An array is handed over in
    the dtype that is declared, where that holds its values.

    A stage that has nothing for an example (no face was found) gives None for it. Later
    stages do not see the example; the pipeline gives None for it, and `trace` counts it.

    Args:
        stages: A list of `Stage`s, models and named callables; or a dict of them by name.

    Attributes:
        stages: The `Stage`s.

    Raises:
        InputError: For stages without a name, or with the same, and for hand-overs that
            can never fit.

    Example:
        >>> import keras
        >>> from kerastl.pipelines.types import ArrayType
        >>> pair = ArrayType((2,), "float32")
        >>> ends = Stage("ends", lambda x: x[:, [0, -1]], ArrayType((None,), "float32"), pair)
        >>> x = keras.Input((2,))
        >>> doubled = keras.Model(x, keras.layers.Rescaling(2.0)(x), name="double")
        >>> pipeline = Pipeline([ends, doubled])
        >>> [value.tolist() for value in pipeline(np.arange(8).reshape(2, 4))]
        [[0.0, 6.0], [8.0, 14.0]]
        >>> pipeline.one([5, 1, 6]).tolist()
        [10.0, 12.0]
        >>> Pipeline([doubled, Stage("say", print, takes=str)])
        Traceback (most recent call last):
        kerastl.errors.InputError: The stage 'double' gives float32 [2], and 'say' takes str. ...
    """

    def __init__(self, stages: Mapping[str, Any] | Sequence[Any]):
        self.stages = as_stages(stages)
        faults = [
            f"The stage {a.name!r} gives {told(a.gives)}, and {b.name!r} takes {told(b.takes)}."
            for a, b in zip(self.stages, self.stages[1:], strict=False)
            if not may_fit(a.gives, b.takes)
        ]
        if faults:
            mend = "Change what either takes or gives, or put a stage between them."
            one = f"{faults[0]} {mend}"
            many = f"{len(faults)} hand-overs do not fit. {mend}"
            raise InputError(one) if len(faults) == 1 else InputError(many, faults)

    @property
    def names(self) -> tuple[str, ...]:
        """The stages' names, in order."""
        return tuple(stage.name for stage in self.stages)

    def __getitem__(self, name: str) -> Any:
        """What a stage is made of: `export(pipeline["read"], folder)`."""
        return self.stage(name).call

    def stage(self, name: str) -> Stage:
        """The stage of that name.

        Raises:
            InputError: Where there is none.
        """
        for stage in self.stages:
            if stage.name == name:
                return stage
        there = f"There are: {', '.join(self.names)}."
        raise InputError(f"There is no stage {name!r}.{nearest(name, self.names)} {there}")

    def __call__(self, batch: Any) -> list[Any]:
        """The last stage's values, one for each example, None where a stage had none.

        Args:
            batch: An array `[batch, ...]`, or a list or tuple of one value for each example.

        Raises:
            InputError: For what is no batch, and for a hand-over that does not fit.
        """
        return self.trace(batch)[self.names[-1]]

    def one(self, value: Any) -> Any:
        """The last stage's value for a single picture (or whatever the first stage takes)."""
        return self([value])[0]

    def trace(self, batch: Any, given: Mapping[str, Any] | None = None) -> Trace:
        """Every stage's values.

        Args:
            batch: As in a call.
            given: By stage, values that stand in place of what it would give, one for each
                example. The stages in front of the last of them do not run, for nothing
                of theirs goes on.

        Returns:
            The `Trace` of the stages that ran and of those given.

        Raises:
            InputError: As in a call; and for given values of another number, or of a
                stage that is not there.
        """
        values = as_batch(batch)
        given = {name: as_batch(part) for name, part in (given or {}).items()}
        self.check_given(given, len(values))
        first = max((self.names.index(name) for name in given), default=-1)
        outputs, skipped = dict(given), {}
        giver = "the pipeline's input"
        for stage in self.stages[max(first, 0) :]:
            if stage.name in given:
                values, giver = given[stage.name], f"what is given for {stage.name!r}"
            else:
                values, skipped[stage.name] = _step(stage, values, giver)
                giver = f"the stage {stage.name!r}"
            self._check_kept(stage, values, giver)
            outputs[stage.name] = values
        return Trace({n: outputs[n] for n in self.names if n in outputs}, skipped)

    def check_given(self, given: Mapping[str, list[Any]], count: int) -> None:
        """Raise an InputError where values by stage do not fit the stages and the examples."""
        faults = [
            f"{name}: there is no such stage.{nearest(name, self.names)}"
            for name in given if name not in self.names
        ]  # fmt: skip
        faults += [
            f"{name}: expected {count} values, one for each example; received {len(values)}"
            for name, values in given.items() if len(values) != count
        ]  # fmt: skip
        if faults:
            raise InputError("Expected values by stage, in place of what the stage gives.", faults)

    def _check_kept(self, stage: Stage, values: Sequence[Any], giver: str) -> None:
        """Hold a stage, or what stands in its place, to the type that it declares."""
        for number, value in enumerate(values):
            fault = "" if value is None else fault_of(value, stage.gives)
            if fault:
                after = self.stages.index(stage) + 1
                on = f" for {self.names[after]!r}" if after < len(self.stages) else ""
                raise InputError(
                    f"Expected {told(stage.gives)} from {giver}{on}, as the stage declares. "
                    f"Received: {fault} (example {number})."
                )

    def __str__(self) -> str:
        return "\n".join(str(stage) for stage in self.stages)

    def __repr__(self) -> str:
        return f"Pipeline({' -> '.join(self.names)})"


def as_batch(batch: Any) -> list[Any]:
    """A batch as a list of one value for each example; an InputError for what is none."""
    if hasattr(batch, "__array__") and np.ndim(batch) > 0:
        return list(np.asarray(batch))
    if isinstance(batch, (list, tuple)):
        return list(batch)
    raise InputError(
        "Expected a batch: an array [batch, ...], or a list of one value for each example. "
        f"Received: {type(batch).__name__}. For a single one call pipeline.one(value)."
    )


def _step(stage: Stage, values: Sequence[Any], giver: str) -> tuple[list[Any], tuple[int, ...]]:
    """One stage on the values that are there, and the examples for which it had none."""
    there = [i for i, value in enumerate(values) if value is not None]
    taken = [_handed(values[i], i, stage, giver) for i in there]
    found: list[Any] = [None] * len(values)
    for i, value in zip(there, stage.run(taken), strict=True):
        found[i] = value
    skipped = tuple(i for i in there if found[i] is None)
    if skipped:
        log.info("The stage %r gave nothing for %d of %d.", stage.name, len(skipped), len(there))
    return found, skipped


def _handed(value: Any, number: int, stage: Stage, giver: str) -> Any:
    fault = fault_of(value, stage.takes)
    if fault:
        raise InputError(
            f"Expected {told(stage.takes)} for the stage {stage.name!r}. Received from {giver}: "
            f"{fault} (example {number}). Change either, or put a stage between them."
        )
    return taken_as(value, stage.takes)
