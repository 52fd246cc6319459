"""Features of all depths of a search: made once, found by every fit, the same as made straight."""

import os
from dataclasses import replace

import keras
import numpy as np
import pytest

from kerastl.data.readers.tabular import read_folder
from kerastl.errors import InputError
from kerastl.features import engines
from kerastl.features.extract import extract_features
from kerastl.features.extraction import OVERHEAD
from kerastl.features.recipe import Recipe
from kerastl.features.store.store import Store
from kerastl.features.store.upkeep import list_store
from kerastl.models.cuts import split
from kerastl.models.factories import create_model
from kerastl.models.spec import spec_of
from kerastl.models.trainable import freeze_plan, set_trainable
from kerastl.training.fitting import fit
from kerastl.tuning import features as feature_chain
from kerastl.tuning.features import SMALL_FILES, plan_features, store_features
from kerastl.tuning.space import depth_policy

DEPTHS = ("heads", "stage1", "5", "all")
FLIP = {"augment": keras.layers.RandomFlip("horizontal"), "views": 3}


@pytest.fixture(scope="module")
def data(stripes_folder):
    return read_folder(stripes_folder, seed=1)


@pytest.fixture
def model(network, data):
    """All of it trains, as in a search; its dropout acts then, and not where it is frozen."""
    return create_model(network(dropout=0.3), data.tasks, trainable=True)


def planned(model, data, depths=DEPTHS, **options):
    return plan_features(model, depths, *counts(data), **options)


def counts(data):
    return len(data.split("train")), len(data.split("val"))


def written(folder):
    """Every file of features, and when it was written."""
    return {p: p.stat().st_mtime_ns for p in folder.rglob("*") if p.suffix in (".npy", ".json")}


@pytest.fixture
def runs(monkeypatch):
    """Names of the networks that ran forward from pictures or from features."""
    seen = []
    real = engines.choose_engine

    def choose(prefix, *others):
        seen.append(prefix.name)
        return real(prefix, *others)

    for module in ("kerastl.features.extract", "kerastl.features.recipe"):
        monkeypatch.setattr(f"{module}.choose_engine", choose)
    monkeypatch.setattr(
        "kerastl.features.extract.forward", lambda net: seen.append(net) or engines.forward(net)
    )
    return seen


def test_a_plan_says_what_is_stored_and_what_it_takes(model, data):
    plan = planned(model, data)
    assert plan.stored == ("heads", "stage1", "5")
    assert (plan.cuts["stage1"], plan.cuts["5"]) == ("drop", "add")
    assert plan.live == ("all",)
    assert plan.cuts["heads"] == plan.cuts["all"] == plan.heads == "features"
    pictures = sum(counts(data))
    layers = {layer: split(model, layer).prefix for layer in set(plan.cuts.values())}
    values = sum(4 * np.prod(p.output_shape[1:]) for p in layers.values())
    files = 2 * len(layers) * SMALL_FILES
    assert plan.needed == pictures * (values + len(layers) * OVERHEAD) + files


def test_a_plan_changes_nothing(model, data):
    weights, before = [w.numpy() for w in model.weights], freeze_plan(model)
    rates = model.get_layer("drop").rate
    planned(model, data)
    assert freeze_plan(model).equals(before)
    assert (spec_of(model).trainable, model.get_layer("drop").rate) == (True, rates) == (True, 0.3)
    assert all((w.numpy() == v).all() for w, v in zip(model.weights, weights, strict=True))


def test_two_depths_with_one_cut_count_once(model, data):
    """The next layer that trains is the same behind the end of stage1 as in the last three."""
    one = planned(model, data, ["stage1"])
    both = planned(model, data, ["3", "stage1"])
    assert both.cuts["stage1"] == both.cuts["3"]
    assert both.needed == one.needed
    assert both.stored == ("3", "stage1")


def test_a_budget_keeps_the_smallest(model, data):
    whole = planned(model, data)
    less = planned(model, data, budget=whole.needed - 1)
    assert less.live == ("5", "all")
    assert less.stored == ("heads", "stage1")
    assert "5" not in less.cuts
    assert planned(model, data, budget=whole.needed) == whole
    heads = planned(model, data, ["heads"]).needed
    assert planned(model, data, budget=heads).stored == ("heads",)


