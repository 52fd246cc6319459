import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kerastl.balance import positive_weights
from kerastl.errors import InputError
from kerastl.manifest import Manifest
from kerastl.tasks import Task

MARKS = Task("marks", ["u", "v"], "multilabel")
ALARM = Task("alarm", ["no", "yes"], "binary")
ZONE = Task("zone", ["a", "b", "c"])


def manifest(**columns):
    frame = pd.DataFrame(columns)
    return Manifest(frame.assign(image=[f"{i}.png" for i in frame.index]), (ALARM, ZONE))


def test_counts_the_train_part_only():
    data = manifest(
        split=["train"] * 5 + ["test"] * 3, alarm=[1, 0, 0, 0, -1, 1, 1, 1], zone=[0] * 8
    )
    assert positive_weights(data) == {"alarm": [3.0]}
    assert positive_weights(data.split("test")) == {"alarm": [1.0]}


def test_without_splits_all_rows_count():
    assert positive_weights(manifest(alarm=[1, 0, 0], zone=[0, 1, 2])) == {"alarm": [2.0]}


def test_a_soft_label_counts_as_its_share():
    weights = positive_weights({"alarm": [0.25, 0.25, 1.0, -1.0]}, tasks=ALARM)
    assert weights == {"alarm": [1.0]}
    weights = positive_weights({"alarm": [0.25, 0.25]}, tasks=ALARM)
    assert weights == {"alarm": [3.0]}


@pytest.mark.parametrize("column", [[0, 0, 0], [1, 1, 1], [-1, -1, -1], [1, -1, 1]])
def test_one_side_alone_weighs_1(column):
    assert positive_weights({"alarm": column}, tasks=[ALARM]) == {"alarm": [1.0]}


def test_rare_positives_weigh_at_most_most():
    labels = {"alarm": np.r_[1, np.zeros(99)]}
    assert positive_weights(labels, tasks=ALARM) == {"alarm": [20.0]}
    assert positive_weights(labels, tasks=ALARM, most=1000) == {"alarm": [99.0]}


@given(st.integers(0, 10**6))
@settings(max_examples=50, deadline=None, derandomize=True)
def test_both_sides_then_weigh_the_same(seed):
    draw = np.random.default_rng(seed)
    labels = draw.choice([-1.0, np.nan, 0.0, 0.5, 1.0], (40, 2))
    found = positive_weights({"marks": labels}, tasks=MARKS, most=1e6)["marks"]
    for column, weight in zip(labels.T, found, strict=True):
        seen = column[column >= 0]
        assert weight * seen.sum() == pytest.approx((1 - seen).sum())


@pytest.mark.parametrize(
    ("data", "options", "words"),
    [
        ({"alarm": [1]}, {}, "label arrays by task name and their tasks=. Received: no tasks"),
        ([1, 0], {"tasks": ALARM}, "Expected a Manifest.*Received: list"),
        ({}, {"tasks": ALARM}, "alarm: there are no labels"),
        ({"marks": [[0, 1, 1]]}, {"tasks": MARKS}, r"labels of marks.* as \[1, 2\]"),
        ({"alarm": [2]}, {"tasks": ALARM}, "labels of alarm .*2"),
        ({"alarm": [1]}, {"tasks": ALARM, "most": 0.5}, "most as a number of at least 1"),
        ({"alarm": [1]}, {"tasks": ALARM, "most": float("nan")}, "Received: nan"),
    ],
)
def test_what_does_not_fit(data, options, words):
    with pytest.raises(InputError, match=f"(?s){words}"):
        positive_weights(data, **options)
