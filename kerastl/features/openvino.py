"""A frozen network in OpenVINO: its weights put into its graph, compiled for this CPU.

OpenVINO's reader in C++ takes the frozen graph from a file. That is exact, is done in tenths of a
second where a SavedModel takes seconds, and reports nothing, as its converter for Python does.

There is one Core for the whole process. A Core that compiles sets, for the thread that asks, the
stack on which its signals are handled, and takes it away at its end. Where the lives of two Cores
overlap, the stack that stays is one that is gone, and the next Ctrl-C is a segmentation fault. One
Core, which lives as long as its process does, takes nothing away.
"""

from __future__ import annotations

import importlib.util
import platform
import tempfile
import threading
from collections import deque
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from kerastl.data.batches import count_cores
from kerastl.errors import InputError
from kerastl.terminal import quiet

_once = threading.Lock()


def runtime() -> Any:
    """The openvino package.

    Raises:
        InputError: Where it is not installed.
    """
    try:
        import openvino
    except ImportError as error:
        raise InputError(
            "OpenVINO's files are made and run by openvino, which is not installed. "
            "Run: pip install 'kerastl[fast]'."
        ) from error
    return openvino


def core() -> Any:
    """The process's `openvino.Core`, which any thread may use.

    Raises:
        InputError: Where openvino is not installed.
    """
    with _once:
        return _made(runtime())


@cache
def _made(openvino: Any) -> Any:
    return openvino.Core()


HINTS = {"float32": "f32", "float16": "f16", "bfloat16": "bf16"}
CAPABILITIES = {"float32": "FP32", "float16": "FP16", "bfloat16": "BF16"}

REQUEST = 8
"""Images in a request: a batch of 32 makes four, and their activations stay small."""

STREAMS = 4
"""Requests at a time, at most; where there are more cores than that, they share them."""

MOST = 2**31 - 2**24
"""Bytes of weights that a graph can hold, with room for the graph: a protocol buffer ends there."""

Run = Callable[[np.ndarray], np.ndarray]


def installed() -> bool:
    """Whether OpenVINO can be imported."""
    return importlib.util.find_spec("openvino") is not None


def precisions() -> list[str]:
    """The precisions in which this CPU can compute, the most exact first."""
    able = core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return [name for name, word in CAPABILITIES.items() if word in able]


def worthwhile() -> list[str]:
    """Those of the precisions that are no slower than a more exact one, the fastest first.

    On x86 float16 is none of them: with AVX512-FP16, which is what lists it there,
    ResNet50 ran at 0.75 of its float32 speed and MobileNetV2 at 0.96, while bfloat16,
    which has matrix units (AMX), ran two to five times as fast.
    """
    slow = {"float16"} if platform.machine().lower() in ("x86_64", "amd64") else set()
    return [name for name in reversed(precisions()) if name not in slow]


def converted(call: Any, name: str) -> Any:
    """A network as OpenVINO's model.

    Args:
        call: The network's concrete TensorFlow function, of one tensor.
        name: The network's, for the error.

    Returns:
        An `openvino.Model` of REQUEST images, which `compiled` takes.

    Raises:
        InputError: For an operation that OpenVINO does not know, and for weights
            that are too large.
    """
    held = sum(int(np.prod(v.shape)) * v.dtype.size for v in call.variables)
    if held > MOST:
        raise _inconvertible(name, [f"It has {held:,} bytes of weights, more than {MOST:,}."])
    with tempfile.TemporaryDirectory(prefix="kerastl-") as folder, quiet():
        path = Path(folder, "network.pb")
        path.write_bytes(frozen(call).SerializeToString())
        try:
            whole = core().read_model(path)
            # A frozen graph also has ends that only a gradient needs, as of each swish.
            end = whole.output(call.outputs[0].name).get_node()
            network = runtime().Model([end], whole.get_parameters(), name)
            shape = network.inputs[0].partial_shape
            shape[0] = REQUEST
            network.reshape(shape)
            return network
        except RuntimeError as error:
            lines = [line.strip() for line in str(error).splitlines() if line.strip()]
            raise _inconvertible(name, lines) from error


