"""What a learning curve divides: the kinds of data, their parts, their digest."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from kerastl.curve_data import CurveData
from kerastl.errors import InputError
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
