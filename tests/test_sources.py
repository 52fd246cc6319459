from pathlib import Path

import keras
import numpy as np
import pytest

from kerastl.errors import InputError
from kerastl.manifest import Manifest
from kerastl.models import classifier
from kerastl.readers import read_folder
from kerastl.shard_array import ShardArray
from kerastl.sources import Options, Source, between
from kerastl.tasks import Task
from kerastl.trainable import set_trainable
from kerastl.training_data import identity, parts


@pytest.fixture
def model(network):
    return classifier(network(), ["across", "down"], trainable="stage1")


def source(model, data, **options):
    return Source(model, data, None, Options(16, 0, **options))


def test_features_of_a_later_cut_equal_those_made_straight(model, striped):
    data = striped(20)
    found = source(model, data)
    assert found.base.layer == "add"
    set_trainable(model, False)
    late = found.inputs(model, 0).train
    straight = source(model, data).inputs(model, 0).train
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
    monkeypatch.setattr("kerastl.sources.IN_MEMORY", 0)
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
        batches = [s.inputs(model, 1).train for s in (memory, stored, again)]
        assert len(sorted(tmp_path.glob("*/*.npy"))) == len(files) + 1
        for i in range(len(batches[0])):
            images, labels = batches[0][i]
            for other in batches[1:]:
                np.testing.assert_allclose(other[i][0], images, atol=1e-5)
                np.testing.assert_array_equal(other[i][1], labels)


def test_a_disk_that_is_too_small_is_said_before_it_is_full(model, stripes_folder, monkeypatch,
                                                            tmp_path):  # fmt: skip
    from collections import namedtuple

    usage = namedtuple("usage", "total used free")(10, 10, 0)
    monkeypatch.setattr("kerastl.room.shutil.disk_usage", lambda path: usage)
    found = source(model, read_folder(stripes_folder), cache=tmp_path)
    with pytest.raises(InputError, match="0 bytes free. Choose a later cut, fewer views, another"):
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
