import keras
import numpy as np
import pytest

from kerastl.cuts import cut_points, cuts_frame, find_cut, split, stages, trained_cut
from kerastl.errors import InputError


def test_a_cut_carries_everything(network):
    assert [cut.layer for cut in cut_points(network())] == [
        "rescale", "conv1", "norm1", "relu1", "add", "conv2", "norm2",
    ]  # fmt: skip


@pytest.mark.parametrize("training", [False, True])
def test_tail_of_prefix_is_the_model_at_every_cut(network, training):
    model = network()
    x = np.random.default_rng(0).integers(0, 255, (3, 16, 16, 3)).astype("float32")
    start = model.get_weights()
    expected = np.asarray(model(x, training=training))
    for cut in cut_points(model):
        model.set_weights(start)
        prefix, tail = split(model, cut.layer)
        found = tail(prefix(x, training=training), training=training)
        np.testing.assert_array_equal(found, expected)
        assert prefix.count_params() + tail.count_params() == model.count_params()


def test_parameters_after_and_size(network):
    model = network()
    for cut in cut_points(model):
        assert cut.parameters_after == split(model, cut.layer).tail.count_params()
    add = find_cut(model, "add")
    assert add.shape == (8, 8, 8)
    assert add.kib == 1.0  # 512 values of 2 bytes


# The stages that practitioners name, read off the graph: the block outputs.
KNOWN_STAGES = {
    "MobileNetV2": ["block_2_add", "block_5_add", "block_12_add"],
    "ResNet50": ["conv2_block3_out", "conv3_block4_out", "conv4_block6_out"],
    "VGG16": ["block2_conv2", "block3_conv3", "block4_conv3"],
}


@pytest.mark.parametrize("name", KNOWN_STAGES)
def test_stages_are_the_block_outputs(name):
    model = getattr(keras.applications, name)(
        weights=None, include_top=False, input_shape=(224, 224, 3)
    )
    found = [cut.layer for cut in stages(model)]
    expected = KNOWN_STAGES[name]
    assert [layer for layer in found if layer in expected] == expected


def test_split_takes_a_stage_by_name(network):
    prefix, _ = split(network(), "stage1")
    assert prefix.output_shape == (None, 8, 8, 8)


def test_split_defaults_to_what_trains(network):
    model = network()
    for name in ("conv1", "norm1", "branch"):
        model.get_layer(name).trainable = False
    assert trained_cut(model).layer == "add"
    assert split(model).prefix.output_shape == (None, 8, 8, 8)


def test_a_dropout_that_acts_belongs_to_the_tail(network):
    model = network(dropout=0.5)
    for name in ("conv1", "norm1", "branch"):
        model.get_layer(name).trainable = False
    assert trained_cut(model).layer == "add"
    model.get_layer("drop").trainable = False
    assert trained_cut(model).layer == "drop"


def test_a_layer_that_is_no_cut_is_named_with_its_neighbours(network):
    with pytest.raises(InputError, match="cannot be cut at 'cov2'. Did you mean conv2"):
        split(network(), "cov2")
    with pytest.raises(InputError, match="cannot be cut at 'branch'"):
        split(network(), "branch")


def test_nothing_to_cut_off():
    x = keras.Input((4,))
    model = keras.Model(x, keras.layers.Dense(2)(x))
    with pytest.raises(InputError, match="the whole model trains"):
        split(model)


def test_frame_has_a_row_a_cut(network):
    frame = cuts_frame(network())
    assert list(frame.columns) == ["stage", "layer", "shape", "parameters after", "KiB a picture"]
    assert frame["shape"].tolist()[:2] == ["16x16x3", "8x8x8"]
