"""The making of features: what a picture's are depends on no other picture."""

import keras
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from kerastl.data.manifest import Manifest
from kerastl.data.tasks import Task
from kerastl.features import extraction
from kerastl.features.engines import Engine, choose_engine
from kerastl.features.extraction import first_images, given_pieces, maker, manifest_pieces, through
from kerastl.features.recipe import Recipe
from kerastl.models.cuts import split
from kerastl.training.augmentation import augmenter

COUNT = 30


@pytest.fixture
def data(striped, tmp_path):
    for n, image in enumerate(striped(COUNT)[0]):
        Image.fromarray(image).save(tmp_path / f"{n}.png")
    frame = pd.DataFrame({"image": [str(tmp_path / f"{n}.png") for n in range(COUNT)], "t": 0})
    return Manifest(frame, Task("t", ["a", "b"]))


@pytest.fixture
def prefix(network):
    return split(network(), "add").prefix


def drawing(prefix, **options):
    layers = [keras.layers.RandomFlip(), keras.layers.RandomTranslation(0.3, 0.3)]
    return Recipe(prefix, "keras", 2, augmenter(layers, 5), 4, **options)


def made(recipe, data, wanted, start=0):
    """Features by position in the data."""

    def prepare(sample):
        return choose_engine(recipe.prefix, recipe.engine, sample, 1)

    steps = maker(recipe, data, prepare, start)(np.asarray(wanted))
    return {int(n): value for rows, values in steps for n, value in zip(rows, values, strict=True)}


@pytest.mark.parametrize("wanted", [[7], [0, 29], range(3, 22, 2), range(COUNT)])
def test_views_do_not_depend_on_what_else_is_wanted(prefix, data, wanted):
    recipe = drawing(prefix)
    whole, some = made(recipe, data, range(COUNT)), made(recipe, data, wanted)
    assert sorted(some) == sorted(wanted)
    for n in wanted:
        np.testing.assert_array_equal(some[n], whole[n])
    assert np.abs(whole[0][0] - whole[0][1]).max() > 0


@pytest.mark.parametrize("engine", ["keras", "openvino"])
def test_features_do_not_depend_on_what_else_is_wanted(prefix, data, engine):
    recipe = Recipe(prefix, engine, batch_size=4)
    whole = made(recipe, data, range(COUNT))
    for wanted in ([7], [0, 2, 29], range(3, 22, 2)):
        some = made(recipe, data, wanted)
        assert sorted(some) == sorted(wanted)
        for n in wanted:
            np.testing.assert_array_equal(some[n], whole[n])


def test_views_do_not_depend_on_which_neighbours_can_be_read(prefix, data):
    recipe = drawing(prefix)
    whole = made(recipe, data, range(COUNT))
    for n in (0, 6, 7):
        open(data.frame["image"][n], "wb").close()
    left = made(recipe, data, range(COUNT))
    assert sorted(set(whole) - set(left)) == [0, 6, 7]
    for n, value in left.items():
        np.testing.assert_array_equal(value, whole[n])
    assert list(data.skipped.values()) == ["empty file"] * 3


def test_a_block_is_made_as_within_the_whole(prefix, data, monkeypatch):
    monkeypatch.setattr(extraction, "BLOCK", 10)
    recipe = drawing(prefix)
    whole = made(recipe, data, range(COUNT))
    block = made(recipe, data.take(range(10, 20)), range(10), start=10)
    for n in range(10):
        np.testing.assert_array_equal(block[n], whole[10 + n])
    assert np.abs(made(recipe, data.take(range(10, 20)), range(10))[3] - whole[13]).max() > 0


def test_no_batch_crosses_the_edge_of_a_block(prefix, data, monkeypatch):
    monkeypatch.setattr(extraction, "BLOCK", 10)
    pieces = list(manifest_pieces(drawing(prefix), data, np.arange(COUNT)))
    assert [p.at for p in pieces] == [0, 4, 8, 10, 14, 18, 20, 24, 28]
    assert [len(p.rows) for p in pieces] == [4, 4, 2] * 3
    assert all(p.images.shape == (4, 16, 16, 3) for p in pieces)
    assert not pieces[2].images[2:].any(), "black where the next block begins"


def test_only_batches_with_a_wanted_picture_are_gone_through(prefix, data):
    some = np.array([5, 6, 22])
    pieces = list(manifest_pieces(drawing(prefix), data, some))
    assert [(p.at, p.rows.tolist(), p.places.tolist()) for p in pieces] == [
        (4, [5, 6], [1, 2]), (20, [22], [2])]  # fmt: skip
    assert all(p.images.any(axis=(1, 2, 3)).all() for p in pieces), "with all their pictures"
    [piece] = manifest_pieces(Recipe(prefix, batch_size=4), data, some)
    assert (piece.rows.tolist(), len(piece.images)) == ([5, 6, 22], 3), "without views: only those"


@pytest.mark.parametrize("drawn", [True, False])
def test_every_forward_pass_has_the_same_size(prefix, data, drawn):
    """A network's last bits depend on it: ConvNeXt's in Keras do."""
    recipe, sizes = drawing(prefix) if drawn else Recipe(prefix, batch_size=4), []

    def prepare(sample):
        def run(images):
            sizes.append(len(images))
            return np.zeros((len(images), 2), "float32")

        return Engine("counting", run)

    pieces = maker(recipe, data, prepare)(np.array([0, 1, 2, 3, 9]))
    assert sum(len(rows) for rows, _ in pieces) == 5
    assert set(sizes) == {4}


def test_features_made_of_features_have_one_size_too(data):
    values = np.arange(10, dtype="float32").reshape(5, 2, 1)
    sizes = []

    def run(x):
        sizes.append(len(x))
        return 2 * x

    found = [(at.tolist(), y.tolist()) for at, y in through(run, values, np.array([0, 2, 4]), 2, 2)]
    assert found == [([0, 2], [[[0], [2]], [[8], [10]]]), ([4], [[[16], [18]]])]
    assert set(sizes) == {2}


def test_the_engine_is_prepared_with_the_first_images_that_can_be_read(prefix, data):
    open(data.frame["image"][0], "wb").close()
    seen = []

    def prepare(sample):
        seen.append(sample)
        return choose_engine(prefix, "keras", sample, 1)

    for recipe in (drawing(prefix), Recipe(prefix, batch_size=4)):
        list(maker(recipe, data, prepare)(np.arange(COUNT)))
        np.testing.assert_array_equal(seen.pop(), first_images(recipe, data, np.arange(COUNT)))
    assert len(first_images(drawing(prefix), data, np.arange(COUNT))) == 3
    assert first_images(recipe, data, np.array([0])) is None
    assert not seen


def test_a_function_of_ones_own_gets_the_pictures_alone(prefix, data):
    shapes = []

    def own(images):
        shapes.append(len(images))
        return 255 - images

    found = made(Recipe(prefix, "keras", 2, own, 4), data, [0, 1, 2, 3, 9])
    assert sorted(shapes) == [1, 1, 4, 4]
    np.testing.assert_array_equal(found[9][0], found[9][1])


def test_arrays_are_drawn_by_position_too(prefix, striped):
    images, _ = striped(10)
    pieces = list(given_pieces(drawing(prefix), images, ()))
    assert [(p.at, p.rows.tolist()) for p in pieces] == [
        (0, [0, 1, 2, 3]), (4, [4, 5, 6, 7]), (8, [8, 9])]  # fmt: skip
