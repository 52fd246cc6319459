"""Which options let features be stored, and which exclude each other."""

from __future__ import annotations

import io
from contextlib import closing
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from rich.console import Console

from kerastl import terminal
from kerastl.data.manifest import Manifest
from kerastl.data.readers.tabular import read_folder
from kerastl.data.tasks import Task
from kerastl.errors import InputError
from kerastl.features.store.shards import ShardArray
from kerastl.models.cuts import between
from kerastl.models.factories import classifier
from kerastl.models.trainable import set_trainable
from kerastl.training.data import identity, parts
from kerastl.training.sources import Options, Source, use_features


@pytest.fixture
def model(network):
    return classifier(network(), ["across", "down"], trainable="stage1")


def source(model, data, **options):
    return Source(model, data, None, Options(16, 0, **options))


def epoch(found, model, number=0):
    """The batches of an epoch, as they come to Keras."""
    return list(found.inputs(model, number).train.as_numpy_iterator())


def test_features_of_a_later_cut_equal_those_made_straight(model, striped):
    data = striped(20)
    found = source(model, data)
    assert found.base.layer == "add"
    set_trainable(model, False)
    late, straight = epoch(found, model), epoch(source(model, data), model)
    assert straight[0][0].shape == (16, 12)
    np.testing.assert_allclose(late[0][0], straight[0][0], atol=1e-5)


def test_the_net_of_a_policy_is_the_tail(model, striped):
    inputs = source(model, striped(20)).inputs(model, 0)
    assert inputs.net.input_shape == (None, 8, 8, 8)
    assert inputs.steps == 2


def test_everything_trainable_is_live(model, striped):
    set_trainable(model, True)
    assert source(model, striped(20)).inputs(model, 0).net is model


def test_between_is_the_middle(model, striped):
    middle = between(model, "add", "features")
    assert middle.input_shape[1:] == (8, 8, 8)
    assert middle.output_shape[1:] == (12,)


def test_features_larger_than_memory_go_to_a_file(model, stripes_folder, monkeypatch):
    monkeypatch.setattr("kerastl.training.sources.IN_MEMORY", 0)
    found = source(model, read_folder(stripes_folder).split("train"))
    found.inputs(model, 0)
    set_trainable(model, False)
    found.inputs(model, 0)  # the heads' features, made from these
    assert [type(f.values) for f in found._features.values()] == [ShardArray] * 2
    folder = Path(found.folder.name)
    found.close()
    assert not folder.exists()


def test_examples_from_the_store_are_those_from_memory(model, stripes_folder, tmp_path):
    """For views and at both cuts; a second time nothing is made."""
    data = read_folder(stripes_folder).split("train")
    flip = {"views": 2, "augment": keras.layers.RandomFlip("horizontal")}
    memory, stored, again = (
        source(model, data, cache=cache, **flip) for cache in (True, tmp_path, tmp_path)
    )
    for policy in ("stage1", False):
        set_trainable(model, policy)
        files = sorted(tmp_path.glob("*/*.npy"))
        batches = [epoch(s, model, 1) for s in (memory, stored, again)]
        assert len(sorted(tmp_path.glob("*/*.npy"))) == len(files) + 1
        assert len(batches[0]) == 3
        for i, (images, labels) in enumerate(batches[0]):
            for other in batches[1:]:
                np.testing.assert_allclose(other[i][0], images, atol=1e-5)
                np.testing.assert_array_equal(other[i][1], labels)


def test_a_disk_that_is_too_small_is_said_before_it_is_full(model, stripes_folder, monkeypatch,
                                                            tmp_path):  # fmt: skip
    from collections import namedtuple

    usage = namedtuple("usage", "total used free")(10, 10, 0)
    monkeypatch.setattr("kerastl.files.shutil.disk_usage", lambda path: usage)
    found = source(model, read_folder(stripes_folder), cache=tmp_path)
    with pytest.raises(InputError, match="0 bytes free. Choose a later cut, another cache"):
        found.inputs(model, 0)


def test_parts_of_a_manifest(stripes_folder):
    manifest = read_folder(stripes_folder)
    train, val = parts(manifest, None)
    assert train.splits == ("train",)
    assert val.splits == ("val",)
    assert parts(manifest.split("train"), None)[1] is None
    assert parts(manifest, manifest)[1].splits == ("val",)


def test_what_is_uncertain_counts_in_training_alone(stripes_folder):
    manifest = read_folder(stripes_folder)
    task = Task("label", ["across", "down"], kind="binary")
    unsure = Manifest(manifest.frame.assign(label=-2), task).with_uncertain("positive")
    bare = Manifest(unsure.frame.drop(columns="split"), task, uncertain=unsure.uncertain)
    train, val = parts(unsure.split("train"), bare)
    assert (train.labels()["label"] == 1).all()
    assert (val.labels()["label"] == -1).all()


