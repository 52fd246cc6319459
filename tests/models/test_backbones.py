import socket

import keras
import numpy as np
import pytest

from kerastl.data.tasks import Task
from kerastl.errors import InputError
from kerastl.models import backbones
from kerastl.models.backbones import (
    affine_preprocessing,
    builder,
    builders,
    default_image_size,
    list_backbones,
    make_backbone,
)
from kerastl.models.cuts import cut_points, split
from kerastl.models.factories import classifier, create_model
from kerastl.models.graph import is_nested, nodes


def test_every_application_is_listed():
    names = list_backbones()
    assert len(names) >= 39
    assert {"EfficientNetLite0", "MobileNetV2", "ResNet50", "ConvNeXtTiny", "NASNetMobile"} <= set(
        names
    )
    assert names == sorted(names)


# One of each way of preprocessing: symmetric, BGR without a mean, ImageNet statistics,
# inside the model.
@pytest.mark.parametrize("name", ["MobileNetV2", "ResNet50", "DenseNet121", "EfficientNetB0"])
def test_preprocessing_in_the_graph_is_the_applications_own(name):
    """From raw uint8, the graph gives what preprocess_input and the application give."""
    base = make_backbone(name, None, 64)
    model = keras.Model(base.image, base.output)
    images = np.random.default_rng(0).integers(0, 255, (2, 64, 64, 3), dtype=np.uint8)
    own = builders()[name](weights=None, include_top=False, input_shape=(64, 64, 3))
    own.set_weights(model.get_weights())
    module = __import__("sys").modules[builders()[name].__module__]
    expected = own(module.preprocess_input(images.astype("float32")), training=False)
    np.testing.assert_allclose(model(images, training=False), expected, rtol=1e-4, atol=1e-4)


def test_a_weights_file(tmp_path):
    first = make_backbone("MobileNet", None, 32)
    model = keras.Model(first.image, first.output)
    model.save_weights(tmp_path / "w.weights.h5")
    keras.utils.set_random_seed(99)
    plain = builders()["MobileNet"](weights=None, include_top=False, input_shape=(32, 32, 3))
    plain.set_weights(model.get_weights())
    plain.save_weights(tmp_path / "plain.weights.h5")
    again = make_backbone("MobileNet", tmp_path / "w.weights.h5", 32)
    for one, other in zip(
        keras.Model(again.image, again.output).get_weights(), model.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(one, other)


def test_weights_that_do_not_fit(tmp_path, network):
    network().save_weights(tmp_path / "w.weights.h5")
    with pytest.raises(InputError, match="do not fit MobileNet"):
        make_backbone("MobileNet", tmp_path / "w.weights.h5", 32)
    with pytest.raises(InputError, match=r"weights='imagenet', None.*'gone.h5', which is no file"):
        make_backbone("MobileNet", "gone.h5", 32)


def test_an_unknown_name_suggests_the_nearest():
    with pytest.raises(InputError, match=r"no backbone 'ResNet5'. Did you mean ResNet50"):
        make_backbone("ResNet5", None)


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (24, "Xception cannot take pictures of 24 x 24: Input size must be at least 71x71"),
        (0, "each at least 1. Received: image_size=0"),
        (5000, "at most 4096 pixels"),
        ((64, 64, 3), "Received: image_size=.64, 64, 3."),
    ],
)
def test_a_size_the_backbone_cannot_take(size, words):
    with pytest.raises(InputError, match=words):
        make_backbone("Xception", None, size)


def test_a_classifier_of_ones_own_loses_its_head(network):
    own = network()
    pooled = keras.layers.GlobalAveragePooling2D(name="pooled")(own.output)
    x = keras.layers.Dense(7, name="logits")(keras.layers.Dropout(0.2, name="d")(pooled))
    trained = keras.Model(own.input, keras.layers.Softmax(name="soft")(x))
    model = classifier(trained, ["a", "b"])
    names = [n.operation.name for n in nodes(model)]
    assert "logits" not in names
    assert "soft" not in names
    assert model.get_layer("label").kernel.shape == (12, 2)


def test_a_kerastl_model_loses_all_its_heads(network):
    task_a = create_model(network(), [Task("one", ["a", "b"]), Task("two", ["c", "d"])])
    model = classifier(task_a, ["x", "y", "z"])
    names = [n.operation.name for n in nodes(model)]
    assert "one" not in names
    assert "two" not in names
    np.testing.assert_array_equal(
        model.get_layer("conv1").kernel.numpy(), task_a.get_layer("conv1").kernel.numpy()
    )


