"""Engines: what runs a frozen network forward. Keras is the reference; OpenVINO is faster.

An engine is chosen by measured agreement on the user's own pictures, never assumed.
"""

from __future__ import annotations

import importlib.util
import logging
import tempfile
from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from kerastl.errors import InputError
from kerastl.graph import functional
from kerastl.streams import quiet

log = logging.getLogger("kerastl")

ENGINES = ("auto", "keras", "openvino")

TOLERANCE = 1e-4
"""Largest difference from Keras, as a share of the largest value, that auto accepts."""

WORTH = 500
"""Forward passes from which on preparing OpenVINO, a few seconds, pays."""

Run = Callable[[np.ndarray], Any]


class Engine(NamedTuple):
    """A prepared network: the engine's name, and the function that runs it."""

    name: str
    run: Run


def forward(model: keras.Model) -> Run:
    """A model in inference mode as a function of NumPy arrays, traced once.

    Args:
        model: A model with one input.

    Returns:
        A function of `[batch, ...]` for any batch, whose result has the
        structure of the model's outputs, as NumPy arrays.

    Example:
        >>> x = keras.Input((2,))
        >>> run = forward(keras.Model(x, keras.layers.Rescaling(2.0)(x)))
        >>> run(np.ones((3, 2), "float32")).tolist()
        [[2.0, 2.0], [2.0, 2.0], [2.0, 2.0]]
    """
    taken = functional(model).inputs[0]
    call = _traced(model).get_concrete_function()

    def run(values: np.ndarray) -> Any:
        found = call(tf.cast(values, taken.dtype))
        return keras.tree.map_structure(lambda tensor: tensor.numpy(), found)

    return run


def choose_engine(prefix: keras.Model, engine: str, sample: np.ndarray, count: int) -> Engine:
    """The engine asked for; for "auto" the fastest one that agrees with Keras.

    Args:
        prefix: A model with one input and one output.
        engine: "auto", "keras" or "openvino".
        sample: Some of the pictures it will see, `[batch, height, width, 3]`.
        count: How many there will be.

    Raises:
        InputError: For an engine that is none, or that is not installed.
    """
    if engine not in ENGINES:
        raise InputError(f"Expected engine= of {', '.join(ENGINES)}. Received: {engine!r}.")
    installed = importlib.util.find_spec("openvino") is not None
    if engine == "openvino" and not installed:
        raise InputError("OpenVINO is not installed. Run: pip install 'kerastl[fast]'.")
    reference = Engine("keras", forward(prefix))
    elsewhere = not installed or count < WORTH or bool(tf.config.list_physical_devices("GPU"))
    if engine == "keras" or (engine == "auto" and elsewhere):
        return reference
    fast = Engine("openvino", _openvino(prefix))
    apart = difference(reference.run(sample), fast.run(sample))
    log.info("OpenVINO differs from Keras by %.1g of the largest value.", apart)
    return fast if engine == "openvino" or apart <= TOLERANCE else reference


def difference(ours: np.ndarray, theirs: np.ndarray) -> float:
    """The largest difference of two arrays as a share of the first one's largest value."""
    return float(np.abs(ours - theirs).max() / max(np.abs(ours).max(), 1e-12))


def _openvino(prefix: keras.Model) -> Run:
    """The network compiled by OpenVINO for this CPU, in float32."""
    import openvino

    module = tf.Module()
    module.weights = [variable.value for variable in prefix.variables]
    with tempfile.TemporaryDirectory(prefix="kerastl-") as folder, quiet(tell=True):
        # By way of a SavedModel: OpenVINO's own converter for Python reports its use.
        tf.saved_model.save(module, folder, signatures={"serving_default": _traced(prefix)})
        core = openvino.Core()
        exact = {"INFERENCE_PRECISION_HINT": "f32"}
        compiled = core.compile_model(core.read_model(folder), "CPU", exact)
    dtype = functional(prefix).inputs[0].dtype
    return lambda values: compiled(np.asarray(values, dtype))[0]


def _traced(model: keras.Model) -> Any:
    taken = functional(model).inputs[0]
    signature = [tf.TensorSpec(taken.shape, taken.dtype, name="input")]
    # Without XLA, which runs depthwise convolutions many times slower on a CPU.
    return tf.function(lambda x: model(x, training=False), signature, autograph=False)
