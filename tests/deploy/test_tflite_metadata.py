"""Labels inside a file: read back, and what the file computes is the same to the bit."""

from __future__ import annotations

import contextlib
import zipfile

import pytest

from kerastl.data.tasks import Task
from kerastl.deploy import tflite
from kerastl.deploy.tflite_metadata import read_metadata, with_metadata
from kerastl.errors import InputError
from kerastl.inference.litert import LiteRTModel
from kerastl.inference.predictors import KerasPredictor
from tests.support.tiny_models import TASKS, patches, tiny

ODD = (
    Task('größe, "x"', ["a,b", "c\nd", "大", "it's"]),
    Task("alarm.é", ["no", "yes"], "binary"),
    Task("marks", ["u", "v"], "multilabel"),
)


@pytest.fixture(scope="module", params=["float32", "int8", "weights_int8"])
def files(request, tmp_path_factory):
    """The same file without metadata and with them."""
    folder, model = tmp_path_factory.mktemp("files"), tiny(ODD)
    made = {"float32": lambda: tflite.to_float32(model),
            "int8": lambda: tflite.to_int8(model, patches(8)),
            "weights_int8": lambda: tflite.to_weights_int8(model)}  # fmt: skip
    data = made[request.param]()
    for name, content in (("without", data), ("with", with_metadata(data, ODD, name="cells"))):
        (folder / f"{name}.tflite").write_bytes(content)
    return folder / "without.tflite", folder / "with.tflite"


def test_every_task_is_found_by_name_with_its_classes(files):
    found = read_metadata(files[1])
    assert found["name"] == "cells"
    assert {o["name"]: o["labels"] for o in found["outputs"]} == {
        'größe, "x"': ["a,b", "c d", "大", "it's"],
        "alarm.é": ["no", "yes"],
        "marks": ["u", "v"],
    }


def test_the_schema_itself_reads_what_is_told(files):
    from ai_edge_litert import schema_py_generated as tflite
    from mediapipe.tasks.metadata import metadata_schema_py_generated as schema

    model = tflite.ModelT.InitFromPackedBuf(files[1].read_bytes())
    [entry] = [e for e in model.metadata if e.name == b"TFLITE_METADATA"]
    told = schema.ModelMetadataT.InitFromPackedBuf(bytes(model.buffers[entry.buffer].data))
    [graph] = told.subgraphMetadata
    [image] = graph.inputTensorMetadata
    assert image.content.contentPropertiesType == schema.ContentProperties.ImageProperties
    assert image.content.contentProperties.colorSpace == schema.ColorSpaceType.RGB
    [step] = image.processUnits
    assert step.optionsType == schema.ProcessUnitOptions.NormalizationOptions
    assert (list(step.options.mean), list(step.options.std)) == ([0.0], [1.0])
    names = [made.name.decode() for made in graph.outputTensorMetadata]
    assert sorted(names) == sorted(task.name for task in ODD)
    for made in graph.outputTensorMetadata:
        [labels] = made.associatedFiles
        assert labels.type == schema.AssociatedFileType.TENSOR_AXIS_LABELS
        assert made.content.contentPropertiesType == schema.ContentProperties.FeatureProperties


def test_outputs_are_told_in_the_order_that_the_file_has(files):
    model = LiteRTModel(files[1])
    places = {name: d["index"] for name, d in model._output_details.items()}
    order = [d["index"] for d in model._interpreter.get_output_details()]
    told = [o["name"] for o in read_metadata(files[1])["outputs"]]
    assert [places[name] for name in told] == order


def test_it_computes_the_same_to_the_bit(files):
    before, after = (LiteRTModel(path).predict(patches(5, seed=3)) for path in files)
    assert before.keys() == after.keys() == {t.name for t in ODD}
    assert all((before[name] == after[name]).all() for name in before)


def test_weights_kept_behind_the_tables_are_taken_in(tmp_path):
    from ai_edge_litert import schema_py_generated as schema

    model = tiny(filters=16384)  # behind the tables from 256 KiB on
    data = tflite.to_weights_int8(model)
    outside = [b.offset for b in schema.ModelT.InitFromPackedBuf(data).buffers if b.offset]
    assert outside
    data = with_metadata(data, TASKS)
    assert not any(b.offset for b in schema.ModelT.InitFromPackedBuf(data).buffers)
    (tmp_path / "model.tflite").write_bytes(data)
    scores = LiteRTModel(tmp_path / "model.tflite").predict(patches(4))
    live = KerasPredictor(model).predict(patches(4))
    assert all(abs(scores[t.name] - live[t.name]).max() < 0.02 for t in TASKS)


def test_weights_begin_where_every_processor_can_read_them(files):
    from ai_edge_litert import schema_py_generated as schema

    data = files[1].read_bytes()
    model = schema.Model.GetRootAs(data)
    buffers = [model.Buffers(i) for i in range(model.BuffersLength())]
    starts = [b._tab.Vector(b._tab.Offset(4)) for b in buffers if b.DataLength()]
    assert len(starts) > 8
    assert {start % 16 for start in starts} == {0}


def test_a_vector_that_is_said_to_be_huge_is_not_read(files, tmp_path):
    data = bytearray(files[1].read_bytes())
    place = data.index(b"M001") - 4
    for number in range(place, place + 400, 4):
        broken = bytearray(data)
        broken[number : number + 4] = b"\xff\xff\xff\x7f"
        (tmp_path / "broken.tflite").write_bytes(broken)
        with contextlib.suppress(InputError):
            read_metadata(tmp_path / "broken.tflite")


def test_the_label_files_have_names_of_ours(files):
    with zipfile.ZipFile(files[1]) as archive:
        assert archive.namelist() == ["labels_0.txt", "labels_1.txt", "labels_2.txt"]


def test_a_file_without_metadata_says_nothing(files):
    assert read_metadata(files[0]) == {}


def test_the_same_model_gives_the_same_bytes():
    data = tflite.to_float32(tiny())
    assert with_metadata(data, TASKS) == with_metadata(data, TASKS)


def test_damaged_metadata_are_refused(files, tmp_path):
    data = files[1].read_bytes()
    (tmp_path / "cut.tflite").write_bytes(data[:-200])
    (tmp_path / "other.tflite").write_bytes(data.replace(b"M001", b"M999"))
    (tmp_path / "none.tflite").write_bytes(b"")
    for name in ("cut", "other", "none"):
        with pytest.raises(InputError, match="whose metadata cannot be read"):
            read_metadata(tmp_path / f"{name}.tflite")
