import logging
import shutil

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from kerastl.data.manifest import Manifest
from kerastl.data.readers.tabular import read_folder
from kerastl.data.tasks import Task
from kerastl.errors import InputError
from kerastl.models.factories import (
    classifier,
    compile_model,
    create_model,
    multitask_classifier,
)
from kerastl.models.trainable import set_trainable
from kerastl.training.fitting import _batch_size, fit
from kerastl.training.optimizers import RATES, chosen_rates
from tests.support.swapped import bitmaps, swap

QUIET = {"verbose": 0, "batch_size": 16}


@pytest.fixture
def data(striped):
    return striped(80)


def make(network, trainable="stage1", **options):
    return classifier(network(), ["across", "down"], trainable=trainable, **options)


def weights(model):
    return np.concatenate([w.ravel() for w in model.get_weights()])


def test_learns_heads_then_tail(network, data, striped):
    model = make(network)
    history = fit(model, data, striped(40, seed=1), epochs=8, learning_rate=1e-2, **QUIET)
    frame = pd.DataFrame(history.history)
    assert frame["phase"].unique().tolist() == ["heads", "tail"]
    assert frame["val_accuracy"].iloc[-1] > 0.9
    assert history.movement.moved == history.movement.still == ()
    assert history.movement.trained == 4  # conv2 and the head; BatchNorm stays frozen


def test_seeded_runs_repeat(network, data):
    runs = []
    for seed in (0, 0, 1):
        model = make(network)
        fit(model, data, epochs=2, seed=seed, **QUIET)
        runs.append(weights(model))
    np.testing.assert_array_equal(runs[0], runs[1])
    assert np.abs(runs[0] - runs[2]).max() > 0


def test_the_policy_is_the_same_afterwards(network, data):
    model = make(network, trainable="stage1")
    fit(model, data, epochs=1, **QUIET)
    assert model.kerastl_spec.trainable == "stage1"
    assert {v.path.split("/")[0] for v in model.trainable_variables} == {"conv2", "label"}


def test_everything_trains_live(network, data):
    model = make(network, trainable=True)
    history = fit(model, data, epochs=1, **QUIET)
    assert history.movement.trained == 8
    assert history.movement.still == ()


def test_head_epochs_zero_leaves_the_phase_out(network, data):
    history = fit(make(network), data, epochs=2, head_epochs=0, **QUIET)
    assert history.history["phase"] == ["tail", "tail"]


def test_a_manifest_brings_its_parts(network, stripes_folder):
    manifest = read_folder(stripes_folder)
    model = make(network)
    history = fit(model, manifest, epochs=2, **QUIET)
    assert "val_loss" in history.history
    assert len(manifest.split("train")) > len(manifest.split("val")) > 0


@pytest.mark.parametrize(("count", "size"), [(None, 32), (2000, 32), (80, 10), (25, 4), (1, 4)])
def test_few_examples_come_in_smaller_batches(count, size):
    assert _batch_size(count) == size


def test_early_stopping_restores_the_best(network, data):
    """With labels drawn at random the validation loss turns; the best weights are kept."""
    draw = np.random.default_rng(0)
    images, _ = data
    labels, other = draw.integers(2, size=80), draw.integers(2, size=80)
    model = make(network)
    history = fit(
        model, (images, labels), (images, other), epochs=30, head_epochs=0, patience=2,
        learning_rate=3e-2, **QUIET,
    )  # fmt: skip
    losses = history.history["val_loss"]
    assert len(losses) < 30
    found = model.evaluate(images, other, verbose=0, return_dict=True)["loss"]
    assert found == pytest.approx(min(losses), rel=1e-4)


class StopAfter(keras.callbacks.Callback):
    """Stands in for Ctrl-C: interrupts after so many epochs in all."""

    def __init__(self, epochs):
        super().__init__()
        self.left = epochs

    def on_epoch_end(self, epoch, logs=None):
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt


@pytest.mark.parametrize("after", [1, 2, 4])
@pytest.mark.parametrize("cache", ["auto", False])
def test_interrupted_and_resumed_is_as_if_it_never_stopped(network, data, tmp_path, after, cache):
    options = {"epochs": 3, "head_epochs": 2, "cache": cache, **QUIET}
    straight = make(network, dropout=0.3)
    expected = fit(straight, data, data, **options)

    with pytest.raises(KeyboardInterrupt):
        fit(make(network, dropout=0.3), data, data, resume=tmp_path,
            callbacks=[StopAfter(after)], **options)  # fmt: skip
    model = make(network, dropout=0.3)
    history = fit(model, data, data, resume=tmp_path, **options)
    np.testing.assert_allclose(weights(model), weights(straight), atol=1e-6)
    assert history.history["phase"] == expected.history["phase"]
    np.testing.assert_allclose(history.history["loss"], expected.history["loss"], atol=1e-5)


