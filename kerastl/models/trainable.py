"""The `trainable` policy: how much of the backbone trains, said in one argument.

Frozen means frozen in every sense: weights, BatchNorm's statistics and affine
terms, dropout and noise. Heads always train.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import keras
import numpy as np
import pandas as pd

from kerastl.errors import InputError, nearest
from kerastl.models.cuts import stages
from kerastl.models.graph import named_losses, nodes, weights_digest
from kerastl.models.spec import Spec, Trainable, spec_of, with_spec
from kerastl.terminal import warn

RANDOM_RATES = ("rate", "stddev", "drop_path_rate")
"""Attributes by which Keras' random layers say how strongly they act."""


def set_trainable(
    model: keras.Model, trainable: Trainable, *, train_batch_norm: bool | None = None
) -> keras.Model:
    """Choose which of the backbone's layers train, and compile the model again.

    Keras gives no signal when `trainable` changes after `compile`; this does
    both, so that what is shown as trained is what trains.

    Args:
        model: A kerastl model, changed in place.
        trainable: False, heads only; True, everything; an int n, the last n
            layers of the backbone; a float in (0, 1), that last share of them;
            a name, everything after that layer or stage.
        train_batch_norm: Whether BatchNorm in the trained part trains too.
            None keeps what the model was made with (False by default: the
            statistics of a small batch harm a pretrained network).

    Returns:
        The same model.

    Raises:
        InputError: For a policy that fits no layer.
    """
    spec = spec_of(model)
    batch_norm = spec.train_batch_norm if train_batch_norm is None else train_batch_norm
    compiled = model.get_compile_config() if model.compiled else None
    first = first_trained(model, spec, trainable)
    rates = _apply(model, spec, first, batch_norm)
    with_spec(model, spec, trainable=trainable, train_batch_norm=batch_norm, rates=rates)
    if compiled:
        model.compile_from_config(compiled)
        named_losses(model, spec.tasks)
    return model


def first_trained(model: keras.Model, spec: Spec, trainable: Trainable) -> int:
    """Position of the first layer that trains under a policy, among `nodes(model)`."""
    names = _backbone_layers(model, spec)
    count = len(names)
    expected = (
        "Expected trainable=False, True, a number of layers, a share in (0, 1), "
        f"or the name of a layer or stage. Received: trainable={trainable!r}."
    )
    if isinstance(trainable, bool):
        return 0 if trainable else count
    if isinstance(trainable, int):
        if not 0 <= trainable <= count:
            raise InputError(f"{expected} {spec.backbone} has {count} layers.")
        return count - trainable
    if isinstance(trainable, float):
        if not 0 < trainable < 1:
            raise InputError(f"{expected} True trains everything, 1 the last layer.")
        return count - round(count * trainable)
    by_stage = {cut.stage: cut.index for cut in stages(model) if cut.index < count}
    after = {name: index for index, name in enumerate(names)} | by_stage
    if trainable not in after:
        hint = nearest(str(trainable), after) or f" The stages are {', '.join(by_stage)}."
        raise InputError(expected + hint)
    return after[trainable] + 1


FIRST_VALUES = {"bias": 0, "beta": 0, "moving_mean": 0, "gamma": 1, "moving_variance": 1}
"""Where Keras lets weights begin that it does not draw."""


def say_untrained(model: keras.Model) -> None:
    """Warn of frozen layers of the backbone that look as if they had never been trained.

    They do where each of their biases, and all of BatchNorm, stands at its first value. Of
    layers that have neither nothing is said.
    """
    spec = spec_of(model)
    names = set(_backbone_layers(model, spec))
    weights = [
        (w, not node.operation.trainable)
        for node in nodes(model) if node.operation.name in names
        for w in _own(node.operation, "weights")
    ]  # fmt: skip
    frozen = [w for w, still in weights if still]
    told = [w for w in frozen if w.name in FIRST_VALUES]
    if not told or not all(np.all(w.numpy() == FIRST_VALUES[w.name]) for w in told):
        return
    count, of = (sum(int(np.prod(w.shape)) for w in ws) for ws in (frozen, [w for w, _ in weights]))
    warn(
        f"{count:,} of the {of:,} weights of {spec.backbone} are frozen and look untrained: biases "
        "and BatchNorm stand at their first values. Random layers that stay frozen learn nothing. "
        "Give trained weights, or train all: in Python trainable=True and train_batch_norm=True, "
        "then fit with head_epochs=0, depth_decay=1 and a larger learning_rate; with "
        "kerastl train --weights none leave --trainable out.",
        again=False,
    )


