"""Models as stages: their types are read from them, and a batch is what each example alone is."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from kerastl.errors import InputError
from kerastl.handover import ArrayType, ImageType, LabelType
from kerastl.learnt_stages import BATCH, runner, types_of
from kerastl.prediction import predict
from kerastl.predictors import KerasPredictor
from kerastl.spec import spec_of, with_spec
from tests.support.tiny_models import TASKS, patches, tiny


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
        assert [row[task.name] for row in found] == list(frame[task.name])


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
