"""Engines: what runs a frozen network forward. Keras is the reference; OpenVINO is faster.

An engine and its precision are chosen by measured agreement on the user's own pictures, never
assumed. Nothing is timed: the same pictures get the same engine whatever else the machine does.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from kerastl.errors import InputError, nearest
from kerastl.features import openvino
from kerastl.features.openvino import HINTS, compiled, converted
from kerastl.models.graph import functional

log = logging.getLogger("kerastl")

OPENVINO = tuple(f"openvino:{precision}" for precision in HINTS)
ENGINES = ("auto", "keras", "openvino", *OPENVINO)

TOLERANCE = {"float32": 1e-4, "float16": 3e-2, "bfloat16": 3e-2}
"""Largest `difference` from Keras that auto accepts.

Float32 differs by the order of its sums only: by 5e-6. For the lower ones the bound is what a
head bears that is trained on such features and used on Keras' own. EfficientNetLite0 on 2,624
solar cells, 3 times 4 folds, points of accuracy lost, with 95 % intervals: float16, 0.02 apart,
0.0 (-0.15 to 0.15); bfloat16, 0.17 apart, 0.0 (-0.36 to 0.36), but 1.2 with MobileNetV2; white
noise of 0.03, 0.46 (-0.04 to 0.94), and of 0.2, 0.80 (0.11 to 1.50).
"""

FAINT = 0.1
"""Share of the usual size of a channel below which its own size is no measure of an error."""

SAMPLE = 32
"""Pictures on which agreement is measured, half a second's work for Keras."""

WORTH = 200
"""Forward passes from which on preparing OpenVINO, about a second, pays."""

MANY = 2000
"""Forward passes from which on trying the lower precisions pays too."""

Run = Callable[[np.ndarray], Any]


class Engine(NamedTuple):
    """A prepared network.

    Attributes:
        name: "keras" or "openvino:PRECISION".
        run: Its function.
        asked: What was asked for, such as "auto"; None is the name.
    """

    name: str
    run: Run
    asked: str | None = None


@dataclass
class Once:
    """An engine that is chosen when the first images are there, and known from then on.

    Attributes:
        choose: Takes the first images.
        engine: The engine, or None as long as no image came.
    """

    choose: Callable[[np.ndarray], Engine]
    engine: Engine | None = None

    def __call__(self, sample: np.ndarray) -> Engine:
        """The engine."""
        self.engine = self.engine or self.choose(sample)
        return self.engine


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
    return _forward(_traced(model))


def canonical(engine: str) -> str:
    """The one name of an engine: "openvino" is "openvino:float32"; the others are their own.

    Raises:
        InputError: For an engine that is none.

    Example:
        >>> canonical("openvino"), canonical("auto")
        ('openvino:float32', 'auto')
    """
    if engine not in ENGINES:
        expected = f"Expected engine= of {', '.join(ENGINES)}. Received: {engine!r}."
        raise InputError(expected + nearest(engine, ENGINES))
    return OPENVINO[0] if engine == "openvino" else engine


def choose_engine(prefix: keras.Model, engine: str, sample: np.ndarray, count: int) -> Engine:
    """The engine asked for; for "auto" the cheapest one that agrees with Keras.

    Auto takes the GPU, through Keras, where there is one, and Keras for fewer than
    WORTH pictures. Else it takes the first OpenVINO precision, cheapest arithmetic
    first, whose features are within TOLERANCE of Keras' on the sample; below MANY
    pictures float32 alone is tried. Figures and choice are logged.

    Args:
        prefix: A model with one input and one output.
        engine: "auto", "keras", "openvino:float32" (or "openvino"),
            "openvino:float16" or "openvino:bfloat16".
        sample: Some of the pictures it will see, `[batch, height, width, 3]`.
        count: How many there will be.

    Raises:
        InputError: For an engine that is none or not installed, a precision
            that this CPU lacks, or a network that OpenVINO cannot convert.

    Example:
        >>> x = keras.Input((4, 4, 3))
        >>> prefix = keras.Model(x, keras.layers.Rescaling(2.0)(x))
        >>> choose_engine(prefix, "auto", np.ones((1, 4, 4, 3), "float32"), 10).name
        'keras'
    """
    engine = canonical(engine)
    _check_there(engine)
    call = _traced(prefix)
    reference = Engine("keras", _forward(call))
    if engine == "keras" or (engine == "auto" and _keras_will_do(count)):
        return reference
    sample = sample[:SAMPLE]
    exact = reference.run(sample)
    if engine != "auto":
        fast = _openvino(engine, converted(call, prefix.name))
        _agrees(fast, exact, sample)
        return fast
    chosen = _first_that_agrees(prefix, call, exact, sample, count) or reference
    log.info("The engine is %s.", chosen.name)
    return chosen


