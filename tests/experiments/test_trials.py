import os

import numpy as np
import pytest

from kerastl.data.manifest import Manifest
from kerastl.errors import InputError
from kerastl.experiments.trials import Settings, Trials
from kerastl.features.store.upkeep import list_store
from kerastl.inference.evaluation import predict_scores
from kerastl.models.cuts import split
from kerastl.models.factories import create_model
from kerastl.models.graph import weights_digest
from kerastl.models.spec import spec_of
from kerastl.training.fitting import fit
from tests.support.swapped import bitmaps, swap
from tests.support.two_tasks import SHADE, WAY, striped_manifest

QUICK = {"batch_size": 16, "head_epochs": 1, "engine": "keras"}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return striped_manifest(tmp_path_factory.mktemp("trials"), train=40, val=16, test=16)


def settings(network, trainable="stage1", **options):
    return Settings(network(0.3), trainable, epochs=1, options={**QUICK, **options})


def test_features_are_made_once_for_all_tasks_and_seeds(network, data, tmp_path):
    with Trials(settings(network), data, tmp_path) as trials:
        for seed, tasks in ((0, data.tasks), (0, (WAY,)), (1, (WAY,))):
            trials.run(tasks, seed=seed, part="test")
    # Of every picture at the cut, and of the train and the val part's at the heads,
    # though three networks were trained.
    kept = list_store(tmp_path).set_index("layer")
    assert kept[["pictures", "shards"]].loc["drop"].tolist() == [72, 3]
    assert kept[["pictures", "shards"]].loc["features"].tolist() == [56, 2]
    assert len(list(tmp_path.glob("scores/*.npz"))) == 3


def test_a_fit_with_the_same_cache_finds_the_features(network, data, tmp_path):
    with Trials(settings(network), data, tmp_path) as trials:
        trials.train((WAY,), seed=0)
    there = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.npy")}
    model = create_model(trials.base, data.tasks, trainable="stage1", seed=7)
    fit(model, data, cache=tmp_path, epochs=1, verbose=0, **QUICK)
    assert {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.npy")} == there != {}


def test_networks_share_the_prefix_and_the_seed_decides_the_rest(network, data, tmp_path):
    with Trials(settings(network), data, tmp_path) as trials:
        ways = ((data.tasks, 0), ((WAY,), 0), ((WAY,), 0), ((WAY,), 7))
        models = [trials.train(tasks, seed=seed) for tasks, seed in ways]
    prefixes = [split(m).prefix for m in models]
    assert len({p.to_json() for p in prefixes}) == 1
    assert len({str(weights_digest(p)) for p in prefixes}) == 1
    _, one, same, other = (list(weights_digest(m).values()) for m in models)
    assert one == same != other


def test_a_backbone_without_weights_is_drawn_once(data, tmp_path):
    plain = Settings("MobileNet", False, None, 32, epochs=1, options=QUICK)
    with Trials(plain, data, tmp_path) as trials:
        first, second = (trials.train((WAY,), seed=s) for s in (0, 1))
    one, two = (weights_digest(split(m, spec_of(m).features).prefix) for m in (first, second))
    assert list(one.values()) == list(two.values())


@pytest.mark.parametrize("trainable", [False, "stage1", True])
def test_scores_from_features_are_those_from_the_pictures(network, data, tmp_path, trainable):
    with Trials(settings(network, trainable), data, tmp_path) as trials:
        model = trials.train(data.tasks, seed=0)
        found = trials.predict(model, "test")
    plain = predict_scores(model, data)
    for name in ("way", "shade"):
        np.testing.assert_allclose(found.scores[name], plain.scores[name], atol=1e-5)
        np.testing.assert_array_equal(found.labels[name], plain.labels[name])


def test_uncertain_labels_are_trained_on_and_not_scored(network, data, tmp_path):
    frame = data.frame.copy()
    frame.loc[::4, "way"] = -2
    unsure = Manifest(frame, data.tasks).with_uncertain({"way": 0.5})
    with Trials(settings(network), unsure, tmp_path) as trials:
        found = trials.run((WAY,), seed=0, part="test")
    assert (found.labels["way"] == -1).sum() == 4
    assert set(found.labels["way"].ravel()) <= {-1.0, 0.0, 1.0}


def test_finished_networks_are_not_trained_again(network, data, tmp_path, caplog):
    def run(**changes):
        caplog.clear()
        with caplog.at_level("INFO", "kerastl"):
            trials = Trials(settings(network, **changes.pop("options", {})), data, tmp_path)
            with trials:
                found = trials.run((WAY,), **{"seed": 0, "part": "test", **changes})
        return found, any("weights moved" in r.message for r in caplog.records)

    first, trained = run()
    again, trained_again = run()
    assert (trained, trained_again) == (True, False)
    np.testing.assert_array_equal(first.scores["way"], again.scores["way"])
    np.testing.assert_array_equal(first.labels["way"], again.labels["way"])
    for change in ({"seed": 1}, {"options": {"learning_rate": 1e-2}}):
        assert run(**change)[1]


def test_scores_are_known_by_the_first_weights_and_the_pictures(network, tmp_path):
    data = striped_manifest(tmp_path, train=4, val=2, test=2)

    def key(seed=0):
        plain = Settings(network(seed=seed), "stage1", options=QUICK)
        with Trials(plain, data) as trials:
            return trials._key((WAY,), 0, "test", 1.0)

    first = key()
    assert key() == first
    assert key(seed=1) != first
    bitmaps(data.frame["image"])
    written = key()
    assert written != first
    os.utime(data.frame["image"][0])
    assert key() == written
    swap(data.frame["image"][0])
    assert key() != written


def test_scores_that_cannot_be_read_are_made_again(network, data, tmp_path):
    with Trials(settings(network), data, tmp_path) as trials:
        first = trials.run((WAY,), seed=0, part="val")
        store = next(tmp_path.glob("scores/*.npz"))
        store.write_bytes(store.read_bytes()[:50])
        again = trials.run((WAY,), seed=0, part="val")
    np.testing.assert_allclose(first.scores["way"], again.scores["way"], atol=1e-6)


def test_a_share_of_the_epochs(network, data):
    with Trials(Settings(network(), epochs=9, options={"head_epochs": 4}), data) as trials:
        for share, expected in ((1.0, (9, 4)), (0.5, (4, 2)), (0.01, (1, 1))):
            options = trials._options((WAY,), share)
            assert (options["epochs"], options["head_epochs"]) == expected


def test_a_network_has_its_own_tasks_weights_only(network, data):
    given = {"loss_weights": {"way": 2.0, "shade": 1.0}, "positive_weights": {"way": [3.0]}}
    with Trials(Settings(network(), options=given), data) as trials:
        assert "loss_weights" not in trials._options((WAY,), 1.0)
        assert trials._options(data.tasks, 1.0)["loss_weights"] == given["loss_weights"]
        assert trials._options((WAY,), 1.0)["positive_weights"] == {"way": [3.0]}
        assert "positive_weights" not in trials._options((SHADE,), 1.0)


def test_a_backbone_that_is_none_leaves_no_folder_behind(data):
    with pytest.raises(InputError, match="MobileNetV2"):
        Trials(Settings("MobilNetV2"), data)


def test_every_wrong_option_is_named():
    with pytest.raises(InputError) as caught:
        Settings("MobileNetV2", epochs=0, options={"batchsize": 4, "seed": 1, "views": 2})
    assert str(caught.value).splitlines() == [
        "The networks cannot be trained so.",
        "  there is no option 'batchsize'. Did you mean batch_size?",
        "  there is no option 'seed'.",
        "  epochs: expected at least 1, received 0",
    ]