def frozen(call: Any) -> Any:
    """The graph of a concrete function with the values of its variables as constants.

    Args:
        call: A concrete function, whose arguments stay the graph's placeholders.

    Returns:
        A `tf.compat.v1.GraphDef`.

    Example:
        >>> weight = tf.Variable([2.0])
        >>> spec = tf.TensorSpec([1], name="x")
        >>> double = tf.function(lambda x: x * weight, [spec]).get_concrete_function()
        >>> [node.op for node in frozen(double).node if node.op != "NoOp"]
        ['Placeholder', 'Const', 'Identity', 'Mul', 'Identity']
    """
    graph, values = call.graph.as_graph_def(), _captured(call)
    for node in graph.node:
        if node.name in values:
            value = values[node.name].numpy()
            node.op = "Const"
            node.attr.clear()
            node.attr["dtype"].type = tf.as_dtype(value.dtype).as_datatype_enum
            node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value))
        elif node.op == "ReadVariableOp":
            node.op, kind = "Identity", node.attr["dtype"].type
            node.attr.clear()
            node.attr["T"].type = kind
    return graph


def compiled(network: Any, precision: str) -> Run:
    """A converted network compiled for this CPU, as a function of a batch.

    Each batch is cut into requests that run side by side, so that no core waits for
    another within a layer. All have REQUEST images, the last one filled up with zeros:
    an image's features, bit for bit, then depend neither on the batch nor on the cores.

    Args:
        network: From `converted`.
        precision: "float32", "float16" or "bfloat16", of the arithmetic; the
            features that come out are float32.

    Returns:
        A function of `[batch, ...]`, for one thread at a time.
    """
    streams = min(STREAMS, count_cores())
    hints = {"INFERENCE_PRECISION_HINT": HINTS[precision], "NUM_STREAMS": str(streams)}
    program = core().compile_model(network, "CPU", hints)
    requests = [program.create_infer_request() for _ in range(streams)]
    dtype = network.inputs[0].element_type.to_dtype()
    return lambda values: _run(requests, np.asarray(values, dtype))


def _run(requests: list[Any], values: np.ndarray) -> np.ndarray:
    idle, busy, found = list(requests), deque(), []
    try:
        for start in range(0, len(values), REQUEST):
            if not idle:
                found.append(_result(busy[0]))
                idle.append(busy.popleft())
            busy.append(idle.pop())
            busy[-1].start_async([_filled_up(values[start : start + REQUEST])])
        found += [_result(request) for request in busy]
    finally:
        for request in busy:  # none goes on by itself after an interruption
            request.wait()
    return np.concatenate(found)[: len(values)]


def _filled_up(values: np.ndarray) -> np.ndarray:
    lacking = REQUEST - len(values)
    return np.pad(values, [(0, lacking)] + [(0, 0)] * (values.ndim - 1)) if lacking else values


def _result(request: Any) -> np.ndarray:
    request.wait()
    return request.get_output_tensor().data.copy()  # the next request overwrites it


def _captured(call: Any) -> dict[str, Any]:
    """What a concrete function takes besides its arguments, by the name of its placeholder."""
    variables = {id(variable.handle): variable for variable in call.variables}
    outer = [variables.get(id(tensor), tensor) for tensor in call.captured_inputs]
    inner = call.inputs[len(call.inputs) - len(outer) :]
    return {tensor.op.name: value for tensor, value in zip(inner, outer, strict=True)}


def _inconvertible(name: str, lines: list[str]) -> InputError:
    advice = "Use engine='keras', or engine='auto', which then takes Keras."
    return InputError(f"OpenVINO cannot convert {name!r}. {advice}", lines)
