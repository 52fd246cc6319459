import os
import signal
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from PIL import Image

from kerastl.data.manifest import Manifest
from kerastl.data.readers.tabular import read_folder
from kerastl.data.tasks import Task
from kerastl.errors import InputError
from kerastl.features.extract import deepen, extract_features, feature_bytes
from kerastl.features.store import index
from kerastl.features.store.upkeep import list_store
from kerastl.models.cuts import split
from kerastl.models.graph import replay
from kerastl.training.augmentation import augmenter
from tests.support.commands import ROOT
from tests.support.swapped import bitmaps, swap


@pytest.fixture
def parts(network):
    return split(network(), "add")


def test_features_are_the_prefix_of_the_pictures(parts, striped):
    images, _ = striped(10)
    found = extract_features(parts.prefix, images, batch_size=4)
    assert found.values.shape == (10, 1, 8, 8, 8)
    np.testing.assert_allclose(
        found.values[:, 0], parts.prefix(images.astype("float32")), atol=1e-5
    )
    assert found.rows.tolist() == list(range(10))


def test_deeper_features_are_made_from_earlier_ones(network, striped):
    model, (images, _) = network(), striped(10)
    early = extract_features(split(model, "add").prefix, images)
    middle = split(split(model, "add").tail, "norm2").prefix
    straight = extract_features(split(model, "norm2").prefix, images)
    np.testing.assert_allclose(deepen(early, middle).values, straight.values, atol=1e-5)


def test_a_dataset_need_not_know_its_length(parts, striped):
    images, _ = striped(30)

    def some():
        yield from (images[i : i + 7] for i in range(0, 30, 7))

    data = tf.data.Dataset.from_generator(
        some, output_signature=tf.TensorSpec((None, 16, 16, 3), tf.uint8)
    )
    found = extract_features(parts.prefix, data)
    np.testing.assert_array_equal(found.values, extract_features(parts.prefix, images).values)


def test_views_are_drawn_by_seed(parts, striped):
    images, _ = striped(6)
    flip = keras.layers.RandomFlip("horizontal")

    def views(seed):
        change = augmenter(flip, seed)
        return extract_features(parts.prefix, images, views=4, augment=change).values

    first = views(1)
    assert first.shape[:2] == (6, 4)
    np.testing.assert_array_equal(first, views(1))
    assert np.abs(first - views(2)).max() > 0
    plain, turned = (
        extract_features(parts.prefix, x).values[:, 0] for x in (images, images[:, :, ::-1])
    )
    for view in range(4):
        near = [np.abs(first[:, view] - x).max(axis=(1, 2, 3)) < 1e-3 for x in (plain, turned)]
        assert np.all(near[0] | near[1])


def folder_of(tmp_path, count=12):
    for i in range(count):
        kind = tmp_path / "pictures" / ("a" if i % 2 else "b")
        kind.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (16, 16), (i * 20, i, 0)).save(kind / f"{i}.png")
    (tmp_path / "pictures" / "a" / "broken.png").write_bytes(b"no picture")
    return tmp_path / "pictures"


def stored(folder):
    """The shards of a cache folder with their times."""
    return {p: p.stat().st_mtime_ns for p in folder.glob("*/*.npy")}


def pictures_made(*arguments, **options):
    """Features, and how many pictures were run for them."""
    done = []
    options["progress"] = lambda *counts: done.append(counts)
    found = extract_features(*arguments, batch_size=1, **options)
    return found, len(done)


def test_stored_features_are_used_again(parts, tmp_path):
    manifest = read_folder(folder_of(tmp_path))
    options = {"tasks": manifest.tasks, "cache": tmp_path / "c"}
    first = extract_features(parts.prefix, manifest, **options)
    again = read_folder(tmp_path / "pictures")
    untouched = stored(tmp_path / "c")
    found, made = pictures_made(parts.prefix, again, **options)
    assert made == 0
    np.testing.assert_array_equal(found.values, first.values)
    np.testing.assert_array_equal(found.labels["label"], first.labels["label"])
    assert len(found.rows) == 12
    assert list(again.skipped.values()) == ["not a picture"]
    assert stored(tmp_path / "c") == untouched
    plain = extract_features(parts.prefix, manifest, tasks=manifest.tasks)
    np.testing.assert_allclose(found.values, plain.values, atol=1e-6)
    np.testing.assert_array_equal(found.rows, plain.rows)


