"""Predictions kept in blocks: the same table, and nothing finished is done twice.

A part holds scores exactly, and gives them only for what they are scores of.
"""

from __future__ import annotations

import hashlib
import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from kerastl.data.tasks import Task
from kerastl.errors import InputError
from kerastl.features.store.upkeep import list_store, prune_store, verify_store
from kerastl.inference import blocks
from kerastl.inference.blocks import (
    DamagedPart,
    Scored,
    block_key,
    content_key,
    read_part,
    write_part,
)
from kerastl.inference.prediction import predict
from kerastl.models.spec import spec_of, with_spec
from tests.support.commands import ROOT
from tests.support.swapped import bitmaps, swap
from tests.support.tiny_models import TASKS, on_disk, patches, tiny

FORMS = ["", "model.keras", "saved_model", "model_float32.tflite"]


@pytest.fixture
def model(tiny_run):
    return tiny_run[0]


@pytest.fixture
def folder(tiny_run):
    return tiny_run[2]


@pytest.fixture
def pictures(tmp_path):
    return on_disk(tmp_path / "pictures", n=18)


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(blocks, "BLOCK", 4)


@pytest.fixture
def read(monkeypatch):
    """The pictures that are read, in order."""
    paths, load = [], blocks.load_picture

    def noting(path, *size):
        paths.append(path)
        return load(path, *size)

    monkeypatch.setattr(blocks, "load_picture", noting)
    return paths


@pytest.fixture(autouse=True)
def _settled(monkeypatch):
    """Files count as written a while ago, so that their change times tell a change."""
    monkeypatch.setattr(blocks, "SETTLED", 0)


def parts_of(cache):
    return sorted(cache.glob("predictions/*/*.part"))


def same(found, expected):
    pd.testing.assert_frame_equal(found, expected, check_exact=True)


@pytest.mark.parametrize("batch_size", [3, 32])
@pytest.mark.parametrize("form", [None, *FORMS])
def test_the_cache_changes_nothing_and_is_used(
    model, folder, pictures, tmp_path, small_blocks, read, form, batch_size
):
    model, paths = model if form is None else folder / form, pictures.frame["image"].tolist()
    Path(paths[5]).write_bytes(b"no picture")
    expected, told = predict(model, pictures, batch_size=batch_size), []
    for already in (0, len(paths)):
        read.clear()
        told.clear()
        found = predict(
            model, pictures, batch_size=batch_size, cache=tmp_path / "cache",
            progress=lambda *n: told.append(n),
        )  # fmt: skip
        same(found, expected)
        # Of a finished block only what could not be read is tried again.
        assert sorted(read) == ([paths[5]] if already else paths)
        assert (told[-1], len(parts_of(tmp_path / "cache"))) == ((18, 18), 5)
        assert [done for done, _ in told] == sorted({done for done, _ in told})


KILLED = """
import os, signal, sys
from kerastl.inference import blocks
from kerastl.inference.prediction import predict

def stop(done, total):
    if done >= 10:
        os.kill(os.getpid(), signal.SIGKILL)

blocks.BLOCK = 4
predict(sys.argv[1], sys.argv[2], cache=sys.argv[3], progress=stop)
"""


def test_after_kill_minus_9_only_unfinished_blocks_are_done(
    folder, pictures, tmp_path, small_blocks, read
):
    paths, cache = pictures.frame["image"].tolist(), tmp_path / "cache"
    places = os.pathsep.join([str(ROOT), *sys.path])
    call = [folder / "model.keras", Path(paths[0]).parent, cache]
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, *call],
        env={**os.environ, "PYTHONPATH": places}, timeout=120,
    )  # fmt: skip
    assert killed.returncode == -signal.SIGKILL
    # The third block was done, and its part not written, when the call died.
    assert len(parts_of(cache)) == 2
    found = predict(call[0], pictures, cache=cache)
    assert sorted(read) == paths[8:]
    same(found, predict(call[0], pictures))


