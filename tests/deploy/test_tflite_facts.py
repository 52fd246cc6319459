"""Operators and XNNPACK's share, read from real files.

A file's time for a picture, with an interval.

What is known of 8-bit files is said, and nothing else.
"""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema

from kerastl.deploy import tflite
from kerastl.deploy.tflite_facts import TFLiteFacts, advice, measure_latency, read_facts
from kerastl.errors import InputError
from kerastl.models.factories import create_model
from tests.support.tiny_models import SIZE, TASKS, patches, tiny


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")

    def write(data):
        path = folder / f"{len(list(folder.iterdir()))}.tflite"
        path.write_bytes(data)
        return path

    return write


def swished():
    x = keras.Input((SIZE, SIZE, 3))
    h = keras.layers.Conv2D(4, 3)(x)
    h = keras.layers.Conv2D(4, 3)(keras.layers.Activation("hard_swish")(h))
    h = keras.layers.Conv2D(4, 3)(keras.layers.Activation("hard_swish")(h))
    return create_model(keras.Model(x, h), TASKS[0], image_size=SIZE)


def test_float32_is_one_part_and_integers_with_hard_swish_are_several(made):
    model = swished()
    floats = read_facts(made(tflite.to_float32(model)))
    integers = read_facts(made(tflite.to_int8(model, patches(8))))
    for facts in (floats, integers):
        assert (facts.operators["CONV_2D"], facts.operators["HARD_SWISH"]) == (3, 2)
        assert (facts.flex, facts.custom) == ((), ())
    assert floats.partitions == 1
    assert integers.partitions == 3
    assert 0.4 < integers.delegated < floats.delegated < 1


def test_the_share_is_that_of_the_operators_that_are_not_left(made):
    """XNNPACK takes all but the cast of the picture's type."""
    facts = read_facts(made(tflite.to_float32(tiny())))
    count = sum(facts.operators.values())
    assert facts.operators["CAST"] == 1
    assert facts.delegated == pytest.approx((count - 1) / count)


def test_weights_of_8_bits_ask_for_a_newer_operator(made):
    x = keras.Input((SIZE, SIZE, 3))
    own = keras.Model(x, keras.layers.Conv2D(64, 3)(keras.layers.Conv2D(64, 3)(x)))
    model = create_model(own, TASKS[0], image_size=SIZE)
    plain = read_facts(made(tflite.to_float32(model)))
    dynamic = read_facts(made(tflite.to_dynamic(model)))
    assert dynamic.versions["CONV_2D"] > plain.versions["CONV_2D"]


def test_flex_operators_are_named_and_not_run(made):
    def contrast(images):
        return tf.raw_ops.AdjustContrastv2(images=images, contrast_factor=2.0)

    call = tf.function(contrast, autograph=False)
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [call.get_concrete_function(tf.TensorSpec((1, 4, 4, 3), tf.float32))]
    )
    converter.target_spec.supported_ops = [tf.lite.OpsSet.SELECT_TF_OPS]
    facts = read_facts(made(converter.convert()))
    assert "FlexAdjustContrastv2" in facts.flex
    assert (facts.custom, facts.partitions, facts.delegated) == ((), None, None)


def test_operators_in_the_body_of_a_loop_count_and_no_share_is_claimed_of_them(made):
    def halved(images):
        def body(i, x):
            return i + 1, tf.math.floor(tf.nn.conv2d(x, tf.ones((3, 3, 3, 3)), 1, "SAME"))

        start = tf.cast(images[0, 0, 0, 0], tf.int32)
        x = tf.nn.conv2d(tf.cast(images, tf.float32), tf.ones((3, 3, 3, 3)), 1, "SAME")
        return tf.while_loop(lambda i, x: i < 9, body, [start, x])[1]

    call = tf.function(halved, autograph=False)
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [call.get_concrete_function(tf.TensorSpec((1, 4, 4, 3), tf.uint8))]
    )
    facts = read_facts(made(converter.convert()))
    assert facts.operators["WHILE"] == 1
    assert (facts.operators["CONV_2D"], facts.operators["FLOOR"]) == (2, 1)
    assert (facts.partitions, facts.delegated) == (None, None)


