"""Features made block by block: as if made in one go, here and on a cluster."""

import shutil
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kerastl.data.manifest import Manifest
from kerastl.errors import InputError
from kerastl.features import blocks, extraction
from kerastl.features.blocks import Job, in_blocks
from kerastl.features.extract import extract_features
from kerastl.features.extraction import complete
from kerastl.features.recipe import Recipe
from kerastl.features.store.index import contents
from kerastl.features.store.shards import read_shard, shard_files
from kerastl.features.store.store import ENGINE, NETWORK, Store
from kerastl.features.store.upkeep import list_store, prune_store
from tests.support.features import COUNT, TASK, drawing, listed, options, worked
from tests.support.networks import stripes
from tests.support.two_nodes import importable, ray_warnings, two_nodes

pytestmark = ray_warnings


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    for module in (blocks, extraction):
        monkeypatch.setattr(module, "BLOCK", 10)


def pictures(folder, count=COUNT):
    folder.mkdir(exist_ok=True)
    for n, image in enumerate(stripes(count)[0]):
        Image.fromarray(image).save(folder / f"{n}.png")
    return listed(folder, count)


@pytest.fixture
def data(tmp_path):
    return pictures(tmp_path / "pictures")


def stored_keys(cache):
    return Counter(k for f in cache.glob("*/") for s in shard_files(f) for k in read_shard(s).keys)


@pytest.mark.parametrize("drawn", [True, False])
def test_in_memory_in_a_store_and_in_blocks_are_the_same(data, tmp_path, drawn):
    recipe = drawing() if drawn else Recipe(drawing().prefix, batch_size=4)
    memory = extract_features(recipe.prefix, data, **options(recipe))
    here = extract_features(recipe.prefix, data, cache=tmp_path / "a", **options(recipe))
    seen = []
    rows, values = worked(recipe, data, tmp_path / "b", progress=lambda *n: seen.append(n))
    np.testing.assert_array_equal(memory.values, here.values)
    np.testing.assert_array_equal(memory.values, values)
    assert rows.tolist() == memory.rows.tolist() == list(range(COUNT))
    assert seen == [(10, 30), (20, 30), (30, 30)]
    assert stored_keys(tmp_path / "b") == dict.fromkeys(stored_keys(tmp_path / "a"), 1)
    again = extract_features(recipe.prefix, data, cache=tmp_path / "b", **options(recipe))
    np.testing.assert_array_equal(again.values, values)
    assert not (tmp_path / "b" / recipe.key / ENGINE).exists(), "too few pictures to choose by"


def test_only_blocks_that_lack_something_are_worked_on(data, tmp_path):
    recipe = drawing()
    whole = extract_features(recipe.prefix, data, **options(recipe)).values
    extract_features(recipe.prefix, data.take(range(10)), cache=tmp_path, **options(recipe))
    seen = []
    _, values = worked(recipe, data.take(range(20)), tmp_path, progress=lambda *n: seen.append(n))
    assert seen == [(20, 20)]
    np.testing.assert_array_equal(values, whole[:20])
    seen.clear()
    worked(recipe, data.take(range(20)), tmp_path, progress=lambda *n: seen.append(n))
    assert seen == []


def test_a_block_that_is_done_again_costs_nothing(data, tmp_path):
    """As when a node dies after it has published, and before it could say so."""
    recipe = drawing()
    worked(recipe, data, tmp_path)
    folder = tmp_path / recipe.key
    before = {p: p.stat().st_mtime_ns for p in shard_files(folder)}
    job = Job(folder, {}, "keras", {k: v for k, v in options(recipe).items() if k != "engine"})
    found = contents(data.frame["image"].tolist(), tmp_path)
    worker = job()
    made = worker(blocks._block(data, found, np.arange(10, 20), 10))
    assert made.rows == list(range(10, 20))
    assert worker.prepare.engine is None
    assert {p: p.stat().st_mtime_ns for p in shard_files(folder)} == before


