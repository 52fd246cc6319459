"""UnfreezeHyperModel under the real tuners of KerasTuner, killed, resumed and given bad data."""

import gc
import os
import pickle

import keras
import keras_tuner
import numpy as np
import pytest
import tensorflow as tf

from kerastl import UnfreezeHyperModel, image_dataset
from kerastl.data.manifest import Manifest
from kerastl.errors import InputError
from kerastl.features.store.upkeep import list_store
from kerastl.models.spec import spec_of
from kerastl.tuning.features import plan_features
from kerastl.tuning.trial_fits import FatalInputError
from tests.support.swapped import bitmaps, swap
from tests.support.two_tasks import SHADE, WAY, backbone, striped_manifest

pytestmark = [
    # KerasTuner's own, in its oracles.
    pytest.mark.filterwarnings("ignore:currentThread:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:getName:DeprecationWarning"),
]

FIXED = {"learning_rate": 1e-2, "depth_decay": 0.7, "dropout": 0.0, "weight_decay": 1e-4}
QUICK = {"engine": "keras", "batch_size": 16, "head_epochs": 0}
SMALL = {"depths": ["heads", 4], **FIXED, **QUICK}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """One task of two classes: a fit is traced in a second."""
    found = striped_manifest(tmp_path_factory.mktemp("stripes"), test=1)
    return Manifest(found.frame.drop(columns="way"), (SHADE,))


def hypermodel(data, cache, **options):
    options = {**SMALL, **options}
    return UnfreezeHyperModel(options.pop("backbone", backbone()), data.tasks, cache=cache,
                              **options)  # fmt: skip


def values(model, **changes):
    hp = keras_tuner.HyperParameters()
    model.declare_hyperparameters(hp)
    hp.values.update(changes)
    return hp


def fitted(model, data, depth="4", epochs=2, **options):
    hp = values(model, trainable=depth)
    network = model.build(hp)
    return network, model.fit(hp, network, data, epochs=epochs, **options)


def val_loss(network, data):
    """From the pictures, with no feature of any store."""
    images = image_dataset(data.split("val"), image_size=16, batch_size=16)
    return network.evaluate(images, verbose=0, return_dict=True)["loss"]


class Seen(keras.callbacks.Callback):
    """What a user's callback was told of; KerasTuner copies it for each execution."""

    epochs: list[tuple] = []  # noqa: RUF012

    def on_epoch_end(self, epoch, logs=None):
        layers = [layer.name for layer in self.model.layers]
        self.epochs.append((epoch, "rescale" in layers, spec_of(self.model).trainable))


@pytest.fixture(autouse=True)
def _nothing_seen():
    Seen.epochs.clear()


HYPER = 5
TUNERS = {
    "random": (keras_tuner.RandomSearch, {"max_trials": 3, "seed": 1}),
    "bayesian": (
        keras_tuner.BayesianOptimization,
        {"max_trials": 3, "num_initial_points": 2, "seed": 1},
    ),
    "hyperband": (keras_tuner.Hyperband, {"max_epochs": 2, "factor": 2, "seed": 1}),
    "grid": (keras_tuner.GridSearch, {}),
}


def tuner(kind, model, folder, **options):
    make, given = TUNERS[kind]
    options = {"objective": "val_loss", **given, **options}
    return make(model, directory=folder, project_name="trials", **options)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    "kind",
    [
        "random",
        "grid",
        *(pytest.param(k, marks=pytest.mark.slow) for k in ("bayesian", "hyperband")),
    ],
)
def test_every_tuner_of_keras_tuner(kind, data, tmp_path):
    rates = 1e-2 if kind == "grid" else (1e-3, 3e-2)
    model = hypermodel(data, tmp_path / "features", learning_rate=rates)
    search = tuner(kind, model, tmp_path)
    search.search(data, epochs=2, verbose=0)
    trials = list(search.oracle.trials.values())
    assert [t.status for t in trials] == ["COMPLETED"] * len(trials)
    assert len(trials) == {"random": 3, "bayesian": 3, "grid": 2, "hyperband": HYPER}[kind]
    best, score = search.get_best_models(1)[0], search.oracle.get_best_trials(1)[0].score
    assert val_loss(best, data) == pytest.approx(score, abs=1e-5)
    # Features were made at two cuts, for train and val, though the trials were many.
    assert list_store(tmp_path / "features")["shards"].tolist() == [2, 2]
    assert not list((tmp_path / "features" / "trials").glob("*"))


