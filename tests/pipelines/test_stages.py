"""A stage gives one value for each that it gets; what cannot be one is refused at once.

Models as stages: their types are read from them, and a batch is what each example alone is.
"""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerastl.errors import InputError
from kerastl.inference.prediction import predict
from kerastl.inference.predictors import KerasPredictor
from kerastl.models.spec import spec_of, with_spec
from kerastl.pipelines.stages import BATCH, Stage, as_stages, runner, types_of
from kerastl.pipelines.types import ArrayType, ImageType, LabelType
from tests.support.tiny_models import TASKS, patches, tiny


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


@pytest.fixture(scope="module")
def model():
    return tiny()


def test_a_kerastl_models_types(model):
    takes, scores = types_of(model)
    assert takes == ImageType(16, 16)
    assert scores == {"zone": ArrayType((3,), "float32"), "alarm": ArrayType((2,), "float32"),
                      "marks": ArrayType((2,), "float32")}  # fmt: skip
    _, classes = types_of(model, "classes")
    assert classes == {
        "zone": LabelType("abc"), "alarm": LabelType(["no", "yes"]), "marks": str,
    }  # fmt: skip


def test_scores_are_the_predictors(model):
    images = patches(BATCH + 3)
    found = runner("read", model)(list(images))
    oracle = KerasPredictor(model).predict(images)
    for name, scores in oracle.items():
        np.testing.assert_allclose([row[name] for row in found], scores, atol=1e-6)


def test_classes_are_what_predict_says(model):
    images = patches(BATCH + 3)
    found = runner("read", model, "classes")(list(images))
    frame = predict(model, images)
    for task in TASKS:
        assert [row[task.name] for row in found] == list(frame[f"{task.name}/predicted"])


def test_thresholds_of_the_time_of_the_call_decide():
    model = tiny(TASKS[1:2])
    run, images = runner("alarm", model, "classes"), list(patches(6))
    with_spec(model, spec_of(model), thresholds={"alarm": (0.0,)})
    assert run(images) == ["yes"] * 6
    with_spec(model, spec_of(model), thresholds={"alarm": (1.0,)})
    assert run(images) == ["no"] * 6


def test_a_plain_model_of_one_two_and_named_outputs():
    x = keras.Input((2,), name="x")
    twice = keras.layers.Rescaling(2.0, name="twice")(x)
    more = keras.layers.Rescaling(1.0, 5.0, name="more")(x)
    pair = ArrayType((2,), "float32")
    value = [np.array([1.0, 2.0], "float32")]
    for outputs, kind, found in (
        (twice, pair, [2, 4]),
        ([twice, more], {"twice": pair, "more": pair}, {"twice": [2, 4], "more": [6, 7]}),
        ({"a": twice, "b": more}, {"a": pair, "b": pair}, {"a": [2, 4], "b": [6, 7]}),
    ):
        model = keras.Model(x, outputs)
        assert types_of(model) == (pair, kind)
        [made] = runner("any", model)(value)
        made = {n: v.tolist() for n, v in made.items()} if isinstance(made, dict) else made.tolist()
        assert made == found


def test_values_of_several_sizes_go_through_an_open_model():
    x = keras.Input((None, None, 3))
    model = keras.Model(x, keras.layers.GlobalAveragePooling2D()(x))
    values = [np.full((s, s, 3), s, "float32") for s in (4, 5, 4, 6)]
    assert [v.tolist() for v in runner("mean", model)(values)] == [[s] * 3 for s in (4, 5, 4, 6)]


def test_what_tensorflow_refuses_is_one_sentence():
    x = keras.Input((None, None, 3))
    model = keras.Model(x, keras.layers.Conv2D(2, 5)(x))
    with pytest.raises(InputError, match=r"stage 'read' cannot take values of the shape \[2, 2, 3"):
        runner("read", model)([np.zeros((2, 2, 3), "float32")])


def test_models_that_are_no_stage_are_refused():
    x, y = keras.Input((2,)), keras.Input((2,))
    for model, told in (
        (keras.Model([x, y], keras.layers.Add()([x, y])), "a model of one input"),
        (keras.Model(z := keras.Input(batch_shape=(1, 2)), keras.layers.ReLU()(z)), "open batch"),
        (keras.Sequential([keras.layers.Dense(2)]), "no input shape yet"),
    ):
        with pytest.raises(InputError, match=told):
            types_of(model)
