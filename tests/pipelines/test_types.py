"""Types of a hand-over: what may fit is never refused, what cannot is told in words.

A hand-over's type comes back from JSON as it was, and no name in it is imported.
"""

from __future__ import annotations

import json
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kerastl.errors import InputError
from kerastl.pipelines.types import (
    DEEPEST,
    ArrayType,
    ImageType,
    LabelType,
    check_type,
    fault_of,
    from_json,
    may_fit,
    taken_as,
    to_json,
    told,
    told_value,
)

CROP = ImageType(8, 8)


@pytest.mark.parametrize(
    ("given", "taken", "fits"),
    [
        (None, CROP, True),
        (CROP, None, True),
        (CROP, CROP, True),
        (ImageType(), CROP, True),
        (ImageType(8, 9), CROP, False),
        (ArrayType((8, 8)), CROP, False),
        (ArrayType((8, 8, 3), "float32"), CROP, False),
        (CROP, ArrayType((8, 8, 3), "float32"), True),
        (ArrayType((2,), "int64"), ArrayType((2,), "uint8"), True),
        (ArrayType((2,), "uint8"), ArrayType((2,), "bool"), False),
        (str, CROP, False),
        (dict, CROP, False),
        (np.ndarray, CROP, True),
        (int, ArrayType(()), True),
        (ArrayType(()), float, True),
        (ArrayType((3,)), float, False),
        (CROP, str, False),
        (LabelType(["a"]), LabelType(["a", "b"]), True),
        (LabelType(["a", "c"]), LabelType(["a", "b"]), False),
        (LabelType(["a"]), str, True),
        (str, LabelType(["a"]), True),
        (LabelType(["a"]), dict, False),
        (int, float, True),
        (float, int, False),
        (object, str, True),
        ({"box": CROP, "more": str}, {"box": CROP}, True),
        ({"box": CROP}, {"box": CROP, "name": str}, False),
        ({"box": str}, {"box": CROP}, False),
        ({"box": CROP}, CROP, False),
        ({"box": CROP}, dict, True),
        (CROP, {"box": CROP}, False),
        (int, {"box": CROP}, False),
    ],
)
def test_whether_types_may_fit(given, taken, fits):
    assert may_fit(given, taken) is fits


@pytest.mark.parametrize(
    ("value", "kind", "fault"),
    [
        (np.zeros((8, 8, 3), "uint8"), CROP, ""),
        (np.full((8, 8, 3), 255), CROP, ""),
        (np.full((8, 8, 3), 256), CROP, "int64 [8, 8, 3]"),
        (np.full((8, 8, 3), -1), CROP, "int64 [8, 8, 3]"),
        (np.zeros((8, 8, 3)), CROP, "float64 [8, 8, 3]"),
        (np.zeros((8, 7, 3), "uint8"), CROP, "uint8 [8, 7, 3]"),
        ([1, 2], ArrayType((2,)), ""),
        ([[1], [1, 2]], ArrayType((2,)), "list"),
        (np.array(["a"]), ArrayType((1,)), "ndarray"),
        ("a" * 41, ArrayType((2,)), "str"),
        (np.int64(3), int, ""),
        (np.float32(3), float, ""),
        (3.5, int, "float64 []"),
        ("cat", LabelType(["cat"]), ""),
        ("cow", LabelType(["cat"]), "'cow'"),
        ({"box": np.zeros(2), "n": 1}, {"box": ArrayType((2,))}, ""),
        ({"box": np.zeros(3)}, {"box": ArrayType((2,))}, "{box: float64 [3]}"),
        (np.zeros(2), {"box": ArrayType((2,))}, "float64 [2]"),
        (object(), None, ""),
        (None, str, "NoneType"),
    ],
)
def test_what_a_value_is_where_it_is_not_of_the_type(value, kind, fault):
    assert fault_of(value, kind) == fault