@pytest.mark.slow
def test_a_tuner_goes_on_with_more_trials(data, tmp_path):
    def search(trials):
        model = hypermodel(data, tmp_path / "features", learning_rate=(1e-3, 1e-2))
        found = tuner("random", model, tmp_path, max_trials=trials, overwrite=False)
        found.search(data, epochs=1, callbacks=[Seen()], verbose=0)
        return {i: t.score for i, t in found.oracle.trials.items()}

    first, fits = search(2), len(Seen.epochs)
    second = search(3)
    assert fits == 2
    assert len(Seen.epochs) == 3
    assert {i: second[i] for i in first} == first
    assert len(second) == 3


class Killed(keras.callbacks.Callback):
    """Ends everything in the tail, before a tuner's checkpoint hears of the epoch or after."""

    def __init__(self, hook="on_epoch_end", epoch=0):
        super().__init__()
        self.hook, self.epoch = hook, epoch

    def on_epoch_begin(self, epoch, logs=None):
        if (self.hook, self.epoch) == ("on_epoch_begin", epoch):
            raise KeyboardInterrupt

    def on_epoch_end(self, epoch, logs=None):
        if (self.hook, self.epoch) == ("on_epoch_end", epoch):
            raise KeyboardInterrupt


def test_a_killed_trial_goes_on_from_its_last_epoch(data, tmp_path):
    worst = keras_tuner.Objective("val_loss", "max")

    def search(folder, *callbacks):
        # By this objective the first epoch is the best, and no later one may take its place.
        model = hypermodel(data, folder / "features", depths=[4], warmup=0)
        found = tuner("grid", model, folder, objective=worst, overwrite=False)
        found.search(data, epochs=3, callbacks=list(callbacks), verbose=0)
        (trial,) = found.oracle.trials.values()
        return found, trial

    _, whole = search(tmp_path / "whole")
    assert whole.best_step == 0
    for hook, epoch, rest in (("on_epoch_end", 0, [1, 2]), ("on_epoch_begin", 2, [2])):
        with pytest.raises(KeyboardInterrupt):
            search(tmp_path / hook, Killed(hook, epoch))
        (state,) = (tmp_path / hook / "features" / "trials").iterdir()
        Seen.epochs.clear()
        found, trial = search(tmp_path / hook, Seen())
        assert [epoch for epoch, *_ in Seen.epochs] == rest
        assert not state.exists()
        assert trial.score == pytest.approx(whole.score, abs=1e-6)
        assert val_loss(found.get_best_models(1)[0], data) == pytest.approx(trial.score, abs=1e-5)


def test_a_tuner_hears_of_the_last_phase_only(data, tmp_path):
    model = hypermodel(data, tmp_path, head_epochs=1)
    _, history = fitted(model, data, "4", epochs=2, callbacks=[Seen()])
    assert Seen.epochs == [(0, True, 4), (1, True, 4)]
    assert history.epoch == [0, 1]
    assert "phase" not in history.history
    assert {len(column) for column in history.history.values()} == {2}
    Seen.epochs.clear()
    # The heads alone get the epochs of both phases.
    _, history = fitted(model, data, "heads", epochs=2, callbacks=[Seen()])
    assert Seen.epochs == [(0, True, False), (1, True, False), (2, True, False)]
    assert history.epoch == [0, 1, 2]


def test_hyperband_goes_on_with_the_tail(data, tmp_path):
    model = hypermodel(data, tmp_path, head_epochs=2)
    hp = values(model, trainable="4")
    network = model.build(hp)
    before = val_loss(network, data)
    history = model.fit(hp, network, data, epochs=3, initial_epoch=1, callbacks=[Seen()])
    assert Seen.epochs == [(0, True, 4), (1, True, 4)]
    assert history.history["val_loss"][0] < before


def test_all_trials_start_from_the_same_backbone(data, tmp_path):
    model = hypermodel(data, tmp_path)
    first = model.build(values(model)).get_weights()
    fitted(model, data, "4", epochs=1)
    keras.backend.clear_session()
    second = model.build(values(model, trainable="4")).get_weights()
    assert len(first) > 6
    for one, two in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, two)


def test_executions_have_seeds_of_their_own(data, tmp_path):
    losses = [
        fitted(hypermodel(data, tmp_path, seed=seed), data, "heads", execution=n)[1].history["loss"]
        for seed, n in ((0, 0), (0, 1), (1, 0))
    ]
    assert losses[0] != losses[1]
    np.testing.assert_allclose(losses[1], losses[2], atol=1e-6)


