"""A Keras model as `.tflite` files, its preprocessing and its scores in the graph."""

from __future__ import annotations

import contextlib
import io
import logging
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerastl.data.tasks import Task, by_task
from kerastl.errors import InputError
from kerastl.inference.litert import SIGNATURE
from kerastl.inference.sidecar import INPUT
from kerastl.models.graph import replay
from kerastl.models.spec import spec_of, with_spec
from kerastl.terminal import quiet

Call = Callable[[Any], dict[str, Any]]


def to_float32(model: keras.Model) -> bytes:
    """A `.tflite` file in float32 with built-in operations only: uint8 images in.

    Args:
        model: A kerastl model.

    Returns:
        The file's bytes. Its batch is one: browsers refuse an open batch. Its outputs
        bear the tasks' names in its signature.

    Raises:
        InputError: For a model of no fixed image size.
    """
    with _converter(in_float32(model), image_spec(model, tf.uint8, 1)) as converter:
        return converter.convert()


def to_float16(model: keras.Model) -> bytes:
    """As `to_float32`, its weights stored in float16: half the size.

    It computes in float32, or on a phone's GPU in float16.

    Args:
        model: A kerastl model.

    Returns:
        The file's bytes.
    """
    with _converter(in_float32(model), image_spec(model, tf.uint8, 1)) as converter:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_types = [tf.float16]
        return converter.convert()


def to_dynamic(model: keras.Model) -> bytes:
    """As `to_float32`, its weights in 8 bits: a quarter of the size.

    Each layer's input is rounded to 8 bits as it comes, so no pictures are needed to
    calibrate. Tensors of less than 1024 weights stay in float32.

    Args:
        model: A kerastl model.

    Returns:
        The file's bytes.
    """
    with _converter(in_float32(model), image_spec(model, tf.uint8, 1)) as converter:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        return converter.convert()


def to_weights_int8(model: keras.Model) -> bytes:
    """As `to_float32`, its weights in 8 bits; all is computed in float32.

    It is as small as `to_dynamic`'s and nearer to Keras, and slower where a runtime
    has integers.

    Args:
        model: A kerastl model.

    Returns:
        The file's bytes.

    Raises:
        InputError: Where ai-edge-quantizer is not installed.
    """
    with silent(), contextlib.redirect_stdout(io.StringIO()):  # it prints a report
        quantizer, recipe = _ai_edge_quantizer()
        made = quantizer.Quantizer(bytearray(to_float32(model)), recipe.weight_only_wi8_afp32())
        return bytes(made.quantize().quantized_model)


def to_int8(model: keras.Model, images: np.ndarray) -> bytes:
    """A `.tflite` file in integers throughout: uint8 images in, uint8 scores out.

    Args:
        model: A kerastl model.
        images: uint8 `[n, height, width, 3]`: the ranges of all activations are
            those that these images cause.

    Returns:
        The file's bytes.
    """
    image = image_spec(model, tf.float32, 1)
    with _converter(float_twin(in_float32(model), image.shape[1:3]), image) as converter:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: _samples(images)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.uint8
        return converter.convert()


def image_spec(model: keras.Model, dtype: Any, batch: int | None) -> tf.TensorSpec:
    """What an exported model takes.

    Args:
        model: A kerastl model.
        dtype: Of the images.
        batch: Images in a batch; None for any number.

    Raises:
        InputError: For a model of no fixed image size.
    """
    size, built = spec_of(model).image_size, tuple(model.inputs[0].shape[1:3])
    if None in size or None in built:
        raise InputError(
            f"Expected a model of one image size, as files for phones have. Received: "
            f"{model.name!r}, which takes images of {list(built)}. Build it with image_size=, and "
            "give it the weights of this one."
        )
    return tf.TensorSpec((batch, *size, 3), dtype, name=INPUT)


