"""The store of features: what is found, what is made anew, and what a fault leaves behind."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from kerastl.errors import InputError
from kerastl.features.extraction import fill, held
from kerastl.features.store import index, shards
from kerastl.features.store.index import INDEX, contents, stamp
from kerastl.features.store.shards import ShardArray, read_shard, shard_files, sweep, write_shard
from kerastl.features.store.store import Store
from kerastl.features.store.upkeep import check_room, list_store, prune_store, size, verify_store
from tests.support.commands import ROOT
from tests.support.features import key, values

PREFIX = "a" * 32


def filled(folder, numbers=range(10), most=4, name=PREFIX):
    """A store of pictures in shards of four."""
    store = Store(folder / name, (1, 3), "float32", {"model": "m", "layer": "add", "shape": "1x3"})
    store._most = most
    store.add([key(n) for n in numbers], values(*numbers))
    store.finish()
    return store


def flip(path, place=-5):
    data = bytearray(path.read_bytes())
    data[place] ^= 4
    path.write_bytes(data)
    os.utime(path, ns=(1, 1))  # as a fault of the disk does not, a test may be too quick


def test_rows_come_back_in_any_order(tmp_path):
    store = filled(tmp_path)
    assert len(shard_files(store.folder)) == 3
    asked = [7, 0, 9, 9, 3]
    found = Store(store.folder, (1, 3), "float32", {}).array([key(n) for n in asked])
    np.testing.assert_array_equal(found, values(*asked))
    assert store.missing([key(n) for n in (3, 11, 11, 0)] + [None, None]) == [1, 4, 5]
    assert store.has([key(1), key(11), None]).tolist() == [True, False, False]


@pytest.mark.parametrize(
    "index",
    [0, -1, [2, 0], slice(1, 9, 2), slice(3, 3), (slice(None), 0), (4, 1), ([5, 1], [0, 1]),
     (slice(None), slice(1, 2)), ([9, 1], slice(None)), np.arange(10) > 4],
)  # fmt: skip
def test_the_array_indexes_as_numpy_does(tmp_path, index):
    plain = np.random.default_rng(0).normal(size=(10, 2, 3)).astype("float32")
    paths = [write_shard(tmp_path, [key(n) for n in part], plain[part], {})
             for part in (range(0, 6), range(6, 10))]  # fmt: skip
    number, row = np.repeat([0, 1], [6, 4]), np.r_[0:6, 0:4]
    array = ShardArray(paths, number, row, (2, 3), "float32")
    found = array[index]
    assert isinstance(found, np.ndarray)
    assert found.dtype == array.dtype
    np.testing.assert_array_equal(found, plain[index])
    assert (array.shape, array.ndim, len(array)) == ((10, 2, 3), 3, 10)


@pytest.mark.parametrize("fault", ["bit", "short", "gone", "json", "key", "swapped"])
def test_a_damaged_shard_is_found_and_its_rows_are_made_anew(tmp_path, fault, caplog):
    filled(tmp_path)
    first, second, _ = shard_files(tmp_path / PREFIX)
    lost = set(read_shard(first).keys)
    array = first.with_suffix(".npy")
    if fault == "bit":
        flip(array)
    elif fault == "short":
        os.truncate(array, array.stat().st_size - 4)
    elif fault == "gone":
        array.unlink()
    elif fault == "json":
        os.truncate(first, 40)
    elif fault == "key":
        told = json.loads(first.read_text())
        told["keys"] = told["keys"][::-1]
        first.write_text(json.dumps(told))
    else:
        array.write_bytes(second.with_suffix(".npy").read_bytes())
    damaged = verify_store(tmp_path)
    assert [path for path, _ in damaged] == [first]
    store = Store(tmp_path / PREFIX, (1, 3), "float32", {})
    keys = [key(n) for n in range(10)]
    missing = [keys[n] for n in store.missing(keys)]
    assert set(missing) == lost
    assert "made anew" in caplog.text
    assert not first.exists()
    store.add(missing, values(*[int(k) for k in missing]))
    store.finish()
    np.testing.assert_array_equal(store.array(keys), values(*range(10)))
    assert verify_store(tmp_path) == []


def test_a_shard_that_cannot_be_read_now_is_not_removed(tmp_path, monkeypatch):
    """As when a process has too many files open."""
    folder = filled(tmp_path, range(4)).folder

    def busy(path):
        raise OSError(24, "Too many open files")

    monkeypatch.setattr("kerastl.features.store.shards._checksum", busy)
    monkeypatch.setattr("kerastl.features.store.shards._verified", set())
    assert Store(folder, (1, 3), "float32", {}).missing([key(0)]) == [0]
    monkeypatch.undo()
    assert Store(folder, (1, 3), "float32", {}).missing([key(0)]) == []


def test_features_removed_while_in_use_are_told(tmp_path):
    store = filled(tmp_path, range(4))
    array = store.array([key(0)])
    prune_store(tmp_path, everything=True)
    with pytest.raises(InputError, match="in use were removed from the cache: .* Call again"):
        array[:]
    with pytest.raises(InputError, match="were removed from .* meanwhile. Call again"):
        store.array([key(0)])


def test_an_array_of_objects_is_never_loaded(tmp_path):
    """A shard with a checksum of its own making is still only numbers."""
    filled(tmp_path, range(1))
    file = shard_files(tmp_path / PREFIX)[0]
    np.save(tmp_path / "evil.npy", np.array([{}], object))
    data = (tmp_path / "evil.npy").read_bytes()
    told = json.loads(file.read_text())
    told["blake2b"] = hashlib.blake2b(data, digest_size=16).hexdigest()
    name = shards._name([key(0)], told["blake2b"])
    (tmp_path / PREFIX / f"{name}.npy").write_bytes(data)
    (tmp_path / PREFIX / f"{name}.json").write_text(json.dumps(told))
    file.unlink()
    [(path, cause)] = verify_store(tmp_path)
    assert (path.stem, "not that of an array of numbers" in cause) == (name, True)
    assert Store(tmp_path / PREFIX, (1, 3), "float32", {}).missing([key(0)]) == [0]


@pytest.mark.parametrize("dtype", ["float32", "float16", "float64", "uint8", "int64", "bool"])
@pytest.mark.parametrize("shape", [(3,), (2, 4), (1, 2, 3, 4)])
def test_a_shard_is_mapped_as_numpy_reads_it(tmp_path, dtype, shape):
    plain = np.arange(5 * np.prod(shape)).reshape(5, *shape).astype(dtype)
    path = write_shard(tmp_path, [key(n) for n in range(5)], plain, {})
    found = shards.map_shard(path)
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, np.load(path))


@pytest.mark.parametrize("broken", [b"", b"\x93NUMPY", b"GIF89a" * 40])
def test_a_file_that_is_no_array_of_numbers_is_not_mapped(tmp_path, broken):
    path = tmp_path / "some.npy"
    path.write_bytes(broken)
    with pytest.raises(shards.Damaged, match="not that of an array of numbers"):
        shards.map_shard(path)


def test_an_array_cut_short_is_not_mapped(tmp_path):
    path = write_shard(tmp_path, [key(0)], values(0), {})
    os.truncate(path, path.stat().st_size - 1)
    with pytest.raises(shards.Damaged, match="another size than an array of"):
        shards.map_shard(path)


def test_a_shard_of_another_shape_is_not_used(tmp_path):
    folder = filled(tmp_path).folder
    assert len(Store(folder, (1, 4), "float32", {}).missing([key(n) for n in range(10)])) == 10


def test_a_shard_without_its_json_does_not_exist(tmp_path):
    folder = filled(tmp_path, range(4)).folder
    shard_files(folder)[0].unlink()
    assert Store(folder, (1, 3), "float32", {}).missing([key(0)]) == [0]


def test_what_dead_processes_left_is_swept(tmp_path):
    folder = filled(tmp_path).folder
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    host = shards._HOST
    names = {who: folder / f".{h}.{pid}.0123abcd.tmp" for who, h, pid in (
        ("dead", host, dead.pid), ("live", host, os.getppid()), ("far", "elsewhere", 1),
        ("old", "elsewhere", 2))}  # fmt: skip
    for path in [*names.values(), folder / ".mine.tmp"]:
        path.touch()
    os.utime(names["old"], (1, 1))
    assert sweep(folder)
    left = {who for who, path in names.items() if path.exists()}
    assert left == {"live", "far"}
    assert (folder / ".mine.tmp").exists(), "no name of the store's"


def test_two_that_differ_do_not_touch_each_other(tmp_path):
    """The same pictures with other values, as of another engine, are a shard of their own."""
    store = filled(tmp_path, range(4))
    other = filled(tmp_path, range(4))
    assert len(shard_files(store.folder)) == 1, "equal work, equal name"
    other.add([key(n) for n in range(4)], values(5, 6, 7, 8))
    other.finish()
    assert len(shard_files(store.folder)) == 2
    found = np.asarray(Store(store.folder, (1, 3), "float32", {}).array([key(n) for n in range(4)]))
    assert any((found == values(*rows)).all() for rows in (range(4), range(5, 9)))
    assert verify_store(tmp_path) == []


@pytest.fixture
def settled(monkeypatch):
    """Files count as written a while ago, so that their change times tell a change."""
    monkeypatch.setattr(index, "SETTLED", 0)


@pytest.fixture
def read(monkeypatch):
    """The files whose content is read."""
    paths, digest = [], index.content_digest

    def noting(path):
        paths.append(path)
        return digest(path)

    monkeypatch.setattr(index, "content_digest", noting)
    return paths


def test_content_is_read_once(tmp_path, settled, read):
    paths = [str(tmp_path / f"{n}.png") for n in range(3)]
    for n, path in enumerate(paths):
        Path(path).write_bytes(b"%d" % n)
    first = contents(paths, tmp_path)
    assert len(set(first.keys)) == 3
    assert contents(paths, tmp_path) == first
    assert sorted(read) == paths
    (tmp_path / "moved.png").write_bytes(b"1")
    assert contents([str(tmp_path / "moved.png")], tmp_path).keys == first.keys[1:2]


@pytest.mark.parametrize("way", ["in place", "renamed", "no change time"])
def test_a_file_replaced_by_one_of_the_same_size_and_time_is_read_again(
    tmp_path, settled, monkeypatch, way
):
    if way == "no change time":
        monkeypatch.setattr(index, "_change_is_told", lambda status: False)
    path, new = tmp_path / "a.png", tmp_path / "new"
    path.write_bytes(b"1")
    os.utime(path, (1e9, 1e9))
    first = contents([str(path)], tmp_path)
    written = new if way == "renamed" else path
    time.sleep(0.02)  # a tick of the system's clock
    written.write_bytes(b"2")
    os.utime(written, (1e9, 1e9))
    os.replace(written, path)
    second = contents([str(path)], tmp_path)
    assert second.keys != first.keys
    assert second.stamps != first.stamps


def test_a_change_time_that_mirrors_the_time_of_writing_tells_nothing(tmp_path, monkeypatch, read):
    """As FAT and SFTP have it; where the two differ the system keeps one of its own."""
    path = tmp_path / "a.png"
    path.write_bytes(b"1")
    status = list(os.stat(path))
    monkeypatch.setattr(index, "_keeping_change_time", frozenset)
    told = os.stat_result(status, {"st_mtime_ns": 5, "st_ctime_ns": 5})
    assert not index._change_is_told(told)
    assert index._change_is_told(os.stat_result(status, {"st_mtime_ns": 5, "st_ctime_ns": 6}))
    monkeypatch.setattr(index.os, "stat", lambda _: told)
    assert stamp(str(path)) == stamp(str(path))
    assert len(read) == 2


def test_a_file_that_was_just_written_is_not_remembered(tmp_path):
    """A second writing within the clock's tick would have the same stamp."""
    (tmp_path / "a.png").write_bytes(b"1")
    os.utime(tmp_path / "a.png", (1e9, 1e9))
    contents([str(tmp_path / "a.png")], tmp_path)
    assert not (tmp_path / INDEX).exists()


