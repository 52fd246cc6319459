"""Batches gathered by TensorFlow are the sampler's."""

import keras
import numpy as np
import pytest

from kerastl.gathering import AT_ONCE, MOST, Gathered, gathers, hasten
from kerastl.sampling import Sampler, read_array


def sampler(values, labels, **options):
    return Sampler(read_array(values), len(values), labels, 4, seed=3, **options)


@pytest.fixture
def values():
    return np.random.default_rng(0).normal(size=(10, 3, 2, 2)).astype("float32")


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize(
    "labels",
    [
        {"a": np.arange(10, dtype="int32")},
        {"a": np.arange(10, dtype="int32"), "b": np.arange(20, dtype="float32").reshape(10, 2)},
        None,
    ],
)
def test_batches_and_epochs_are_the_samplers(values, dtype, labels):
    values = values.astype(dtype)
    theirs = sampler(values, labels, shuffle=True, views=3, epoch=2)
    feed = Gathered(sampler(values, labels, shuffle=True, views=3, epoch=2), values)
    for epoch in (2, 3, 4):
        feed.begin(epoch)
        batches = list(feed.dataset.as_numpy_iterator())
        assert len(batches) == len(theirs) == int(feed.dataset.cardinality())
        for number, ours in enumerate(batches):
            same(ours, theirs[number])
        theirs.begin(epoch + 1)


def same(ours, theirs):
    assert len(ours) == len(theirs)
    np.testing.assert_array_equal(ours[0], theirs[0])
    assert ours[0].dtype == theirs[0].dtype
    for one, two in zip(ours[1:], theirs[1:], strict=True):
        assert isinstance(one, dict) == isinstance(two, dict)
        pairs = [(one[name], two[name]) for name in two] if isinstance(two, dict) else [(one, two)]
        for a, b in pairs:
            np.testing.assert_array_equal(a, b)
            assert a.dtype == b.dtype


def test_what_is_gathered(values):
    assert gathers(sampler(values, None), values)
    assert not gathers(sampler(values, None, devices=2), values)
    assert not gathers(sampler(values, None, augment=lambda x: x), values)
    large = np.broadcast_to(np.float32(0), (MOST // 4 + 1, 1))
    assert not gathers(sampler(values, None), large)


def head(width=4):
    """A dropout and two heads of vectors, compiled; the same each time."""
    keras.utils.set_random_seed(5)
    x = keras.Input((width,))
    hidden = keras.layers.Dropout(0.5, seed=1)(x)
    outputs = {name: keras.layers.Dense(1, name=name)(hidden) for name in "ab"}
    net = keras.Model(x, outputs)
    metrics = {name: ["mae"] for name in "ab"}
    net.compile(keras.optimizers.AdamW(0.1), dict.fromkeys("ab", "mse"), metrics=metrics)
    return net


def fitted(net, feed, validation, hastened):
    if hastened:
        hasten(net, feed.dataset, validation.dataset, 3)
    history = net.fit(
        feed.dataset, validation_data=validation.dataset, epochs=3, shuffle=False, verbose=0
    )
    return history.history, net.get_weights()


def test_an_epoch_in_one_call_is_keras_own(values):
    """To the bit: losses, metrics and weights, with a last batch that is not full."""
    flat = values.reshape(10, 3, 4)
    labels = {name: np.arange(10, dtype="float32")[:, None] for name in "ab"}
    feed = Gathered(sampler(flat, labels, shuffle=True, views=3), flat)
    validation = Gathered(sampler(flat[:5], {n: y[:5] for n, y in labels.items()}), flat[:5])
    net = head()
    ours, theirs = fitted(net, feed, validation, True), fitted(head(), feed, validation, False)
    assert net.steps_per_execution == 3
    assert ours[0] == theirs[0]
    assert len(ours[0]["val_b_mae"]) == 3
    for one, other in zip(ours[1], theirs[1], strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(("steps", "width"), [(2001, 4), (20, 600_000)])
def test_an_epoch_too_long_to_wait_for_is_cut_into_calls(values, steps, width):
    net = head(width)
    hasten(net, None, None, steps)
    assert (net.steps_per_execution, net.train_function) == (AT_ONCE, None)


def test_many_fits_are_no_sign_of_retracing(values, caplog):
    flat = values.reshape(10, 3, 4)
    labels = {name: np.arange(10, dtype="float32")[:, None] for name in "ab"}
    feed = Gathered(sampler(flat, labels, shuffle=True, views=3), flat)
    validation = Gathered(sampler(flat[:5], {n: y[:5] for n, y in labels.items()}), flat[:5])
    with caplog.at_level("WARNING", "tensorflow"):
        for _ in range(7):
            fitted(head(), feed, validation, True)
    assert "triggered tf.function retracing" not in caplog.text
