"""The space of a search: what is declared to KerasTuner, and which ranges are none."""

import random

import keras_tuner
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kerastl.cli.options import policy
from kerastl.errors import InputError
from kerastl.tuning.space import SearchSpace, depth_policy, depth_word

DEPTHS = ("heads", "9", "stage4")


def declared(**ranges):
    hp = keras_tuner.HyperParameters()
    SearchSpace(DEPTHS, **ranges).declare(hp)
    return hp


@given(
    st.booleans()
    | st.integers(1, 500)
    | st.floats(0, 1, exclude_min=True, exclude_max=True)
    | st.sampled_from(["stage4", "block_12_add", "conv2/relu"])
)
def test_a_word_is_a_policy_and_back(trainable):
    found = depth_policy(depth_word(trainable))
    assert found == trainable
    assert type(found) is type(trainable)


@pytest.mark.parametrize(
    ("word", "expected"), [("none", False), ("ALL", True), ("007", 7), ("1e-1", 0.1)]
)
def test_other_words_for_a_policy(word, expected):
    assert depth_policy(word) == policy(word) == expected
    assert type(depth_policy(word)) is type(expected)


def test_defaults_come_first():
    """Those of `fit` and `create_model`, so that the first trial is what one had anyway."""
    assert declared().values == {
        "trainable": "heads",
        "learning_rate": 3e-4,
        "depth_decay": 0.7,
        "dropout": 0.2,
        "weight_decay": 1e-4,
    }


def test_a_default_outside_a_range_is_its_nearest_end():
    found = declared(learning_rate=(1e-3, 1e-2), depth_decay=(0.8, 0.9), dropout=[0.0, 0.1, 0.5])
    assert found.values["learning_rate"] == 1e-3
    assert found.values["depth_decay"] == 0.8
    assert found.values["dropout"] == 0.1


def test_a_number_is_fixed_a_list_holds_values_a_tuple_ends():
    found = {hp.name: hp for hp in declared(dropout=0, depth_decay=[1, 0.5, 1]).space}
    assert isinstance(found["dropout"], keras_tuner.engine.hyperparameters.Fixed)
    assert found["depth_decay"].values == [1.0, 0.5]
    assert (found["learning_rate"].min_value, found["learning_rate"].max_value) == (3e-5, 3e-3)


@pytest.mark.parametrize("name", ["learning_rate", "weight_decay"])
def test_rates_are_drawn_by_their_logarithm(name):
    drawn = next(hp for hp in declared().space if hp.name == name)
    middle = (drawn.min_value * drawn.max_value) ** 0.5
    draw = random.Random(0)
    below = sum(drawn.random_sample(draw.random()) < middle for _ in range(400))
    assert 150 < below < 250


def test_backbone_and_size_are_declared_where_there_is_a_choice():
    assert not {"backbone", "image_size"} & set(
        declared(backbones=("a",), image_sizes=(96,)).values
    )
    found = declared(backbones=("a", "b"), image_sizes=(96, 128)).values
    assert (found["backbone"], found["image_size"]) == ("a", 96)


def test_every_range_that_is_none_is_named():
    with pytest.raises(InputError, match="nothing to search in") as error:
        SearchSpace(
            (), learning_rate=(3e-3, 3e-5), depth_decay=[0.5, 1.5], dropout=1, weight_decay=-1e-4
        )
    assert error.value.faults == (
        "depths: expected at least one, received none",
        "learning_rate: expected a tuple (lowest, highest), or a list of values, "
        "received (0.003, 3e-05)",
        "depth_decay: expected numbers above 0, up to 1, received 1.5",
        "dropout: expected numbers from 0 to below 1, received 1",
        "weight_decay: expected numbers from 0, received -0.0001",
    )


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"dropout": []}, "dropout: expected at least one value, received none"),
        ({"dropout": True}, "dropout: expected numbers from 0 to below 1, received True"),
        ({"dropout": "0.2"}, "received '0.2'"),
        ({"dropout": (0.1, float("nan"))}, "received nan"),
        ({"dropout": (0.1,)}, "dropout: expected a tuple"),
        ({"dropout": (0.1, 0.2, 0.3)}, "dropout: expected a tuple"),
        ({"dropout": (0.1, 0.1)}, "dropout: expected a tuple"),
        ({"learning_rate": 0}, "learning_rate: expected numbers above 0, received 0"),
        ({"learning_rate": float("inf")}, "received inf"),
        ({"weight_decay": (0, 1e-2)}, "the lowest of a range has to be above 0"),
    ],
)
def test_ranges_that_are_none(given, words):
    with pytest.raises(InputError) as error:
        SearchSpace(DEPTHS, **given)
    assert len(error.value.faults) == 1
    assert words in error.value.faults[0]


def test_no_weight_decay_is_a_value():
    assert declared(weight_decay=0).values["weight_decay"] == 0
    assert declared(weight_decay=[0, 1e-4]).values["weight_decay"] == 1e-4
