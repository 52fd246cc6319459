"""The graph of a Keras model: its nodes in order, its layers called again, and its digest.

Everything kerastl knows of an architecture it reads here, from the graph. The
names with an underscore are Keras' own record of a functional model; they are
used in this file only.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import tree

from kerastl import backend
from kerastl.data.tasks import Task
from kerastl.errors import InputError

backend.check()


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


_SCOPE = re.compile(r"[A-Za-z0-9_.\\/>-]*")
"""What TensorFlow takes for a name inside a graph."""


def named_losses(model: keras.Model, tasks: Sequence[Task]) -> keras.Model:
    """A compiled model whose tasks' losses may have any names, such as "Finding Labels".

    Keras makes a figure of each loss at the first step, inside a graph, where TensorFlow refuses
    blanks and accents. Here it is made before, where it does not.

    Args:
        model: The model, just compiled.
        tasks: Its tasks.

    Returns:
        The same model.

    Example:
        >>> from kerastl.models import multitask_classifier
        >>> x = keras.Input((8, 8, 3))
        >>> own = keras.Model(x, keras.layers.Conv2D(2, 3, name="conv")(x))
        >>> tasks = [Task("Größe in cm", ["s", "l"]), Task("type", ["a", "b"])]
        >>> model = multitask_classifier(own, tasks, image_size=8)
        >>> images, codes = np.zeros((2, 8, 8, 3), "uint8"), np.array([0, 1])
        >>> found = model.fit(images, {t.name: codes for t in tasks}, verbose=0)
        >>> sorted(name for name in found.history if name.endswith("_loss"))
        ['Größe in cm_loss', 'type_loss']
    """
    if len(tasks) > 1 and not all(_SCOPE.fullmatch(task.name) for task in tasks):
        shapes = {t.name: (1,) if t.kind == "multiclass" else (1, t.units) for t in tasks}
        labels = {name: np.zeros(shape, "float32") for name, shape in shapes.items()}
        logits = {t.name: np.zeros((1, t.units), "float32") for t in tasks}
        model.compute_loss(y=labels, y_pred=logits)
    return model


def network_key(model: keras.Model) -> str:
    """A digest of all that decides what a network computes in inference mode.

    Keras counts the names of layers up as it goes, so that the same network built
    twice has other names; and what is trainable changes nothing here.

    Args:
        model: A Functional or Sequential model.

    Example:
        >>> def network(name):
        ...     return keras.Sequential([keras.Input((2,)), keras.layers.ReLU(name=name)])
        >>> network_key(network("a")) == network_key(network("b"))
        True
    """
    config = functional(model).get_config()
    places = {layer["name"]: f"#{place}" for place, layer in enumerate(config["layers"])}
    graph = [_layer(layer, places) for layer in config["layers"]]
    graph += [_plain(config[end], places) for end in ("input_layers", "output_layers")]
    digest = hashlib.blake2b(digest_size=16)
    digest.update(json.dumps(graph, default=repr).encode())
    digest.update("".join(weights_digest(model).values()).encode())
    return digest.hexdigest()


def _layer(layer: dict[str, Any], places: dict[str, str]) -> list[Any]:
    config = {k: v for k, v in layer["config"].items() if k != "name"}
    parts = (layer["module"], layer["class_name"], config, layer["inbound_nodes"])
    return [_plain(part, places) for part in parts]


def _plain(value: Any, places: dict[str, str]) -> Any:
    """A configuration without what trains, and with a layer's place for its name."""
    if isinstance(value, dict):
        return {k: _plain(v, places) for k, v in value.items() if k != "trainable"}
    if not isinstance(value, (list, tuple)):
        return value
    if len(value) == 3 and value[0] in places and all(type(n) is int for n in value[1:]):
        return [places[value[0]], *value[1:]]  # Keras' record of a tensor: layer, call, output
    return [_plain(v, places) for v in value]


def weights_digest(model: keras.Model) -> dict[str, str]:
    """A digest of each weight of a model, by the weight's path."""
    return {
        w.path: hashlib.blake2b(np.ascontiguousarray(w.numpy()), digest_size=16).hexdigest()
        for w in model.weights
    }