def freeze_plan(model: keras.Model) -> pd.DataFrame:
    """What trains and what is frozen, stage by stage.

    Args:
        model: A kerastl model.

    Returns:
        A frame with a row for each stage (two where training begins inside
        one): stage, first layer, layers, parameters, those trained, "trained"
        or "frozen", and what BatchNorm does there.
    """
    spec = spec_of(model)
    ordered = nodes(model)
    count = len(_backbone_layers(model, spec))
    ends = {cut.index: cut.stage for cut in stages(model) if cut.index < count}
    first = first_trained(model, spec, spec.trainable)
    keyed = [
        ((_stage(ends, i, count), "trained" if i >= first else "frozen"), node.operation)
        for i, node in enumerate(ordered)
    ]
    groups = groupby(keyed, key=lambda pair: pair[0])
    return pd.DataFrame([_plan_row(*key, [op for _, op in group]) for key, group in groups])


def _stage(ends: Mapping[int, str], index: int, count: int) -> str:
    if index >= count:
        return "heads"
    return next((stage for end, stage in sorted(ends.items()) if index <= end), "top")


def _plan_row(stage: str, state: str, operations: list[Any]) -> dict[str, Any]:
    weights = [w for op in operations for w in _own(op, "weights")]
    trained = [w for op in operations for w in _own(op, "trainable_variables")]
    norms = [op for op in operations if isinstance(op, keras.layers.BatchNormalization)]
    training = any(op.trainable for op in norms)
    return {
        "stage": stage,
        "first layer": operations[0].name,
        "layers": len(operations),
        "parameters": int(sum(np.prod(w.shape) for w in weights)),
        "trained parameters": int(sum(np.prod(w.shape) for w in trained)),
        "state": state,
        "BatchNorm": ("trains" if training else "inference") if norms else "",
    }


def _own(operation: Any, kind: str) -> list[Any]:
    return list(getattr(operation, kind, ()))


def _backbone_layers(model: keras.Model, spec: Spec) -> list[str]:
    names = [node.operation.name for node in nodes(model)]
    return names[: names.index(spec.backbone_output) + 1]


def _apply(model: keras.Model, spec: Spec, first: int, batch_norm: bool) -> dict[str, float]:
    """Set every layer's flag; returns the rates of the random layers now frozen."""
    backbone = len(_backbone_layers(model, spec))
    model.trainable = True
    rates = {}
    for index, node in enumerate(nodes(model)):
        layer = node.operation
        if not isinstance(layer, keras.layers.Layer):
            continue
        trains = index >= first
        in_backbone = index < backbone
        normalises = in_backbone and isinstance(layer, keras.layers.BatchNormalization)
        layer.trainable = trains and (batch_norm or not normalises)
        rates.update(_silence(layer, spec.rates, frozen=in_backbone and not trains))
    return rates


def _silence(layer, rates: Mapping[str, float], *, frozen: bool) -> dict[str, float]:
    """Give a random layer rate 0 while it is frozen, and its own rate back after."""
    name = next((a for a in RANDOM_RATES if hasattr(layer, a)), None)
    random = hasattr(layer, "seed_generator") or layer.name in rates
    if name is None or not random:
        return {}
    rate = rates.get(layer.name, getattr(layer, name))
    setattr(layer, name, 0.0 if frozen else rate)
    return {layer.name: rate} if frozen else {}


@dataclass(frozen=True)
class Movement:
    """Which weights moved in a fit, against which were meant to.

    Attributes:
        trained: Number of weight tensors that were to train.
        frozen: Number of weight tensors that were frozen.
        still: Trained ones that did not move.
        moved: Frozen ones that moved.
    """

    trained: int
    frozen: int
    still: tuple[str, ...]
    moved: tuple[str, ...]

    def __str__(self) -> str:
        trained = f"{self.trained - len(self.still)} of {self.trained} trained weights moved"
        frozen = f"{len(self.moved)} of {self.frozen} frozen weights moved"
        faults = [f"did not move: {', '.join(self.still)}"] if self.still else []
        faults += [f"moved though frozen: {', '.join(self.moved)}"] if self.moved else []
        return "; ".join([trained, frozen, *faults])


def moving_weights(model: keras.Model) -> set[str]:
    """Paths of the weights that training moves: BatchNorm's statistics are among them."""
    layers = [n.operation for n in nodes(model) if getattr(n.operation, "trainable", False)]
    return {w.path for layer in layers for w in layer.weights}


def movement(model: keras.Model, before: Mapping[str, str], trained: set[str]) -> Movement:
    """Compare a model's weights with `weights_digest` taken before a fit.

    Args:
        model: The model after the fit.
        before: `weights_digest(model)` from before it.
        trained: Paths of the weights that were to train.
    """
    after = weights_digest(model)
    changed = {path for path, digest in after.items() if before[path] != digest}
    frozen = set(after) - trained
    return Movement(
        len(trained),
        len(frozen),
        still=tuple(sorted(trained - changed)),
        moved=tuple(sorted(frozen & changed)),
    )
