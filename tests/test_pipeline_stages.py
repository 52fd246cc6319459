"""A stage gives one value for each that it gets; what cannot be one is refused at once."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerastl.errors import InputError
from kerastl.handover import ArrayType
from kerastl.pipeline_stages import Stage, as_stages
from tests.support.tiny_models import tiny


def double(values):
    return values * 2


def test_a_batched_callable_gets_an_array_where_it_can():
    seen = []
    stage = Stage("look", lambda values: seen.append(values) or [None] * len(values))
    stage.run([np.zeros(2), np.ones(2)])
    stage.run([1, 2, 3])
    stage.run([np.zeros(2), np.zeros(3)])
    stage.run([np.zeros(2), np.zeros(2, "float32")])
    stage.run(["a", "b"])
    shapes = [v.shape if isinstance(v, np.ndarray) else type(v) for v in seen]
    assert shapes == [(2, 2), (3,), list, list, list]
    assert stage.run([]) == []
    assert len(seen) == 5


def test_one_at_a_time():
    stage = Stage("halve", lambda v: None if v % 2 else v // 2, batched=False)
    assert stage.run([4, 3, 8]) == [2, None, 4]


@pytest.mark.parametrize("give", [np.array, list, tuple, tf.constant], ids=lambda g: g.__name__)
def test_what_comes_in_any_sequence_is_one_value_each(give):
    assert [int(v) for v in Stage("any", lambda values: give([3, 4])).run([1, 2])] == [3, 4]


@pytest.mark.parametrize(
    ("found", "told"),
    [([1], "1 values for 2"), (None, "NoneType"), ({1: 2, 3: 4}, "dict"), ("ab", "str"),
     (np.float64(3), "float64")],
    ids=range(5),
)  # fmt: skip
def test_another_number_of_values_is_refused(found, told):
    with pytest.raises(InputError, match=f"The stage 'odd' gave {told}.*batched=False"):
        Stage("odd", lambda values: found).run([1, 2])


def test_what_a_callable_raises_passes_through():
    with pytest.raises(ZeroDivisionError):
        Stage("divide", lambda values: 1 / 0).run([1])


def test_a_models_types_are_its_own():
    stage = Stage("read", tiny())
    assert stage.learnt
    assert str(stage).startswith("read: an image uint8 [16, 16, 3] -> {zone: float32 [3]")
    pair = ArrayType((2,))
    for options in ({"takes": pair}, {"gives": pair}, {"batched": False}):
        name = next(iter(options))
        with pytest.raises(InputError, match=f"Expected no {name}= for the stage 'read'"):
            Stage("read", tiny(), **options)


def test_options_and_names_that_are_none():
    x = keras.Input((2,))
    plain = keras.Model(x, keras.layers.ReLU()(x))
    for call in (double, plain):
        with pytest.raises(InputError, match="answers= is for kerastl models"):
            Stage("a", call, answers="classes")
    with pytest.raises(InputError, match=r"answers= of scores, classes .* Received: 'class'"):
        Stage("a", double, answers="class")
    for name in ("", " ", "a\n", None, 3):
        with pytest.raises(InputError, match="a name of printable characters"):
            Stage(name, double)
    with pytest.raises(InputError, match="Expected a callable .* Received: int"):
        Stage("a", 3)


def test_stages_have_their_names_from_anywhere():
    x = keras.Input((2,))
    model = keras.Model(x, keras.layers.ReLU()(x), name="relu")
    given = [Stage("first", double), double, model]
    assert [s.name for s in as_stages(given)] == ["first", "double", "relu"]
    assert [s.name for s in as_stages({"a": double, "b": model, "c": Stage("c", double)})] == [
        "a", "b", "c",
    ]  # fmt: skip


def test_every_fault_of_the_stages_is_told_at_once():
    with pytest.raises(InputError) as caught:
        as_stages([lambda v: v, double, Stage("double", double), 3])
    assert caught.value.faults == (
        "stage 1: It has no name (function). Give a dict by name, or Stage(name, ...).",
        "stage 4: It has no name (int). Give a dict by name, or Stage(name, ...).",
        "the name 'double' is there 2 times",
    )
    for wrong, told in (([], "there is none"), ({"a": Stage("b", double)}, "'a' and 'b'")):
        with pytest.raises(InputError, match=told):
            as_stages(wrong)
    with pytest.raises(InputError, match="as a list, or as a dict by name. Received: function"):
        as_stages(double)
