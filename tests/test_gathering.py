"""Batches gathered by TensorFlow are the sampler's."""

import numpy as np
import pytest

from kerastl.gathering import MOST, Gathered, gathers
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
