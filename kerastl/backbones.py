"""Backbones: from raw uint8 RGB to features, preprocessing inside the graph."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import keras

from kerastl.applications import affine_preprocessing, build, builders, default_image_size
from kerastl.errors import InputError
from kerastl.graph import flat, nodes, outputs, replay
from kerastl.pictures import as_size

LARGEST = 4096
"""Pixels of height or width that a network may be built for."""

HEAD_LAYERS = (keras.layers.Activation, keras.layers.Softmax, keras.layers.Dropout)


class Backbone(NamedTuple):
    """A backbone on its input.

    Attributes:
        name: Its name.
        image: The input, uint8 `[batch, height, width, 3]`.
        output: The backbone's last tensor.
        features: `[batch, features]`: `output`, pooled if it has a height and width.
    """

    name: str
    image: Any
    output: Any
    features: Any


def list_backbones() -> list[str]:
    """Names of every backbone that the factories know.

    Example:
        >>> names = list_backbones()
        >>> "EfficientNetLite0" in names, "MobileNetV2" in names
        (True, True)
    """
    return list(builders())


def make_backbone(
    backbone: str | keras.Model,
    weights: str | Path | None = "imagenet",
    image_size: int | tuple[int, int] | None = None,
    preprocessing: keras.layers.Layer | None = None,
) -> Backbone:
    """Build a backbone by name, or copy a Keras model of one's own.

    Args:
        backbone: A name of `list_backbones()`, or a Functional or Sequential
            model that takes pictures with 3 channels. The model is copied, so
            it does not change when the copy is trained; a classifier's last
            Dense layer (or a kerastl model's heads) is left out.
        weights: "imagenet", None (random), or a weights file for a backbone by
            name; a model of one's own brings its weights.
        image_size: Height and width, or one number; by default the size the
            backbone was designed for.
        preprocessing: For a model of one's own that does not take RGB values
            in [0, 255]: the layer that makes its input of them.

    Returns:
        The backbone, its graph flat.

    Raises:
        InputError: For an unknown name, a size or weights that do not fit.
    """
    if isinstance(backbone, keras.Model):
        return _own(backbone, weights, _pair(image_size), preprocessing)
    if preprocessing is not None:
        raise InputError(f"{backbone} has its own preprocessing. Leave preprocessing= out.")
    return _by_name(backbone, _weights(weights), _pair(image_size))


def _by_name(name: str, weights: str | None, image_size: tuple[int, int] | None) -> Backbone:
    size = image_size or default_image_size(name)
    image = keras.Input((*size, 3), dtype="uint8", name="image")
    model = flat(build(name, _preprocessed(name, image), weights))
    return _pooled(name, model.inputs[0], outputs(model))


def _preprocessed(name: str, image: Any) -> Any:
    flipped, scale, offset = affine_preprocessing(name)
    if flipped:
        image = keras.ops.flip(image, axis=-1)
    return keras.layers.Rescaling(scale, offset, name="preprocessing")(image)


def _own(model, weights, image_size, preprocessing) -> Backbone:
    if weights not in ("imagenet", None):
        raise InputError("A backbone of one's own brings its weights. Leave weights= out.")
    size = _own_size(model, image_size)
    copy = flat(_copied(model))
    image = keras.Input((*size, 3), dtype="uint8", name="image")
    dtype = copy.inputs[0].dtype
    x = image if preprocessing is None else preprocessing(image)
    if preprocessing is None and dtype != "uint8":
        x = keras.layers.Rescaling(1.0, dtype=dtype, name="preprocessing")(image)
    body = keras.Model(copy.inputs[0], _without_head(model, copy))
    return _pooled(model.name, image, replay(body, x))


def _own_size(model, image_size) -> tuple[int, int]:
    shape = model.input_shape if not isinstance(model.input_shape, (list, dict)) else ()
    if len(shape) != 4 or shape[-1] != 3:
        raise InputError(
            f"Expected a backbone that takes pictures [batch, height, width, 3]. "
            f"Received: {model.name!r}, which takes {model.input_shape}."
        )
    fixed = None if None in shape[1:3] else (shape[1], shape[2])
    if fixed and image_size and fixed != image_size:
        raise InputError(
            f"{model.name!r} takes pictures of {fixed[0]} x {fixed[1]} only. "
            f"Received: image_size={image_size}."
        )
    return fixed or image_size or (224, 224)


def _copied(model: keras.Model) -> keras.Model:
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    return copy


def _without_head(model: keras.Model, copy: keras.Model) -> Any:
    """The tensor that the model's own head, if it has one, starts from."""
    spec = getattr(model, "kerastl_spec", None)
    made = {node.operation.name: node for node in nodes(copy)}
    if spec is not None:
        return made[spec.backbone_output].output_tensors[0]
    node = nodes(copy)[-1]
    found = keras.tree.flatten(outputs(copy))
    if len(found) != 1:
        raise InputError(f"Expected a backbone with one output. {model.name!r} has {len(found)}.")
    behind = _skip_back(copy, node, HEAD_LAYERS)
    if isinstance(behind.operation, keras.layers.Dense) and len(found[0].shape) == 2:
        return behind.input_tensors[0]
    return found[0]


def _skip_back(model: keras.Model, node: Any, kinds: tuple[type, ...]) -> Any:
    while isinstance(node.operation, kinds) and node.parent_nodes:
        node = node.parent_nodes[0]
    return node


def _pooled(name: str, image: Any, output: Any) -> Backbone:
    features = output
    if len(output.shape) == 4:
        features = keras.layers.GlobalAveragePooling2D(name="features")(output)
    if len(features.shape) != 2:
        raise InputError(
            "Expected a backbone whose output is [batch, height, width, channels] or "
            f"[batch, features]. Received: {name!r} with {tuple(output.shape)}."
        )
    return Backbone(name, image, output, features)


def _pair(image_size: int | tuple[int, int] | None) -> tuple[int, int] | None:
    pair = None if image_size is None else as_size(image_size)
    if pair and max(pair) > LARGEST:
        raise InputError(f"Expected image_size of at most {LARGEST} pixels. Received: {pair}.")
    return pair


def _weights(weights: str | Path | None) -> str | None:
    if weights in (None, "imagenet"):
        return weights
    if not Path(weights).is_file():
        raise InputError(
            "Expected weights='imagenet', None (`none` on the command line) or a weights file. "
            f"Received: {str(weights)!r}, which is no file."
        )
    return str(weights)
