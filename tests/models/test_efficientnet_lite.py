"""EfficientNetLite0: it sees what is in real photographs, and keeps Keras' habits."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from kerastl.errors import InputError
from kerastl.models.efficientnet_lite import EfficientNetLite0, preprocess_input


@pytest.fixture(scope="module")
def model():
    return EfficientNetLite0()


@pytest.fixture(scope="module")
def random_model():
    keras.utils.set_random_seed(0)
    return EfficientNetLite0(weights=None, input_shape=(32, 32, 3))


def _photograph(package: str, folder: str, name: str) -> np.ndarray:
    where = Path(pytest.importorskip(package).__file__).parent / folder / name
    with Image.open(where) as picture:
        return np.asarray(picture.convert("RGB").resize((224, 224), Image.Resampling.BICUBIC))


@pytest.mark.parametrize(
    ("package", "folder", "name", "classes"),
    [
        # Several classes are right for the river with its pavilions: bell cote,
        # boathouse, palace and castle.
        ("sklearn", "datasets/images", "china.jpg", {442, 449, 698, 483}),
        ("sklearn", "datasets/images", "flower.jpg", {985}),
        ("skimage", "data", "chelsea.png", {285}),
        ("skimage", "data", "coffee.png", {967}),
    ],
)
def test_real_photographs_are_classified(model, package, folder, name, classes):
    image = _photograph(package, folder, name)
    scores = np.asarray(model(preprocess_input(image[None])))[0]
    assert scores.sum() == pytest.approx(1, abs=1e-5)
    assert int(scores.argmax()) in classes
    assert scores.max() > 0.1


def test_parameters_are_those_of_the_literature(model):
    assert sum(int(np.prod(v.shape)) for v in model.trainable_weights) == 4_652_008


def test_the_layers_are_stock_and_named_after_keras(model):
    names = [layer.name for layer in model.layers]
    for name in ("stem_conv", "block1a_dwconv", "block2b_add", "block6d_add", "top_activation"):
        assert name in names
    assert "block1a_add" not in names
    assert sum(name.endswith("_add") for name in names) == 9
    assert all(type(layer).__module__.startswith("keras.") for layer in model.layers)
    assert not any(isinstance(layer, keras.layers.Dropout) for layer in model.layers[:-2])
    norms = [x for x in model.layers if isinstance(x, keras.layers.BatchNormalization)]
    assert len(norms) == 49
    assert all(norm.epsilon == 1e-3 for norm in norms)


def test_keras_b0_has_the_same_convolutions(model):
    """An oracle for the architecture: B0 less its squeeze-excite has the same kernels."""
    b0 = keras.applications.EfficientNetB0(weights=None)
    kernels = {w.path: w.shape for w in b0.weights if "kernel" in w.path and "/se" not in w.path}
    kernels = {path: shape for path, shape in kernels.items() if "_se_" not in path}
    assert kernels == {w.path: w.shape for w in model.weights if "kernel" in w.path}


@pytest.mark.parametrize(("size", "sides"), [(224, (7, 7)), (300, (10, 10)), (65, (3, 3))])
def test_without_the_top_any_size_does(size, sides):
    model = EfficientNetLite0(include_top=False, weights=None, input_shape=(size, size, 3))
    assert model.output_shape == (None, *sides, 1280)


def test_pooling_and_open_sizes():
    model = EfficientNetLite0(include_top=False, weights=None, pooling="avg")
    assert model.input_shape == (None, None, None, 3)
    assert model.output_shape == (None, 1280)
    image = np.random.default_rng(0).random((1, 48, 64, 3), "float32")
    most = EfficientNetLite0(include_top=False, weights=None, pooling="max")
    most.set_weights(model.get_weights())
    assert (np.asarray(most(image)) >= np.asarray(model(image))).all()


def test_the_tops_options():
    model = EfficientNetLite0(
        weights=None, classes=5, classifier_activation=None, input_shape=(32, 32, 3), name="lite"
    )
    assert (model.name, model.output_shape) == ("lite", (None, 5))
    assert model.layers[-1].activation is keras.activations.linear


def test_it_builds_upon_a_tensor():
    start = keras.Input((64, 64, 3))
    tensor = keras.layers.Rescaling(1 / 128, offset=-127 / 128)(start)
    model = EfficientNetLite0(include_top=False, weights=None, input_tensor=tensor)
    assert model.inputs[0] is start
    assert model.output_shape == (None, 2, 2, 1280)


# Keras 3.15 hands NumPy 2 its variables without the `copy` keyword when it saves.
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_a_file_brings_its_weights(tmp_path, random_model):
    shape = {"input_shape": (32, 32, 3)}
    for name in ("w.weights.h5", "w.keras"):
        path = tmp_path / name
        save = random_model.save_weights if name == "w.weights.h5" else random_model.save
        save(path)
        again = EfficientNetLite0(weights=path, **shape)
        for a, b in zip(random_model.get_weights(), again.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"classes": 5}, "Expected classes=1000 with the ImageNet top. Received: 5."),
        ({"classifier_activation": "sigmoid"}, "None or 'softmax' with trained weights"),
        ({"pooling": "mean"}, "Expected pooling None, 'avg' or 'max'. Received: 'mean'."),
        ({"input_shape": (224, 224, 1)}, r"Received: input shape \(224, 224, 1\)"),
        ({"input_shape": (16, 224, 3)}, "sides of 32 or more"),
        ({"input_shape": (224, 224)}, "Expected 3 channels"),
        ({"input_tensor": np.zeros((1, 64, 64, 3))}, "Expected a Keras tensor as input_tensor"),
        ({"weights": "imagnet"}, "Expected weights 'imagenet', None, or .* Received: 'imagnet'"),
        ({"weights": "none.weights.h5"}, "file that exists. Received: 'none.weights.h5'"),
    ],
)
def test_arguments_that_do_not_go_together(options, why):
    with pytest.raises(InputError, match=why):
        EfficientNetLite0(**options)


def test_all_faults_are_named_at_once():
    with pytest.raises(InputError) as caught:
        EfficientNetLite0(classes=3, pooling="mean", input_shape=(8, 8, 3))
    assert len(caught.value.faults) == 3


@pytest.mark.parametrize("data_format", [None, "channels_last", "channels_first"])
def test_preprocessing_is_affine_on_arrays_and_tensors(data_format):
    x = np.arange(256, dtype="uint8").reshape(1, 16, 16, 1)
    expected = (x.astype("float64") - 127) / 128
    np.testing.assert_array_equal(preprocess_input(x, data_format), expected)
    tensor = preprocess_input(keras.ops.convert_to_tensor(x), data_format)
    np.testing.assert_array_equal(np.asarray(tensor), expected)
    assert x.dtype == "uint8"


def test_preprocessing_refuses_an_unknown_format():
    with pytest.raises(InputError, match="Received: 'last'"):
        preprocess_input(np.zeros((1, 2, 2, 3)), "last")