def test_a_tuners_executions_are_counted(data, tmp_path):
    model = hypermodel(data, tmp_path / "features", depths=["heads"], learning_rate=[1e-3, 1e-2])
    search = tuner("grid", model, tmp_path, executions_per_trial=2)
    search.search(data, epochs=1, verbose=0)
    first, second = search.oracle.trials.values()
    hp = second.hyperparameters
    alone = [
        model.fit(hp, model.build(hp), data, epochs=1, execution=i).history["val_loss"][0]
        for i in (0, 1)
    ]
    assert second.score == pytest.approx(np.mean(alone), abs=1e-6)
    assert abs(alone[0] - alone[1]) > 1e-4
    assert first.score != second.score


def test_a_depth_without_room_runs_live_and_comes_to_the_same(data, tmp_path):
    roomy = hypermodel(data, tmp_path / "roomy", head_epochs=2)
    counts = len(data.split("train")), len(data.split("val"))
    base = roomy.build(values(roomy))
    budget = plan_features(base, ["heads"], *counts).needed
    tight = hypermodel(data, tmp_path / "tight", head_epochs=2, budget=budget)
    plans = [model.prepare(None, data) for model in (roomy, tight)]
    assert [plan.live for plan in plans] == [(), ("4",)]
    (one, stored), (two, live) = (fitted(model, data) for model in (roomy, tight))
    np.testing.assert_allclose(stored.history["val_loss"], live.history["val_loss"], atol=1e-4)
    assert val_loss(one, data) == pytest.approx(val_loss(two, data), abs=1e-4)
    assert spec_of(two).trainable == 4
    # Only the heads' features were stored, and used: no fit made others.
    assert len(list_store(tmp_path / "tight")) == 1
    assert len(list_store(tmp_path / "roomy")) == 2


@pytest.mark.slow
def test_a_killed_live_trial_goes_on(data, tmp_path):
    roomy = hypermodel(data, tmp_path)
    budget = plan_features(roomy.build(values(roomy)), ["heads"], 48, 16).needed
    tight = hypermodel(data, tmp_path, budget=budget, head_epochs=1)
    with pytest.raises(KeyboardInterrupt):
        fitted(tight, data, epochs=3, callbacks=[Killed()])
    Seen.epochs.clear()
    _, history = fitted(tight, data, epochs=3, callbacks=[Seen()])
    assert [epoch for epoch, *_ in Seen.epochs] == [1, 2]
    assert history.epoch == [0, 1, 2]
    assert not list((tmp_path / "trials").iterdir())