@pytest.mark.parametrize("damage", [flip, lambda p: os.truncate(p, 40), lambda p: p.unlink()])
def test_a_damaged_index_only_costs_time(tmp_path, settled, damage):
    paths = [str(tmp_path / "a.png"), str(tmp_path / "b.png")]
    for path in paths:
        Path(path).write_text(path)
    first = contents(paths, tmp_path)
    damage(tmp_path / INDEX)
    assert contents(paths, tmp_path) == first


def test_the_budget_is_held_before_anything_is_made(tmp_path):
    filled(tmp_path)
    used = sum(p.stat().st_size for p in (tmp_path / PREFIX).iterdir())
    check_room(tmp_path, 100, used + 100)
    with pytest.raises(InputError) as caught:
        check_room(tmp_path, 5_000_000, used + 99)
    text = str(caught.value)
    assert "new features take 5.0 MB" in text
    assert f"of which {size(used)} are taken" in text
    assert "Choose a later cut, another cache folder or a larger budget" in text
    assert "m add 1x3: " in text
    check_room(tmp_path, 0, 0)  # what is there already may be used
    with pytest.raises(InputError, match="budget= in bytes"):
        check_room(tmp_path, 0, -1)


def test_the_disk_is_asked_before_it_is_full(tmp_path):
    with pytest.raises(InputError, match="the disk of .* GB free"):
        check_room(tmp_path / "new" / "folder", 10**18, None)


