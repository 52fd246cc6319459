"""Operators and XNNPACK's share, read from real files."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema

from kerastl import conversion
from kerastl.errors import InputError
from kerastl.models import create_model
from kerastl.tflite_file import read_facts
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
    floats = read_facts(made(conversion.to_float32(model)))
    integers = read_facts(made(conversion.to_int8(model, patches(8))))
    for facts in (floats, integers):
        assert (facts.operators["CONV_2D"], facts.operators["HARD_SWISH"]) == (3, 2)
        assert (facts.flex, facts.custom) == ((), ())
    assert floats.partitions == 1
    assert integers.partitions == 3
    assert 0.4 < integers.delegated < floats.delegated < 1


def test_the_share_is_that_of_the_operators_that_are_not_left(made):
    """XNNPACK takes all but the cast of the picture's type."""
    facts = read_facts(made(conversion.to_float32(tiny())))
    count = sum(facts.operators.values())
    assert facts.operators["CAST"] == 1
    assert facts.delegated == pytest.approx((count - 1) / count)


def test_weights_of_8_bits_ask_for_a_newer_operator(made):
    x = keras.Input((SIZE, SIZE, 3))
    own = keras.Model(x, keras.layers.Conv2D(64, 3)(keras.layers.Conv2D(64, 3)(x)))
    model = create_model(own, TASKS[0], image_size=SIZE)
    plain = read_facts(made(conversion.to_float32(model)))
    dynamic = read_facts(made(conversion.to_dynamic(model)))
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
    graph = schema.ModelT.InitFromPackedBuf(conversion.to_float32(tiny([TASKS[0]])))
    graph.operatorCodes[1].builtinCode, graph.operatorCodes[1].deprecatedBuiltinCode = 999, 127
    builder = schema.flatbuffers.Builder()
    builder.Finish(graph.Pack(builder), file_identifier=b"TFL3")
    told = r"ai-edge-litert \d.* knows.*with operator number 999, of a newer one. Run: pip install"
    with pytest.raises(InputError, match=told):
        read_facts(made(bytes(builder.Output())))


@pytest.mark.parametrize("cut", [0, 4, 40, 400])
def test_a_damaged_file_is_refused(made, cut):
    path = made(conversion.to_float32(tiny([TASKS[0]]))[:cut])
    with pytest.raises(InputError, match="Expected a"):
        read_facts(path)


def test_bytes_that_are_no_model_are_refused(made):
    noise = np.random.default_rng(0).bytes(5000)
    with pytest.raises(InputError, match="Expected a"):
        read_facts(made(noise[:4] + b"TFL3" + noise))
