"""Metadata inside a `.tflite` file, by which MediaPipe Tasks on Android and iOS load it as it is.

Written by the field numbers of TensorFlow Lite's metadata_schema.fbs (identifier M001), as no
package that writes them installs everywhere.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
from flatbuffers.number_types import UOffsetTFlags
from flatbuffers.table import Table

from kerastl.data.tasks import Task
from kerastl.errors import InputError
from kerastl.inference.litert import IDENTIFIER, SIGNATURE

BUFFER = "TFLITE_METADATA"
KIND = b"M001"
PARSER = "1.5.0"
FEATURE, IMAGE, RGB, AXIS_LABELS = 1, 2, 1, 2
LARGEST = 2**20
"""Bytes that the class names of one task may take when they are read."""

NAME, ABOUT = 0, 1
NORMALISATION, STEPS = 1, 4
INPUTS, OUTPUTS = 2, 3
CONTENT, FILES = 3, 6


def with_metadata(data: bytes, tasks: Sequence[Task], *, name: str = "kerastl") -> bytes:
    """A file with its labels inside: what it computes is the same to the bit.

    Each output bears its task's name, with the classes in a text file in a ZIP at the
    file's end, a line a class; a line break in a name becomes a space. The normalisation
    that is told changes nothing: our files take grey levels as they are.

    Args:
        data: A `.tflite` file whose signature's outputs bear the tasks' names.
        tasks: The tasks.
        name: What the model is called.

    Returns:
        The file's bytes.

    Example:
        >>> import keras, tempfile
        >>> from kerastl.deploy.tflite import to_float32
        >>> from kerastl.models import classifier
        >>> x = keras.Input((8, 8, 3))
        >>> own = keras.Model(x, keras.layers.Conv2D(2, 3, name="conv")(x))
        >>> data = to_float32(classifier(own, ["cat", "dog"], image_size=8))
        >>> path = Path(tempfile.mkdtemp(), "model.tflite")
        >>> n = path.write_bytes(with_metadata(data, [Task("label", ["cat", "dog"])]))
        >>> read_metadata(path)["outputs"]
        [{'name': 'label', 'labels': ['cat', 'dog']}]
    """
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(data)
    _take_in(model, data)
    order = _output_order(model)
    tasks = sorted(tasks, key=lambda task: order.index(task.name))
    buffer, entry = schema.BufferT(), schema.MetadataT()
    buffer.data = list(_packed(tasks, name))
    model.buffers.append(buffer)
    entry.name, entry.buffer = BUFFER, len(model.buffers) - 1
    model.metadata = [*(model.metadata or ()), entry]
    builder = _Aligned(len(data))
    builder.Finish(model.Pack(builder), file_identifier=IDENTIFIER)
    return _zipped(bytes(builder.Output()), tasks)


def read_metadata(path: str | Path) -> dict[str, Any]:
    """What a file's metadata tell.

    Args:
        path: A `.tflite` file.

    Returns:
        `name`, `description` and `outputs`, in the file's own order: each its `name` and
        `labels`. Empty where the file has no metadata.

    Raises:
        InputError: For metadata that are damaged.

    Example:
        >>> read_metadata(__file__)  # a text file
        Traceback (most recent call last):
        kerastl.errors.InputError: Expected a TFLite file with whole metadata. Received: ...
    """
    path = Path(path)
    try:
        return _read(path.read_bytes())
    except Exception as error:  # flatbuffers raises nearly anything on a damaged file
        raise InputError(
            f"Expected a TFLite file with whole metadata. Received: {path}, whose metadata cannot "
            f"be read ({type(error).__name__}: {str(error)[:200]}). Export or copy it again."
        ) from error


class _Aligned(flatbuffers.Builder):
    """Bytes begin at a multiple of 16, as the schema of weights asks: the Python API forgets."""

    def StartVector(self, elemSize: int, numElems: int, alignment: int) -> int:
        return super().StartVector(elemSize, numElems, 16 if elemSize == 1 else alignment)


def _take_in(model: Any, data: bytes) -> None:
    """Bring in the weights that ai-edge-quantizer keeps behind the tables, by their place."""
    for buffer in model.buffers:
        if buffer.offset > 1:  # 0 and 1 stand for none
            buffer.data = np.frombuffer(data, np.uint8, buffer.size, buffer.offset)
            buffer.offset = buffer.size = 0


def _output_order(model: Any) -> list[str]:
    """The signature's names in the order of the file's outputs, which is another one."""
    [signature] = [s for s in model.signatureDefs if s.signatureKey == SIGNATURE.encode()]
    names = {o.tensorIndex: o.name.decode() for o in signature.outputs}
    return [names[index] for index in model.subgraphs[signature.subgraphIndex].outputs]


def _file_name(number: int) -> str:
    return f"labels_{number}.txt"


def _zipped(data: bytes, tasks: Sequence[Task]) -> bytes:
    file = io.BytesIO(data)
    with zipfile.ZipFile(file, "a", zipfile.ZIP_STORED) as archive:
        for number, task in enumerate(tasks):
            lines = "\n".join(" ".join(c.splitlines()) or " " for c in task.classes)
            archive.writestr(zipfile.ZipInfo(_file_name(number)), lines.encode())
    return file.getvalue()


def _packed(tasks: Sequence[Task], name: str) -> bytes:
    build = flatbuffers.Builder(1024)
    image = _table(build, 2, {0: build.PrependInt8Slot}, {0: RGB})
    content = _content(build, IMAGE, image)
    text = "RGB image, levels 0 to 255; its preprocessing is in the file."
    given = _tensor(build, "image", text, content, STEPS, _vector(build, [_as_it_is(build)]))
    made = [_output(build, number, task) for number, task in enumerate(tasks)]
    graph = _offsets(build, 10, {INPUTS: _vector(build, [given]), OUTPUTS: _vector(build, made)})
    graphs, about = _vector(build, [graph]), build.CreateString("Made by kerastl.")
    named, parser = build.CreateString(name), build.CreateString(PARSER)
    build.Finish(
        _offsets(build, 8, {NAME: named, ABOUT: about, 3: graphs, 7: parser}), file_identifier=KIND
    )
    return bytes(build.Output())


def _output(build: flatbuffers.Builder, number: int, task: Task) -> int:
    file = build.CreateString(_file_name(number))
    build.StartObject(5)
    build.PrependUOffsetTRelativeSlot(0, file, 0)
    build.PrependInt8Slot(2, AXIS_LABELS, 0)
    labels = _vector(build, [build.EndObject()])
    content = _content(build, FEATURE, _offsets(build, 0, {}))
    about = f"{task.kind}: a score for each class."
    return _tensor(build, task.name, about, content, FILES, labels)


def _as_it_is(build: flatbuffers.Builder) -> int:
    """The normalisation (level - 0) / 1."""
    mean, std = (_floats(build, value) for value in (0.0, 1.0))
    options = _offsets(build, 2, {0: mean, 1: std})
    return _content(build, NORMALISATION, options, fields=2)


def _floats(build: flatbuffers.Builder, value: float) -> int:
    build.StartVector(4, 1, 4)
    build.PrependFloat32(value)
    return build.EndVector()


def _tensor(
    build: flatbuffers.Builder, name: str, about: str, content: int, slot: int, more: int
) -> int:
    slots = {NAME: build.CreateString(name), ABOUT: build.CreateString(about), CONTENT: content}
    return _offsets(build, 7, {**slots, slot: more})


def _content(build: flatbuffers.Builder, kind: int, value: int, fields: int = 3) -> int:
    """A table that begins with a union: its kind, then its value."""
    build.StartObject(fields)
    build.PrependUint8Slot(0, kind, 0)
    build.PrependUOffsetTRelativeSlot(1, value, 0)
    return build.EndObject()


def _table(
    build: flatbuffers.Builder, count: int, put: dict[int, Callable], values: dict[int, int]
) -> int:
    build.StartObject(count)
    for slot, value in values.items():
        put[slot](slot, value, 0)
    return build.EndObject()


def _offsets(build: flatbuffers.Builder, count: int, slots: dict[int, int]) -> int:
    """A table of `count` fields, some of which are tables, vectors or strings made before."""
    put = dict.fromkeys(slots, build.PrependUOffsetTRelativeSlot)
    return _table(build, count, put, slots)


def _vector(build: flatbuffers.Builder, offsets: Sequence[int]) -> int:
    build.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        build.PrependUOffsetTRelative(offset)
    return build.EndVector()


def _read(data: bytes) -> dict[str, Any]:
    from ai_edge_litert import schema_py_generated as schema

    model = schema.Model.GetRootAs(data)
    entries = [model.Metadata(i) for i in range(model.MetadataLength())]
    found = [e.Buffer() for e in entries if e.Name() == BUFFER.encode()]
    if not found:
        return {}
    packed = model.Buffers(found[0]).DataAsNumpy().tobytes()
    if packed[4:8] != KIND:
        raise ValueError(f"expected {KIND!r}, received {packed[4:8]!r}")
    root = Table(packed, int.from_bytes(packed[:4], "little"))
    [graph] = _tables(root, 3)
    made = [
        {"name": _text(tensor, NAME), "labels": _labels(data, tensor)}
        for tensor in _tables(graph, OUTPUTS)
    ]
    return {"name": _text(root, NAME), "description": _text(root, ABOUT), "outputs": made}


def _labels(data: bytes, tensor: Table) -> list[str]:
    named = [_text(file, NAME) for file in _tables(tensor, FILES)]
    if not named:
        return []
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        about = archive.getinfo(named[0])
        if about.file_size > LARGEST:
            raise ValueError(f"{named[0]} has {about.file_size} bytes")
        return archive.read(about).decode().split("\n")


def _text(table: Table, slot: int) -> str:
    at = table.Offset(4 + 2 * slot)
    return table.String(at + table.Pos).decode() if at else ""


def _tables(table: Table, slot: int) -> list[Table]:
    at = table.Offset(4 + 2 * slot)
    if not at:
        return []
    start, size, count = table.Vector(at), UOffsetTFlags.bytewidth, table.VectorLen(at)
    if start + size * count > len(table.Bytes):
        raise ValueError(f"a vector of {count} tables")
    places = [start + size * i for i in range(count)]
    return [Table(table.Bytes, table.Indirect(place)) for place in places]