def test_a_cache_folder_that_cannot_be(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="There can be no cache folder"):
        Store(tmp_path / "file" / PREFIX, (1,), "float32", {})


def test_a_disk_that_is_full_after_all_is_told(tmp_path, monkeypatch):
    store = filled(tmp_path, range(4))

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("kerastl.features.store.shards.os.replace", full)
    store.add([key(9)], values(9))
    with pytest.raises(InputError, match="Nothing can be written .*: no space left on device"):
        store.finish()
    assert not list(store.folder.glob(".*.tmp"))


def test_list_verify_prune(tmp_path):
    names = ["1" * 32, "2" * 32, "3" * 32]
    for age, name in enumerate(names):
        filled(tmp_path, range(4 + age), name=name)
        os.utime(tmp_path / name / "used", (time.time() - 86400 * age,) * 2)
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / names[2] / "notes.txt").write_text("mine")
    listed = list_store(tmp_path)
    assert listed["prefix"].tolist() == names
    assert listed[["pictures", "shards"]].to_numpy().tolist() == [[4, 1], [5, 2], [6, 2]]
    assert (listed[["model", "layer", "shape"]] == ["m", "add", "1x3"]).all(axis=None)
    sizes = listed["bytes"].tolist()

    assert prune_store(tmp_path, keep_bytes=sum(sizes)) == 0
    assert prune_store(tmp_path, older_than_days=1.5) == sizes[2] - 4
    assert list_store(tmp_path)["prefix"].tolist() == names[:2]
    assert prune_store(tmp_path, keep_bytes=sizes[0] + 1) == sizes[1]
    live = tmp_path / names[0] / f".elsewhere.{os.getpid()}.0123abcd.tmp"
    live.touch()
    assert prune_store(tmp_path, everything=True) == 0, "a shard is being written there"
    live.unlink()
    assert prune_store(tmp_path, everything=True) == sizes[0]
    assert sorted(p.name for p in tmp_path.rglob("*")) == [names[2], "notes.txt", "notes.txt"]
    assert len(list_store(tmp_path)) == 0