def test_pictures_are_known_by_their_content(parts, tmp_path):
    manifest = read_folder(folder_of(tmp_path))
    some = manifest.take(range(0, len(manifest), 2))
    first, made = pictures_made(parts.prefix, some, cache=tmp_path / "c")
    assert made == len(first.rows)
    everything, more = pictures_made(parts.prefix, manifest, cache=tmp_path / "c")
    assert (len(everything.rows), made + more) == (12, 12)
    moved = tmp_path / "moved"
    (tmp_path / "pictures").rename(moved)
    (moved / "a" / "copy.png").write_bytes((moved / "b" / "0.png").read_bytes())
    (moved / "a" / "broken too.png").write_bytes((moved / "a" / "broken.png").read_bytes())
    again = read_folder(moved)
    found, made = pictures_made(parts.prefix, again, cache=tmp_path / "c")
    assert made == 0
    assert len(found.rows) == 13
    assert {Path(p).name for p in again.skipped} == {"broken.png", "broken too.png"}
    plain = extract_features(parts.prefix, again)
    np.testing.assert_allclose(found.values, plain.values, atol=1e-6)


def test_the_same_network_built_twice_finds_its_features(network, tmp_path):
    """Keras counts the names of layers up, and what is trainable decides nothing here."""
    manifest = read_folder(folder_of(tmp_path))

    def built(activation="relu"):
        x = keras.Input((16, 16, 3))
        y = keras.layers.Conv2D(4, 3, activation=activation, kernel_initializer="ones")(x)
        return keras.Model(x, keras.layers.GlobalAveragePooling2D()(y))

    one, two = built(), built()
    one.trainable = False
    assert one.layers[1].name != two.layers[1].name
    assert pictures_made(one, manifest, cache=tmp_path / "c")[1] == 12
    assert pictures_made(two, manifest, cache=tmp_path / "c")[1] == 0
    assert pictures_made(built("gelu"), manifest, cache=tmp_path / "c")[1] == 12


@pytest.mark.parametrize("change", ["weights", "picture", "swapped", "size", "dtype", "engine"])
def test_stale_features_are_never_used(network, tmp_path, monkeypatch, change):
    model = network()
    prefix = split(model, "add").prefix
    manifest = read_folder(folder_of(tmp_path))
    bitmaps(tmp_path.glob("pictures/b/*"))
    monkeypatch.setattr(index, "SETTLED", 0)
    first = np.asarray(extract_features(prefix, manifest, cache=tmp_path / "c").values)
    options = {"cache": tmp_path / "c"}
    if change == "weights":
        model.get_layer("conv1").bias.assign_add(np.ones(8))
    elif change == "picture":
        Image.new("RGB", (16, 16), "white").save(tmp_path / "pictures" / "b" / "0.png")
    elif change == "swapped":
        swap(tmp_path / "pictures" / "b" / "0.png")
    elif change == "size":
        x = keras.Input((8, 8, 3))
        prefix = keras.Model(x, replay(prefix, x))
    else:
        options[change] = {"dtype": "float16", "engine": "keras"}[change]
    found, made = pictures_made(prefix, manifest, **options)
    assert made == (1 if change in ("picture", "swapped") else 12)
    if change in ("weights", "picture", "swapped"):
        assert np.abs(first - found.values).max() > 0


def test_features_are_known_by_what_augments_them(parts, tmp_path):
    manifest = read_folder(folder_of(tmp_path))

    def kept(augment, seed=0):
        change = augmenter(augment, seed)
        extract_features(parts.prefix, manifest, cache=tmp_path / "c", views=2, augment=change)
        return len(list_store(tmp_path / "c"))

    assert kept(keras.layers.RandomFlip()) == 1
    assert kept(keras.layers.RandomFlip(seed=3)) == 1, "its own seed is replaced"
    assert kept(keras.layers.RandomFlip("vertical")) == 2
    assert kept(keras.layers.RandomFlip(), seed=1) == 3
    own = extract_features(parts.prefix, manifest, cache=tmp_path / "own", augment=lambda x: x)
    assert len(own.values) == 12
    assert not (tmp_path / "own").exists(), "a function that cannot be told from others"


