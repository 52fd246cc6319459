"""The cut: a layer through which a single tensor carries everything.

A cut divides a model into a prefix and a tail over the same layers:

    tail(prefix(images)) == model(images)

Cuts are read off the graph. Run the nodes in order and keep the set of live
tensors, those made already and needed later. Where exactly one is live, every
path from input to output goes through it, whatever the order: that is a cut.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import NamedTuple

import keras
import pandas as pd

from kerastl.errors import InputError, nearest
from kerastl.models.graph import nodes, outputs

FEATURE_BYTES = 4
"""Bytes of one stored value: features are float32 unless float16 is asked for."""


@dataclass(frozen=True)
class Cut:
    """A place where a model can be divided.

    Attributes:
        layer: Name of the last layer of the prefix.
        index: Its position among the model's layers, the input not counted.
        shape: Shape of the tensor there, for one picture.
        parameters_after: Number of parameters behind it.
        kib: Size of the tensor for one picture in KiB, as float32; float16 takes half.
        stage: Name of the stage that ends here, or "".
    """

    layer: str
    index: int
    shape: tuple[int | None, ...]
    parameters_after: int
    kib: float | None
    stage: str = ""


class Split(NamedTuple):
    """A model divided at a cut: `tail(prefix(x)) == model(x)`, nothing copied."""

    prefix: keras.Model
    tail: keras.Model


def cut_points(model: keras.Model) -> list[Cut]:
    """Every layer of `model` after which it can be divided, first to last.

    Args:
        model: A Functional or Sequential model with one input.

    Returns:
        The cuts in order. The stage ends among them carry the stage's name.

    Example:
        >>> x = keras.Input((8, 8, 3))
        >>> a = keras.layers.Conv2D(4, 3, padding="same", name="conv")(x)
        >>> b = keras.layers.Conv2D(4, 3, padding="same", name="branch")(a)
        >>> y = keras.layers.Add(name="add")([a, b])
        >>> y = keras.layers.Flatten(name="flat")(y)
        >>> [cut.layer for cut in cut_points(keras.Model(x, y))]
        ['conv', 'add']
    """
    found = _single_live(model)
    named = _stage_names(model, found)
    weights = _parameters_after(model)
    return [
        Cut(layer, index, shape, weights[index], _kib(shape), named.get(position, ""))
        for position, (index, layer, shape) in enumerate(found)
    ]


def stages(model: keras.Model) -> list[Cut]:
    """The cuts that end a stage: the last block's output at each resolution.

    The stages are numbered from the first resolution below the input's.

    Example:
        >>> model = keras.Sequential([keras.Input((32, 32, 3))] + [
        ...     keras.layers.Conv2D(4, 3, strides=2, name=f"conv{i}") for i in (1, 2, 3)])
        >>> [(cut.stage, cut.layer) for cut in stages(model)]
        [('stage1', 'conv1'), ('stage2', 'conv2')]
    """
    return [cut for cut in cut_points(model) if cut.stage]


def split(model: keras.Model, at: str | None = None) -> Split:
    """Divide a model at a cut into a prefix and a tail that share its layers.

    Args:
        model: A Functional or Sequential model with one input.
        at: A cut's layer or stage name. None takes the last cut before the
            first layer that has something to train.

    Returns:
        `Split(prefix, tail)` with `tail(prefix(x)) == model(x)`.

    Raises:
        InputError: When `at` is no cut of this model, or there is none.

    Example:
        >>> model = keras.Sequential([keras.Input((8, 8, 3))] + [
        ...     keras.layers.Conv2D(4, 3, name=f"conv{i}") for i in (1, 2)])
        >>> prefix, tail = split(model, "conv1")
        >>> prefix.output_shape, tail.output_shape
        ((None, 6, 6, 4), (None, 4, 4, 4))
    """
    cut = find_cut(model, at) if at is not None else trained_cut(model)
    tensor = nodes(model)[cut.index].output_tensors[0]
    prefix = keras.Model(model.inputs[0], tensor, name=f"{model.name}_prefix")
    return Split(prefix, keras.Model(tensor, outputs(model), name=f"{model.name}_tail"))


def between(model: keras.Model, first: str, last: str) -> keras.Model:
    """The part of a model from the cut at `first` to the cut at `last`."""
    tail = split(model, first).tail
    return split(tail, last).prefix


def find_cut(model: keras.Model, name: str) -> Cut:
    """The cut after the layer or at the end of the stage called `name`."""
    found = cut_points(model)
    for cut in found:
        if name in (cut.layer, cut.stage):
            return cut
    names = [cut.stage for cut in found if cut.stage] + [cut.layer for cut in found]
    raise InputError(
        f"The model cannot be cut at {name!r}.{nearest(name, names)} "
        "`kerastl cuts` or cut_points(model) lists where it can."
    )


def trained_cut(model: keras.Model) -> Cut:
    """The last cut with nothing to train in front of it."""
    first = next((i for i, n in enumerate(nodes(model)) if _trains(n.operation)), math.inf)
    before = [cut for cut in cut_points(model) if cut.index < first]
    if not before:
        raise InputError(
            "Nothing in front of the first trained layer can be cut off: the whole model trains."
        )
    return before[-1]


def cuts_frame(model: keras.Model) -> pd.DataFrame:
    """The cuts as a table: stage, layer, shape, parameters after it, KiB a picture."""
    rows = [
        (c.stage, c.layer, "x".join(str(n or "?") for n in c.shape), c.parameters_after, c.kib)
        for c in cut_points(model)
    ]
    columns = ["stage", "layer", "shape", "parameters after", "KiB a picture"]
    return pd.DataFrame(rows, columns=columns)


def _trains(operation) -> bool:
    """Whether a layer has weights that train, or draws at random while training."""
    random = hasattr(operation, "seed_generator") and operation.trainable
    return random or bool(getattr(operation, "trainable_variables", ()))


def _single_live(model) -> list[tuple[int, str, tuple]]:
    ordered = nodes(model)
    uses = {id(x): len(ordered) for x in model.outputs}
    for position, node in reversed(list(enumerate(ordered))):
        for x in node.input_tensors:
            uses.setdefault(id(x), position)
    live, found = {id(x) for x in model.inputs if id(x) in uses}, []
    for position, node in enumerate(ordered):
        live |= {id(x) for x in node.output_tensors if id(x) in uses}
        live -= {x for x in live if uses[x] <= position}
        if len(live) == 1 and id(node.output_tensors[0]) in live and position + 1 < len(ordered):
            shape = tuple(node.output_tensors[0].shape[1:])
            found.append((position, node.operation.name, shape))
    return found


def _parameters_after(model) -> list[int]:
    counts, after, seen = [], 0, set()
    for node in reversed(nodes(model)):
        counts.append(after)
        new = [w for w in getattr(node.operation, "weights", ()) if id(w) not in seen]
        seen |= {id(w) for w in new}
        after += sum(math.prod(w.shape) for w in new)
    return counts[::-1]


def _kib(shape) -> float | None:
    if None in shape:
        return None
    return round(math.prod(shape) * FEATURE_BYTES / 1024, 1)


def _stage_names(model, found) -> dict[int, str]:
    """Position of the cut that ends each stage -> the stage's name."""
    kernels = _kernels_before(model)
    top = model.inputs[0].shape[1]
    ends = [
        _stage_end(run, found, kernels)
        for run in _resolutions(found)
        if top is None or found[run[0]][2][0] < top
    ]
    return {end: f"stage{number}" for number, end in enumerate(ends, start=1)}


