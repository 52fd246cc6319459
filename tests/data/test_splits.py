"""The division into train, val and test: its invariants, over drawn tables.

Exchanging units: every count near its target, and nothing else changed.
"""

from collections import Counter

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kerastl.data.splits import SPLITS, check_fractions, exchanged, split_frame
from kerastl.data.tasks import Task
from kerastl.errors import InputError

A = Task("a", ["x", "y", "z"])
B = Task("b", ["no", "yes"], kind="binary")
FRACTIONS = [(0.7, 0.15, 0.15), (0.5, 0.25, 0.25), (0.8, 0.2, 0), (0.75, 0, 0.25), (1, 0, 0)]


def table(codes, groups=None):
    frame = pd.DataFrame(codes, columns=["a", "b"])
    frame.insert(0, "image", [f"{i}.png" for i in range(len(frame))])
    return frame if groups is None else frame.assign(group=groups)


rows = st.tuples(st.integers(-1, 2), st.sampled_from([-1, 0, 0.25, 0.75, 1]))
tables = st.lists(rows, min_size=1, max_size=60).map(table)
grouped = st.lists(st.tuples(rows, st.integers(0, 9)), min_size=1, max_size=60).map(
    lambda x: table([r for r, _ in x], [f"g{g}" if g else "" for _, g in x])
)


@settings(deadline=None, max_examples=60)
@given(tables, st.sampled_from(FRACTIONS), st.integers(0, 5))
def test_a_division_does_not_depend_on_the_order_of_the_rows(frame, fractions, seed):
    found = split_frame(frame, (A, B), fractions, seed)
    order = np.random.default_rng(seed).permutation(len(frame))
    again = split_frame(frame.iloc[order].reset_index(drop=True), (A, B), fractions, seed)
    np.testing.assert_array_equal(again, found[order])


@settings(deadline=None, max_examples=60)
@given(grouped, st.lists(st.integers(0, 30), min_size=60, max_size=60), st.sampled_from(FRACTIONS))
def test_groups_and_copies_never_straddle(frame, same, fractions):
    same = same[: len(frame)]
    found = split_frame(frame, (A, B), fractions, same=same)
    for number in set(same):
        assert len(set(found[np.array(same) == number])) == 1
    for group in set(frame["group"]) - {""}:
        assert len(set(found[frame["group"] == group])) == 1


@settings(deadline=None, max_examples=60)
@given(tables, st.sampled_from(FRACTIONS))
def test_every_class_is_in_train_and_a_share_of_nothing_stays_empty(frame, fractions):
    found = split_frame(frame, (A, B), fractions)
    assert set(found) <= {s for s, f in zip(SPLITS, fractions, strict=True) if f}
    hard = frame["b"].where(frame["b"] < 0, (frame["b"] >= 0.5).astype(float))
    for codes in (frame["a"], hard):
        known = codes[codes >= 0]
        assert set(known[found[known.index] == "train"]) == set(known)


@settings(deadline=None, max_examples=40)
@given(
    st.integers(40, 300),
    st.sampled_from(FRACTIONS),
    st.integers(0, 10**6),
)
def test_sizes_are_within_one_and_classes_within_two_of_their_shares(n, fractions, seed):
    codes = np.random.default_rng(seed).integers(0, 2, (n, 2))
    frame = table(codes)
    found = split_frame(frame, (A, B), fractions, seed)
    for split, share in zip(SPLITS, fractions, strict=True):
        assert abs((found == split).sum() - n * share) < 1
        for combination in {tuple(c) for c in codes.tolist()}:
            rows = (codes == combination).all(axis=1)
            assert abs((found[rows] == split).sum() - rows.sum() * share) < 2


def holes(seed, n=800, labels=10):
    """Labels from rare to frequent that go together, of which 30 to 80 % are unknown."""
    draw = np.random.default_rng(seed)
    chance = np.geomspace(0.01, 0.5, labels)
    codes = (draw.random((n, labels)) < chance * draw.uniform(0.4, 1.6, (n, 1))).astype(float)
    gone = draw.random((n, labels)) < draw.uniform(0.3, 0.8, labels)
    return np.where(gone, draw.choice([-1.0, -2.0], (n, labels)), codes)


@pytest.mark.parametrize("seed", range(3))
def test_labels_with_holes_have_their_share_of_positives_and_of_known(seed):
    codes = holes(seed)
    task = Task("t", [f"l{i}" for i in range(10)], kind="multilabel")
    frame = pd.DataFrame(codes, columns=task.columns)
    frame["image"] = [f"{i}.png" for i in range(len(frame))]
    shares = (0.7, 0.15, 0.15)
    found = split_frame(frame, [task], shares, seed)
    for split, share in zip(SPLITS, shares, strict=True):
        part = codes[found == split]
        assert abs(len(part) - 800 * share) < 1
        for counts in (lambda x: x == 1, lambda x: x >= 0):
            off = counts(part).sum(axis=0) - share * counts(codes).sum(axis=0)
            assert np.abs(off).max() < 2.5
            assert np.abs(off).mean() < 0.8
        several = (codes == 1).sum(axis=0) >= 3
        assert (part[:, several] == 1).any(axis=0).all()


