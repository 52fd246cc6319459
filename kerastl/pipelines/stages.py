"""A stage of a pipeline: a callable or a Keras model with a name, and what it takes and gives.

The stages here are those of a `Pipeline`, one after another; the stages of a network, which
`kerastl.stages` names, are parts of one model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerastl.data.tasks import Task
from kerastl.errors import InputError
from kerastl.features.engines import forward
from kerastl.inference.predictors import KerasPredictor
from kerastl.models.graph import functional, outputs
from kerastl.models.spec import spec_of
from kerastl.pipelines.types import ArrayType, ImageType, LabelType, Type, check_type, told
from kerastl.scoring.decisions import complete, decided

ANSWERS = ("scores", "classes")
BATCH = 32
"""Examples that a model sees at once; a pipeline's batch may be any size."""

Run = Callable[[Sequence[Any]], list[Any]]


def knows_tasks(model: Any) -> bool:
    """Whether a model is a trained kerastl model, which knows its tasks and preprocesses itself."""
    return getattr(model, "kerastl_spec", None) is not None


def types_of(model: keras.Model, answers: str = "scores") -> tuple[Type, Type]:
    """What one example of a model's input and output is.

    Args:
        model: A kerastl model, or a Functional or Sequential Keras model of one input.
        answers: What a kerastl model gives of each task: "scores", one number for each
            class, or "classes", the class as `predict` names it. Of several tasks it
            gives a dict by task, as do other models of several outputs by their names.

    Returns:
        What it takes, what it gives.

    Raises:
        InputError: For a model without a graph, of several inputs or of a fixed batch.

    Example:
        >>> x = keras.Input((4,))
        >>> takes, gives = types_of(keras.Model(x, keras.layers.Dense(2)(x)))
        >>> print(takes, "->", gives)
        float32 [4] -> float32 [2]
    """
    if knows_tasks(model):
        spec = spec_of(model)
        each = {t.name: _answer_type(t, answers) for t in spec.tasks}
        return ImageType(*spec.image_size), _one_or_all(each)
    inputs = functional(model).inputs
    if len(inputs) != 1 or inputs[0].shape[0] is not None:
        raise InputError(
            f"Expected a model of one input with an open batch. Received: {model.name!r} with "
            f"inputs {[list(x.shape) for x in inputs]}. Call it from a function of your own."
        )
    return _tensor_type(inputs[0]), keras.tree.map_structure(_tensor_type, _by_name(model))


def runner(name: str, model: keras.Model, answers: str = "scores") -> Run:
    """A model as a function of some examples' values: one value for each.

    The graph is traced at the first call. Weights, and a kerastl model's thresholds, are
    those of the time of each call.

    Args:
        name: The stage's, for its errors.
        model: As in `types_of`.
        answers: Likewise.

    Example:
        >>> x = keras.Input((2,))
        >>> run = runner("double", keras.Model(x, keras.layers.Rescaling(2.0)(x)))
        >>> [value.tolist() for value in run([np.ones(2, "float32"), np.zeros(2, "float32")])]
        [[2.0, 2.0], [0.0, 0.0]]
    """
    made: list[Callable[[np.ndarray], Any]] = []

    def run(values: Sequence[Any]) -> list[Any]:
        if not made:
            made.append(_call(model, answers))
        found: list[Any] = [None] * len(values)
        for rows in _alike(values):
            some = _rows(name, made[0], [values[i] for i in rows])
            for at, value in zip(rows, some, strict=True):
                found[at] = value
        return found

    return run


def _call(model: keras.Model, answers: str) -> Callable[[np.ndarray], Any]:
    if not knows_tasks(model):
        names, run = _names(model), forward(model)
        return lambda batch: _named(names, run(batch))
    predictor = KerasPredictor(model)

    def call(images: np.ndarray) -> Any:
        scores = predictor.predict(images)
        if answers == "classes":
            at = complete(predictor.tasks, spec_of(model).thresholds)
            scores = {t.name: _classes(t, scores[t.name], at.get(t.name)) for t in predictor.tasks}
        return _one_or_all(scores)

    return call


def _alike(values: Sequence[Any]) -> list[list[int]]:
    """The places of the values by shape, at most BATCH together."""
    by_shape: dict[tuple[int, ...], list[int]] = {}
    for at, value in enumerate(values):
        by_shape.setdefault(np.shape(value), []).append(at)
    return [rows[i : i + BATCH] for rows in by_shape.values() for i in range(0, len(rows), BATCH)]