def test_a_nested_model_becomes_flat(network, striped):
    inner = network()
    image = keras.Input((16, 16, 3))
    outer = keras.Model(image, keras.layers.ReLU(name="last")(inner(image)), name="outer")
    model = classifier(outer, ["a", "b"])
    assert not any(is_nested(n.operation) for n in nodes(model))
    assert "add" in [cut.layer for cut in cut_points(model)]


def test_preprocessing_of_ones_own(network):
    half = keras.layers.Rescaling(0.5, name="half")
    model = classifier(network(), ["a", "b"], preprocessing=half)
    assert nodes(model)[0].operation.name == "half"
    with pytest.raises(InputError, match="MobileNet has its own preprocessing"):
        make_backbone("MobileNet", None, 32, half)


def test_a_model_that_takes_no_pictures():
    x = keras.Input((8, 8, 1))
    model = keras.Model(x, keras.layers.Conv2D(2, 3)(x), name="grey")
    with pytest.raises(InputError, match="takes pictures .batch, height, width, 3.*'grey'"):
        make_backbone(model)


def test_a_fixed_size_of_ones_own_is_kept(network):
    assert make_backbone(network()).image.shape == (None, 16, 16, 3)
    with pytest.raises(InputError, match="takes pictures of 16 x 16 only"):
        make_backbone(network(), image_size=32)


@pytest.mark.slow
@pytest.mark.parametrize("name", list(builders()))
def test_every_backbone_builds_and_is_cut(name, tmp_path):
    """At its default size: tail(prefix(x)) == model(x) at a cut in the middle."""
    keras.backend.clear_session()
    model = create_model(name, [Task("a", ["x", "y"], "binary"), Task("b", ["u", "v"])],
                         weights=None)  # fmt: skip
    assert not any(is_nested(n.operation) for n in nodes(model))
    inner = [c for c in cut_points(model) if 0 < c.index < len(nodes(model)) - 5]
    assert inner, "no interior cut"
    cut = inner[len(inner) // 2]
    height, width = model.input_shape[1:3]
    x = np.random.default_rng(0).integers(0, 255, (1, height, width, 3), dtype=np.uint8)
    prefix, tail = split(model, cut.layer)
    expected, found = model(x, training=False), tail(prefix(x, training=False), training=False)
    for task in expected:
        np.testing.assert_allclose(found[task], expected[task], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "size"),
    [("MobileNetV2", 224), ("InceptionV3", 299), ("NASNetLarge", 331), ("EfficientNetB7", 600),
     ("MobileNetV3Small", 224), ("EfficientNetLite0", 224)],
)  # fmt: skip
def test_default_sizes(name, size):
    assert default_image_size(name) == (size, size)


@pytest.mark.parametrize("name", ["VGG16", "DenseNet121", "Xception", "ConvNeXtTiny"])
def test_the_measured_preprocessing_is_the_applications_own(name):
    flipped, scale, offset = affine_preprocessing(name)
    x = np.random.default_rng(0).integers(0, 255, (1, 5, 5, 3)).astype("float64")
    module = __import__("sys").modules[builder(name).__module__]
    expected = module.preprocess_input(x.copy())
    x = x[..., ::-1] if flipped else x
    np.testing.assert_allclose(x * scale + offset, expected, atol=1e-6)


def test_without_a_connection_it_fails_at_once_and_says_what_to_do(monkeypatch, tmp_path):
    def refuse(address, timeout):
        assert timeout <= 5
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(backbones.file_utils.config, "keras_home", lambda: str(tmp_path))
    from kerastl.models.backbones import make_backbone

    with pytest.raises(InputError, match="ImageNet weights of MobileNetV2") as caught:
        make_backbone("MobileNetV2", "imagenet", 96)
    told = str(caught.value)
    assert "no connection to storage.googleapis.com" in told
    assert f"put it at {tmp_path / 'models'}" in told
    assert "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_96_no_top.h5" in told
    assert "weights=None" in told
    assert "EfficientNetLite0" in told


def test_a_file_that_is_there_is_not_asked_for(monkeypatch, tmp_path):
    """With the file in place no connection is tried; here the file is no weights file."""
    monkeypatch.setattr(backbones.file_utils.config, "keras_home", lambda: str(tmp_path))
    monkeypatch.setattr(socket, "create_connection", lambda *a, **k: pytest.fail("asked"))
    place = tmp_path / "models" / "mobilenet_1_0_224_tf_no_top.h5"
    place.parent.mkdir()
    place.write_bytes(b"not weights")
    from kerastl.models.backbones import make_backbone

    with pytest.raises(InputError, match="MobileNet"):
        make_backbone("MobileNet", "imagenet", 224)
