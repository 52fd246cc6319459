"""A fit on stored features is the fit on the pictures, for every depth and form of data."""

import logging
from dataclasses import replace

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from PIL import Image

from kerastl.data.manifest import Manifest
from kerastl.data.readers.solar_cells import read_solar_cells
from kerastl.data.readers.tabular import read_folder
from kerastl.data.tasks import Task
from kerastl.errors import InputError
from kerastl.models.factories import classifier, multitask_classifier
from kerastl.training.fitting import fit
from tests.support.networks import small_network

QUIET = {"verbose": 0, "batch_size": 16}


@pytest.fixture
def data(striped):
    return striped(80)


def make(network, trainable="stage1", **options):
    return classifier(network(), ["across", "down"], trainable=trainable, **options)


def weights(model):
    return np.concatenate([w.ravel() for w in model.get_weights()])


def same(one, other):
    """Two fits, each a model with its History, ended on the same weights by the same way."""
    np.testing.assert_allclose(weights(one[0]), weights(other[0]), atol=1e-5)
    ours, theirs = (pd.DataFrame(h.history) for _, h in (one, other))
    pd.testing.assert_frame_equal(ours, theirs, rtol=0, atol=1e-5)
    assert one[1].movement == other[1].movement


@pytest.mark.parametrize("cache", [False, "folder"])
def test_pictures_of_one_colour_are_noted_before_training(network, tmp_path, caplog, cache):
    """Also copies of one file, of which a folder of features has only one decoded."""
    rng, names = np.random.default_rng(0), [f"{i:02}.png" for i in range(12)]
    for i, name in enumerate(names):
        pixels = rng.integers(0, 256, (16, 16, 3)) * (i > 3)
        Image.fromarray(pixels.astype("uint8")).save(tmp_path / name)
    frame = pd.DataFrame({"image": [str(tmp_path / name) for name in names]})
    frame = frame.assign(label=np.arange(12) % 2, split=["train", "val", "train"] * 4)
    told = []

    class AtStart(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            told.append(list(caplog.messages))

    data = Manifest(frame, Task("label", ["across", "down"]))
    cache = tmp_path / "features" if cache == "folder" else cache
    with caplog.at_level(logging.WARNING, "kerastl"):
        fit(make(network, False), data, epochs=1, cache=cache, callbacks=[AtStart()], **QUIET)
    line = "note: 4 of 12 pictures are of one colour as read: 00.png, 02.png, 03.png, 01.png"
    assert [m for m in told[0] if "colour" in m] == [line]


def dropping(seed=0):
    """The small network with a dropout inside, which acts where it is in the tail."""
    return small_network(dropout=0.2, seed=seed)


@pytest.mark.parametrize(
    ("trainable", "backbone"),
    [(False, small_network), ("stage1", small_network), ("conv1", dropping), (2, dropping),
     (0.9, small_network)],
)  # fmt: skip
def test_cached_equals_live(data, striped, trainable, backbone):
    """The same seed gives the same weights from stored features as from the pictures."""

    def run(cache):
        model = make(backbone, trainable, dropout=0.3)
        options = {"epochs": 3, "head_epochs": 2, "engine": "keras", **QUIET}
        return model, fit(model, data, striped(20, seed=1), cache=cache, **options)

    cached, live = run(True), run(False)
    same(cached, live)
    assert len(live[1].history["loss"]) == (3 if trainable is False else 5)


def test_a_manifest_live_equals_cached(network, stripes_folder, tmp_path):
    """From memory, and from a store on disk."""
    manifest = read_folder(stripes_folder)

    def run(cache):
        model = make(network, dropout=0.3)
        options = {"epochs": 3, "head_epochs": 1, "engine": "keras", **QUIET}
        return model, fit(model, manifest, cache=cache, **options)

    live = run(False)
    for cache in (True, tmp_path):
        same(run(cache), live)
    assert len(list(tmp_path.glob("*/*.npy"))) == 4  # of train and val, at both cuts


def test_a_dataset_live_equals_cached_and_its_arrays(network, striped):
    """For floats, and labels of which some are unknown; the dataset's own batches are not used."""
    images, codes = striped(40)
    tasks = [Task("a", ["x", "y"], "binary"), Task("b", ["u", "v"])]
    labels = {"a": np.where(np.arange(40) % 3, codes, np.nan), "b": np.where(codes, codes, -2)}
    floats = images - np.float32(0.2) * (images > 0)
    dataset = tf.data.Dataset.from_tensor_slices((floats, labels)).batch(7)

    def run(cache, given):
        model = multitask_classifier(network(), tasks, trainable="stage1", dropout=0.3)
        options = {"epochs": 3, "head_epochs": 0, "engine": "keras", **QUIET}
        return model, fit(model, given, given, cache=cache, **options)

    live = run(False, dataset)
    same(run(True, dataset), live)
    same(run(False, (images, labels)), live)


def test_a_shuffled_dataset_trains_live_alone(network, data, caplog):
    shuffled = tf.data.Dataset.from_tensor_slices(data).shuffle(80).batch(16)
    with pytest.raises(InputError, match="Leave shuffle out: fit shuffles by itself"):
        fit(make(network), shuffled, epochs=1, **QUIET)
    with caplog.at_level(logging.INFO, logger="kerastl"):
        history = fit(make(network), shuffled, shuffled, epochs=1, cache=False, **QUIET)
    assert np.isfinite(history.history["val_loss"]).all()
    words = "The dataset is shuffled, weighted or over 2.1 GB: it trains in its own order"
    assert words in caplog.text


def test_weights_of_a_dataset_count_live(network, data):
    """Examples of weight 0 change nothing, whatever their labels."""
    images, codes = data
    weights_ = (np.arange(80) % 2).astype("float32")
    found = []
    for labels in (codes, np.where(weights_ > 0, codes, 1 - codes)):
        dataset = tf.data.Dataset.from_tensor_slices((images, labels, weights_)).batch(16)
        model = make(network)
        with pytest.raises(InputError, match="without the weights"):
            fit(model, dataset, epochs=1, **QUIET)
        fit(model, dataset, epochs=2, cache=False, **QUIET)
        found.append(weights(model))
    np.testing.assert_allclose(found[0], found[1], atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("trainable", [False, "stage4"])
def test_cached_equals_live_on_real_pictures(trainable):
    pytest.importorskip("elpv_dataset")
    data = read_solar_cells()
    data = replace(data, frame=data.frame.groupby("split").head(32).reset_index(drop=True))

    def run(cache):
        model = multitask_classifier("EfficientNetLite0", data.tasks, trainable=trainable)
        options = {"epochs": 3, "engine": "keras", "verbose": 0}
        return model, fit(model, data, cache=cache, **options)

    same(run(True), run(False))