def test_a_finished_fit_is_not_done_again(network, data, tmp_path):
    options = {"epochs": 2, "resume": tmp_path, **QUIET}
    first = make(network)
    expected = fit(first, data, data, **options)

    def never(*args):
        raise AssertionError("trained again")

    model = make(network)
    guard = keras.callbacks.LambdaCallback(on_epoch_begin=never)
    history = fit(model, data, data, callbacks=[guard], **options)
    np.testing.assert_array_equal(weights(model), weights(first))
    assert history.history == expected.history


def test_resume_refuses_other_settings_and_names_them(network, data, tmp_path):
    fit(make(network), data, epochs=1, resume=tmp_path, **QUIET)
    with pytest.raises(InputError, match="other settings") as caught:
        fit(make(network), data, epochs=1, resume=tmp_path, seed=5, **QUIET)
    assert any(fault.startswith("seed: then 0, now 5") for fault in caught.value.faults)


def test_resume_notices_pictures_of_other_content(network, stripes_folder, tmp_path):
    """Also those that have the size and the time of the picture before."""
    pictures = shutil.copytree(stripes_folder, tmp_path / "pictures")
    bitmaps(pictures.glob("*/*"))
    model, data = make(network), read_folder(pictures)
    for _ in range(2):  # as it was it goes on
        fit(model, data, epochs=1, head_epochs=0, resume=tmp_path / "state", **QUIET)
        model = make(network)
    swap(next(pictures.glob("*/*")))
    with pytest.raises(InputError, match="other settings") as caught:
        fit(model, data, epochs=1, head_epochs=0, resume=tmp_path / "state", **QUIET)
    [fault] = caught.value.faults
    assert fault.startswith("data: the pictures' content")


def test_a_damaged_state_says_what_to_do(network, data, tmp_path):
    fit(make(network), data, epochs=1, resume=tmp_path, **QUIET)
    state = tmp_path / "fit-state.npz"
    state.write_bytes(state.read_bytes()[:500])
    with pytest.raises(InputError, match="Delete the file to begin anew"):
        fit(make(network), data, epochs=1, resume=tmp_path, **QUIET)


def test_augmentation_without_views_runs_live_and_says_so(network, data, caplog, capsys):
    flip = keras.layers.RandomFlip("horizontal")
    with caplog.at_level(logging.INFO, logger="kerastl"):
        fit(make(network), data, epochs=1, augment=flip, **QUIET)
    reason = "Every epoch runs the whole network: augmentation changes the pictures each time."
    assert reason in caplog.text
    assert reason not in capsys.readouterr().err
    fit(make(network), data, epochs=1, augment=flip, batch_size=16, verbose=1)
    shown = capsys.readouterr()
    assert reason in " ".join(shown.err.split())
    assert shown.out == ""
    with pytest.raises(InputError, match="Give views=k to store k augmented copies"):
        fit(make(network), data, epochs=1, augment=flip, cache=True, **QUIET)
    with pytest.raises(InputError, match="views=3 needs augment="):
        fit(make(network), data, epochs=1, views=3, **QUIET)


def test_views_are_stored_copies(network, data):
    flip = keras.layers.RandomFlip("horizontal")
    models = [make(network) for _ in range(2)]
    for model in models:
        fit(model, data, epochs=2, augment=flip, views=3, **QUIET)
    np.testing.assert_array_equal(weights(models[0]), weights(models[1]))


def test_unknown_labels_train_as_the_known_alone(network, striped):
    images, codes = striped(32)
    tasks = [Task("a", ["x", "y"], "binary"), Task("b", ["u", "v"])]
    even = np.arange(32) % 2 == 0  # no row without an unknown label
    labels = {"a": np.where(even, codes, -1.0), "b": np.where(even, -1, codes)}
    heads = []
    for shown in (images, np.where(even[:, None, None, None], images, 255 - images)):
        model = multitask_classifier(network(), tasks)
        history = fit(model, (shown, labels), epochs=2, **QUIET)
        assert history.movement.still == ()
        heads.append({name: model.get_layer(name).get_weights()[0] for name in labels})
    np.testing.assert_allclose(heads[0]["a"], heads[1]["a"], atol=1e-6)
    assert np.abs(heads[0]["b"] - heads[1]["b"]).max() > 1e-3


