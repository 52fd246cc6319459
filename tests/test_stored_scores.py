import numpy as np
import pytest

from kerastl.evaluation import predict_scores
from kerastl.manifest import Manifest
from kerastl.models import create_model
from kerastl.stored_scores import read_scores, stored_scores, write_scores
from kerastl.tasks import Task
from kerastl.upkeep import list_store
from tests.support.two_tasks import WAY, striped_manifest


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
