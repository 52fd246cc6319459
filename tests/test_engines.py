import keras
import numpy as np
import pytest

from kerastl.engines import TOLERANCE, WORTH, choose_engine, difference, forward
from kerastl.errors import InputError


class Counting(keras.layers.Layer):
    calls = 0

    def call(self, x):
        Counting.calls += 1
        return x


def test_one_trace_serves_every_batch_size():
    x = keras.Input((4,))
    run = forward(keras.Model(x, Counting()(x)))
    before = Counting.calls
    for count in (8, 8, 3, 1):
        assert run(np.ones((count, 4), "float32")).shape == (count, 4)
    assert Counting.calls == before


def test_runs_in_inference_mode(network):
    model = network(dropout=0.9)
    x = np.random.default_rng(0).integers(0, 255, (2, 16, 16, 3)).astype("float32")
    np.testing.assert_allclose(forward(model)(x), model(x, training=False), atol=1e-6)


def test_keeps_the_structure_of_the_outputs():
    x = keras.Input((2,))
    model = keras.Model(x, {"a": keras.layers.Dense(1)(x), "b": keras.layers.Dense(3)(x)})
    found = forward(model)(np.ones((5, 2), "float32"))
    assert {name: y.shape for name, y in found.items()} == {"a": (5, 1), "b": (5, 3)}


def one_input(network):
    model = network()
    images = np.random.default_rng(0).integers(0, 255, (5, 16, 16, 3), dtype=np.uint8)
    return model, images.astype("float32")


def test_openvino_agrees_with_keras(network):
    model, images = one_input(network)
    found = choose_engine(model, "openvino", images, 1)
    assert found.name == "openvino"
    for batch in (images, images[:2]):
        assert difference(forward(model)(batch), found.run(batch)) < TOLERANCE


def test_auto_takes_the_fast_one_for_many_pictures(network):
    model, images = one_input(network)
    assert choose_engine(model, "auto", images, WORTH).name == "openvino"
    assert choose_engine(model, "auto", images, WORTH - 1).name == "keras"
    assert choose_engine(model, "keras", images, WORTH).name == "keras"


def test_auto_keeps_keras_where_they_do_not_agree(network, monkeypatch):
    model, images = one_input(network)
    monkeypatch.setattr("kerastl.engines.TOLERANCE", -1.0)
    assert choose_engine(model, "auto", images, WORTH).name == "keras"
    assert choose_engine(model, "openvino", images, WORTH).name == "openvino"


def test_an_engine_that_is_none_or_not_there(network, monkeypatch):
    model, images = one_input(network)
    with pytest.raises(InputError, match="engine= of auto, keras, openvino. Received: 'onnx'"):
        choose_engine(model, "onnx", images, 1)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match="pip install 'kerastl.fast.'"):
        choose_engine(model, "openvino", images, 1)
    assert choose_engine(model, "auto", images, WORTH).name == "keras"