def _rows(name: str, call: Callable[[np.ndarray], Any], values: list[Any]) -> list[Any]:
    try:
        found = call(np.stack(values))
    except (tf.errors.OpError, ValueError) as error:
        line = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InputError(
            f"The model of the stage {name!r} cannot take values of the shape "
            f"{list(np.shape(values[0]))}: {line[:200]}"
        ) from error
    if isinstance(found, Mapping):
        return [dict(zip(found, row, strict=True)) for row in zip(*found.values(), strict=True)]
    return list(found)


def _answer_type(task: Task, answers: str) -> Type:
    if answers == "scores":
        return ArrayType((len(task.classes),), "float32")
    return str if task.kind == "multilabel" else LabelType(task.classes)


def _classes(task: Task, scores: np.ndarray, at: Sequence[float] | None) -> list[str]:
    told = decided(task, scores, at)
    return [";".join(c for c, yes in zip(task.classes, row, strict=True) if yes) for row in told]


def _one_or_all(by_task: Mapping[str, Any]) -> Any:
    return next(iter(by_task.values())) if len(by_task) == 1 else dict(by_task)


def _tensor_type(tensor: Any) -> ArrayType:
    return ArrayType(tuple(tensor.shape[1:]), keras.backend.standardize_dtype(tensor.dtype))


def _names(model: keras.Model) -> list[str] | None:
    """The names of several outputs that come without them; None where the model names them."""
    given = outputs(model)
    return list(functional(model).output_names) if isinstance(given, (list, tuple)) else None


def _by_name(model: keras.Model) -> Any:
    return _named(_names(model), outputs(model))


def _named(names: list[str] | None, found: Any) -> Any:
    if names is None:
        return found
    return found[0] if len(names) == 1 else dict(zip(names, found, strict=True))


Call = Callable[[Any], Any]


@dataclass(frozen=True, eq=False)
class Stage:
    """One step of a pipeline.

    Args:
        name: Its name in the pipeline.
        call: What it does. A callable gets the values of the stage before it and gives
            one for each: None where it has none for an example, as when no face is
            found. A kerastl model takes images, preprocesses them itself, and gives
            class scores; another Keras model gives its outputs.
        takes: The type of one example's value that it expects (`ArrayType`, `ImageType`,
            `LabelType`, a Python type, a dict of types by name); None for anything. A
            model's is read from the model.
        gives: The type of one example's value that it gives, likewise.
        batched: Whether the callable takes all values at once: as an array `[n, ...]`
            where they are numbers or arrays of one shape and dtype, else as a list.
            False calls it for each value alone. It never sees a None.
        answers: What a kerastl model gives of each task: "scores", one for each class,
            or "classes", the class as `predict` names it. Of several tasks it is a
            dict by task.

    Raises:
        InputError: For a name or type that is none, and for types of a model.

    Example:
        >>> from kerastl.pipelines.types import ArrayType
        >>> middle = Stage("middle", lambda x: x[:, 1:3], ArrayType((4,)), ArrayType((2,)))
        >>> print(middle)
        middle: numbers [4] -> numbers [2]
        >>> middle.run([np.arange(4), np.arange(4, 8)])
        [array([1, 2]), array([5, 6])]
    """

    name: str
    call: Call | keras.Model
    takes: Type = None
    gives: Type = None
    batched: bool = True
    answers: str = "scores"

    def __post_init__(self):
        _check_name(self.name)
        if not callable(self.call):
            raise InputError(
                f"Expected a callable or a Keras model for the stage {self.name!r}. "
                f"Received: {type(self.call).__name__}."
            )
        _check_options(self)
        if self.learnt:
            takes, gives = types_of(self.call, self.answers)
            object.__setattr__(self, "takes", takes)
            object.__setattr__(self, "gives", gives)
            run = runner(self.name, self.call, self.answers)
        else:
            run = partial(_by_batch if self.batched else _one_by_one, self.name, self.call)
        object.__setattr__(self, "_run", run)

    @property
    def learnt(self) -> bool:
        """Whether it is a Keras model."""
        return isinstance(self.call, keras.Model)

    def run(self, values: Sequence[Any]) -> list[Any]:
        """The stage on some examples' values, none of them None: one value for each, or None.

        Raises:
            InputError: For a batched callable that gives another number of values, and
                for values that a model cannot take. What a callable raises passes through.
        """
        return self._run(values) if values else []

    def __str__(self) -> str:
        return f"{self.name}: {told(self.takes)} -> {told(self.gives)}"