def test_no_trial_makes_features_anew(data, tmp_path):
    """A random layer that is frozen in a trial is no other network."""
    options = {"backbone": backbone(dropout=0.3), "depths": ["heads", 4, "all"]}
    model = hypermodel(data, tmp_path, **options)
    model.prepare(None, data)
    shards = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.npy")}
    assert len(list_store(tmp_path)) == 2
    for depth in ("heads", "4", "all"):
        fitted(model, data, depth, epochs=1)
    assert {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.npy")} == shards
    assert len(list_store(tmp_path)) == 2
    drop = model.build(values(model, trainable="all")).get_layer("drop")
    assert drop.rate == 0.3


def test_features_are_made_once_with_progress(data, tmp_path):
    told, model = [], hypermodel(data, tmp_path)
    plan = model.prepare(None, data, lambda done, total: told.append((done, total)))
    assert plan.stored == ("heads", "4")
    assert told[-1] == (128, 128)  # 64 pictures at two cuts
    count = len(told)
    assert model.prepare(None, data, lambda *of: told.append(of)) is plan
    assert len(told) == count


@pytest.mark.slow
@pytest.mark.parametrize("form", ["arrays", "dataset", "augmented"])
def test_other_forms_of_data(form, data, tmp_path, striped):
    images, way = striped(48)
    train, val = (images[:32], way[:32]), (images[32:], way[32:])
    options = {"augment": keras.layers.RandomFlip(seed=1)} if form == "augmented" else {}
    tasks = data.tasks if form == "augmented" else WAY
    model = UnfreezeHyperModel(backbone(), tasks, cache=tmp_path, **SMALL, **options)
    if form == "augmented":
        train, val = data, None
    if form == "dataset":
        train, val = (tf.data.Dataset.from_tensor_slices(d).batch(8) for d in (train, val))
    network, history = fitted(model, train, validation_data=val)
    assert len(history.history["val_loss"]) == 2
    assert np.isfinite(history.history["val_loss"]).all()
    assert network.stop_training in (True, False)
    assert not list_store(tmp_path).size


def test_a_killed_fit_is_known_again_and_no_other(data, tmp_path, striped):
    images, way = striped(40)
    fits = [
        {}, {"seed": 1}, {"learning_rate": 1e-3}, {"positive_weights": {"way": [2.0]}},
        {"augment": keras.layers.RandomRotation(0.1)}, {"data": slice(20, 40)}, {"epochs": 4},
        {"augment": keras.layers.RandomRotation(0.2)},
    ]  # fmt: skip

    def state(data=slice(0, 20), epochs=3, **options):
        model = UnfreezeHyperModel(backbone(), WAY, cache=tmp_path, **{**SMALL, **options})
        hp = values(model)
        given, options = (images[data], way[data]), model._options(hp.values, epochs, 0)
        return model._state(hp, model.build(hp), (given, None), options)

    names = [state(**fit) for fit in fits]
    assert len(set(names)) == len(fits)
    assert [state(**fit) for fit in fits] == names

    pictures = striped_manifest(tmp_path, train=4, val=2, test=2)
    bitmaps(pictures.frame["image"])
    model = UnfreezeHyperModel(backbone(), pictures.tasks, cache=tmp_path, **SMALL)
    known = model._known_by(model.build(values(model)), pictures.split("train"), None)
    swap(pictures.split("train").frame["image"].iloc[0])
    built = model.build(values(model))
    assert model._known_by(built, pictures.split("train"), None) != known


def test_a_fault_of_the_data_ends_a_search_at_once(data, tmp_path):
    shade = np.where(data.frame["split"] == "train", -1, data.frame["shade"])
    frame = data.frame.assign(shade=shade)
    search = tuner("random", hypermodel(data, tmp_path / "features"), tmp_path)
    with pytest.raises(InputError, match="Nothing could be learnt of 1 task") as error:
        search.search(Manifest(frame, data.tasks), epochs=1, callbacks=[Seen()], verbose=0)
    assert isinstance(error.value, keras_tuner.errors.FatalError)
    assert error.value.faults == ("shade: none of its 48 labels for training is known",)
    assert not (tmp_path / "features").exists()  # before any feature was made
    with pytest.raises(FatalInputError, match="tasks are not the model's"):
        other = data.frame.rename(columns={"shade": "way"})
        fitted(hypermodel(data, tmp_path / "features"), Manifest(other, (WAY,)))


def test_what_a_search_cannot_pass_on(data, tmp_path):
    search = tuner("random", hypermodel(data, tmp_path / "features"), tmp_path)
    with pytest.raises(InputError, match="A trial cannot be fitted so") as error:
        search.search(data, epochs=0, batch_size=8, verbose=0)
    assert error.value.faults == (
        "batch_size: give it to UnfreezeHyperModel",
        "epochs: expected at least 1, received 0",
    )


def test_an_objective_that_no_trial_has(data, tmp_path):
    model = hypermodel(data, tmp_path / "features", depths=["heads"])
    objective = keras_tuner.Objective("val_los", "min")
    with pytest.raises(InputError, match="'val_los'. Did you mean val_loss?") as error:
        tuner("random", model, tmp_path, objective=objective).search(data, epochs=1, verbose=0)
    assert "no val part" not in str(error.value)
    train = data.split("train")
    with pytest.raises(InputError, match="'val_loss'.*no val part with known labels: give one"):
        tuner("random", model, tmp_path, overwrite=True).search(train, epochs=1, verbose=0)


def test_a_budget_below_one_trials_need(data, tmp_path):
    model = hypermodel(data, tmp_path, budget=10)
    with pytest.raises(FatalInputError, match="budget of 10"):
        fitted(model, data)


def test_a_trial_that_diverges_is_marked_and_the_search_goes_on(data, tmp_path):
    model = hypermodel(data, tmp_path / "features", depths=[4], learning_rate=[1e30, 1e-3])
    search = tuner("grid", model, tmp_path)
    search.search(data, epochs=2, verbose=0)
    found = {t.hyperparameters.values["learning_rate"]: t for t in search.oracle.trials.values()}
    assert found[1e-3].status == "COMPLETED"
    assert found[1e30].status == "FAILED"
    assert "diverged: loss is" in found[1e30].message
    assert "in epoch 1" in found[1e30].message
    assert not list((tmp_path / "features" / "trials").glob("*"))


def test_all_faults_of_the_arguments_at_once():
    with pytest.raises(InputError, match="There can be no trials so") as error:
        UnfreezeHyperModel(
            backbone(), WAY, depths=[99, "relu9", 2], dropout=(0.5, 0.1), learning_rate=-1,
            batchsize=8, epochs=3,
        )  # fmt: skip
    faults = error.value.faults
    assert faults[:2] == (
        "there is no option 'batchsize'. Did you mean batch_size?",
        "there is no option 'epochs'. Did you mean head_epochs?",
    )
    assert [fault.split(":")[0] for fault in faults[2:]] == [
        "learning_rate", "dropout", "depths", "depths",
    ]  # fmt: skip
    assert "Received: trainable=99. tiny has 8 layers." in faults[4]
    assert "relu" in faults[5].partition("Did you mean")[2]


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ({"backbone": []}, "backbone: expected at least one, received none"),
        ({"backbone": ["MobileNet", 3]}, "backbone: expected names to choose from, received"),
        ({"image_size": []}, "image_size: expected at least one, received none"),
        ({"image_size": [16, (8, 8)]}, "image_size: expected whole numbers from 1 to choose from"),
        ({"image_size": [16, 16]}, "image_size: expected each once, received [16, 16]"),
        ({"loss_weights": {"wai": 2}}, "wai: there is no such task"),
    ],
)
def test_choices_that_are_none(given, fault):
    with pytest.raises(InputError) as error:
        UnfreezeHyperModel(given.pop("backbone", backbone()), WAY, **given)
    assert error.value.faults[0].startswith(fault)


