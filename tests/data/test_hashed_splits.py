"""Dividing by the hash of content or group: what a picture's part depends on, and what not."""

from collections import Counter

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kerastl.data.hashed_splits import hashed_split
from kerastl.data.splits import SPLITS
from kerastl.data.tasks import Task

A = Task("a", ["x", "y", "z"])
FRACTIONS = [(0.7, 0.15, 0.15), (0.5, 0.25, 0.25), (0.8, 0.2, 0), (0.75, 0, 0.25), (1, 0, 0)]


def table(codes, groups=None):
    frame = pd.DataFrame({"image": [f"{i}.png" for i in range(len(codes))], "a": codes})
    return frame if groups is None else frame.assign(group=groups)


codes = st.lists(st.integers(-1, 2), min_size=1, max_size=80)


@settings(deadline=None, max_examples=60)
@given(codes, st.sampled_from(FRACTIONS), st.integers(0, 5))
def test_neither_the_order_nor_the_names_count(labels, fractions, seed):
    frame = table(labels)
    contents = frame["image"].tolist()
    found = hashed_split(frame, [A], fractions, seed)
    order = np.random.default_rng(seed).permutation(len(frame))
    again = frame.iloc[order].assign(image=[f"new/{i}" for i in order]).reset_index(drop=True)
    moved = hashed_split(again, [A], fractions, seed, contents=[contents[i] for i in order])
    np.testing.assert_array_equal(moved, found[order])


@settings(deadline=None, max_examples=60)
@given(codes, st.lists(st.integers(0, 9), min_size=80, max_size=80), st.sampled_from(FRACTIONS))
def test_groups_and_copies_never_straddle(labels, numbers, fractions):
    frame = table(labels, [f"g{n}" if n else "" for n in numbers[: len(labels)]])
    contents = [str(n % 7) if n > 6 else str(100 + i) for i, n in enumerate(numbers)]
    contents = contents[: len(labels)]
    found = hashed_split(frame, [A], fractions, contents=contents)
    for ties in (contents, frame["group"].tolist()):
        for tie in set(ties) - {""}:
            assert len({part for part, t in zip(found, ties, strict=True) if t == tie}) == 1


@settings(deadline=None, max_examples=60)
@given(codes, st.sampled_from(FRACTIONS), st.integers(0, 5))
def test_every_class_trains_and_of_five_is_in_every_part(labels, fractions, seed):
    found = hashed_split(table(labels), [A], fractions, seed)
    used = {name for name, share in zip(SPLITS, fractions, strict=True) if share}
    assert set(found) <= used
    for code, n in Counter(c for c in labels if c >= 0).items():
        parts = Counter(found[np.array(labels) == code])
        assert parts["train"] >= (n if n < 2 else min(n - 2, int(0.4 * n)) if n > 4 else n - 1)
        assert n < 5 or set(parts) == used


@pytest.mark.parametrize("seed", range(10))
def test_what_was_there_stays_where_it_was_when_others_come(seed):
    labels = np.random.default_rng(seed).integers(0, 3, 400)
    frame = table(labels)
    shares = (0.7, 0.15, 0.15)
    few = hashed_split(frame[:100], [A], shares, seed)
    many = hashed_split(frame, [A], shares, seed)
    np.testing.assert_array_equal(many[:100], few)
    gone = frame.drop(index=range(0, 400, 3))
    np.testing.assert_array_equal(hashed_split(gone, [A], shares, seed), many[gone.index])


def test_a_new_picture_of_a_group_goes_where_the_group_is():
    groups = [f"p{i % 40}" for i in range(200)]
    frame = table([i % 3 for i in range(200)], groups)
    few, many = hashed_split(frame[:100], [A]), hashed_split(frame, [A])
    parts = dict(zip(groups[:100], few, strict=True))
    assert many.tolist() == [parts[group] for group in groups]


def test_the_shares_are_what_was_asked_for_but_for_chance():
    found = hashed_split(table([i % 3 for i in range(4000)]), [A], (0.7, 0.1, 0.2))
    share = {name: (found == name).mean() for name in SPLITS}
    assert share == pytest.approx({"train": 0.7, "val": 0.1, "test": 0.2}, abs=0.02)


def test_where_nearly_all_classes_are_tiny_most_of_each_trains():
    many = Task("a", [str(i) for i in range(300)])
    found = hashed_split(table([i // 3 for i in range(900)]), [many])
    trains = Counter(i // 3 for i in np.flatnonzero(found == "train"))
    assert min(trains.values()) == 2
    assert (found == "test").sum() > 60


def test_of_a_handful_of_pictures_all_train():
    assert set(hashed_split(table([0, 1] * 3), [A])) == {"train"}
    assert set(hashed_split(table([0, 1] * 5), [A])) == set(SPLITS)


def test_the_seed_counts_and_the_result_is_fixed_for_all_machines():
    frame = table([i % 3 for i in range(24)])
    letters = ["".join(s[-1] for s in hashed_split(frame, [A], seed=k)) for k in range(3)]
    assert len(set(letters)) == 3
    assert letters[0] == "nnnnnlntnnnntnnnlnnnnlnt"
