"""A hand-over's type comes back from JSON as it was, and no name in it is imported."""

from __future__ import annotations

import json
from fractions import Fraction

import pytest

from kerastl.errors import InputError
from kerastl.handover import ArrayType, ImageType, LabelType
from kerastl.handover_json import DEEPEST, from_json, to_json


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