@pytest.mark.parametrize("unknown", [-1.0, -2.0, np.nan])
def test_a_task_without_a_known_label_is_refused(network, striped, unknown):
    images, codes = striped(8)
    tasks = [Task("a", ["x", "y"], "binary"), Task("b", ["u", "v"])]
    model = multitask_classifier(network(), tasks)
    labels = {"a": codes, "b": np.full(8, unknown)}
    with pytest.raises(InputError, match="Nothing could be learnt of 1 task") as caught:
        fit(model, (images, labels), epochs=1, **QUIET)
    assert caught.value.faults == ("b: none of its 8 labels for training is known",)
    known = {"a": codes, "b": codes}
    fit(model, (images, known), (images, labels), epochs=1, **QUIET)


def test_training_data_of_which_nothing_is_known_are_refused(network, striped):
    images, unknown = striped(8)[0], np.full(8, -1)
    for given in ((images, unknown), batches(images, unknown)):
        with pytest.raises(InputError, match="Nothing could be learnt") as caught:
            fit(make(network), given, epochs=1, **QUIET)
        assert caught.value.faults == ("label: none of its 8 labels for training is known",)


def batches(images, labels):
    return tf.data.Dataset.from_tensor_slices((images, labels)).batch(3)


@pytest.mark.parametrize(
    ("form", "cache"),
    [("arrays", "auto"), pytest.param("dataset", False, marks=pytest.mark.slow)],
)
def test_validation_of_which_nothing_is_known_is_none(network, data, caplog, form, cache):
    """It would have a loss of 0 in the first epoch, which no other betters."""
    unknown = data[0][:8], np.full(8, -1)
    given = batches(*unknown) if form == "dataset" else unknown
    found = [
        fit(make(network), data, validation, epochs=2, batch_size=16, cache=cache).history
        for validation in (None, given)
    ]
    assert found[0] == found[1]
    [warned] = [m for m in caplog.messages if "for validation" in m]
    assert warned == (
        "None of the 8 labels for validation is known. The fit goes on as without validation "
        "data: no best epoch is chosen. Put pictures with known labels there."
    )


def test_a_task_that_validation_tells_nothing_of_is_said(network, data, caplog):
    """The other tasks choose the epoch, and there is no figure of that one."""
    images, codes = data
    tasks = [Task("seen", ["x", "y"], "binary"), Task("lost", ["u", "v"])]
    model = multitask_classifier(network(), tasks)
    validation = images[:9], {"seen": codes[:9], "lost": np.full(9, -1)}
    history = fit(model, (images, {"seen": codes, "lost": codes}), validation, epochs=2,
                  batch_size=16, verbose=1)  # fmt: skip
    [warned] = [m for m in caplog.messages if "for validation" in m]
    assert warned == (
        "lost: none of its 9 labels for validation is known, so the other tasks alone choose the "
        "best epoch. Put pictures with known labels of it there."
    )
    measured = [name for name in history.history if name.startswith("val_")]
    assert measured == ["val_loss", "val_seen_accuracy", "val_seen_auc", "val_seen_loss"]
    np.testing.assert_allclose(history.history["val_loss"], history.history["val_seen_loss"])


def test_a_policy_can_make_a_task_learnable_and_is_part_of_a_fit(network, stripes_folder, tmp_path):
    data = read_folder(stripes_folder)
    task = Task("odd", ["no", "yes"], "binary")
    train = data.frame["split"] == "train"
    frame = data.frame.assign(odd=np.where(train, -2.0, data.frame["label"]))
    data = Manifest(frame.drop(columns="label"), task)
    model = create_model(network(), task)
    with pytest.raises(InputError, match="odd: none of its 45 labels for training is known"):
        fit(model, data, epochs=1, **QUIET)
    fit(model, data.with_uncertain(0.5), epochs=1, resume=tmp_path, **QUIET)
    with pytest.raises(InputError, match="other settings"):
        fit(model, data.with_uncertain(0.6), epochs=1, resume=tmp_path, **QUIET)


def test_options_of_ones_own_compile_are_kept(network, data):
    model = make(network)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    top2 = keras.metrics.SparseTopKCategoricalAccuracy(k=2, name="top2")
    model.compile("sgd", loss, metrics=[top2])
    history = fit(model, data, epochs=1, **QUIET)
    assert history.history["top2"] == [1.0, 1.0]


