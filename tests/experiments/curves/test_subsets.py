"""What a learning curve divides: the kinds of data, their parts, their digest.

Nested parts: every class in its share, the smaller inside the larger, and what is refused.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from kerastl.data.manifest import Manifest
from kerastl.data.tasks import Task
from kerastl.errors import InputError
from kerastl.experiments.curves.subsets import CurveData, nested_subsets, strata_of
from tests.support.tiny_models import on_disk

NINE = np.arange(9)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (None, "NoneType"),
        ({"x": NINE}, "dict"),
        (np.array(3), "an array of no dimension, 3"),
        ((), "a tuple of nothing"),
        ((NINE, list(NINE)), r"a tuple of \[9\], list"),
        ((NINE, NINE[:8]), r"a tuple of \[9\], \[8\]"),
    ],
)
def test_data_that_have_no_parts_are_told(data, told):
    with pytest.raises(InputError, match=f"tuple of arrays of one length. Received: .*{told}"):
        CurveData.of(data, None)


def test_a_dataset_of_tensorflow_has_no_parts():
    with pytest.raises(InputError, match="Received: .*Dataset"):
        CurveData.of(tf.data.Dataset.from_tensor_slices(NINE), None)


@pytest.mark.parametrize("strata", [list("aabbbccdd"), iter("aabbbccdd"), np.array([1] * 9)])
def test_strata_of_any_kind(strata):
    divided = CurveData.of(NINE, strata)
    [(size, rows)] = divided.parts([4], seed=0).items()
    assert (size, len(rows)) == (4, 4)
    np.testing.assert_array_equal(divided.take(rows), rows)


def test_the_digest_is_of_the_examples_and_the_strata(tmp_path):
    kinds = (NINE, NINE.astype("float32"), NINE.tolist(), pd.DataFrame({"x": NINE}), (NINE, NINE),
             on_disk(tmp_path / "a", n=20), on_disk(tmp_path / "b", n=24))  # fmt: skip
    digests = [CurveData.of(data, None).digest() for data in kinds]
    assert len(set(digests)) == len(digests)
    assert digests == [CurveData.of(data, None).digest() for data in kinds]
    assert CurveData.of(NINE, [0] * 8 + [1]).digest() not in digests
    assert CurveData.of(NINE[::-1], None).digest() not in digests


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(0, 4), min_size=1, max_size=120), st.integers(0, 99), st.data())
def test_each_part_lies_in_the_next_and_holds_each_stratum_in_its_share(strata, seed, data):
    sizes = data.draw(st.sets(st.integers(1, len(strata)), min_size=1, max_size=4))
    found = nested_subsets(strata, sorted(sizes, reverse=True), seed=seed)
    assert list(found) == sorted(sizes)
    whole = Counter(strata)
    parts = list(found.items())
    for (size, rows), (_, larger) in zip(parts, [*parts[1:], (0, range(len(strata)))], strict=True):
        assert len(set(rows.tolist())) == len(rows) == size
        assert set(rows.tolist()) <= set(larger)
        have = Counter(strata[row] for row in rows)
        # A stratum's share is off by one at most for its own start, and one for each other.
        for stratum, count in whole.items():
            assert abs(have[stratum] - size * count / len(strata)) <= len(whole)


def test_large_strata_keep_their_shares_closely():
    strata = np.repeat(["a", "b", "c"], [700, 250, 50]).tolist()
    for seed in range(20):
        found = nested_subsets(strata, [100, 400], seed=seed)
        for size, rows in found.items():
            have = Counter(strata[row] for row in rows)
            for name, share in (("a", 0.7), ("b", 0.25), ("c", 0.05)):
                assert abs(have[name] - size * share) < 2


def test_another_seed_draws_others_and_the_same_the_same():
    strata = [0] * 50
    first, again, other = (nested_subsets(strata, [10], seed=s)[10].tolist() for s in (0, 0, 1))
    assert first == again != other


def test_a_rare_class_is_in_the_smallest_part():
    strata = [0] * 199 + [1]
    for seed in range(10):
        found = nested_subsets(strata, [2, 50], needed={"a": range(199), "b": [199]}, seed=seed)
        assert all(199 in rows for rows in found.values())
        assert [len(rows) for rows in found.values()] == [2, 50]


def test_all_faults_of_the_sizes_are_told_at_once():
    with pytest.raises(InputError) as error:
        nested_subsets([0] * 10, [3, 20, 1, 0, 2.5, 3], needed={"a": [0], "b": [1]})
    assert error.value.faults == (
        "20: there are only 10 examples",
        "1: too small for every class; 2 examples have one of each",
        "0: expected a whole number, 1 or more",
        "2.5: expected a whole number, 1 or more",
        "a size is named twice",
    )
    with pytest.raises(InputError, match="Expected sizes from 1 to 2, each once. Received: none"):
        nested_subsets([0, 1], [])


def test_strata_of_a_manifest_are_its_joint_labels_and_every_class_is_needed():
    tasks = [
        Task("kind", ["a", "b", "c"]),
        Task("alarm", ["no", "yes"], "binary"),
        Task("marks", ["u", "v"], "multilabel"),
    ]
    frame = pd.DataFrame(
        {
            "image": list("wxyz"), "kind": [0, 1, 1, -1], "alarm": [1, 0, 0.75, -2],
            "marks.u": [1, 0, -1, 1], "marks.v": [0, 0, -2, 0],
        }
    )  # fmt: skip
    strata, needed = strata_of(Manifest(frame, tasks))
    assert strata[0] == (0, 1, 1, 0)
    assert strata[3] == (-1, -1, 1, 0)
    assert {name: rows.tolist() for name, rows in needed.items()} == {
        "kind: a": [0], "kind: b": [1, 2], "alarm: no": [1], "alarm: yes": [0, 2],
        "marks: u": [0, 3],
    }  # fmt: skip