KINDS = st.sampled_from(
    [CROP, ImageType(), ArrayType((2,)), ArrayType((None,), "float32"), ArrayType((), "int64"),
     ArrayType((2,), "bool"), LabelType(["a"]), LabelType(["a", "b"]), str, int, float, dict,
     np.ndarray, {"n": int}, {"n": ArrayType((2,))}, None]
)  # fmt: skip
VALUES = st.sampled_from(
    [np.zeros((8, 8, 3), "uint8"), np.zeros(2), np.zeros(2, bool), np.ones(2, "uint8"), 3, 2.5,
     np.int64(7), "a", "b", "c", {"n": 1}, {"n": np.zeros(2)}, {}]
)  # fmt: skip


HELD = [(float, int), (ArrayType((None,), "float32"), ArrayType((2,), "bool"))]
"""A stage that declares the wider numbers is held to them, whatever single values are."""


@settings(deadline=None, max_examples=400)
@given(value=VALUES, one=KINDS, other=KINDS)
def test_a_value_of_both_types_proves_that_they_may_fit(value, one, other):
    """Refusing when a pipeline is made must never refuse what would have run."""
    if (one, other) not in HELD and not fault_of(value, one) and not fault_of(value, other):
        assert may_fit(one, other) or set(getattr(one, "classes", ())) > set(
            getattr(other, "classes", ())
        )


def test_a_value_is_handed_over_in_the_declared_dtype():
    taken = taken_as(np.full((8, 8, 3), 7), CROP)
    assert (taken.dtype, taken.shape) == (np.dtype("uint8"), (8, 8, 3))
    by_name = taken_as({"n": [1, 2], "more": 3}, {"n": ArrayType((2,), "float32")})
    assert by_name["n"].dtype == np.float32
    assert list(by_name) == ["n"]
    assert taken_as("a", str) == "a"


def test_types_and_values_in_words():
    assert told({"box": CROP, "name": str, "any": None}) == (
        "{box: an image uint8 [8, 8, 3], name: str, any: anything}"
    )
    assert told(LabelType([str(i) for i in range(12)])).endswith("9, ... and 2 more")
    assert told_value([1, 2]) == "list"


def test_what_is_no_type_is_refused():
    for wrong in ({"shape": (0,)}, {"shape": ("a",)}, {"shape": (2,), "dtype": "nonsense"},
                  {"shape": (True,)}, {"shape": (2,), "dtype": "str"}):  # fmt: skip
        with pytest.raises(InputError, match="whole numbers from 1 or None"):
            ArrayType(**wrong)
    for wrong in ("uint8", (8, 8, 3), {"box": 3}):
        with pytest.raises(InputError, match="Expected a hand-over's type"):
            check_type(wrong)


@pytest.mark.parametrize(
    "kind",
    [None, str, int, dict, ImageType(8, None), ArrayType((), "float32"), ArrayType((None, 2)),
     LabelType(["a", "b"]), {"box": ArrayType((4,)), "more": {"name": str}}],
    ids=range(9),
)  # fmt: skip
def test_a_type_comes_back_as_it_was(kind):
    back = from_json(json.loads(json.dumps(to_json(kind))))
    assert back == kind
    assert type(back) is type(kind)


def test_a_type_of_ones_own_is_named_and_not_imported():
    plain = to_json(Fraction)
    assert plain == {"python": "fractions.Fraction"}
    with pytest.raises(InputError, match="Expected a Stage .* Received: 'fractions.Fraction'"):
        from_json(plain)


def test_another_type_of_a_plain_name_is_not_taken_for_it():
    class dict:
        pass

    assert to_json(dict)["python"].endswith("<locals>.dict")


DEEP = {"python": "int"}
for _ in range(DEEPEST + 1):
    DEEP = {"by_name": {"a": DEEP}}


@pytest.mark.parametrize(
    "plain",
    ["int", 3, {}, {"image": [8, 8], "dtype": "uint8"}, {"array": [-1], "dtype": None},
     {"array": [2], "dtype": "object"}, {"labels": [1]}, {"python": 3}, {"by_name": []}, DEEP],
    ids=range(10),
)  # fmt: skip
def test_values_that_are_no_type_are_refused(plain):
    with pytest.raises(InputError, match="Expected"):
        from_json(plain)
