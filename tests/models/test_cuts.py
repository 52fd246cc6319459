import json

import keras
import numpy as np
import pytest

from kerastl.errors import InputError
from kerastl.models.backbones import make_backbone
from kerastl.models.cuts import cut_points, cuts_frame, find_cut, split, stages, trained_cut
from tests.support.commands import ROOT


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
    assert add.kib == 2.0  # 512 values of 4 bytes


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


GOLDEN = ROOT / "tests/golden/cuts.json"
FAMILIES = {
    "MobileNet": 64, "MobileNetV2": 64, "MobileNetV3Small": 64, "EfficientNetB0": 64,
    "EfficientNetV2B0": 64, "EfficientNetLite0": 64, "ResNet50": 64, "ResNet50V2": 64,
    "DenseNet121": 64, "InceptionV3": 128, "Xception": 128, "VGG16": 64, "NASNetMobile": 64,
    "ConvNeXtTiny": 64,
}  # fmt: skip


def cuts_of_family(name):
    """What must not change unseen: positions and shapes, as layers' names are no identities."""
    backbone = make_backbone(name, None, FAMILIES[name])
    found = cut_points(keras.Model(backbone.image, backbone.features))
    named = {
        cut.stage: {
            "position": cut.index,
            "shape": list(cut.shape),
            "parameters after": cut.parameters_after,
        }
        for cut in found
        if cut.stage
    }
    return {"image size": FAMILIES[name], "cuts": len(found), "stages": named}


def write_golden():
    """Write tests/golden/cuts.json anew."""
    families = {name: cuts_of_family(name) for name in FAMILIES}
    GOLDEN.write_text(json.dumps(families, indent=1) + "\n", "utf-8")


def test_the_golden_file_has_every_family():
    assert sorted(json.loads(GOLDEN.read_text("utf-8"))) == sorted(FAMILIES)


@pytest.mark.parametrize("name", FAMILIES)
def test_families_are_cut_as_the_golden_file_says(name):
    """Where a change is meant, write the file anew and read the difference:

    python -c "from tests.models.test_cuts import write_golden; write_golden()"
    """
    assert cuts_of_family(name) == json.loads(GOLDEN.read_text("utf-8"))[name]


def two_branches():
    """A model of one's own: two branches with a block in one that is a model itself."""
    inner = keras.Sequential(
        [
            keras.Input((16, 16, 8)),
            keras.layers.Conv2D(8, 3, padding="same", name="inner1"),
            keras.layers.ReLU(name="inner2"),
        ],
        name="inner",
    )
    image = keras.Input((32, 32, 3), name="photo")
    stem = keras.layers.Conv2D(8, 3, strides=2, padding="same", name="stem")(image)
    left = inner(stem)
    right = keras.layers.Conv2D(4, 1, name="right")(stem)
    joined = keras.layers.Concatenate(name="joined")([left, right])
    small = keras.layers.Conv2D(6, 3, strides=2, padding="same", name="small")(joined)
    return keras.Model(image, keras.layers.GlobalAveragePooling2D(name="pool")(small))


def test_branches_of_ones_own_and_a_model_inside():
    found = cut_points(two_branches())
    assert [(c.layer, c.shape, c.stage) for c in found] == [
        ("stem", (16, 16, 8), ""),
        ("joined", (16, 16, 12), "stage1"),
        ("small", (8, 8, 6), "stage2"),
    ]
    prefix, tail = split(two_branches(), "joined")
    assert (prefix.output_shape, tail.output_shape) == ((None, 16, 16, 12), (None, 6))


def test_a_chain_that_is_a_model_inside_can_be_cut_within_once_it_is_flat():
    inner = two_branches()
    image = keras.Input((32, 32, 3), name="outer_photo")
    outer = keras.Model(image, keras.layers.Dense(2, name="answer")(inner(image)))
    assert [c.layer for c in cut_points(outer)] == [inner.name]
    backbone = make_backbone(outer)
    layers = [c.layer for c in cut_points(keras.Model(backbone.image, backbone.features))]
    assert [name for name in layers if name in ("stem", "joined", "small")] == [
        "stem", "joined", "small",
    ]  # fmt: skip


def test_every_layer_of_a_sequential_model_but_the_last_is_a_cut():
    model = keras.Sequential(
        [
            keras.Input((16, 16, 3)),
            keras.layers.Conv2D(4, 3, strides=2, name="first"),
            keras.layers.Flatten(name="flat"),
            keras.layers.Dense(2, name="answer"),
        ]
    )
    assert [(c.layer, c.index, c.shape, c.parameters_after) for c in cut_points(model)] == [
        ("first", 0, (7, 7, 4), 394), ("flat", 1, (196,), 394),
    ]  # fmt: skip


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
