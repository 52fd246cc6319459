import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from kerastl.augmentation import augmenter
from kerastl.cuts import split
from kerastl.errors import InputError
from kerastl.features import deepen, extract_features, feature_bytes
from kerastl.readers import read_folder


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


def test_stored_features_are_used_again(parts, tmp_path):
    manifest = read_folder(folder_of(tmp_path))
    first = extract_features(parts.prefix, manifest, tasks=manifest.tasks, cache=tmp_path / "c")
    again = read_folder(tmp_path / "pictures")
    untouched = {p: p.stat().st_mtime_ns for p in (tmp_path / "c").iterdir()}
    found = extract_features(parts.prefix, again, tasks=again.tasks, cache=tmp_path / "c")
    np.testing.assert_array_equal(found.values, first.values)
    np.testing.assert_array_equal(found.labels["label"], first.labels["label"])
    assert len(found.rows) == 12
    assert list(again.skipped.values()) == ["not a picture"]
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "c").iterdir()} == untouched


@pytest.mark.parametrize("change", ["weights", "picture"])
def test_stale_features_are_never_used(network, tmp_path, change):
    model = network()
    prefix = split(model, "add").prefix
    manifest = read_folder(folder_of(tmp_path))
    first = extract_features(prefix, manifest, cache=tmp_path / "c").values.copy()
    if change == "weights":
        model.get_layer("conv1").bias.assign_add(np.ones(8))
    else:
        Image.new("RGB", (16, 16), "white").save(tmp_path / "pictures" / "b" / "0.png")
    second = extract_features(prefix, manifest, cache=tmp_path / "c").values
    assert np.abs(first - second).max() > 0


def test_features_are_known_by_what_augments_them(parts, tmp_path):
    manifest = read_folder(folder_of(tmp_path))

    def stored(augment, seed=0):
        change = augmenter(augment, seed)
        extract_features(parts.prefix, manifest, cache=tmp_path / "c", views=2, augment=change)
        return len(list((tmp_path / "c").glob("*.npy")))

    assert stored(keras.layers.RandomFlip()) == 1
    assert stored(keras.layers.RandomFlip(seed=3)) == 1, "its own seed is replaced"
    assert stored(keras.layers.RandomFlip("vertical")) == 2
    assert stored(keras.layers.RandomFlip(), seed=1) == 3
    own = extract_features(parts.prefix, manifest, cache=tmp_path / "own", augment=lambda x: x)
    assert len(own.values) == 12
    assert not (tmp_path / "own").exists(), "a function that cannot be told from others"


def test_an_unfinished_file_is_not_mistaken_for_features(parts, tmp_path, monkeypatch):
    manifest = read_folder(folder_of(tmp_path))

    def interrupt(done, count):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        extract_features(parts.prefix, manifest, cache=tmp_path / "c", progress=interrupt)
    found = extract_features(parts.prefix, manifest, cache=tmp_path / "c")
    assert len(found.values) == 12
    about = [json.loads(p.read_text()) for p in (tmp_path / "c").glob("*.json")]
    assert len(about) == 1


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
    with pytest.raises(InputError, match="no picture that could be read") as caught:
        extract_features(parts.prefix, manifest)
    assert all("empty file" in fault or "not a picture" in fault for fault in caught.value.faults)


def test_feature_bytes(parts):
    assert feature_bytes(parts.prefix, 10, views=2) == 10 * 2 * 8 * 8 * 8 * 4
