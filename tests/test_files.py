"""Files of identical content."""

import json
import os

import pytest

from kerastl.errors import InputError
from kerastl.files import as_folder, readable, replacing, write_json


def test_a_failure_leaves_the_older_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError), replacing(path) as unfinished:
        unfinished.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_folder_is_made(tmp_path):
    write_json(tmp_path / "new" / "a.json", {"é": 1})
    assert (tmp_path / "new" / "a.json").read_text("utf-8") == '{\n  "é": 1\n}\n'


def test_json_has_no_nan(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "a.json", float("nan"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("below", ["", "run", "run/1"])
def test_a_file_in_the_place_of_a_folder_is_told(tmp_path, below):
    taken = tmp_path / "taken"
    taken.write_text("mine")
    told = rf"^Expected a folder. Received: {taken}, which is a file.$"
    with pytest.raises(InputError, match=told):
        as_folder(taken / below)
    with pytest.raises(InputError, match=told):
        write_json(taken / below / "a.json", {})
    assert taken.read_text() == "mine"
    assert as_folder(tmp_path / "new" / below) == tmp_path / "new" / below


def test_names_that_are_no_utf_8_are_written_and_read_back(tmp_path):
    names = {os.fsdecode(b"caf\xe9.png"): "a Größe", "b": os.fsdecode(b"\xff")}
    write_json(tmp_path / "a.json", names)
    text = (tmp_path / "a.json").read_text("utf-8")
    assert "a Größe" in text
    assert json.loads(text) == names
    assert readable(os.fsdecode("Größe".encode())) == "Größe"
    assert readable("\ud800") == "\\ud800"
    assert readable(os.fsdecode("é".encode() + b"\xe9")) == "é\\xe9"