@pytest.mark.parametrize(
    ("budget", "words"),
    [(-1, "0 or more. Received: -1"), (True, "Received: True"), ("2GB", "in bytes")],
)
def test_a_budget_that_is_none(model, data, budget, words):
    with pytest.raises(InputError, match=words):
        planned(model, data, budget=budget)


def test_a_budget_below_the_heads_says_what_is_needed(model, data):
    heads = planned(model, data, ["heads"]).needed
    with pytest.raises(InputError, match=f"every trial needs them.*Give budget={heads} or more"):
        planned(model, data, budget=heads - 1)


@pytest.mark.parametrize("changed", [{}, FLIP], ids=["plain", "views"])
def test_fits_at_every_depth_find_all_they_need(model, data, tmp_path, runs, changed):
    """No network runs but what trains: neither from pictures nor from earlier features."""
    views = changed.get("views", 1)
    plan, told = planned(model, data, views=views), []
    budget = plan.needed
    store_features(model, plan, data, None, cache=tmp_path, budget=budget, seed=5,
                   progress=lambda *n: told.append(n), **changed)  # fmt: skip
    there, _ = written(tmp_path), runs.clear()
    assert told == sorted(told)
    assert told[-1] == (3 * sum(counts(data)),) * 2
    for depth in DEPTHS:
        trial = create_model(model, data.tasks, trainable=depth_policy(depth))
        history = fit(trial, data, cache=tmp_path, epochs=1, head_epochs=1, batch_size=16,
                      seed=5, verbose=0, **changed)  # fmt: skip
        assert len(history.epoch) == (1 if depth == "heads" else 2)
    assert runs == []
    assert written(tmp_path) == there
    assert sum(p.stat().st_size for p in tmp_path.rglob("*") if p.is_file()) <= budget


@pytest.mark.parametrize("changed", [{}, FLIP], ids=["plain", "views"])
def test_through_the_cut_before_is_the_same_as_straight(model, data, tmp_path, runs, changed):
    views = changed.get("views", 1)
    plan = planned(model, data, views=views)
    store_features(model, plan, data, None, cache=tmp_path, **changed)
    assert len([run for run in runs if isinstance(run, str)]) == 1  # at the first cut
    chain = {row.layer: row.shape for row in list_store(tmp_path).itertuples()}
    assert len(chain) == 3
    set_trainable(model, False)
    augment = feature_chain.Augmenter([changed["augment"]], 0) if changed else None
    for layer in plan.cuts.values():
        prefix = split(model, layer).prefix
        for part, change, copies in (("train", augment, views), ("val", None, 1)):
            images = data.split(part)
            options = {"augment": change, "views": copies}
            found = extract_features(prefix, images, cache=tmp_path, **options)
            alone = extract_features(prefix, images, **options)
            np.testing.assert_allclose(found.values[:], alone.values, atol=1e-5)


def test_a_call_after_a_killed_one_makes_what_is_missing(model, data, tmp_path, runs):
    plan, told = planned(model, data), []

    def killed(done, total):
        if done > sum(counts(data)) + 40:  # within the second cut
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store_features(model, plan, data, None, cache=tmp_path, progress=killed)
    assert spec_of(model).trainable is True
    there, _ = written(tmp_path), runs.clear()
    assert len(list_store(tmp_path)) == 2
    store_features(model, plan, data, None, cache=tmp_path, progress=lambda *n: told.append(n))
    assert not [run for run in runs if isinstance(run, str)]  # no picture was run again
    assert there.items() < written(tmp_path).items()
    there, _ = written(tmp_path), runs.clear()
    store_features(model, plan, data, None, cache=tmp_path)
    assert (runs, written(tmp_path)) == ([], there)


def test_pictures_are_read_for_the_first_cut_only(model, data, tmp_path, monkeypatch):
    read, real = [], feature_chain.extract_features

    def extract(prefix, images, *, earlier, **options):
        read.append(earlier is None)
        return real(prefix, images, earlier=earlier, **options)

    monkeypatch.setattr(feature_chain, "extract_features", extract)
    store_features(model, planned(model, data), data, None, cache=tmp_path)
    assert read == [True, True, False, False, False, False]


