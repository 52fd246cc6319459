"""A Keras model as the files of other runtimes, its preprocessing and its scores in the graph."""

from __future__ import annotations

import contextlib
import logging
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerastl.graph import replay
from kerastl.labels_file import INPUT
from kerastl.litert import SIGNATURE
from kerastl.spec import spec_of, with_spec
from kerastl.streams import quiet
from kerastl.tasks import Task, by_task

Call = Callable[[Any], dict[str, Any]]


def write_saved_model(model: keras.Model, folder: str | Path) -> None:
    """Write a SavedModel that needs neither kerastl nor Keras.

    Its `serving_default` takes `images`, uint8 `[batch, height, width, 3]`, and
    gives class scores `[batch, classes]` by task name.

    Args:
        model: A kerastl model.
        folder: A folder that is not there yet.
    """
    spec = spec_of(model)
    image = tf.TensorSpec((None, *spec.image_size, 3), tf.uint8, name=INPUT)
    with _silent():
        _archive(in_float32(model), spec.tasks, image, folder)


def to_float32(model: keras.Model) -> bytes:
    """A `.tflite` file in float32 with built-in operations only: uint8 images in.

    Args:
        model: A kerastl model.

    Returns:
        The file's bytes. Its batch is one: browsers refuse an open batch.
    """
    spec = spec_of(model)
    image = tf.TensorSpec((1, *spec.image_size, 3), tf.uint8, name=INPUT)
    with _converter(in_float32(model), spec.tasks, image) as converter:
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        return converter.convert()


def to_int8(model: keras.Model, images: np.ndarray) -> bytes:
    """A `.tflite` file in integers throughout: uint8 images in, uint8 scores out.

    Args:
        model: A kerastl model.
        images: uint8 `[n, height, width, 3]`: the ranges of all activations are
            those that these images cause.

    Returns:
        The file's bytes.
    """
    spec = spec_of(model)
    image = tf.TensorSpec((1, *spec.image_size, 3), tf.float32, name=INPUT)
    twin = float_twin(in_float32(model), spec.image_size)
    with _converter(twin, spec.tasks, image) as converter:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: _samples(images)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.uint8
        return converter.convert()


def float_twin(model: keras.Model, image_size: tuple[int, int]) -> keras.Model:
    """The same layers on float32 images: a quantised input must begin as a float one."""
    images = keras.Input((*image_size, 3), dtype="float32", name=INPUT)
    return keras.Model(images, replay(model, images))


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


def _archive(model: keras.Model, tasks: Sequence[Task], image: Any, folder: str | Path) -> None:
    # Not keras.export.ExportArchive, which stores every weight twice.
    module = tf.Module()
    module.weights = [v.value for v in model.variables]
    call = tf.function(scoring(model, tasks), input_signature=[image], autograph=False)
    tf.saved_model.save(module, str(folder), signatures={SIGNATURE: call})


@contextlib.contextmanager
def _converter(model: keras.Model, tasks: Sequence[Task], image: Any) -> Iterator[Any]:
    # By way of a SavedModel: a conversion straight from the function loses the weights.
    with tempfile.TemporaryDirectory(prefix="kerastl-") as folder, _silent():
        _archive(model, tasks, image, folder)
        yield tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=[SIGNATURE])


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
def _silent() -> Iterator[None]:
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
