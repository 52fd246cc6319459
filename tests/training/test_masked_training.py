"""Training with "?" in every row works, and equals training on the known entries alone."""

import keras
import numpy as np
import pytest

from kerastl.data.tasks import Task
from kerastl.losses import NORMALIZERS, MaskedBinaryCrossentropy
from kerastl.models.factories import multilabel_classifier, multitask_classifier
from kerastl.training.fitting import fit

ROWS, FEATURES, LABELS, RATE = 30, 5, 4, 0.4


def holes(seed=0, empty=0):
    """Inputs, and labels of which each row knows one to three; the last `empty` rows none."""
    draw = np.random.default_rng(seed)
    x = draw.normal(size=(ROWS, FEATURES))
    y = (x @ draw.normal(size=(FEATURES, LABELS)) > 0).astype("float64")
    for row in y:
        row[draw.permutation(LABELS)[: draw.integers(1, LABELS)]] = -1
    y[ROWS - empty :] = -1
    return x, y


def head(normalizer="examples", dtype="float64", **options):
    """One dense layer under the masked loss, from fixed weights, with plain SGD."""
    start = keras.initializers.RandomNormal(seed=3)
    layer = keras.layers.Dense(LABELS, kernel_initializer=start, dtype=dtype)
    model = keras.Sequential([keras.Input((FEATURES,), dtype=dtype), layer])
    loss = MaskedBinaryCrossentropy(normalizer=normalizer, dtype=dtype, **options)
    model.compile(keras.optimizers.SGD(RATE), loss)
    return model


def descend(triples, kernel, bias, divisor):
    """One step of gradient descent that sees (row of x, label, value) of known entries only."""
    slope_k, slope_b = np.zeros_like(kernel), np.zeros_like(bias)
    for row, (features, label, value) in triples:
        p = 1 / (1 + np.exp(-(features @ kernel[:, label] + bias[label])))
        slope_k[:, label] += (p - value) * features / divisor[row]
        slope_b[label] += (p - value) / divisor[row]
    return kernel - RATE * slope_k, bias - RATE * slope_b


@pytest.mark.parametrize("normalizer", NORMALIZERS)
def test_each_step_is_that_of_the_known_entries_alone(normalizer):
    x, y = holes()
    known = y >= 0
    assert known.any(axis=1).all()
    assert not known.all(axis=1).any()  # "?" in every row
    triples = [(i, (x[i], j, y[i, j])) for i, j in np.argwhere(known)]
    divisor = {
        "examples": np.full(ROWS, ROWS),
        "known": np.full(ROWS, len(triples)),
        "known_per_example": ROWS * known.sum(axis=1),
    }[normalizer]
    model = head(normalizer)
    kernel, bias = model.get_weights()
    for _ in range(20):
        model.train_on_batch(x, y)
        kernel, bias = descend(triples, kernel, bias, divisor)
        found = model.get_weights()
        np.testing.assert_allclose(found[0], kernel, atol=1e-6)
        np.testing.assert_allclose(found[1], bias, atol=1e-6)
    assert np.abs(kernel - head().get_weights()[0]).max() > 0.1


def trained(x, y, **options):
    model = head(dtype="float32", **options)
    model.fit(x, y, epochs=5, batch_size=10, shuffle=False, verbose=0)
    return model.get_weights()


@pytest.mark.parametrize("options", [{}, {"gamma": (1, 4), "margin": 0.05, "pos_weight": 3.0}])
@pytest.mark.parametrize("code", [-2.0, -7.5, np.nan, -np.inf])
def test_what_stands_under_an_unknown_label_changes_no_weight(code, options):
    x, y = holes()
    plain = trained(x, y, **options)
    for one, other in zip(plain, trained(x, np.where(y < 0, code, y), **options), strict=True):
        np.testing.assert_array_equal(one, other)