def test_the_two_kinds_of_unknown_divide_alike():
    codes = holes(0, n=200, labels=4)
    task = Task("t", list("abcd"), kind="multilabel")
    names = [f"{i}.png" for i in range(200)]
    both = [
        split_frame(pd.DataFrame(c, columns=task.columns).assign(image=names), [task])
        for c in (codes, np.maximum(codes, -1))
    ]
    np.testing.assert_array_equal(*both)


def test_a_class_of_three_is_in_every_split():
    frame = table([(0, 0)] * 100 + [(1, 0)] * 3 + [(2, 1)] * 3)
    for seed in range(20):
        found = split_frame(frame, (A, B), (0.7, 0.15, 0.15), seed)
        for code in (1, 2):
            assert Counter(found[frame["a"] == code]) == {"train": 1, "val": 1, "test": 1}
        assert abs((found == "test").sum() - 106 * 0.15) < 1


def test_a_class_of_one_or_two_is_in_train():
    frame = table([(0, 0)] * 50 + [(1, 0)] + [(2, 0)] * 2)
    for seed in range(20):
        found = split_frame(frame, (A, B), (0.34, 0.33, 0.33), seed)
        assert "train" in found[50:51]
        assert "train" in found[51:]


def test_the_seed_counts_and_the_result_is_fixed_for_all_machines():
    frame = table([(i % 3, i % 2) for i in range(12)])
    letters = ["".join(s[-1] for s in split_frame(frame, (A, B), seed=k)) for k in range(3)]
    assert len(set(letters)) == 3
    assert letters[0] == "nlllnntnnntt"


def test_the_place_of_the_folder_does_not_count():
    frame = table([(i % 3, i % 2) for i in range(30)])
    moved = frame.assign(image="/elsewhere/" + frame["image"])
    names = frame["image"].tolist()
    np.testing.assert_array_equal(
        split_frame(frame, (A, B)), split_frame(moved, (A, B), names=names)
    )


@pytest.mark.parametrize(
    "fractions", [(0.5, 0.5), (0, 0.5, 0.5), (1.2, -0.1, -0.1), (0.5, 0.2, 0.2), "abc", None]
)
def test_fractions_that_are_no_shares(fractions):
    with pytest.raises(InputError) as caught:
        check_fractions(fractions)
    assert str(caught.value) == (
        "Expected fractions=(train, val, test), each 0 or more, train above 0, sum 1. "
        f"Received: fractions={fractions!r}."
    )


SHARES = np.array([0.7, 0.15, 0.15])


def targets(profiles):
    return np.outer(SHARES, profiles.sum(axis=0))


def total(profiles, places, weights):
    """The weighted squares of what each split has above its target."""
    places = np.array(places)
    held = np.stack([profiles[places == s].sum(axis=0) for s in range(3)])
    return float((weights * (held - targets(profiles)) ** 2).sum())


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10**6), st.integers(2, 80), st.integers(1, 6))
def test_never_worse_and_no_single_exchange_would_better_it(seed, n, labels):
    draw = np.random.default_rng(seed)
    profiles = draw.integers(0, 2, (n, labels))
    places = draw.choice(3, n, p=SHARES).tolist()
    weights = draw.integers(1, 5, labels)
    found = exchanged(profiles, places, targets(profiles), weights)
    assert np.bincount(found, minlength=3).tolist() == np.bincount(places, minlength=3).tolist()
    best = total(profiles, found, weights)
    assert best <= total(profiles, places, weights) + 1e-9
    if found == places:
        return  # nothing was two off, or no exchange would help
    for i in range(n):
        for j in range(i):
            other = list(found)
            other[i], other[j] = other[j], other[i]
            assert total(profiles, other, weights) >= best - 0.05


def test_more_units_than_a_block():
    profiles = np.repeat([[1], [0]], 1500, axis=0)
    places = [0] * 2100 + [1] * 450 + [2] * 450
    found = np.array(exchanged(profiles, places, targets(profiles), np.array([1])))
    assert [int(profiles[found == s].sum()) for s in range(3)] == [1050, 225, 225]


def test_what_is_less_than_two_off_stays():
    profiles = np.array([[1]] * 10 + [[0]] * 10)
    weights = np.array([1])
    one_off = [0] * 8 + [1, 2] + [0] * 6 + [1, 1, 2, 2]
    assert exchanged(profiles, one_off, targets(profiles), weights) == one_off
    two_off = [0] * 9 + [1] + [0] * 5 + [1, 1, 2, 2, 2]
    moved = np.array(exchanged(profiles, two_off, targets(profiles), weights))
    assert [int(profiles[moved == s].sum()) for s in range(3)] == [7, 2, 1]


def test_a_single_split_has_nothing_to_exchange():
    assert exchanged(np.array([[9], [0]]), [0, 0], np.zeros((3, 1)), np.array([1])) == [0, 0]