def _resolutions(found) -> list[list[int]]:
    """Positions of the picture-shaped cuts, in runs of about one resolution each.

    Padding and convolutions without it change the size by a few pixels; a new
    resolution is one lower by a third or more.
    """
    runs: list[list[int]] = []
    for position, (_, _, shape) in enumerate(found):
        if len(shape) != 3 or None in shape:
            continue
        if runs and shape[0] > found[runs[-1][0]][2][0] * 2 / 3:
            runs[-1].append(position)
        else:
            runs.append([position])
    return runs


def _stage_end(run, found, kernels) -> int:
    """The last cut of a run, unless one convolution has only just widened it.

    An inverted bottleneck widens its channels before it lowers the resolution;
    the narrow tensor in front of that is the block's output.
    """
    width = {position: found[position][2][2] for position in run}
    last = [p for p in run if width[p] == width[run[-1]] and p > _last_other(run, width)]
    before = [p for p in run if p < last[0]]
    if before and width[before[-1]] < width[last[0]]:
        new = kernels[found[last[-1]][0]] - kernels[found[before[-1]][0]]
        if new == 1:
            return _stage_end(before, found, kernels)
    smallest = min(math.prod(found[p][2]) for p in last)
    return [p for p in last if math.prod(found[p][2]) == smallest][-1]


def _last_other(run, width) -> int:
    return max((p for p in run if width[p] != width[run[-1]]), default=-1)


def _kernels_before(model) -> list[int]:
    """For each node, how many convolutions and matrices lie up to and with it."""
    has = [any(len(w.shape) > 1 for w in getattr(n.operation, "weights", ())) for n in nodes(model)]
    return list(itertools.accumulate(has))
