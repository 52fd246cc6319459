"""Files of identical content."""

import errno
import json
import os
from pathlib import Path

import pytest

from kerastl import files
from kerastl.errors import DiskError, InputError
from kerastl.files import as_folder, readable, replacing, writable, write_json, writing


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


def test_a_full_disk_is_told_with_its_room_and_leaves_the_older_file(tmp_path, monkeypatch):
    path = tmp_path / "a.json"
    write_json(path, {"a": 1})
    with pytest.raises(DiskError) as caught, replacing(path), open("/dev/full", "wb") as full:
        full.write(b"0" * 100_000)
    assert caught.value.full
    told = str(caught.value)
    assert told.startswith(f"Nothing can be written to {path}: no space left on device (")
    assert "B are free). What was written before is whole. Make room" in told
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]
    assert '"a": 1' in path.read_text()


def test_a_folder_that_may_not_be_written_is_told_before_any_work(unprivileged):
    assert writable(unprivileged / "new").is_dir()
    assert not list((unprivileged / "new").iterdir())
    (unprivileged / "new").chmod(0o555)
    for place in (unprivileged / "new", unprivileged / "new" / "below"):
        with pytest.raises(DiskError, match="Nothing can be written to .*: permission denied"):
            writable(place)
    with pytest.raises(DiskError, match="permission denied") as caught:
        write_json(unprivileged / "new" / "a.json", {})
    assert not caught.value.full


def test_what_is_no_fault_of_the_disk_stays_as_it_is():
    for error in (OSError(errno.EINVAL, "odd"), OSError("no number"), ValueError("other")):
        with pytest.raises(type(error)) as caught, writing("a"):
            raise error
        assert caught.value is error


def test_room_is_told_of_a_folder_that_is_not_there(tmp_path):
    assert files.free_bytes(tmp_path / "a" / "b") > 0
    assert files.free_bytes(Path("/proc/self/nothing/below")) >= 0