@pytest.mark.parametrize("fault", ["bit", "short", "other", "empty"])
def test_a_damaged_part_is_done_anew(model, pictures, tmp_path, small_blocks, read, fault, caplog):
    cache = tmp_path / "cache"
    expected = predict(model, pictures, cache=cache)
    whole = {part: part.read_bytes() for part in parts_of(cache)}
    first, second = parts_of(cache)[:2]
    if fault == "bit":
        flipped = bytearray(whole[first])
        flipped[len(flipped) // 2] ^= 4
        first.write_bytes(flipped)
    else:
        first.write_bytes({"short": whole[first][:-9], "other": whole[second], "empty": b""}[fault])
    read.clear()
    same(predict(model, pictures, cache=cache), expected)
    assert len(read) in (4, 2)
    assert {part: part.read_bytes() for part in parts_of(cache)} == whole
    assert f"made anew: {first}" in caplog.text


def test_a_changed_picture_or_model_is_done_anew(model, pictures, tmp_path, small_blocks, read):
    cache, paths = tmp_path / "cache", pictures.frame["image"].tolist()
    predict(model, pictures, cache=cache)
    Image.fromarray(255 - patches(1)[0]).save(paths[9])
    read.clear()
    found = predict(model, pictures, cache=cache)
    assert sorted(read) == paths[8:12]
    same(found, predict(model, pictures))
    other = tiny(seed=1)
    same(predict(other, pictures, cache=cache), predict(other, pictures))
    assert not predict(other, pictures).equals(found)


@pytest.mark.parametrize("in_place", [True, False])
def test_a_picture_replaced_by_one_of_the_same_size_and_time_is_done_anew(
    model, pictures, tmp_path, small_blocks, read, in_place
):
    cache, paths = tmp_path / "cache", pictures.frame["image"].tolist()
    bitmaps(paths)
    first = predict(model, pictures, cache=cache)
    time.sleep(0.02)  # a tick of the system's clock
    swap(paths[9], in_place=in_place)
    read.clear()
    found = predict(model, pictures, cache=cache)
    assert sorted(read) == paths[8:12]
    same(found, predict(model, pictures))
    assert not found.equals(first)


def test_new_thresholds_count_at_once(pictures, tmp_path, small_blocks):
    model = tiny()
    before = predict(model, pictures, cache=tmp_path)
    with_spec(
        model, spec_of(model), thresholds={"alarm": [float(before["alarm/score/yes"].median())]}
    )
    after = predict(model, pictures, cache=tmp_path)
    same(after, predict(model, pictures))
    assert (after["alarm/predicted"] == "yes").sum() == 9
    assert len(parts_of(tmp_path)) == 5


def test_a_picture_that_is_there_at_last_is_read(model, pictures, tmp_path, small_blocks):
    cache, paths = tmp_path / "cache", pictures.frame["image"].tolist()
    late = Path(paths[3]).rename(tmp_path / "late.png")
    assert predict(model, paths, cache=cache)["error"].tolist().count("no such file") == 1
    late.rename(paths[3])
    same(predict(model, paths, cache=cache), predict(model, paths))


def test_the_same_pictures_twice_are_two_rows_each(model, pictures, tmp_path, small_blocks):
    paths = pictures.frame["image"].tolist()[:4] * 2
    same(predict(model, paths, cache=tmp_path), predict(model, paths))


def test_a_picture_that_changes_meanwhile_is_told(model, pictures, tmp_path, monkeypatch):
    paths, load = pictures.frame["image"].tolist(), blocks.load_picture

    def overtaken(path, *size):
        if path == paths[2]:
            Image.fromarray(patches(1)[0]).save(path)
        return load(path, *size)

    monkeypatch.setattr(blocks, "load_picture", overtaken)
    with pytest.raises(InputError, match="stay as they are") as caught:
        predict(model, pictures, cache=tmp_path)
    assert caught.value.faults == (paths[2],)
    assert parts_of(tmp_path) == []


@pytest.mark.parametrize(("settled", "least"), [(0.0, 0.0), (60.0, 50.0)])
def test_a_fresh_picture_is_scored_only_when_its_time_would_tell_a_change(
    model, pictures, tmp_path, monkeypatch, settled, least
):
    """Whatever time of writing it was given, as by `cp -p`."""
    waits = []
    monkeypatch.setattr(blocks, "SETTLED", settled)
    monkeypatch.setattr("kerastl.inference.blocks.time.sleep", waits.append)
    for path in pictures.frame["image"]:
        os.utime(path, (1e9, 1e9))
    predict(model, pictures, cache=tmp_path)
    [waited] = waits
    assert least <= waited <= settled


def test_what_the_cache_cannot_keep_is_refused(model, pictures, tmp_path):
    with pytest.raises(InputError, match="an array of images"):
        predict(model, patches(1), cache=tmp_path)
    with pytest.raises(InputError, match=r"cache= with ray=: a folder that all machines"):
        predict(model, pictures, ray="auto")

    class Own:
        tasks, image_size, thresholds = TASKS, (16, 16), {}

    with pytest.raises(InputError, match=r"with cache=\. Received: Own"):
        predict(Own(), pictures, cache=tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="There can be no cache folder .*file"):
        predict(model, pictures, cache=tmp_path / "file")


def test_kept_scores_are_pruned_as_features_are(model, pictures, small_blocks, read, tmp_path):
    """Pruned by their last use, which a call that only reads them is too."""
    predict(model, pictures, cache=tmp_path / "c")
    [row] = list_store(tmp_path / "c").itertuples()
    assert (row.layer, row.pictures, row.shards) == ("predictions", 18, 5)
    assert verify_store(tmp_path / "c") == []
    used = tmp_path / "c" / "predictions" / row.prefix / "used"
    os.utime(used, (time.time() - 86400 * 9,) * 2)
    predict(model, pictures, cache=tmp_path / "c")
    assert prune_store(tmp_path / "c", older_than_days=1) == 0
    os.utime(used, (time.time() - 86400 * 9,) * 2)
    assert prune_store(tmp_path / "c", older_than_days=1) == row.bytes
    read.clear()
    predict(model, pictures, cache=tmp_path / "c")
    assert len(read) == 18


TWO = (Task("zone", ["a", "b", "c"]), Task("marks", ["u", "v"], "multilabel"))
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
    found = read_part(part, "k", TWO, 2)
    assert found.errors == SCORED.errors
    assert list(found.scores) == list(SCORED.scores)
    for name, values in SCORED.scores.items():
        assert found.scores[name].tobytes() == values.tobytes()
        assert found.scores[name].dtype == values.dtype


def test_it_is_given_for_nothing_else(part):
    others = [("j", TWO, 2), ("k", TWO[:1], 2), ("k", TWO[::-1], 2), ("k", TWO, 3),
              ("k", (TWO[0], Task("marks", ["u", "v", "w"], "multilabel")), 2)]  # fmt: skip
    for key, tasks, count in others:
        with pytest.raises(DamagedPart, match="of another block"):
            read_part(part, key, tasks, count)
    with pytest.raises(FileNotFoundError):
        read_part(part.with_name("none.part"), "k", TWO, 2)


def test_objects_are_never_loaded(part):
    data = io.BytesIO()
    np.savez(data, told=np.array([{"key": "k"}], object), scores0=np.zeros((2, 3)))
    content = data.getvalue()
    part.write_bytes(hashlib.blake2b(content, digest_size=16).digest() + content)
    with pytest.raises(DamagedPart, match="allow_pickle=False"):
        read_part(part, "k", TWO, 2)


@pytest.mark.parametrize("content", [b"", b"0", b"PK\x03\x04", b"[1]"])
def test_what_is_no_part_is_damaged(part, content):
    part.write_bytes(hashlib.blake2b(content, digest_size=16).digest() + content)
    with pytest.raises(DamagedPart):
        read_part(part, "k", TWO, 2)


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
