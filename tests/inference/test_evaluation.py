"""Evaluation: the same scores from every form of the data and of the model."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from kerastl.data.manifest import Manifest
from kerastl.data.tasks import Task, by_task, class_scores
from kerastl.errors import InputError
from kerastl.features.store.upkeep import list_store
from kerastl.inference.evaluation import (
    batches_of,
    evaluate,
    predict_scores,
    read_scores,
    stored_scores,
    write_scores,
)
from kerastl.inference.predictors import KerasPredictor
from kerastl.models.factories import create_model
from kerastl.models.spec import spec_of, with_spec
from kerastl.scoring.scores import score
from kerastl.training.tfdata import image_dataset
from tests.support.tiny_models import TASKS, on_disk, patches, tiny
from tests.support.two_tasks import WAY, striped_manifest


@pytest.fixture(scope="module")
def model():
    return tiny()


@pytest.fixture
def manifest(tmp_path):
    return on_disk(tmp_path / "pictures")


def test_the_scores_are_those_of_the_models_own_logits(model):
    logits = by_task(TASKS, model.predict(patches(), verbose=0))
    found = predict_scores(model, patches(), batch_size=16)
    assert found.labels is None
    assert found.rows.tolist() == list(range(40))
    for task in TASKS:
        expected = class_scores(task, logits[task.name])
        np.testing.assert_allclose(found.scores[task.name], expected, atol=1e-6)


def test_manifest_arrays_and_dataset_give_the_same(model, manifest):
    test = manifest.split("test")
    arrays = (patches()[-16:], test.labels())
    every = [manifest, test, arrays, image_dataset(test, image_size=16, batch_size=5)]
    frames = [evaluate(model, data, draws=20, batch_size=7).frame for data in every]
    assert frames[0]["n"].max() > 0
    for frame in frames[1:]:
        pd.testing.assert_frame_equal(frame, frames[0], rtol=1e-5)


@pytest.mark.parametrize("batch_size", [1, 7])
def test_batch_by_batch_equals_all_at_once(model, manifest, batch_size):
    whole = evaluate(model, manifest, draws=20, batch_size=16)
    parts = evaluate(model, manifest, draws=20, batch_size=batch_size)
    pd.testing.assert_frame_equal(parts.frame, whole.frame, rtol=1e-5)
    assert parts.notes == whole.notes
    arrays = (patches(), manifest.labels())
    streamed = image_dataset(manifest.split("test"), image_size=16, batch_size=batch_size)
    whole, parts = (evaluate(model, arrays, draws=0, batch_size=b) for b in (40, batch_size))
    pd.testing.assert_frame_equal(parts.frame, whole.frame, rtol=1e-5)
    frame = evaluate(model, streamed, draws=20).frame
    pd.testing.assert_frame_equal(frame, evaluate(model, manifest, draws=20).frame, rtol=1e-5)


def test_the_scores_are_decided_at_the_models_thresholds(manifest):
    model, thresholds = tiny(), {"alarm": [0.4], "marks": [0.6, 0.45]}
    found = predict_scores(model, manifest)
    half = evaluate(model, manifest, draws=0)
    with_spec(model, spec_of(model), thresholds=thresholds)
    moved = evaluate(model, manifest, draws=0)
    options = {"thresholds": thresholds, "draws": 0}
    expected = score(TASKS, found.labels, found.scores, **options)
    pd.testing.assert_frame_equal(moved.frame, expected.frame)
    assert not moved.frame["value"].equals(half.frame["value"])


def test_uncertain_labels_are_scored_by_no_policy(model, manifest):
    frame = manifest.frame.copy()
    frame.loc[frame.index[-3:], ["alarm", "marks.v", "zone"]] = -2
    whole = Manifest(frame.drop(columns="split"), TASKS)
    policy = whole.with_uncertain({"alarm": "positive", "marks": 0.7})
    frames = [evaluate(model, m, draws=0).frame for m in (whole, policy)]
    pd.testing.assert_frame_equal(*frames)
    n = frames[0].set_index(["task", "class", "metric"])["n"]
    assert n["marks", "v", "f1"] == 37


def test_a_manifest_without_a_test_part_is_scored_whole(model, manifest):
    frame = manifest.frame.drop(columns="split")
    found = predict_scores(model, Manifest(frame, TASKS))
    assert len(found.rows) == 40


def test_pictures_in_groups_are_not_taken_for_independent(model, manifest):
    """Sixteen pictures of four patients are four, and four are too few."""
    grouped = manifest.frame.assign(group=[f"p{i // 4}" for i in range(len(manifest))])
    alone, few = (
        evaluate(model, Manifest(frame, TASKS), draws=20).frame.dropna(subset=["value"])
        for frame in (manifest.frame, grouped)
    )
    assert few["value"].tolist() == alone["value"].tolist()
    assert set(few["interval"]) == {"too few"}
    assert "95 %" in set(alone["interval"])


def test_a_bad_picture_is_left_out_and_counted(model, manifest):
    broken = manifest.split("test").frame["image"][3]
    with open(broken, "w") as file:
        file.write("no picture")
    found = predict_scores(model, manifest)
    assert found.rows.tolist() == [0, 1, 2, *range(4, 16)]
    assert list(found.skipped) == [broken]
    assert len(found.labels["zone"]) == 15
    notes = evaluate(model, manifest, draws=0).notes
    assert "Pictures that could not be read, and are not counted: 1." in notes


def test_most_draws_by_seed_and_keeps_the_order(model, manifest):
    predictor = KerasPredictor(model)

    def images(data, seed):
        parts = batches_of(predictor, data, most=10, seed=seed, batch_size=4)
        return np.concatenate([b.images for b in parts])

    assert images(manifest, 0).shape == (10, 16, 16, 3)
    assert (images(manifest, 0) == images(patches(), 0)).all()
    assert (images(manifest, 0) == images((patches(), manifest.labels()), 0)).all()
    assert not (images(patches(), 0) == images(patches(), 1)).all()
    assert (images((patches(), None), 0) == images(patches(), 0)).all()
    lists = {name: values.tolist() for name, values in manifest.labels().items()}
    assert (images((patches(), lists), 0) == images(patches(), 0)).all()
    with pytest.raises(InputError, match="labels of zone"):
        images((patches(), {**lists, "zone": [0, 1]}), 0)


def test_data_that_does_not_fit_is_refused(model, manifest):
    with pytest.raises(InputError, match="Expected data with labels"):
        evaluate(model, patches())
    other = Manifest(manifest.frame, [Task("zone", ["b", "a", "c"])])
    with pytest.raises(InputError) as error:
        evaluate(model, other)
    assert len(error.value.faults) == 3
    with pytest.raises(InputError, match="at least one picture"):
        evaluate(model, manifest.take([]))
    with pytest.raises(InputError, match="batch_size"):
        evaluate(model, manifest, batch_size=0)
    with pytest.raises(InputError, match="Expected images of 16x16 pixels. Received: 9x9"):
        evaluate(model, tf.data.Dataset.from_tensors(np.zeros((2, 9, 9, 3), "uint8")))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return striped_manifest(tmp_path_factory.mktemp("stripes"), train=20, val=16, test=8)


@pytest.mark.parametrize("trainable", [False, "stage1", True])
def test_they_are_those_of_the_pictures(network, data, tmp_path, trainable):
    model = create_model(network(0.3), data.tasks, trainable=trainable)
    found = stored_scores(model, data, "val", cache=tmp_path, engine="keras")
    plain = predict_scores(model, data.split("val"))
    for name in ("way", "shade"):
        np.testing.assert_allclose(found.scores[name], plain.scores[name], atol=1e-5)
        np.testing.assert_array_equal(found.labels[name], plain.labels[name])
    np.testing.assert_array_equal(found.rows, np.arange(16))
    # Where everything trains, nothing is stored.
    assert (len(list_store(tmp_path)) == 1) == (trainable is not True)


def test_uncertain_labels_and_pictures_that_cannot_be_read(network, data, tmp_path):
    frame = data.split("val").frame.copy().reset_index(drop=True)
    frame.loc[::4, "way"] = -2
    (broken := tmp_path / "broken.png").write_text("no picture")
    frame.loc[3, "image"] = str(broken)
    unsure = Manifest(frame, data.tasks).with_uncertain({"way": 0.5})
    model = create_model(network(0.3), data.tasks)
    found = stored_scores(model, unsure, "val", cache=tmp_path / "features", engine="keras")
    assert found.rows.tolist() == [i for i in range(16) if i != 3]
    assert set(found.skipped) == {str(broken)}
    assert (found.labels["way"] == -1).sum() == 4
    assert len(found.scores["way"]) == len(found.labels["way"]) == 15


TAGS = Task("tags", ["a", "b", "c"], "multilabel")


def scores(seed, tasks=(WAY, TAGS)):
    draw = np.random.default_rng(seed)
    return {t.name: draw.random((5, len(t.classes)), "float32") for t in tasks}


@pytest.mark.parametrize("count", [1, 3])
def test_what_is_written_is_read(count, tmp_path):
    path, rows = tmp_path / "new" / "scores.npz", np.array([0, 1, 4, 5, 7])
    given = [scores(seed) for seed in range(count)]
    write_scores(path, (WAY, TAGS), rows, given)
    found, there = read_scores(path, (WAY, TAGS))
    np.testing.assert_array_equal(there, rows)
    assert len(found) == count
    for one, other in zip(found, given, strict=True):
        assert list(one) == ["way", "tags"]
        for name in one:
            np.testing.assert_array_equal(one[name], other[name])


def test_files_that_are_none(tmp_path):
    path = tmp_path / "scores.npz"
    assert read_scores(path, (WAY,)) is None
    write_scores(path, (WAY, TAGS), np.arange(5), [scores(0)])
    assert read_scores(path, (TAGS,)) is None
    assert read_scores(path, (TAGS, WAY)) is None
    whole = path.read_bytes()
    for broken in (b"", whole[:200], b"PK" + whole[100:]):
        path.write_bytes(broken)
        assert read_scores(path, (WAY, TAGS)) is None
    np.savez(path, rows=np.arange(5))
    assert read_scores(path, (WAY, TAGS)) is None
    np.savez(path, rows=np.array([{}], dtype=object))
    assert read_scores(path, (WAY, TAGS)) is None
    path.write_bytes(whole)
    assert read_scores(path, (WAY, TAGS)) is not None


def test_one_task_is_not_another_twice(tmp_path):
    """Two tasks of two classes fill a file as two networks of one such task would."""
    path = tmp_path / "scores.npz"
    write_scores(path, (WAY,), np.arange(5), [scores(0, (WAY,))])
    assert read_scores(path, (WAY, TAGS)) is None
