"""The graph of a Keras model: its nodes in order, and the same layers called again.

Everything kerastl knows of an architecture it reads here, from the graph. The
names with an underscore are Keras' own record of a functional model; they are
used in this file only.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import tree

from kerastl.errors import InputError


def nodes(model: keras.Model) -> list[Any]:
    """The calls of layers that make up `model`, in an order in which they can run.

    Args:
        model: A Functional or Sequential model.

    Returns:
        Keras' nodes, inputs left out. Each has `operation`, `input_tensors`
        and `output_tensors`.

    Raises:
        InputError: When the model has no graph (a subclassed model, or one
            that was never built).

    Example:
        >>> x = keras.Input((4,))
        >>> model = keras.Model(x, keras.layers.Dense(2, name="out")(x))
        >>> [node.operation.name for node in nodes(model)]
        ['out']
    """
    by_depth = functional(model)._nodes_by_depth
    ordered = [node for depth in sorted(by_depth, reverse=True) for node in by_depth[depth]]
    return [node for node in ordered if node.operation is not None and not node.is_input]


def functional(model: keras.Model) -> keras.Model:
    """The functional form of a Functional or a built Sequential model."""
    if isinstance(model, keras.Sequential):
        if not model.built or getattr(model, "_functional", None) is None:
            raise InputError(
                f"The Sequential model {model.name!r} has no input shape yet. "
                "Begin it with keras.Input((height, width, 3))."
            )
        return model._functional
    if not hasattr(model, "_nodes_by_depth"):
        raise InputError(
            f"Expected a Functional or Sequential Keras model, whose graph can be cut. "
            f"Received: {type(model).__name__} {getattr(model, 'name', '')!r}. "
            "Wrap a subclassed model as keras.Model(inputs, its_call(inputs))."
        )
    return model


def is_nested(operation: Any) -> bool:
    """Whether a layer is itself a model with a graph."""
    return isinstance(operation, keras.Sequential) or hasattr(operation, "_nodes_by_depth")


def replay(model: keras.Model, inputs: Any) -> Any:
    """The outputs of the same layers, with the same weights, on new inputs.

    Models nested in the model are opened, so the new graph is flat: a layer
    inside a nested model is a layer like any other, and can be a cut.

    Args:
        model: A Functional or Sequential model.
        inputs: New tensors in place of `model.inputs`, of the same shapes.

    Returns:
        Tensors in the structure of the model's outputs.

    Example:
        >>> x = keras.Input((4,), dtype="uint8")
        >>> model = keras.Model(x, keras.layers.Rescaling(0.5)(x))
        >>> y = replay(model, keras.Input((4,), dtype="float32"))
        >>> y.shape
        (None, 4)
    """
    model = functional(model)
    made = dict(zip(map(id, model.inputs), tree.flatten(inputs), strict=True))
    for node in nodes(model):
        args, kwargs = node.arguments.fill_in(made)
        call = node.operation
        outputs = replay(call, args[0]) if is_nested(call) else call(*args, **kwargs)
        made.update(zip(map(id, node.outputs), tree.flatten(outputs), strict=True))
    return tree.pack_sequence_as(model._outputs_struct, [made[id(x)] for x in model.outputs])


def flat(model: keras.Model) -> keras.Model:
    """`model` itself if no model is nested in it, else the same layers without nesting."""
    if isinstance(model, keras.Sequential) or any(is_nested(n.operation) for n in nodes(model)):
        inputs = tree.map_structure(_fresh_input, functional(model)._inputs_struct)
        return keras.Model(inputs, replay(model, inputs), name=model.name)
    return model


def outputs(model: keras.Model) -> Any:
    """The model's output tensors in the structure that calling it returns."""
    return functional(model)._outputs_struct


def _fresh_input(x: Any) -> Any:
    return keras.Input(batch_shape=x.shape, dtype=x.dtype, name=x._keras_history.operation.name)
