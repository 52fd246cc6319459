"""A Keras model for ONNX Runtime and OpenVINO, its preprocessing and scores in the graph."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from kerastl.deploy.tflite import image_spec, in_float32, scoring, silent
from kerastl.errors import InputError
from kerastl.features.openvino import core, frozen, runtime
from kerastl.files import replacing
from kerastl.inference import onnx as onnx_model
from kerastl.inference import openvino as openvino_model
from kerastl.inference.sidecar import INPUT
from kerastl.models.spec import spec_of

OPSET = 17
"""Version of ONNX's operators: of 2022, so that older runtimes on phones know it."""


def write_onnx(model: keras.Model, file: str | Path) -> None:
    """Write an `.onnx` file in float32, whole or not at all.

    Its input `images` is uint8 RGB `[batch, height, width, 3]`; its outputs bear the
    tasks' names and are the class scores `[batch, classes]`. The output of a task named
    `images` is `images_`; the metadata `kerastl_tasks` have the tasks' own names.

    Args:
        model: A kerastl model.
        file: The file to write.

    Raises:
        InputError: For a model of no fixed image size, and where tf2onnx is not
            installed.

    Example:
        >>> from kerastl.models import classifier
        >>> x = keras.Input((8, 8, 3))
        >>> own = keras.Model(x, keras.layers.Conv2D(2, 3, name="conv")(x))
        >>> file = Path(tempfile.mkdtemp(), "model.onnx")
        >>> write_onnx(classifier(own, ["cat", "dog"], image_size=8), file)
        >>> onnx_model.OnnxModel(file).outputs
        {'label': 2}
    """
    call, tasks = _traced(model)
    with silent():  # tf2onnx too is only loaded here: it and what it loads give warnings
        made = _to_onnx(call, _output_names(tasks))
        made.metadata_props.add(key=onnx_model.TASKS, value=json.dumps(tasks))
    with replacing(file) as unfinished:
        unfinished.write_bytes(made.SerializeToString())


def write_openvino(model: keras.Model, folder: str | Path) -> None:
    """Write OpenVINO's `model.xml` and `model.bin` in float32, both or neither.

    Input and outputs are those of `write_onnx`.

    Args:
        model: A kerastl model.
        folder: A folder that is not there yet.

    Raises:
        InputError: For a model of no fixed image size, and where openvino is not
            installed.

    Example:
        >>> from kerastl.models import classifier
        >>> x = keras.Input((8, 8, 3))
        >>> own = keras.Model(x, keras.layers.Conv2D(2, 3, name="conv")(x))
        >>> folder = Path(tempfile.mkdtemp(), "model_openvino")
        >>> write_openvino(classifier(own, ["cat", "dog"], image_size=8), folder)
        >>> sorted(file.name for file in folder.iterdir())
        ['model.bin', 'model.xml']
    """
    openvino, folder = runtime(), Path(folder)
    call, tasks = _traced(model)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".openvino-") as work, silent():
        graph, unfinished = Path(work, "graph.pb"), Path(work, "folder")
        graph.write_bytes(frozen(call).SerializeToString())
        network = _network(openvino, graph, [output.name for output in call.outputs])
        _describe(network, tasks)
        openvino.save_model(network, unfinished / openvino_model.GRAPH, compress_to_fp16=False)
        os.replace(unfinished, folder)


def _traced(model: keras.Model) -> tuple[Any, list[str]]:
    """The exported function of images, its outputs in the order of the tasks; their names."""
    images, tasks = image_spec(model, tf.uint8, None), spec_of(model).tasks
    score = scoring(in_float32(model), tasks)

    def listed(images: Any) -> list[Any]:
        scores = score(images)
        return [scores[task.name] for task in tasks]

    call = tf.function(listed, input_signature=[images], autograph=False)
    return call.get_concrete_function(), [task.name for task in tasks]


def _output_names(tasks: Sequence[str]) -> list[str]:
    """The tasks' names; in place of the input's name, which is taken, a free one."""
    free = INPUT
    while free in tasks:
        free += "_"
    return [free if name == INPUT else name for name in tasks]


def _to_onnx(call: Any, names: Sequence[str]) -> Any:
    tf2onnx = _tf2onnx()
    image, outputs = call.inputs[0].name, [output.name for output in call.outputs]
    made, _ = tf2onnx.convert.from_graph_def(
        frozen(call),
        name="kerastl",
        input_names=[image],
        output_names=outputs,
        opset=OPSET,
        tensors_to_rename={image: INPUT, **dict(zip(outputs, names, strict=True))},
    )
    for value in (*made.graph.input, *made.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    return made


def _network(openvino: Any, graph: Path, outputs: Sequence[str]) -> Any:
    """The network of some outputs. Read as it is, a frozen graph has more of them: it keeps
    what only a gradient needs, such as a copy of what each swish makes."""
    whole = core().read_model(graph)
    ends = [whole.output(name).get_node() for name in outputs]
    return openvino.Model(ends, whole.get_parameters(), "kerastl")


def _describe(network: Any, tasks: Sequence[str]) -> None:
    """Name a network's input and outputs, and tell it the tasks."""
    network.inputs[0].get_tensor().set_names({INPUT})
    for output, name in zip(network.outputs, _output_names(tasks), strict=True):
        output.get_tensor().set_names({name})
    network.set_rt_info(json.dumps(tasks), openvino_model.TASKS)


def _tf2onnx() -> Any:
    try:
        import tf2onnx
    except ImportError as error:
        raise InputError(
            "An .onnx file is written by tf2onnx, which is not installed. "
            "Run: pip install 'kerastl[onnx]'."
        ) from error
    return tf2onnx
