"""A part holds scores exactly, and gives them only for what they are scores of."""

from __future__ import annotations

import hashlib
import io

import numpy as np
import pytest

from kerastl.errors import InputError
from kerastl.picture_scores import Scored
from kerastl.prediction_parts import DamagedPart, block_key, content_key, read_part, write_part
from kerastl.tasks import Task

TASKS = (Task("zone", ["a", "b", "c"]), Task("marks", ["u", "v"], "multilabel"))
SCORED = Scored(
    {
        "zone": np.array([[0.1, np.nan, 1e-45], [1 / 3, 0.7, 1.0]], "float32"),
        "marks": np.array([[0.5, 0.0], [-0.0, 1.0]], "float32"),
    },
    {1: "truncated, says “libjpeg”"},
)


@pytest.fixture
def part(tmp_path):
    write_part(tmp_path / "k.part", "k", SCORED)
    return tmp_path / "k.part"


def test_scores_come_back_bit_for_bit(part):
    found = read_part(part, "k", TASKS, 2)
    assert found.errors == SCORED.errors
    assert list(found.scores) == list(SCORED.scores)
    for name, values in SCORED.scores.items():
        assert found.scores[name].tobytes() == values.tobytes()
        assert found.scores[name].dtype == values.dtype


def test_it_is_given_for_nothing_else(part):
    others = [("j", TASKS, 2), ("k", TASKS[:1], 2), ("k", TASKS[::-1], 2), ("k", TASKS, 3),
              ("k", (TASKS[0], Task("marks", ["u", "v", "w"], "multilabel")), 2)]  # fmt: skip
    for key, tasks, count in others:
        with pytest.raises(DamagedPart, match="of another block"):
            read_part(part, key, tasks, count)
    with pytest.raises(FileNotFoundError):
        read_part(part.with_name("none.part"), "k", TASKS, 2)


def test_objects_are_never_loaded(part):
    data = io.BytesIO()
    np.savez(data, told=np.array([{"key": "k"}], object), scores0=np.zeros((2, 3)))
    content = data.getvalue()
    part.write_bytes(hashlib.blake2b(content, digest_size=16).digest() + content)
    with pytest.raises(DamagedPart, match="allow_pickle=False"):
        read_part(part, "k", TASKS, 2)


@pytest.mark.parametrize("content", [b"", b"0", b"PK\x03\x04", b"[1]"])
def test_what_is_no_part_is_damaged(part, content):
    part.write_bytes(hashlib.blake2b(content, digest_size=16).digest() + content)
    with pytest.raises(DamagedPart):
        read_part(part, "k", TASKS, 2)


def test_a_block_is_known_by_model_paths_and_stamps_in_order():
    keys = {
        block_key(model, paths, stamps)
        for model in "mn"
        for paths in (["a", "b"], ["b", "a"], ["ab", ""])
        for stamps in ([b"1", b"2"], [b"1", None], [None, b"1"])
    }
    assert len(keys) == 18


def test_a_model_is_known_by_every_file_that_it_needs(tmp_path):
    folder = tmp_path / "1" / "saved_model"
    (folder / "variables").mkdir(parents=True)
    files = [folder / "saved_model.pb", folder / "variables" / "v", folder.parent / "model.json"]
    for file in files:
        file.write_text("x")
    keys = [content_key(folder)]
    for file in files:
        file.write_text("y")
        keys.append(content_key(folder))
    assert len(set(keys)) == 4
    assert content_key((tmp_path / "1").rename(tmp_path / "2") / "saved_model") == keys[-1]


def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="Expected a folder. Received: .*file, which is a file"):
        write_part(tmp_path / "file" / "k.part", "k", SCORED)