def test_views_from_the_store_are_those_in_memory(parts, tmp_path):
    manifest = read_folder(folder_of(tmp_path))
    found = [
        extract_features(parts.prefix, manifest, views=3, cache=cache,
                         augment=augmenter(keras.layers.RandomFlip(), 1))
        for cache in (None, tmp_path / "c")
    ]  # fmt: skip
    np.testing.assert_allclose(found[1].values, found[0].values, atol=1e-6)
    assert found[1].values[:, :2].shape == (12, 2, 8, 8, 8)


def test_interrupted_features_are_kept(parts, tmp_path):
    manifest = read_folder(folder_of(tmp_path))

    def interrupt(done, count):
        if done == 6:
            raise KeyboardInterrupt

    options = {"cache": tmp_path / "c", "batch_size": 2}
    with pytest.raises(KeyboardInterrupt):
        extract_features(parts.prefix, manifest, progress=interrupt, **options)
    found, made = pictures_made(parts.prefix, manifest, cache=tmp_path / "c")
    assert (len(found.values), made) == (12, 6)
    np.testing.assert_allclose(
        found.values, extract_features(parts.prefix, manifest).values, atol=1e-6
    )


def test_deeper_features_are_stored_as_if_made_straight(network, tmp_path):
    model, manifest = network(), read_folder(folder_of(tmp_path))
    early = extract_features(split(model, "add").prefix, manifest, cache=tmp_path / "c")
    middle = split(split(model, "add").tail, "norm2").prefix
    later = split(model, "norm2").prefix
    found = extract_features(later, manifest, cache=tmp_path / "c", earlier=(early, middle))
    np.testing.assert_array_equal(found.rows, early.rows)
    np.testing.assert_allclose(found.values, extract_features(later, manifest).values, atol=1e-5)
    assert pictures_made(later, manifest, cache=tmp_path / "c")[1] == 0
    in_memory = extract_features(later, manifest, earlier=(early, middle))
    np.testing.assert_allclose(found.values, in_memory.values, atol=1e-6)


def test_memory_does_not_grow_with_the_pictures(tmp_path, monkeypatch):
    """4 KiB of picture become 192 KiB of features; a shard has 2 MiB."""
    monkeypatch.setattr("kerastl.features.store.store.SHARD_BYTES", 2 * 1024**2)
    x = keras.Input((16, 16, 3))
    prefix = keras.Model(x, keras.layers.UpSampling2D(8)(x))
    for i in range(200):
        Image.new("RGB", (16, 16), (i, i, 0)).save(tmp_path / f"{i}.png")
    frame = pd.DataFrame({"image": [str(tmp_path / f"{i}.png") for i in range(200)], "t": 0})
    manifest = Manifest(frame, Task("t", ["a", "b"]))

    def peak(count, folder):
        tracemalloc.start()
        some = manifest.take(range(count))
        found = extract_features(
            prefix, some, engine="keras", cache=tmp_path / folder, batch_size=8
        )
        top = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert found.values.shape == (count, 1, 128, 128, 3)
        return top

    peak(10, "first")  # what Keras loads on first use
    small, large = peak(50, "small"), peak(200, "large")
    assert large - small < 3e6, "150 pictures more have 29 MB of features"
    one = extract_features(prefix, manifest.take([7]), engine="keras", cache=tmp_path / "large")
    assert np.asarray(one.values)[0, 0, 5, 5].tolist() == [7, 7, 0]