def as_stages(stages: Mapping[str, Any] | Sequence[Any]) -> tuple[Stage, ...]:
    """Stages by name, or things that have names of their own, as stages; every fault at once."""
    if isinstance(stages, Mapping):
        pairs = list(stages.items())
    elif isinstance(stages, (list, tuple)):
        pairs = [(None, thing) for thing in stages]
    else:
        raise InputError(
            f"Expected stages as a list, or as a dict by name. Received: {type(stages).__name__}."
        )
    made, faults = [], []
    for number, (name, thing) in enumerate(pairs, 1):
        try:
            made.append(_as_stage(name, thing))
        except InputError as error:
            faults += [f"stage {number}: {error.message}", *error.faults]
    names = [stage.name for stage in made]
    faults += [f"the name {n!r} is there {names.count(n)} times"
               for n in dict.fromkeys(names) if names.count(n) > 1]  # fmt: skip
    if faults or not pairs:
        raise InputError(
            "Expected at least one stage, each a Stage, a Keras model or a callable with a name of "
            "its own.", faults or ["there is none"],
        )  # fmt: skip
    return tuple(made)


def _as_stage(name: str | None, thing: Any) -> Stage:
    if isinstance(thing, Stage):
        if name in (None, thing.name):
            return thing
        raise InputError(f"Expected one name for it. Received: {name!r} and {thing.name!r}.")
    own = getattr(thing, "name", None) or getattr(thing, "__name__", None)
    if name is None and (not isinstance(own, str) or own == "<lambda>"):
        raise InputError(
            f"It has no name ({type(thing).__name__}). Give a dict by name, or Stage(name, ...)."
        )
    return Stage(own if name is None else name, thing)


def _check_name(name: Any) -> None:
    if not isinstance(name, str) or not name.strip() or not name.isprintable():
        raise InputError(f"Expected a name of printable characters. Received: {name!r}.")


def _check_options(stage: Stage) -> None:
    for kind in (stage.takes, stage.gives):
        check_type(kind)
    if stage.answers not in ANSWERS:
        raise InputError(
            f"Expected answers= of {', '.join(ANSWERS)} for the stage {stage.name!r}. "
            f"Received: {stage.answers!r}."
        )
    odd = {"answers": stage.answers != "scores" and not knows_tasks(stage.call)}
    if stage.learnt:
        odd |= {"takes": stage.takes is not None, "gives": stage.gives is not None,
                "batched": not stage.batched}  # fmt: skip
    wrong = [f"{name}=" for name, there in odd.items() if there]
    if wrong:
        what = "a Keras model's types are read from it" if stage.learnt else "it is no model"
        raise InputError(
            f"Expected no {' and no '.join(wrong)} for the stage {stage.name!r}: {what}, and "
            "answers= is for kerastl models."
        )


def _one_by_one(name: str, call: Call, values: Sequence[Any]) -> list[Any]:
    return [call(value) for value in values]


def _by_batch(name: str, call: Call, values: Sequence[Any]) -> list[Any]:
    found = call(_packed(values))
    array = hasattr(found, "__array__")
    one_each = np.ndim(found) > 0 if array else isinstance(found, (list, tuple))
    given = list(np.asarray(found) if array else found) if one_each else None
    if given is None or len(given) != len(values):
        got = f"{len(given)} values" if one_each else type(found).__name__
        raise InputError(
            f"The stage {name!r} gave {got} for {len(values)} examples. Expected one value for "
            "each, None where it has none; or batched=False, where it takes one at a time."
        )
    return given


def _packed(values: Sequence[Any]) -> Any:
    """Numbers and arrays of one shape and dtype as one array, else a list."""
    plain = all(isinstance(v, (np.ndarray, np.generic, int, float)) for v in values)
    if not plain or len({(np.shape(v), np.asarray(v).dtype.str) for v in values}) > 1:
        return list(values)
    return np.stack(values)