def test_depths_of_one_number_of_layers_are_one(caplog):
    with caplog.at_level("INFO", "kerastl"):
        model = UnfreezeHyperModel(
            backbone(), WAY, depths=["all", 4, "relu0", False, "conv2", "none"]
        )
    assert model.space.depths == ("heads", "conv2", "4", "all")
    assert [model.layers(values(model, trainable=d)) for d in model.space.depths] == [0, 1, 4, 8]
    assert "The depths 4 and relu0 are one: 4 layers." in caplog.text


def test_depths_where_none_are_given():
    model = UnfreezeHyperModel(["MobileNetV2", "MobileNet"], WAY, weights=None, image_size=64)
    assert model.space.depths == ("heads", "stage4", "stage3", "stage2", "stage1")
    chosen = values(model, trainable="stage4")
    assert chosen.values["backbone"] == "MobileNetV2"
    assert (model.layers(chosen), model.layers(values(model, trainable="heads"))) == (38, 0)
    chosen.values["backbone"] = "MobileNet"
    assert model.layers(chosen) == 13
    assert model.build(chosen).name == "kerastl_mobilenet"


def test_a_choice_of_sizes(data, tmp_path):
    model = hypermodel(data, tmp_path, backbone=backbone(None), image_size=[16, 8])
    hp = values(model, image_size=8, trainable="4")
    network = model.build(hp)
    assert network.input_shape == (None, 8, 8, 3)
    model.fit(hp, network, data, epochs=1)
    assert model.build(values(model)).input_shape == (None, 16, 16, 3)
    assert len(list_store(tmp_path)) == 2


def test_sizes_share_a_budget(data, tmp_path):
    options = {"backbone": backbone(None), "image_size": [16, 8]}
    roomy = hypermodel(data, tmp_path / "roomy", **options)
    needed = plan_features(roomy.build(values(roomy)), ["heads"], 48, 16).needed
    tight = hypermodel(data, tmp_path / "tight", budget=2 * needed, **options)
    plans = [tight.prepare(values(tight, image_size=size), data) for size in (16, 8)]
    assert [plan.needed <= needed for plan in plans] == [True, True]
    assert "4" in roomy.prepare(values(roomy), data).cuts
    assert "4" not in plans[0].cuts


def test_another_process_builds_the_same(data, tmp_path):
    model = hypermodel(data, tmp_path, learning_rate=(1e-3, 1e-2))
    copy = pickle.loads(pickle.dumps(model))
    assert copy.space == model.space
    assert copy.cache == model.cache
    one, two = fitted(model, data, epochs=1), fitted(copy, data, epochs=1)
    np.testing.assert_allclose(one[1].history["loss"], two[1].history["loss"], atol=1e-6)
    assert len(list_store(tmp_path)) == 2
    with pytest.raises(InputError, match="cannot share a temporary folder: give cache="):
        pickle.dumps(hypermodel(data, None))


def test_a_temporary_folder_goes_with_its_hypermodel(data):
    model = hypermodel(data, None)
    fitted(model, data, epochs=1)
    folder = model.cache
    assert len(os.listdir(folder)) > 1
    del model
    gc.collect()
    assert not folder.exists()