def test_rows_with_nothing_known_change_no_weight():
    x, y = holes(empty=10)
    with_rows = head("known")
    without = head("known")
    for _ in range(5):
        with_rows.train_on_batch(x, y)
        without.train_on_batch(x[:20], y[:20])
    for one, other in zip(with_rows.get_weights(), without.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_a_batch_with_nothing_known_changes_no_weight():
    model = head()
    before = model.get_weights()
    loss = model.train_on_batch(np.ones((4, FEATURES)), -np.ones((4, LABELS)))
    assert float(loss) == 0
    for now, then in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(now, then)


def test_a_label_that_is_never_known_keeps_its_weights():
    x, y = holes()
    y[:, 2] = -1
    model = head()
    before = model.get_weights()
    model.fit(x, y, epochs=3, verbose=0)
    kernel, bias = model.get_weights()
    np.testing.assert_array_equal(kernel[:, 2], before[0][:, 2])
    assert bias[2] == before[1][2]
    assert np.abs(kernel - before[0])[:, [0, 1, 3]].min() > 0


def marks_of(codes):
    """Two labels that say the same of a stripe, one of them unknown in each row."""
    marks = np.stack([codes == 0, codes == 1], axis=1).astype("float32")
    marks[np.arange(len(codes)), np.random.default_rng(5).integers(2, size=len(codes))] = -1
    return marks


def test_fit_learns_from_rows_that_are_all_half_known(network, striped):
    images, codes = striped(80)
    model = multilabel_classifier(network(), ["across", "down"], trainable="stage1")
    marks = marks_of(codes)
    assert ((marks < 0).sum(axis=1) == 1).all()
    history = fit(model, (images, marks), epochs=10, learning_rate=1e-2, batch_size=16, verbose=0)
    assert np.isfinite(history.history["loss"]).all()
    new, truth = striped(40, seed=1)
    found = model.predict(new, verbose=0) > 0
    assert (found == np.stack([truth == 0, truth == 1], axis=1)).mean() > 0.9


def test_fit_ignores_what_stands_under_unknown(network, striped):
    images, codes = striped(32)
    marks = marks_of(codes)
    weights = []
    for code in (-1.0, np.nan):
        model = multilabel_classifier(network(), ["across", "down"])
        fit(model, (images, np.where(marks < 0, code, marks)), epochs=2, verbose=0)
        weights.append(model.get_weights())
    for one, other in zip(*weights, strict=True):
        np.testing.assert_array_equal(one, other)


def test_tasks_with_disjoint_known_rows_train_together(network, striped):
    images, codes = striped(96)
    thirds = np.arange(96) % 3
    tasks = [
        Task("alarm", ["across", "down"], "binary"),
        Task("marks", ["across", "down"], "multilabel"),
        Task("kind", ["across", "down"]),
    ]
    labels = {
        "alarm": np.where(thirds == 0, codes, -1)[:, None].astype("float32"),
        "marks": np.where((thirds == 1)[:, None], marks_of(codes), -1),
        "kind": np.where(thirds == 2, codes, -1),
    }
    assert (sum((y.reshape(96, -1) >= 0).any(axis=1) for y in labels.values()) == 1).all()
    model = multitask_classifier(network(), tasks, trainable="stage1")
    history = fit(
        model, (images, labels), (images, labels), epochs=8, head_epochs=1, learning_rate=1e-2,
        batch_size=16, verbose=0,
    )  # fmt: skip
    assert {"loss", "val_loss"} <= set(history.history)
    for name, values in history.history.items():
        assert len(values) == 9, name
        assert name == "phase" or np.isfinite(values).all(), name
    new, truth = striped(40, seed=1)
    found = model.predict(new, verbose=0)
    assert ((found["alarm"][:, 0] > 0) == truth).mean() > 0.9
    assert (found["marks"].argmax(axis=1) == truth).mean() > 0.9
    assert (found["kind"].argmax(axis=1) == truth).mean() > 0.9
