import keras
import numpy as np
import pytest

from kerastl.errors import InputError
from kerastl.models.graph import flat, is_nested, nodes, replay


def nested():
    inner = keras.Sequential(
        [keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3, name="inner")], name="block"
    )
    x = keras.Input((8, 8, 3))
    return keras.Model(x, keras.layers.Flatten(name="flat")(inner(x)))


def test_nodes_run_in_order():
    x = keras.Input((4,))
    a = keras.layers.Dense(3, name="a")(x)
    b = keras.layers.Dense(3, name="b")(a)
    model = keras.Model(x, keras.layers.Add(name="sum")([a, b]))
    assert [n.operation.name for n in nodes(model)] == ["a", "b", "sum"]


def test_flat_opens_nested_models_and_keeps_the_function():
    model, x = nested(), np.random.default_rng(0).normal(size=(2, 8, 8, 3))
    opened = flat(model)
    assert not any(is_nested(n.operation) for n in nodes(opened))
    assert [n.operation.name for n in nodes(opened)] == ["inner", "flat"]
    np.testing.assert_array_equal(opened(x), model(x))


def test_flat_leaves_a_flat_model_alone(network):
    model = network()
    assert flat(model) is model


def test_replay_shares_the_weights(network):
    model = network()
    image = keras.Input(model.input_shape[1:], dtype="uint8")
    again = keras.Model(image, replay(model, image))
    assert {id(w) for w in again.weights} == {id(w) for w in model.weights}


def test_replay_keeps_the_structure_of_the_outputs():
    x = keras.Input((4,))
    model = keras.Model(x, {"one": keras.layers.Dense(1)(x), "two": keras.layers.Dense(2)(x)})
    found = replay(model, keras.Input((4,)))
    assert {name: y.shape for name, y in found.items()} == {"one": (None, 1), "two": (None, 2)}


def test_a_subclassed_model_has_no_graph():
    class Own(keras.Model):
        def call(self, x):
            return x

    with pytest.raises(InputError, match="Expected a Functional or Sequential Keras model"):
        nodes(Own())


def test_a_sequential_without_input_says_how_to_begin():
    with pytest.raises(InputError, match=r"Begin it with keras.Input\(\(height, width, 3\)\)"):
        nodes(keras.Sequential([keras.layers.Dense(2)]))