@pytest.mark.parametrize(
    ("options", "received"),
    [({}, "none"), ({"everything": True, "keep_bytes": 1}, "keep_bytes and everything")],
)
def test_prune_wants_one_of_three(tmp_path, options, received):
    with pytest.raises(InputError, match=f"Expected one of .* Received: {received}"):
        prune_store(tmp_path, **options)
    with pytest.raises(InputError, match="keep_bytes is -1"):
        prune_store(tmp_path, keep_bytes=-1)
    with pytest.raises(InputError, match="There is no cache folder"):
        list_store(tmp_path / "nothing")


def test_features_pruned_while_they_are_made_are_made_again(tmp_path):
    store, calls = filled(tmp_path, []), []

    def make(rows):
        calls.append(rows.tolist())
        yield rows, values(*rows)
        if len(calls) == 1:
            store.finish()
            prune_store(tmp_path, everything=True)

    assert fill(store, [key(n) for n in range(6)], make).tolist() == list(range(6))
    assert calls[0] == list(range(6))
    assert len(calls) == 2


def test_a_picture_that_changes_meanwhile_is_told(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(b"1")
    store = Store(tmp_path / PREFIX, (1, 3), "float32", {})

    def make(rows):
        path.write_bytes(b"other")
        yield rows, values(*rows)

    found = contents([str(path)], tmp_path)
    with pytest.raises(InputError, match="Pictures changed while they were read"):
        fill(store, found.keys, held(make, [str(path)], found))
    assert not shard_files(store.folder)


def test_a_picture_that_another_machine_stamps_otherwise_is_the_same(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(b"1")
    store = Store(tmp_path / PREFIX, (1, 3), "float32", {})
    found = contents([str(path)], tmp_path)._replace(stamps=[b"other"])
    rows = fill(store, found.keys, held(lambda rows: [(rows, values(*rows))], [str(path)], found))
    assert rows.tolist() == [0]


WORKER = """
import sys, time
import numpy as np
from kerastl.features.extraction import fill
from kerastl.features.store.store import Store
from tests.support.features import key, values
folder, log, pause, count = sys.argv[1], sys.argv[2], float(sys.argv[3]), int(sys.argv[4])
from pathlib import Path
store = Store(Path(folder), (1, 3), "float32", {})
store._most = 8
def make(rows):
    for start in range(0, len(rows), 3):
        part = rows[start : start + 3]
        with open(log, "a") as file:
            file.write("".join(f"{n}\\n" for n in part))
        time.sleep(pause)
        yield part, values(*part)
rows = fill(store, [key(n) for n in range(count)], make)
assert rows.tolist() == list(range(count)), rows
"""


def worker(folder, log, pause, count):
    return subprocess.Popen(
        [sys.executable, "-c", WORKER, str(folder), str(log), str(pause), str(count)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


@pytest.mark.slow
def test_killed_at_any_moment_nothing_finished_is_done_twice(tmp_path):
    folder, count = tmp_path / PREFIX, 120
    draw, finished = np.random.default_rng(4), set()
    for round_ in range(5):
        log = tmp_path / f"{round_}.log"
        process = worker(folder, log, 0.01, count)
        while not log.exists() and process.poll() is None:
            time.sleep(0.005)
        time.sleep(draw.uniform(0, 0.12))
        process.send_signal(signal.SIGKILL)
        process.wait()
        made = {int(n) for n in log.read_text().split()} if log.exists() else set()
        assert not made & finished
        there = Store(folder, (1, 3), "float32", {}).has([key(n) for n in range(count)])
        assert finished <= set(np.flatnonzero(there))
        finished = set(np.flatnonzero(there))
    assert 0 < len(finished) < count, "the moments were no test"
    assert worker(folder, tmp_path / "last.log", 0, count).wait() == 0
    made = [int(n) for n in (tmp_path / "last.log").read_text().split()]
    assert sorted(made) == sorted(set(range(count)) - finished)
    array = Store(folder, (1, 3), "float32", {}).array([key(n) for n in range(count)])
    np.testing.assert_array_equal(array, values(*range(count)))
    assert not list(folder.glob(".*.tmp"))


def test_two_processes_at_once(tmp_path):
    folder, count = tmp_path / PREFIX, 60
    both = [worker(folder, tmp_path / f"{n}.log", 0.002, count) for n in range(2)]
    assert [process.wait() for process in both] == [0, 0]
    array = Store(folder, (1, 3), "float32", {}).array([key(n) for n in range(count)])
    np.testing.assert_array_equal(array, values(*range(count)))
    assert verify_store(tmp_path) == []
    assert list_store(tmp_path)["pictures"].tolist() == [count]
