"""`model.json`: written, read back, and refused with every fault."""

from __future__ import annotations

import json

import pytest

from kerastl.data.tasks import Task
from kerastl.errors import InputError
from kerastl.inference.sidecar import describe, read_sidecar, write_sidecar
from tests.support.tiny_models import TASKS


def test_what_is_written_is_read_back(tmp_path):
    tasks = (*TASKS, Task("größe $x$", ["klein", "großß", "大"]))
    path = write_sidecar(tmp_path, tasks, (24, 32), {"marks": [0.25, 1.0]})
    at = {"alarm": (0.5,), "marks": (0.25, 1.0)}
    assert read_sidecar(path) == (tasks, (24, 32), at)
    assert [p.name for p in tmp_path.iterdir()] == ["model.json"]


def test_an_app_developer_finds_what_the_input_is():
    told = describe(TASKS, (24, 32))
    assert told["input"]["shape"] == [24, 32, 3]
    assert (told["input"]["dtype"], told["input"]["range"]) == ("uint8", [0, 255])
    assert (told["input"]["colour_order"], told["input"]["name"]) == ("RGB", "images")
    assert [t["output"] for t in told["tasks"]] == ["zone", "alarm", "marks"]


def test_an_app_developer_finds_how_a_score_becomes_an_answer():
    zone, alarm, marks = describe(TASKS, (24, 32), {"alarm": [0.3]})["tasks"]
    assert "thresholds" not in zone
    assert "the largest is the answer" in zone["scores"]
    assert alarm["thresholds"] == [0.3]
    assert "second class is the answer where its score is at least the threshold" in alarm["scores"]
    assert marks["thresholds"] == [0.5, 0.5]
    assert "at least its threshold" in marks["scores"]


def test_a_file_of_an_older_export_is_decided_at_half(tmp_path):
    older = describe(TASKS, (24, 32))
    for task in older["tasks"]:
        task.pop("thresholds", None)
    (tmp_path / "model.json").write_text(json.dumps(older))
    assert read_sidecar(tmp_path / "model.json")[2] == {"alarm": (0.5,), "marks": (0.5, 0.5)}


@pytest.mark.parametrize(
    ("number", "thresholds", "fault"),
    [
        (0, [0.5], "tasks, number 0: a multiclass task has no threshold"),
        (1, [0.5, 0.5], "tasks, number 1: expected 1 thresholds, received 2"),
        (1, 0.5, "tasks, number 1: expected a list of 1 thresholds, received 0.5"),
        (2, [0.5, "high"], "tasks, number 2: expected thresholds from 0 to 1, received 'high'"),
        (2, [0.5, 2], "tasks, number 2: expected thresholds from 0 to 1, received 2"),
    ],
)
def test_thresholds_that_are_none_are_refused(tmp_path, number, thresholds, fault):
    told = describe(TASKS, (24, 32))
    told["tasks"][number]["thresholds"] = thresholds
    (tmp_path / "model.json").write_text(json.dumps(told))
    with pytest.raises(InputError) as error:
        read_sidecar(tmp_path / "model.json")
    assert [f.startswith(fault) for f in error.value.faults] == [True]


def test_a_missing_file_says_where_it_belongs(tmp_path):
    with pytest.raises(InputError, match=r"names the classes of the model file beside it"):
        read_sidecar(tmp_path / "model.json")


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("{", "is no JSON"),
        ("[" * 100_000, "is no JSON"),
        ("[]", "expected an object with input and tasks"),
        ({"input": {}, "tasks": []}, "input: expected a shape [height, width, 3]; received None"),
        ({"input": {}, "tasks": []}, "tasks: expected a list of at least one; received []"),
        ({"input": {"shape": [8, 10**9, 3]}, "tasks": [{}]}, "received [8, 1000000000, 3]"),
        ({"input": {"shape": [8, 8, 3]}, "tasks": [{"name": "t", "classes": "ab"}]}, "number 0"),
        (
            {"input": {"shape": [8, 8, 3]}, "tasks": [{"name": "t", "kind": "x", "classes": []}]},
            "tasks, number 0: Expected a kind of multiclass",
        ),
    ],
)
def test_a_malformed_file_is_refused_with_its_faults(tmp_path, content, fault):
    path = tmp_path / "model.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(InputError) as error:
        read_sidecar(path)
    assert str(path) in str(error.value)
    assert fault in str(error.value)
