import numpy as np
import pytest
from PIL import Image

from kerastl.sampling import FILLER, Sampler, labels_at, read_array, read_pictures
from kerastl.shard_array import ShardArray
from kerastl.shards import write_shard


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
