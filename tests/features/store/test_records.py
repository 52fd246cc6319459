"""Predictions in a cache folder: whole or known to be damaged, listed and pruned."""

import os
import time

import numpy as np
import pytest
import typer

from kerastl.cli.features import prune, show_store, verify
from kerastl.features.store.records import (
    FOLDER,
    MODEL,
    DamagedPart,
    part_files,
    prediction_folders,
    read_checked,
    write_checked,
)
from kerastl.features.store.upkeep import list_store, prune_store, verify_store

OLD, NEW = "a" * 32, "b" * 32
SCORES = [np.full((5, 2), 0.5, "float32"), np.full((5, 3), 0.2, "float32")]


@pytest.fixture
def cache(tmp_path):
    """Two parts of one model, last used three days ago, and one of another."""
    for name, parts, days in ((OLD, 2, 3), (NEW, 1, 0)):
        place = tmp_path / FOLDER / name
        place.mkdir(parents=True)
        for number in range(parts):
            told = {"key": "k", "tasks": ["way", "kind"], "errors": {}}
            write_checked(place / f"{number:032x}.part", told, SCORES)
        (place / "used").touch()
        os.utime(place / "used", (time.time() - 86400 * days,) * 2)
    return tmp_path


def damage(path, at=-1):
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def test_what_is_written_is_read(cache):
    told, scores = read_checked(part_files(cache / FOLDER / OLD)[0])
    assert told == {"key": "k", "tasks": ["way", "kind"], "errors": {}}
    for ours, theirs in zip(scores, SCORES, strict=True):
        np.testing.assert_array_equal(ours, theirs, strict=True)


@pytest.mark.parametrize("at", [0, 40, -1])
def test_a_changed_bit_anywhere_is_found(cache, at):
    [part] = part_files(cache / FOLDER / NEW)
    damage(part, at)
    with pytest.raises(DamagedPart, match="its checksum is wrong"):
        read_checked(part)
    with pytest.raises(FileNotFoundError):
        read_checked(part.with_name("gone"))


def test_predictions_are_listed(cache):
    frame = list_store(cache)
    assert frame["prefix"].tolist() == [NEW, OLD]
    assert frame[["layer", "shape"]].drop_duplicates().to_numpy().tolist() == [[FOLDER, "2+3"]]
    assert frame[["pictures", "shards"]].to_numpy().tolist() == [[5, 1], [10, 2]]
    sizes = [sum(p.stat().st_size for p in (cache / FOLDER / n).iterdir()) for n in (NEW, OLD)]
    assert frame["bytes"].tolist() == sizes


def test_predictions_are_verified(cache, capsys):
    assert verify_store(cache) == []
    verify(cache)
    assert "All 3 shards" in capsys.readouterr().out
    damage(part_files(cache / FOLDER / OLD)[1])
    [(path, cause)] = verify_store(cache)
    assert (path, "checksum" in cause) == (part_files(cache / FOLDER / OLD)[1], True)
    assert list_store(cache).set_index("prefix").loc[OLD, "pictures"] == 5
    with pytest.raises(typer.Exit):
        verify(cache)
    assert "Damaged: 1 of 3 shards" in capsys.readouterr().out


def test_predictions_are_pruned_by_age_by_size_and_all(cache, capsys):
    bytes_of = list_store(cache).set_index("prefix")["bytes"]
    assert prune_store(cache, older_than_days=4) == 0
    assert prune_store(cache, keep_bytes=int(bytes_of.sum())) == 0
    assert prune_store(cache, older_than_days=2) == bytes_of[OLD]
    assert [p.name for p in prediction_folders(cache)] == [NEW]
    (cache / FOLDER / NEW / MODEL).touch()
    (cache / "notes.txt").touch()
    prune(cache, everything=True)
    assert "0 bytes left" in capsys.readouterr().out
    assert [p.name for p in cache.rglob("*")] == ["notes.txt"]


def test_what_is_not_the_stores_stays(cache):
    """A folder of other things by that name, and a file beside the parts."""
    (cache / FOLDER / "table.csv").touch()
    (cache / FOLDER / NEW / "notes.txt").touch()
    prune_store(cache, everything=True)
    kept = sorted(p.name for p in cache.rglob("*") if p.is_file())
    assert kept == ["notes.txt", "table.csv"]


def test_a_folder_with_nothing_but_predictions_is_a_cache(cache, capsys):
    show_store(cache)
    assert f"in {cache}" in capsys.readouterr().out.replace("\n", "")
