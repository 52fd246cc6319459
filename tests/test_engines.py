import keras
import numpy as np

from kerastl.engines import forward


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
