"""Batches gathered by TensorFlow are the sampler's."""

import keras
import numpy as np
import pytest
from PIL import Image

from kerastl.features.store.shards import ShardArray, write_shard
from kerastl.training.sampling import (
    AT_ONCE,
    FILLER,
    MOST,
    Gathered,
    Sampler,
    gathers,
    hasten,
    labels_at,
    read_array,
    read_pictures,
)


def rows_of(sampler):
    return np.concatenate([sampler[i][0].ravel() for i in range(len(sampler))])


def make(count=10, **options):
    values = np.arange(count)[:, None, None]
    return Sampler(read_array(values), count, {"t": np.arange(count)}, 4, **options)


def test_every_example_once_an_epoch():
    sampler = make(shuffle=True)
    for epoch in range(3):
        sampler.begin(epoch)
        assert sorted(rows_of(sampler)) == list(range(10))


def test_the_order_depends_on_seed_and_epoch_alone():
    walked = make(shuffle=True, seed=1)
    orders = []
    for epoch in range(3):
        walked.begin(epoch)
        orders.append(rows_of(walked).tolist())
    assert orders[0] != orders[1]
    for epoch, order in enumerate(orders):
        assert rows_of(make(shuffle=True, seed=1, epoch=epoch)).tolist() == order
    assert rows_of(make(shuffle=True, seed=2)).tolist() != orders[0]


def test_labels_go_with_their_examples():
    sampler = make(shuffle=True)
    for i in range(len(sampler)):
        x, y = sampler[i]
        np.testing.assert_array_equal(x.ravel(), y)


def test_each_epoch_draws_one_view_of_each():
    values = np.stack([np.arange(100), np.arange(100) + 1000], axis=1)[..., None]
    sampler = Sampler(read_array(values), 100, None, 10, views=2)
    drawn = np.concatenate([sampler[i][0].ravel() for i in range(10)])
    assert sorted(drawn % 1000) == list(range(100))
    assert 20 < (drawn >= 1000).sum() < 80


def test_shards_are_read_as_an_array_is(tmp_path):
    values = np.random.default_rng(0).normal(size=(9, 2, 3)).astype("float32")
    keys = [b"%016d" % n for n in range(9)]
    paths = [write_shard(tmp_path, keys[p], values[p], {}) for p in (slice(0, 5), slice(5, 9))]
    shards = ShardArray(paths, np.repeat([0, 1], [5, 4]), np.r_[0:5, 0:4], (2, 3), "float32")
    one, other = (
        Sampler(read_array(x), 9, None, 4, views=2, shuffle=True) for x in (values, shards)
    )
    for i in range(3):
        np.testing.assert_array_equal(one[i][0], other[i][0])


def test_augment_sees_each_batch():
    sampler = Sampler(read_array(np.ones((4, 1, 2))), 4, None, 2, augment=lambda x: x * 3)
    assert sampler[0][0].max() == 3


def test_half_precision_features_come_back_whole():
    read = read_array(np.ones((2, 1, 3), "float16"))
    assert read(np.array([0]), np.array([0])).dtype == "float32"


def test_pictures_are_read_in_the_order_asked_for(tmp_path):
    for i in range(4):
        Image.new("RGB", (5, 5), (i, i, i)).save(tmp_path / f"{i}.png")
    read = read_pictures([tmp_path / f"{i}.png" for i in range(4)], (3, 3))
    found = read(np.array([2, 0, 3]), np.zeros(3))
    assert found.shape == (3, 3, 3, 3)
    assert found[:, 0, 0, 0].tolist() == [2, 0, 3]


@pytest.mark.parametrize(("names", "kind"), [(["a"], np.ndarray), (["a", "b"], dict)])
def test_labels_at_gives_what_fit_takes(names, kind):
    assert isinstance(labels_at({n: np.arange(3) for n in names}, [0]), kind)


def test_fillers_make_a_batch_divisible_and_have_their_own_label():
    plain, shared = make(shuffle=True, seed=3), make(shuffle=True, seed=3, devices=3)
    for i, rows in enumerate([6, 6, 3]):
        (x, y), (all_x, all_y) = plain[i], shared[i]
        assert len(all_x) == len(all_y) == rows
        np.testing.assert_array_equal(all_x[: len(x)], x)
        np.testing.assert_array_equal(all_y[: len(y)], y)
        assert (all_y[len(y) :] == FILLER).all()
    assert shared.labels["t"].min() == 0, "the labels themselves are not changed"


def test_an_uneven_batch_that_all_devices_share_stays_as_it_is():
    shared = make(count=11, devices=2)
    assert [len(shared[i][0]) for i in range(3)] == [4, 4, 3]
    assert [len(make(count=3, devices=2)[0][0]), len(make(count=9, devices=2)[2][0])] == [4, 2]


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