def test_a_picture_that_cannot_be_read_is_left_out_at_every_cut(network, data, tmp_path):
    train = data.split("train")
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    frame = train.frame.copy()
    frame.loc[frame.index[3], "image"] = os.fspath(broken)
    train = replace(train, frame=frame)
    model = create_model(network(), data.tasks, trainable=True)
    plan = plan_features(model, DEPTHS, len(train), 0)
    store_features(model, plan, train, None, cache=tmp_path / "c")
    assert set(list_store(tmp_path / "c")["pictures"]) == {len(train) - 1}
    assert list(train.skipped) == [os.fspath(broken)]


@pytest.mark.parametrize("changed", [{}, {"augment": FLIP["augment"]}])
def test_nothing_is_stored_of_what_cannot_be(model, data, tmp_path, striped, changed):
    plan = planned(model, data)
    given = data if changed else striped(8)
    store_features(model, plan, given, None, cache=tmp_path / "c", **changed)
    assert not (tmp_path / "c").exists()


def test_where_the_tail_runs_live_the_heads_have_features(model, data, tmp_path, runs):
    heads = planned(model, data, ["heads"], views=3).needed
    plan = planned(model, data, ["stage1"], budget=heads, views=3)
    assert (plan.stored, plan.live, plan.cuts) == ((), ("stage1",), {})
    store_features(model, plan, data, None, cache=tmp_path, budget=heads, **FLIP)
    runs.clear()
    trial = create_model(model, data.tasks, trainable=False)
    fit(trial, data, cache=tmp_path, epochs=1, batch_size=16, verbose=0, **FLIP)
    assert runs == []
    assert set(list_store(tmp_path)["shape"]) == {"3x12", "1x12"}


def test_only_views_that_a_fit_takes_are_stored(model, data, tmp_path):
    """Features at a cut in front, and one view at the heads, for the phase before."""
    plan = planned(model, data, ["stage1"], views=3)
    store_features(model, plan, data, None, cache=tmp_path, **FLIP)
    shapes = list_store(tmp_path).groupby("layer")["shape"].agg(set)
    assert shapes["drop"] == {"3x8x8x8", "1x8x8x8"}
    assert shapes["features"] == {"1x12"}


@pytest.mark.parametrize("far", [False, True])
def test_features_that_lead_too_far_from_keras_are_not_taken(
    model, data, tmp_path, monkeypatch, far
):
    """Then the later cut is made from the pictures, and the store holds what it would alone."""
    monkeypatch.setattr(feature_chain, "TOLERANCE", {"float32": 0.0 if far else 1e-4})
    extracted, real = [], feature_chain.extract_features

    def extract(prefix, images, *, earlier, **options):
        extracted.append(earlier is None)
        return real(prefix, images, earlier=earlier, **options)

    monkeypatch.setattr(feature_chain, "extract_features", extract)
    plan = planned(model, data)
    options = {"cache": tmp_path, "engine": "openvino"}
    store_features(model, plan, data, None, **options)
    assert extracted == [True, True] + [far] * 4
    set_trainable(model, False)
    prefix = split(model, plan.heads).prefix
    val = data.split("val")
    found = extract_features(prefix, val, **options).values[:]
    exact = extract_features(prefix, val, engine="keras").values
    assert engines.difference(exact, found) < 1e-4


def test_what_is_compared_are_the_pictures_that_could_be_read(model, data, tmp_path):
    """A shifted row would be a difference of the order of one."""
    part = feature_chain.Part(data.split("val"))
    prefix = split(model, "features").prefix
    part.found = extract_features(prefix, part.data, cache=tmp_path)
    images, rows = feature_chain._first_images(part, prefix.input_shape[1:3])
    again = engines.forward(prefix)(images)
    assert engines.difference(again, part.found.values[rows, 0]) < 1e-5
    assert not Store(tmp_path / Recipe(prefix).key, (1, 12), "float32", {}).missing(part.found.keys)
