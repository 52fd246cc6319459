"""Learnt stages of a pipeline: what a Keras model takes and gives, and running it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerastl.decisions import complete, decided
from kerastl.engines import forward
from kerastl.errors import InputError
from kerastl.graph import functional, outputs
from kerastl.handover import ArrayType, ImageType, LabelType, Type
from kerastl.predictors import KerasPredictor
from kerastl.spec import spec_of
from kerastl.tasks import Task

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