def test_copies_of_a_picture_are_made_once_and_causes_come_back(data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    relative = data.frame.assign(image=[f"pictures/{n}.png" for n in range(COUNT)])
    data = Manifest(relative, TASK)
    shutil.copy("pictures/3.png", "pictures/25.png")
    for n in (4, 14):
        (tmp_path / "pictures" / f"{n}.png").write_bytes(b"no picture")
    (tmp_path / "pictures" / "20.png").unlink()
    recipe = drawing()
    rows, values = worked(recipe, data, tmp_path / "c")
    assert sorted(set(range(COUNT)) - set(rows)) == [4, 14, 20]
    assert set(data.skipped) <= {f"pictures/{n}.png" for n in (4, 14, 20)}
    assert data.skipped["pictures/20.png"] == "no such file"
    assert set(stored_keys(tmp_path / "c").values()) == {1}
    place = {n: at for at, n in enumerate(rows)}
    np.testing.assert_array_equal(values[place[3]], values[place[25]])
    here = extract_features(recipe.prefix, data, cache=tmp_path / "d", **options(recipe))
    np.testing.assert_array_equal(here.values, values)


def test_no_picture_that_can_be_read(data, tmp_path):
    for path in data.frame["image"]:
        Path(path).write_text(path)
    rows, _ = worked(drawing(), data, tmp_path / "c")
    assert not len(rows)
    assert len(data.skipped) == COUNT


def test_a_picture_that_changes_meanwhile_is_told(data, tmp_path):
    recipe = drawing(engine="keras")
    store = Store(tmp_path / recipe.key, recipe.shape, recipe.dtype, recipe.about)
    found = contents(data.frame["image"].tolist(), tmp_path)
    Image.new("RGB", (16, 16)).save(data.frame["image"][12])
    with pytest.raises(InputError, match="Pictures changed while they were read") as caught:
        complete(store, found.keys, in_blocks(recipe, data, found, store, None))
    assert list(caught.value.faults) == [data.frame["image"][12]]
    assert sum(stored_keys(tmp_path).values()) >= 10, "the block before is kept"


def test_a_budget_is_held_before_anything_is_made(data, tmp_path):
    with pytest.raises(InputError, match="and the budget is 1.0 kB"):
        worked(drawing(), data, tmp_path, budget=1000)
    assert not stored_keys(tmp_path)


@pytest.mark.parametrize("there", [True, False])
def test_a_worker_that_cannot_read_the_network(tmp_path, there):
    if there:
        (tmp_path / NETWORK).write_bytes(b"no network")
    with pytest.raises(InputError, match="A worker cannot read the network .* same path"):
        Job(tmp_path, {}, "keras", {})()


def test_pruning_leaves_nothing(data, tmp_path):
    worked(drawing(), data, tmp_path / "c")
    assert len(list_store(tmp_path / "c")) == 1
    prune_store(tmp_path / "c", everything=True)
    assert not list((tmp_path / "c").iterdir())


def test_a_cluster_needs_a_store(data, striped, tmp_path):
    prefix = drawing().prefix
    with pytest.raises(InputError, match="With ray= features go") as caught:
        extract_features(prefix, striped(2)[0], ray="auto", augment=lambda x: x)
    assert [fault.split()[0] for fault in caught.value.faults] == ["cache=", "images", "augment="]
    with pytest.raises(InputError, match="cache= is None: give a folder that all machines see"):
        extract_features(prefix, data, ray="auto")


def test_an_address_where_nobody_answers(data, tmp_path):
    with pytest.raises(InputError, match="No Ray cluster answers at '127.0.0.1:9'"):
        extract_features(drawing().prefix, data, cache=tmp_path / "c", ray="127.0.0.1:9")


CHILD = """
import os, signal, sys
from pathlib import Path
import kerastl.features.store.store
from kerastl.features import blocks
from kerastl.features import extraction
from kerastl.features.extract import extract_features
from tests.support.features import drawing, listed, options, worked
how, folder, most = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
blocks.BLOCK = extraction.BLOCK = 10
kerastl.features.store.store.SHARD_ROWS = 3
recipe, data = drawing(), listed(folder / "pictures")
def die(done, count):
    if done >= most:
        os.kill(os.getpid(), signal.SIGKILL)
if how == "here":
    extract_features(recipe.prefix, data, cache=folder / "c", progress=die, **options(recipe))
else:
    worked(recipe, data, folder / "c", progress=die)
"""


@pytest.mark.parametrize(("how", "most"), [("here", 13), ("blocks", 20)])
def test_killed_with_views_and_repeated_is_as_if_it_never_stopped(data, tmp_path, how, most):
    recipe = drawing()
    straight = extract_features(recipe.prefix, data, cache=tmp_path / "other", **options(recipe))
    with importable():
        child = [sys.executable, "-c", CHILD, how, str(tmp_path), str(most)]
        assert subprocess.run(child, stderr=subprocess.DEVNULL).returncode == -signal.SIGKILL
    kept = len(stored_keys(tmp_path / "c"))
    assert kept == {"here": 12, "blocks": 20}[how], "a batch of four is stored in part"
    seen = []
    found = extract_features(
        recipe.prefix, data, cache=tmp_path / "c", progress=lambda *n: seen.append(n),
        **options(recipe),
    )  # fmt: skip
    assert seen[0][0] > kept
    np.testing.assert_array_equal(found.values, straight.values)
    assert set(stored_keys(tmp_path / "c").values()) == {1}


@pytest.mark.slow
def test_a_node_dies_and_all_is_as_without_a_cluster(tmp_path, monkeypatch):
    monkeypatch.undo()  # workers have blocks of full size
    data = pictures(tmp_path / "pictures", 6 * blocks.BLOCK + 100)
    (tmp_path / "pictures" / "2000.png").write_bytes(b"no picture")
    recipe, seen = drawing(batch_size=32), []
    alone = extract_features(recipe.prefix, data, cache=tmp_path / "alone", **options(recipe))
    with two_nodes() as (address, kill):

        def progress(done, count):
            seen.append(done)
            if len(seen) == 2:
                kill()

        data.skipped.clear()
        found = extract_features(
            recipe.prefix, data, cache=tmp_path / "c", ray=address, progress=progress,
            **options(recipe),
        )  # fmt: skip
    assert len(seen) == 7
    np.testing.assert_array_equal(found.values, alone.values)
    assert found.rows.tolist() == alone.rows.tolist()
    assert list(data.skipped.values()) == ["not a picture"]
    assert stored_keys(tmp_path / "c") == Counter(alone.keys)
