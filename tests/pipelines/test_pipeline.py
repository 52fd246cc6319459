"""A pipeline is its stages one after another, and no hand-over goes on unseen."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from kerastl.data.tasks import Task
from kerastl.errors import InputError
from kerastl.inference.predictors import KerasPredictor
from kerastl.pipelines.pipeline import Pipeline, Trace
from kerastl.pipelines.stages import Stage
from kerastl.pipelines.types import ArrayType, ImageType
from tests.support.tiny_models import SIZE, patches, tiny

SCENE, PATCH = ImageType(32, 32), ImageType(SIZE, SIZE)


def crop(scene):
    return scene[:SIZE, :SIZE] if scene.max() > 0 else None


def cropper(call=crop, gives=PATCH):
    return Stage("crop", call, SCENE, gives, batched=False)


@pytest.fixture(scope="module")
def model():
    return tiny([Task("zone", ["a", "b", "c"])])


@pytest.fixture(scope="module")
def scenes():
    made = np.zeros((6, 32, 32, 3), "uint8")
    made[:, :SIZE, :SIZE] = patches(6)
    return made


def test_a_batch_is_the_stages_one_after_another(model, scenes):
    found = Pipeline([cropper(), Stage("read", model)])(scenes)
    oracle = KerasPredictor(model).predict(scenes[:, :SIZE, :SIZE])["zone"]
    np.testing.assert_allclose(np.array(found), oracle, atol=1e-6)


def test_a_single_picture_is_as_in_a_batch(model, scenes):
    pipeline = Pipeline({"crop": cropper(), "read": model})
    for one, row in zip(scenes, pipeline(scenes), strict=True):
        np.testing.assert_allclose(pipeline.one(one), row, atol=1e-6)


def test_an_example_without_a_value_passes_through_and_is_counted(model, scenes):
    scenes = scenes.copy()
    scenes[[1, 4]] = 0
    calls = []
    last = Stage("last", lambda values: calls.append(len(values)) or list(values))
    trace = Pipeline([cropper(), Stage("read", model), last]).trace(scenes)
    for name in ("crop", "read", "last"):
        assert [i for i, value in enumerate(trace[name]) if value is None] == [1, 4]
    assert trace.skipped == {"crop": (1, 4), "read": (), "last": ()}
    assert calls == [4]


def test_a_batch_without_any_value_runs_no_later_stage(model):
    trace = Pipeline([cropper(), Stage("read", model)]).trace(np.zeros((2, 32, 32, 3), "uint8"))
    assert trace["read"] == [None, None]
    assert trace.skipped["crop"] == (0, 1)
    assert Pipeline([cropper()])([]) == []


def test_given_values_stand_in_place_of_a_stage(model, scenes):
    pipeline = Pipeline([cropper(lambda scene: 1 / 0), Stage("read", model)])
    trace = pipeline.trace(scenes, {"crop": patches(6)})
    oracle = KerasPredictor(model).predict(patches(6))["zone"]
    np.testing.assert_allclose(np.array(trace["read"]), oracle, atol=1e-6)
    assert list(pipeline.trace(scenes, {"read": oracle}).outputs) == ["read"]


def test_hand_overs_that_never_fit_are_refused_when_the_pipeline_is_made(model):
    with pytest.raises(InputError) as caught:
        Pipeline([cropper(gives=ImageType(8, 8)), Stage("read", model)])
    assert str(caught.value) == (
        "The stage 'crop' gives an image uint8 [8, 8, 3], and 'read' takes an image uint8 "
        "[16, 16, 3]. Change what either takes or gives, or put a stage between them."
    )
    with pytest.raises(InputError) as caught:
        Pipeline([cropper(gives=str), Stage("read", model), Stage("say", print, takes=str)])
    assert len(caught.value.faults) == 2


def test_other_hand_overs_are_refused_when_it_runs(model, scenes):
    read = Stage("read", model)
    with pytest.raises(InputError) as caught:
        Pipeline([cropper(lambda s: s[:8, :8], None), read])(scenes)
    assert str(caught.value) == (
        "Expected an image uint8 [16, 16, 3] for the stage 'read'. Received from the stage 'crop': "
        "uint8 [8, 8, 3] (example 0). Change either, or put a stage between them."
    )
    with pytest.raises(InputError, match="Received from the pipeline's input: uint8 .16, 16, 3. "):
        Pipeline([cropper(), read])(patches(2))
    with pytest.raises(InputError) as caught:
        Pipeline([cropper(lambda s: s[:16, :16] / 255), read])(scenes)
    assert str(caught.value) == (
        "Expected an image uint8 [16, 16, 3] from the stage 'crop' for 'read', as the stage "
        "declares. Received: float64 [16, 16, 3] (example 0)."
    )


def test_a_hand_over_keeps_its_dtype(scenes):
    """A whole-number sum of uint8 pixels would overflow where it is not handed on as declared."""
    seen = []
    wide = Stage("wide", lambda v: seen.append(v.dtype) or list(v), ArrayType((2,), "float32"))
    Pipeline([wide])(np.ones((3, 2), "uint8"))
    assert seen == [np.dtype("float32")]


def test_a_kerastl_model_after_another(model):
    """Scores of one model are the input of a plain one; several tasks come by name."""
    x = keras.Input((3,))
    second = keras.Model(x, keras.layers.Rescaling(10.0)(x), name="second")
    found = Pipeline([Stage("first", model), second])(patches(2))
    np.testing.assert_allclose(np.sum(found, axis=1), 10, atol=1e-4)
    by_task = Pipeline([Stage("all", tiny()), Stage("zone", lambda v: [a["zone"] for a in v])])
    assert by_task.one(patches(1)[0]).shape == (3,)
    with pytest.raises(InputError, match="'all' gives .zone: .* 'second' takes float32"):
        Pipeline([Stage("all", tiny()), second])


def test_names_lead_to_what_a_stage_is(model):
    pipeline = Pipeline({"crop": cropper(), "read": model})
    assert pipeline["read"] is model
    assert pipeline["crop"] is crop
    assert repr(pipeline) == "Pipeline(crop -> read)"
    with pytest.raises(InputError, match="no stage 'raed'. Did you mean read. There are: crop, re"):
        pipeline["raed"]
    with pytest.raises(InputError, match="No stage 'reed' ran. Did you mean read"):
        Trace({"read": []}, {})["reed"]


@pytest.mark.parametrize("batch", ["abc", 3, {"a": 1}, None, np.float32(3)], ids=range(5))
def test_what_is_no_batch_is_refused(batch):
    with pytest.raises(InputError, match=r"Expected a batch: .* call pipeline.one"):
        Pipeline([cropper()])(batch)


def test_given_values_that_do_not_fit_are_told_at_once(scenes):
    with pytest.raises(InputError) as caught:
        Pipeline([cropper()]).trace(scenes, {"crop": patches(5), "corp": patches(6)})
    assert caught.value.faults == (
        "corp: there is no such stage. Did you mean crop?",
        "crop: expected 6 values, one for each example; received 5",
    )
