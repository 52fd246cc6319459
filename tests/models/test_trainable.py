import keras
import numpy as np
import pytest

from kerastl import terminal
from kerastl.errors import InputError
from kerastl.models.factories import classifier
from kerastl.models.graph import weights_digest
from kerastl.models.trainable import freeze_plan, movement, set_trainable


@pytest.fixture
def model(network):
    return classifier(network(dropout=0.5), ["a", "b"])


def trained(model):
    return {v.path.split("/")[0] for v in model.trainable_variables}


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (False, {"label"}),
        (0, {"label"}),
        (True, {"conv1", "branch", "conv2", "label"}),
        (1, {"label"}),
        (3, {"conv2", "label"}),
        (0.3, {"conv2", "label"}),
        (0.6, {"branch", "conv2", "label"}),
        ("add", {"conv2", "label"}),
        ("stage1", {"conv2", "label"}),
        ("conv1", {"branch", "conv2", "label"}),
    ],
)
def test_policies(model, policy, expected):
    assert trained(set_trainable(model, policy)) == expected


@pytest.mark.parametrize(
    ("options", "frozen"),
    [
        # conv1 224, branch 584, conv2 876, and BatchNorm 32 and 48, of 1,764 weights in all
        ({"trainable": False}, "1,764 of the 1,764"),
        ({"trainable": "stage1"}, "888 of the 1,764"),
        ({"trainable": True}, "80 of the 1,764"),
        ({"trainable": True, "train_batch_norm": True}, None),
    ],
)
def test_random_layers_that_stay_frozen_are_told_of(network, monkeypatch, caplog, options, frozen):
    monkeypatch.setattr(terminal, "_warned", set())
    for _ in range(2):
        classifier(network(), ["a", "b"], **options)
    told = [m for m in caplog.messages if "look untrained" in m]
    if frozen is None:
        assert told == []
        return
    [words] = told
    assert words.startswith(f"{frozen} weights of small are frozen and look untrained")
    assert "trainable=True and train_batch_norm=True" in words


def test_trained_layers_may_be_frozen(network, monkeypatch, caplog):
    monkeypatch.setattr(terminal, "_warned", set())
    own = network()
    own.get_layer("conv1").bias.assign(np.full(8, 0.01))
    classifier(own, ["a", "b"])
    assert "look untrained" not in caplog.text


def test_batch_norm_stays_frozen_unless_asked_for(model):
    assert "norm2" not in trained(set_trainable(model, True))
    assert {"norm1", "norm2"} <= trained(set_trainable(model, True, train_batch_norm=True))
    # The switch is remembered until it is changed.
    assert "norm2" in trained(set_trainable(model, "stage1"))


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        ("conv3", "Did you mean conv"),
        ("nothing", "The stages are stage1"),
        (11, "small has 11 layers|small has 10 layers"),
        (-1, "a number of layers"),
        (1.5, r"a share in \(0, 1\)"),
        (1.0, "True trains everything"),
    ],
)
def test_a_policy_that_fits_nothing(model, policy, words):
    policy = 99 if policy == 11 else policy
    with pytest.raises(InputError, match=words):
        set_trainable(model, policy)


def test_frozen_random_layers_are_silent_and_wake_up_again(model):
    drop = model.get_layer("drop")
    assert drop.rate == 0
    assert model.kerastl_spec.rates == {"drop": 0.5}
    set_trainable(model, True)
    assert drop.rate == 0.5
    set_trainable(model, "add")
    assert drop.rate == 0.5  # it lies behind the add, in the tail
    set_trainable(model, False)
    assert drop.rate == 0


def test_frozen_means_frozen_in_plain_fit(model, striped):
    """Weights, BatchNorm statistics and dropout alike, under Keras' own fit."""
    set_trainable(model, "add")
    images, codes = striped(32)
    frozen = {w.path: w.numpy() for w in model.non_trainable_weights}
    model.fit(images, codes, epochs=2, verbose=0)
    for weight in model.non_trainable_weights:
        np.testing.assert_array_equal(weight.numpy(), frozen[weight.path])


def test_changing_the_policy_compiles_again(model, striped):
    images, codes = striped(32)
    model.fit(images, codes, verbose=0)
    before = model.get_layer("conv2").kernel.numpy()
    set_trainable(model, True)
    model.fit(images, codes, verbose=0)
    assert np.abs(model.get_layer("conv2").kernel.numpy() - before).max() > 0


def test_a_compile_of_ones_own_is_kept(model):
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    set_trainable(model, True)
    assert isinstance(model.optimizer, keras.optimizers.SGD)


def test_freeze_plan_counts_everything_once(model):
    set_trainable(model, "stage1")
    plan = freeze_plan(model)
    assert plan["parameters"].sum() == model.count_params()
    counted = sum(int(np.prod(v.shape)) for v in model.trainable_variables)
    assert plan["trained parameters"].sum() == counted
    assert plan["state"].tolist() == ["frozen", "trained", "trained"]
    assert plan["stage"].tolist() == ["stage1", "stage2", "heads"]
    assert plan["BatchNorm"].tolist() == ["inference", "inference", ""]


def test_movement_names_what_should_not_and_what_should(model):
    before = weights_digest(model)
    model.get_layer("conv1").bias.assign_add(np.ones(8))
    found = movement(model, before, {"label/kernel"})
    assert found.moved == ("conv1/bias",)
    assert found.still == ("label/kernel",)
    assert "0 of 1 trained weights moved" in str(found)
    assert "moved though frozen: conv1/bias" in str(found)