def test_an_operator_that_is_newer_than_the_runtime_is_told(made):
    graph = schema.ModelT.InitFromPackedBuf(tflite.to_float32(tiny([TASKS[0]])))
    graph.operatorCodes[1].builtinCode, graph.operatorCodes[1].deprecatedBuiltinCode = 999, 127
    builder = schema.flatbuffers.Builder()
    builder.Finish(graph.Pack(builder), file_identifier=b"TFL3")
    told = r"ai-edge-litert \d.* knows.*with operator number 999, of a newer one. Run: pip install"
    with pytest.raises(InputError, match=told):
        read_facts(made(bytes(builder.Output())))


@pytest.mark.parametrize("cut", [0, 4, 40, 400])
def test_a_damaged_file_is_refused(made, cut):
    path = made(tflite.to_float32(tiny([TASKS[0]]))[:cut])
    with pytest.raises(InputError, match="Expected a"):
        read_facts(path)


def test_bytes_that_are_no_model_are_refused(made):
    noise = np.random.default_rng(0).bytes(5000)
    with pytest.raises(InputError, match="Expected a"):
        read_facts(made(noise[:4] + b"TFL3" + noise))


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("file") / "model.tflite"
    path.write_bytes(tflite.to_float32(tiny()))
    return path


@pytest.mark.parametrize("runs", [6, 7, 30])
def test_the_median_lies_in_its_interval(path, runs):
    found = measure_latency(path, 1, runs=runs)
    assert 0 < found.low <= found.median <= found.high
    assert (found.threads, found.runs) == (1, runs)
    assert str(found) == f"{found.median:.1f} ms"


def test_too_few_runs_have_no_interval(path):
    with pytest.raises(InputError, match="at least 6 runs"):
        measure_latency(path, 1, runs=5)


def test_a_file_that_is_none_is_refused(tmp_path):
    with pytest.raises(InputError, match="which is no file"):
        measure_latency(tmp_path / "model.tflite", 1)


GOOD = np.random.default_rng(0).integers(0, 256, (100, 4, 4, 3), dtype="uint8")
PLAIN = TFLiteFacts({"CONV_2D": 3}, {"CONV_2D": 3}, (), (), 1, 0.9)


@pytest.mark.parametrize("form", ["saved_model", "float32", "float16", "dynamic", "int8"])
def test_where_nothing_is_known_nothing_is_said(form):
    assert advice(form, PLAIN, PLAIN, GOOD) == ()
    assert advice(form, None, None, None) == ()


def test_few_or_dark_or_bright_pictures():
    [few] = advice("int8", PLAIN, PLAIN, GOOD[:24])
    assert few.startswith("the ranges of its numbers come from 24 pictures only; give 100 or more")
    [dark] = advice("int8", PLAIN, PLAIN, GOOD // 4)
    assert dark.startswith("the calibration pictures are all dark (mean grey level 2")
    [bright] = advice("int8", PLAIN, PLAIN, 255 - GOOD // 4)
    assert bright.startswith("the calibration pictures are all bright (mean")


def test_hard_swish_is_named_where_it_splits():
    facts = TFLiteFacts({"HARD_SWISH": 18}, {}, (), (), 19, 0.8)
    [told] = advice("int8", facts, PLAIN, GOOD)
    assert told.startswith("18 hard-swish operators split it into 19 parts")
    assert advice("float32", facts, PLAIN, GOOD) == ()
    assert advice("int8", TFLiteFacts({"HARD_SWISH": 18}, {}, (), (), 1, 1.0), PLAIN, GOOD) == ()


def test_newer_operators_than_float32_asks_for():
    newer = TFLiteFacts({"CONV_2D": 3}, {"CONV_2D": 5, "NEW": 1}, (), (), 2, 0.5)
    [told] = advice("dynamic", newer, PLAIN, None)
    assert "newer versions of operators than float32 does (CONV_2D 5)" in told