def difference(ours: np.ndarray, theirs: np.ndarray) -> float:
    """How far apart features are: the larger of two shares, 0 for equal ones.

    The largest difference as a share of the largest value finds a single value that
    is wrong. The root mean square over channels, the last axis, of each one's root
    mean square error as a share of its own size finds channels that are wrong and
    small. A channel below FAINT of the usual size is measured by that bound instead.

    Args:
        ours: The reference, `[batch, ..., channels]`.
        theirs: What is compared with it.

    Returns:
        The share; infinity where a value is no finite number.

    Example:
        >>> ours = np.array([[1.0, 0.2], [0.9, 0.2]])
        >>> round(difference(ours, ours * [1.01, 1]), 3), round(difference(ours, ours * [1, 0]), 3)
        (0.01, 0.707)
    """
    if not (np.isfinite(ours).all() and np.isfinite(theirs).all()):
        return float("inf")
    ours, apart = np.asarray(ours, "float64"), np.subtract(ours, theirs, dtype="float64")
    tiny = np.finfo("float32").tiny
    largest = np.abs(apart).max() / max(np.abs(ours).max(), tiny)
    size, error = _rms_of_channels(ours), _rms_of_channels(apart)
    shares = error / np.maximum(size, max(FAINT * _rms(size), tiny))
    return float(max(largest, _rms(shares)))


def _rms_of_channels(values: np.ndarray) -> np.ndarray:
    return _rms(values.reshape(-1, values.shape[-1]))


def _rms(values: np.ndarray) -> Any:
    return np.sqrt(np.mean(np.square(values), axis=0))


def _check_there(engine: str) -> None:
    if engine not in OPENVINO:
        return
    if not openvino.installed():
        raise InputError("OpenVINO is not installed. Run: pip install 'kerastl[fast]'.")
    able = [f"openvino:{precision}" for precision in openvino.precisions()]
    if engine not in able:
        expected = f"Expected engine= of {', '.join(able)}, which this CPU can run."
        raise InputError(f"{expected} Received: {engine!r}.")


def _keras_will_do(count: int) -> bool:
    gpu = bool(tf.config.list_physical_devices("GPU"))
    return gpu or count < WORTH or not openvino.installed()


def _first_that_agrees(
    prefix: keras.Model, call: Any, exact: np.ndarray, sample: np.ndarray, count: int
) -> Engine | None:
    """OpenVINO in the cheapest precision that agrees; None where none does or none can be had."""
    try:
        network = converted(call, prefix.name)
    except InputError as error:
        log.info("%s", error)
        return None
    tried = openvino.worthwhile() if count >= MANY else ["float32"]
    candidates = (_openvino(f"openvino:{precision}", network) for precision in tried)
    return next((fast for fast in candidates if _agrees(fast, exact, sample)), None)


def _openvino(name: str, network: Any) -> Engine:
    return Engine(name, compiled(network, _precision(name)))


def _agrees(fast: Engine, exact: np.ndarray, sample: np.ndarray) -> bool:
    apart, most = difference(exact, fast.run(sample)), TOLERANCE[_precision(fast.name)]
    log.info("%s differs from Keras by %.1e; auto accepts %.0e.", fast.name, apart, most)
    return apart <= most


def _precision(name: str) -> str:
    return name.partition(":")[2]


def _forward(call: Any) -> Run:
    dtype = call.inputs[0].dtype

    def run(values: np.ndarray) -> Any:
        found = call(tf.cast(values, dtype))
        return keras.tree.map_structure(lambda tensor: tensor.numpy(), found)

    return run


def _traced(model: keras.Model) -> Any:
    taken = functional(model).inputs[0]
    signature = [tf.TensorSpec(taken.shape, taken.dtype, name="input")]
    # Without XLA, which runs depthwise convolutions many times slower on a CPU.
    call = tf.function(lambda x: model(x, training=False), signature, autograph=False)
    return call.get_concrete_function()