def test_the_identity_of_a_manifest_has_its_policy(stripes_folder):
    manifest = read_folder(stripes_folder)
    task = Task("label", ["across", "down"], kind="binary")
    plain = Manifest(manifest.frame, task)
    found = {identity(plain.with_uncertain(p)) for p in ("ignore", "positive", 1, 0.5)}
    assert len(found) == 3
    assert identity(plain) in found


def test_the_digest_tells_data_apart(model, striped):
    digests = {source(model, striped(20, seed)).digest for seed in (0, 0, 1)}
    assert len(digests) == 2


def test_the_terminal_says_which_features_are_the_heads(model, striped, monkeypatch):
    told = io.StringIO()
    real = terminal.bar
    monkeypatch.setattr(terminal, "bar", lambda: real(Console(file=told, width=100)))
    found = source(model, striped(20), show=True)
    for policy in ("stage1", False):
        set_trainable(model, policy)
        found.inputs(model, 0)
    assert "features train " in told.getvalue()
    assert "features train, for the heads" in told.getvalue()


def test_features_in_memory_keep_the_budget(model, striped):
    """Twenty pictures at the tail's cut take 8 x 8 x 8 floats each, at the heads' 12 more."""
    tail, heads = 20 * 512 * 4, 20 * 12 * 4
    words = "The features take 41.0 kB, and the budget is 41.0 kB, of which 0 bytes are taken"
    with pytest.raises(InputError, match=words) as caught:
        source(model, striped(20), budget=tail - 1).inputs(model, 0)
    assert "or cache=False: every epoch then runs the whole network" in str(caught.value)
    found = source(model, striped(20), budget=tail + heads - 1)
    found.inputs(model, 0)
    set_trainable(model, False)
    with pytest.raises(InputError, match="of which 41.0 kB are taken"):
        found.inputs(model, 0)
    set_trainable(model, "stage1")
    found = source(model, striped(20), budget=tail + heads)
    for policy in ("stage1", False):
        set_trainable(model, policy)
        assert len(found.inputs(model, 0).train) == 2


def test_a_datasets_features_keep_the_budget(model, striped):
    data = tf.data.Dataset.from_tensor_slices(striped(20)).batch(8)
    most = 24 * 512 * 4  # its last batch could be whole
    with pytest.raises(InputError, match="Choose a later cut"):
        source(model, data, budget=most - 1).inputs(model, 0)
    assert len(source(model, data, budget=most).inputs(model, 0).train) == 2


@pytest.mark.parametrize("own", [False, True])
def test_features_in_a_folder_keep_the_budget(model, stripes_folder, monkeypatch, tmp_path, own):
    monkeypatch.setattr("kerastl.training.sources.IN_MEMORY", 0)
    data = read_folder(stripes_folder).split("train")
    cache = tmp_path if own else "auto"
    with closing(source(model, data, cache=cache, budget=10_000)) as found:
        with pytest.raises(InputError, match="the budget is 10.0 kB") as caught:
            found.inputs(model, 0)
        assert "cache=False" in str(caught.value)
    with closing(source(model, data, cache=cache, budget=10**7)) as found:
        found.inputs(model, 0)


@pytest.mark.parametrize("budget", [-1, 1.5, True, "1 GB"])
def test_a_budget_is_a_number_of_bytes(model, striped, budget):
    with pytest.raises(InputError, match="Expected budget= in bytes, 0 or more. Received: "):
        source(model, striped(20), budget=budget)


FLIP = (keras.layers.RandomFlip(seed=0),)


def options(**given):
    return Options(32, 0, **given)


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ({}, True),
        ({"cache": False}, False),
        ({"cache": True}, True),
        ({"augment": FLIP}, False),
        ({"augment": FLIP, "views": 2}, True),
        ({"augment": FLIP, "views": 2, "cache": False}, False),
        ({"budget": np.int64(0)}, True),
    ],
)
def test_features_are_stored_wherever_that_gives_the_same(given, stored):
    assert use_features(options(**given)) is stored


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"views": 2}, "views=2 needs augment="),
        ({"augment": FLIP, "cache": True}, "Random augmentation and stored features exclude"),
        ({"augment": FLIP, "cache": "folder"}, "Random augmentation and stored features exclude"),
        ({"budget": -1}, "Expected budget= in bytes, 0 or more. Received: -1"),
        ({"budget": True}, "Received: True"),
        ({"budget": 1.5}, "Received: 1.5"),
    ],
)
def test_options_that_exclude_each_other_are_named(given, told):
    with pytest.raises(InputError, match=told):
        use_features(options(**given))


def test_the_folder_is_the_users_own(tmp_path):
    assert options(cache=str(tmp_path)).folder == tmp_path
    assert [options(cache=c).folder for c in ("auto", True, False)] == [None] * 3
