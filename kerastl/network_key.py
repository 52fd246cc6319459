"""What a network is known by: its graph and its weights, not the names of its layers."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import keras

from kerastl.graph import functional
from kerastl.trainable import weights_digest


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
