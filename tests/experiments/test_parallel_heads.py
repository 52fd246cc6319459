import keras
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from kerastl.experiments.parallel_heads import ParallelHeads, dropout_of
from kerastl.models.factories import classifier


@pytest.fixture(scope="module")
def examples():
    draw = np.random.default_rng(0)
    features = draw.normal(size=(200, 5)).astype("float32")
    labels = (features[:, :2] + draw.normal(0, 0.5, (200, 2)) > 0).astype("float32")
    labels[draw.random((200, 2)) < 0.2] = -1
    return features, labels


def trained(features, targets, ways, seed=0, epochs=30, dropout=0.0):
    labels = targets.shape[1] // ways
    heads = ParallelHeads(5, labels, ways, len(features), epochs, dropout)
    heads.fit(features, targets, seed)
    return heads.scores(features)


def test_it_learns_what_is_known(examples):
    features, labels = examples
    scores = trained(features, labels, ways=1, epochs=200)
    for i in range(2):
        seen = labels[:, i] >= 0
        oracle = LogisticRegression().fit(features[seen], labels[seen, i])
        best = roc_auc_score(labels[seen, i], oracle.decision_function(features[seen]))
        found = roc_auc_score(labels[seen, i], scores[0, seen, i])
        assert found == pytest.approx(best, abs=0.02)


@pytest.mark.parametrize("dropout", [0.0, 0.4])
def test_a_head_is_trained_as_if_it_were_alone(examples, dropout):
    """Whatever stands beside it, a way's scores are the same; equal ways are equal."""
    features, labels = examples
    side_by_side = np.concatenate([labels, np.ones_like(labels), labels], axis=1)
    found = trained(features, side_by_side, ways=3, dropout=dropout)
    np.testing.assert_array_equal(found[0], found[2])
    np.testing.assert_allclose(found[:1], trained(features, labels, 1, dropout=dropout), atol=1e-5)
    assert np.abs(found[0] - found[1]).max() > 0.1


def test_every_fit_begins_anew(examples):
    features, labels = examples
    heads = ParallelHeads(5, 2, 1, 200, 3, dropout=0.3)
    found = []
    for seed in (0, 1, 0):
        heads.fit(features, labels, seed)
        found.append(heads.scores(features))
    np.testing.assert_array_equal(found[0], found[2])
    assert np.abs(found[0] - found[1]).max() > 1e-3


def test_unknown_labels_teach_nothing(examples):
    features, labels = examples
    unknown = np.full_like(labels, -1)
    one, two = (trained(features, unknown, 1, epochs=e) for e in (1, 20))
    # Weight decay alone moves the weights.
    np.testing.assert_allclose(one, two, atol=0.01)


def test_every_picture_is_seen_once_an_epoch(examples, monkeypatch):
    features, labels = examples
    heads, seen = ParallelHeads(5, 2, 1, 200, 3), []
    monkeypatch.setattr(heads, "run", lambda x, y, rows: seen.append(np.asarray(rows).ravel()))
    heads.fit(features, labels, seed=0)
    assert np.bincount(seen[0][:600], minlength=200).tolist() == [3] * 200
    assert len(seen[0]) - 600 < heads.batch_size


@pytest.mark.parametrize("dropout", [0.0, 0.35])
def test_the_models_own_dropout_is_used(dropout):
    x = keras.Input((8, 8, 3))
    own = keras.Model(x, keras.layers.Conv2D(2, 3)(x))
    model = classifier(own, ["a", "b"], image_size=8, dropout=dropout)
    assert dropout_of(model) == dropout