CHILD = """
import sys, time
import kerastl.features.store.store
from tests.support.networks import small_network
from kerastl.models.cuts import split
from kerastl.features.extract import extract_features
from kerastl.data.readers.tabular import read_folder
kerastl.features.store.store.SHARD_ROWS = 3
print("ready", flush=True)
extract_features(split(small_network(), "add").prefix, read_folder(sys.argv[1]), batch_size=1,
                 cache=sys.argv[2], progress=lambda *_: time.sleep(0.2))
"""


def test_killed_and_called_again_is_as_if_it_never_stopped(parts, tmp_path):
    pictures, cache = folder_of(tmp_path), tmp_path / "c"
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(pictures), str(cache)], stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    while len(list(cache.glob("*/*.json"))) < 2 and child.poll() is None:
        time.sleep(0.02)
    child.send_signal(signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL
    kept = int(list_store(cache)["pictures"].sum())
    found, made = pictures_made(parts.prefix, read_folder(pictures), cache=cache)
    assert 6 <= kept < 12
    assert made == 12 - kept
    plain = extract_features(parts.prefix, read_folder(pictures))
    np.testing.assert_allclose(found.values, plain.values, atol=1e-6)


def test_a_budget_too_small_is_said_before_anything_is_made(parts, tmp_path):
    manifest = read_folder(folder_of(tmp_path))
    with pytest.raises(InputError, match="features take 28.3 kB, and the budget is 20.0 kB"):
        extract_features(parts.prefix, manifest, cache=tmp_path / "c", budget=20_000)
    assert not list((tmp_path / "c").glob("*/*.npy"))
    found = extract_features(parts.prefix, manifest, cache=tmp_path / "c", budget=40_000)
    assert len(found.rows) == 12
    extract_features(parts.prefix, manifest, cache=tmp_path / "c", budget=40_000)


def test_an_endless_dataset_is_refused(parts, striped):
    data = tf.data.Dataset.from_tensor_slices(striped(4)[0]).batch(2).repeat()
    with pytest.raises(InputError, match="a dataset that ends; this one repeats for ever"):
        extract_features(parts.prefix, data)


def test_a_prefix_for_any_size_is_refused():
    x = keras.Input((None, None, 3))
    prefix = keras.Model(x, keras.layers.Conv2D(2, 3)(x))
    with pytest.raises(InputError, match="one size of pictures. Received: one for .None, None, 3"):
        extract_features(prefix, np.zeros((1, 8, 8, 3), "uint8"))


def test_a_dtype_that_is_none_of_two(parts, striped):
    with pytest.raises(InputError, match="float32 or float16. Received: 'int8'"):
        extract_features(parts.prefix, striped(2)[0], dtype="int8")


def test_the_tasks_are_checked_though_all_is_stored(parts, tmp_path):
    manifest = read_folder(folder_of(tmp_path))
    extract_features(parts.prefix, manifest, cache=tmp_path / "c")
    with pytest.raises(InputError, match="The manifest has no task other"):
        extract_features(
            parts.prefix, manifest, cache=tmp_path / "c", tasks=(Task("other", ["a", "b"]),)
        )


def test_progress_counts_the_pictures(parts, striped):
    seen = []
    images, _ = striped(10)
    extract_features(
        parts.prefix, images, batch_size=4, progress=lambda done, count: seen.append((done, count))
    )
    assert seen == [(4, 10), (8, 10), (10, 10)]


def test_views_need_an_augmentation(parts, striped):
    with pytest.raises(InputError, match="views=1, or augment= with views > 1. Received: views=2"):
        extract_features(parts.prefix, striped(2)[0], views=2)


def test_no_picture_that_could_be_read(parts, tmp_path):
    manifest = read_folder(folder_of(tmp_path, 4))
    for path in manifest.frame["image"]:
        open(path, "wb").close()
    for cache in (None, tmp_path / "c"):
        with pytest.raises(InputError, match="no picture that could be read") as caught:
            extract_features(parts.prefix, manifest, cache=cache)
        faults = caught.value.faults
        assert len(faults) == 5
        assert all("empty file" in fault or "not a picture" in fault for fault in faults)


def test_feature_bytes(parts):
    assert feature_bytes(parts.prefix, 10, views=2) == 10 * 2 * 8 * 8 * 8 * 4
