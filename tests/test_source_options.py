"""Which options let features be stored, and which exclude each other."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from kerastl.errors import InputError
from kerastl.source_options import Options, use_features

FLIP = (keras.layers.RandomFlip(seed=0),)


def options(**given):
    return Options(32, 0, **given)


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ({}, True),
        ({"cache": False}, False),
        ({"cache": True}, True),
        ({"augment": FLIP}, False),
        ({"augment": FLIP, "views": 2}, True),
        ({"augment": FLIP, "views": 2, "cache": False}, False),
        ({"budget": np.int64(0)}, True),
    ],
)
def test_features_are_stored_wherever_that_gives_the_same(given, stored):
    assert use_features(options(**given)) is stored


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"views": 2}, "views=2 needs augment="),
        ({"augment": FLIP, "cache": True}, "Random augmentation and stored features exclude"),
        ({"augment": FLIP, "cache": "folder"}, "Random augmentation and stored features exclude"),
        ({"budget": -1}, "Expected budget= in bytes, 0 or more. Received: -1"),
        ({"budget": True}, "Received: True"),
        ({"budget": 1.5}, "Received: 1.5"),
    ],
)
def test_options_that_exclude_each_other_are_named(given, told):
    with pytest.raises(InputError, match=told):
        use_features(options(**given))


def test_the_folder_is_the_users_own(tmp_path):
    assert options(cache=str(tmp_path)).folder == tmp_path
    assert [options(cache=c).folder for c in ("auto", True, False)] == [None] * 3