def test_an_optimizer_of_ones_own_trains_in_both_phases(network, data):
    """SGD by hand gives the same weights: its rate, its momentum, anew in the tail's phase."""
    own = make(network, dropout=0)
    optimizer = keras.optimizers.SGD(0.05, momentum=0.9)
    fit(compile_model(own, optimizer=optimizer), data, epochs=1, head_epochs=1, batch_size=80,
        verbose=0)  # fmt: skip
    assert type(own.optimizer) is keras.optimizers.SGD
    plain = make(network, trainable=False, dropout=0)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    for policy in (False, "stage1"):
        set_trainable(plain, policy)
        plain.compile(keras.optimizers.SGD(0.05, momentum=0.9), loss)
        plain.fit(*data, batch_size=80, shuffle=False, verbose=0)
    np.testing.assert_allclose(weights(own), weights(plain), atol=1e-5)


def test_a_schedule_of_ones_own_is_followed_and_a_state_is_of_it(network, data, tmp_path):
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay([5, 10], [0.4, 0.2, 0.1])
    model = compile_model(make(network), optimizer=keras.optimizers.SGD(schedule))
    options = {"epochs": 3, "head_epochs": 2, "resume": tmp_path, **QUIET}
    history = fit(model, data, **options)
    np.testing.assert_allclose(history.history["learning_rate"], [0.4, 0.2, 0.4, 0.2, 0.1])
    with pytest.raises(InputError, match="other settings") as caught:
        fit(make(network), data, **options)
    assert any(fault.startswith("optimizer: then {") for fault in caught.value.faults)


def test_rates_beside_an_optimizer_of_ones_own_are_refused(network, data):
    model = compile_model(make(network), optimizer=keras.optimizers.SGD(0.1))
    with pytest.raises(InputError, match="SGD, which trains as it is. Leave learning_rate, war"):
        fit(model, data, epochs=1, learning_rate=1e-3, warmup=0.2, **QUIET)


def test_what_cannot_be_made_again_is_named(network, data):
    class Own(keras.optimizers.SGD):
        pass

    model = make(network)
    model.compile(Own(0.1), "mse")
    with pytest.raises(InputError, match="cannot be made again for each phase .*'Own'"):
        fit(model, data, epochs=1, **QUIET)


def test_class_weights_are_refused_with_the_way_out(network, data):
    with pytest.raises(InputError, match="no class_weight.*positive_weights=.*cache=False"):
        fit(make(network), data, epochs=1, class_weight={0: 1.0, 1: 5.0}, **QUIET)


def test_a_rate_for_plain_fit_is_said(network, caplog):
    nothing = dict.fromkeys(RATES)
    assert chosen_rates(nothing, make(network), None) == RATES
    assert "plain model" not in caplog.text
    chosen_rates(nothing, make(network, learning_rate=1e-4), None)
    assert "The learning rate 0.0001 of the compiled model is that of plain model" in caplog.text


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ([1, 2, 3], "Expected a Manifest, .images, labels. or a batched"),
        ((np.zeros((2, 8, 8, 3), "uint8"), [0, 1]), "16x16 pixels. Received: 8x8"),
        ((np.zeros((2, 16, 16, 3), "uint8"), [0, 7]), "from 0 to 1, or -1"),
        ((np.zeros((2, 16, 16, 3), "uint8"), [0]), r"of label \(across, down\) as \[2\]"),
    ],
)
def test_data_that_do_not_fit(network, bad, words):
    with pytest.raises(InputError, match=words):
        fit(make(network), bad, epochs=1, **QUIET)


def test_endless_data_are_refused(network, data):
    endless = tf.data.Dataset.from_tensor_slices(data).batch(16).repeat()
    with pytest.raises(InputError, match="endless.*without repeat"):
        fit(make(network), endless, epochs=1, **QUIET)


def test_other_tasks_are_refused(network, stripes_folder):
    manifest = read_folder(stripes_folder)
    model = classifier(network(), ["left", "right"])
    with pytest.raises(InputError, match="tasks are not the model's") as caught:
        fit(model, manifest, epochs=1, **QUIET)
    assert len(caught.value.faults) == 2


def test_a_model_that_is_not_compiled_is_refused(network, data):
    model = make(network)
    model.compiled = False
    with pytest.raises(InputError, match="is not compiled.*kerastl.models.factories.compile_model"):
        fit(model, data, epochs=1, **QUIET)


def test_batch_norm_trains_when_asked(network, data):
    model = make(network, trainable="stage1")
    set_trainable(model, "stage1", train_batch_norm=True)
    history = fit(model, data, epochs=1, **QUIET)
    assert history.movement.moved == ()
