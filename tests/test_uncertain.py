"""The policy for uncertain labels: from a person's words to numbers by column."""

import numpy as np
import pytest

from kerastl.tasks import Task
from kerastl.uncertain import column_faults, policy_values, standing

KIND = Task("kind", ["x", "y"])
DEFECT = Task("defect", ["fine", "broken"], kind="binary")
SCENE = Task("scene", ["sea", "hill"], kind="multilabel")
OTHER = Task("other", ["sea", "sand"], kind="multilabel")


def test_a_single_word_is_for_every_column_of_yes_or_no():
    assert policy_values([KIND, DEFECT, SCENE], "negative") == {
        "defect": 0,
        "scene.sea": 0,
        "scene.hill": 0,
    }
    assert policy_values([SCENE], np.float32(0.5)) == {"scene.sea": 0.5, "scene.hill": 0.5}


@pytest.mark.parametrize("turned", [False, True])
def test_the_closer_name_wins_whatever_the_order(turned):
    policy = {"scene.sea": 0.1, "sea": 0.2, "scene": 0.3, "other": "ignore"}
    policy = dict(reversed(policy.items())) if turned else policy
    found = policy_values([SCENE, OTHER], policy)
    assert found == {"scene.sea": 0.1, "scene.hill": 0.3, "other.sea": 0.2}


def test_a_closer_ignore_takes_a_value_back():
    assert policy_values([SCENE], {"scene": 1, "hill": "ignore"}) == {"scene.sea": 1}


def test_values_of_columns():
    assert list(column_faults([KIND, SCENE], {"scene.sea": 0, "scene.hill": 1})) == []
    assert list(column_faults([SCENE], {"scene.sea": -2})) == [
        "uncertain: 'scene.sea' has -2, expected a number from 0 to 1"
    ]


def test_only_uncertain_codes_change():
    codes = np.array([-2, -1, 0, 1, 0.5])
    assert standing("a", codes, {"a": 0.25}).tolist() == [0.25, -1, 0, 1, 0.5]
    assert standing("b", codes, {"a": 0.25}).tolist() == [-1, -1, 0, 1, 0.5]
