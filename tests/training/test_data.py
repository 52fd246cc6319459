"""The digest of training data: what it holds fast, and what it does not look at."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import tensorflow as tf

from kerastl.data.manifest import Manifest
from kerastl.models.saving import load_model, save_model
from kerastl.models.spec import spec_of
from kerastl.training.data import training_digest
from kerastl.training.fitting import fit
from tests.support.tiny_models import TASKS, on_disk, patches, tiny


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    return on_disk(tmp_path_factory.mktemp("data") / "pictures").split("train")


def digest(manifest, cache=None):
    return training_digest(manifest, manifest.tasks, cache)


def arrays(n=24):
    rng = np.random.default_rng(0)
    labels = {"zone": rng.integers(-1, 3, n), "alarm": rng.integers(0, 2, n),
              "marks": rng.integers(0, 2, (n, 2))}  # fmt: skip
    return patches(n), labels


def test_neither_order_nor_place_nor_name_counts(manifest, tmp_path):
    moved = manifest.frame.sample(frac=1, random_state=1).reset_index(drop=True)
    paths = [str(tmp_path / f"other {n}.png") for n in range(len(moved))]
    for old, new in zip(moved["image"], paths, strict=True):
        shutil.copy(old, new)
    other = Manifest(moved.assign(image=paths), manifest.tasks[::-1])
    assert digest(other) == digest(manifest)
    assert len(digest(manifest)) == 64


def test_a_label_a_picture_a_class_or_an_example_counts(manifest):
    frame, whole = manifest.frame, digest(manifest)
    first = frame.index[0]
    changed = frame.assign(zone=frame["zone"].where(frame.index != first, (frame["zone"] + 1) % 3))
    swapped = frame.assign(image=[*frame["image"].iloc[1:], frame["image"].iloc[0]])
    twice = frame.iloc[[0, *range(len(frame))]]
    for other in (changed, swapped, frame.iloc[1:], twice):
        assert digest(Manifest(other.reset_index(drop=True), manifest.tasks)) != whole
    renamed = [type(t)(t.name, t.classes[::-1], t.kind) for t in manifest.tasks]
    assert digest(Manifest(frame, renamed)) != whole


def test_the_index_of_stored_features_gives_the_same(manifest, tmp_path):
    assert digest(manifest, tmp_path / "new") == digest(manifest)
    assert digest(manifest, tmp_path / "new") == digest(manifest)


def test_a_picture_that_cannot_be_read_is_not_trained_on(manifest, tmp_path):
    row = manifest.frame.iloc[[0]].assign(image=str(tmp_path / "gone.png"))
    frame = np.concatenate([manifest.frame.to_numpy(), row.to_numpy()])
    frame = type(manifest.frame)(frame, columns=manifest.frame.columns).infer_objects()
    assert digest(Manifest(frame, manifest.tasks)) == digest(manifest)


def test_a_fit_tells_the_model_and_the_file_keeps_it(manifest, tmp_path):
    model = tiny()
    assert spec_of(model).trained_on == ()
    fit(model, manifest, epochs=1, verbose=0)
    fit(model, manifest, epochs=1, verbose=0, cache=tmp_path / "features")
    assert spec_of(model).trained_on == (digest(manifest),)
    fit(model, arrays(), epochs=1, verbose=0)
    images, labels = arrays()
    fit(model, tf.data.Dataset.from_tensor_slices((images, labels)).batch(8), epochs=1, verbose=0)
    told = (digest(manifest), training_digest((images, labels), TASKS), None)
    assert spec_of(model).trained_on == told
    assert spec_of(load_model(save_model(model, tmp_path / "model.keras"))).trained_on == told