def float_twin(model: keras.Model, image_size: tuple[int, int]) -> keras.Model:
    """The same layers on float32 images: a quantised input must begin as a float one."""
    # The name of the input that it replaces is free; any other may be a task's.
    images = keras.Input((*image_size, 3), dtype="float32", name=model.inputs[0].name)
    return with_spec(keras.Model(images, replay(model, images)), spec_of(model))


def in_float32(model: keras.Model) -> keras.Model:
    """`model`, or where it computes in half precision a copy that does not.

    Half precision converts to operations that no phone has.
    """
    half = {layer.name for layer in model.layers if "float16" in layer.compute_dtype}
    if not half:
        return model

    def whole(layer: Any) -> Any:
        config = layer.get_config()
        if layer.name in half:
            config["dtype"] = "float32"
        return type(layer).from_config(config)

    copy = keras.models.clone_model(model, clone_function=whole)
    copy.set_weights(model.get_weights())
    return with_spec(copy, spec_of(model))


def scoring(model: keras.Model, tasks: Sequence[Task]) -> Call:
    """The function that is exported: images to class scores by task name."""

    def score(images: Any) -> dict[str, Any]:
        logits = by_task(tasks, model(images, training=False))
        return {task.name: _scores(task, logits[task.name]) for task in tasks}

    return score


def _scores(task: Task, logits: Any) -> Any:
    logits = tf.cast(logits, tf.float32)
    if task.kind == "multilabel":
        return tf.sigmoid(logits)
    if task.kind == "binary":
        # softmax(0, x) = (1 - p, p) with p = sigmoid(x). In int8 a softmax's scale is
        # fixed; a subtraction's would end at the scores seen in calibration.
        logits = tf.pad(logits, [[0, 0], [1, 0]])
    return tf.nn.softmax(logits)


def archive(model: keras.Model, folder: str | Path, signatures: Mapping[str, Any]) -> None:
    """A SavedModel folder of a model's weights, each of them once, and of functions on them.

    Args:
        model: The model whose weights the functions use.
        folder: A folder that is not there yet.
        signatures: By name, `tf.function`s with an input signature.
    """
    # Not keras.export.ExportArchive, which stores every weight twice.
    module = tf.Module()
    module.weights = [v.value for v in model.variables]
    with silent():
        tf.saved_model.save(module, str(folder), signatures=dict(signatures))


@contextlib.contextmanager
def _converter(model: keras.Model, image: tf.TensorSpec) -> Iterator[Any]:
    # By way of a SavedModel: a conversion straight from the function loses the weights.
    score = scoring(model, spec_of(model).tasks)
    call = tf.function(score, input_signature=[image], autograph=False)
    with tempfile.TemporaryDirectory(prefix="kerastl-") as folder, silent():
        archive(model, folder, {SIGNATURE: call})
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=[SIGNATURE])
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        yield converter


def _ai_edge_quantizer() -> tuple[Any, Any]:
    try:
        from ai_edge_quantizer import quantizer, recipe
    except ImportError as error:
        raise InputError(
            "Weights in 8 bits alone need ai-edge-quantizer, which is not installed. "
            "Run: pip install 'kerastl[quantizer]'."
        ) from error
    return quantizer, recipe


def _samples(images: np.ndarray) -> Iterator[dict[str, np.ndarray]]:
    """Single float images; the first one's corners pin the input's range to 0..255.

    The input's scale is then exactly 1: a code is a grey level, and what an app
    takes from the camera goes in as it is.
    """
    for number, image in enumerate(images):
        image = image[None].astype("float32")
        if number == 0:
            image[0, 0, 0], image[0, -1, -1] = 0, 255
        yield {INPUT: image}


@contextlib.contextmanager
def silent() -> Iterator[None]:
    """Conversion's notes, from C++ and from Python, kept off the user's terminal."""
    loggers = [logging.getLogger(name) for name in ("tensorflow", "absl")]
    levels = [one.level for one in loggers]
    with quiet(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for one in loggers:
            one.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for one, level in zip(loggers, levels, strict=True):
                one.setLevel(level)
