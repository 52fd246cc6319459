"""One Core for the process: who interrupts after networks came and went is heard."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerastl.errors import InputError
from kerastl.features import openvino
from kerastl.features.engines import choose_engine, forward
from kerastl.features.openvino import REQUEST, core, frozen, precisions, runtime, worthwhile

IMAGES = np.random.default_rng(0).integers(0, 255, (2 * REQUEST + 3, 16, 16, 3), dtype=np.uint8)


def run(model, images):
    return choose_engine(model, "openvino:float32", images, 1).run(images)


@pytest.mark.parametrize("count", [1, REQUEST - 1, REQUEST, REQUEST + 1, len(IMAGES)])
def test_any_number_of_images_in_their_order(network, count):
    model, images = network(), IMAGES[:count]
    np.testing.assert_allclose(run(model, images), forward(model)(images), rtol=1e-4, atol=1e-4)


def test_a_graph_with_ends_that_only_a_gradient_needs():
    keras.utils.set_random_seed(0)
    x = keras.Input((16, 16, 3))
    h = keras.layers.Conv2D(4, 3, activation="swish")(keras.layers.Rescaling(1 / 127.5, -1)(x))
    model = keras.Model(x, keras.layers.Conv2D(2, 3, activation="swish")(h))
    np.testing.assert_allclose(run(model, IMAGES), forward(model)(IMAGES), rtol=1e-4, atol=1e-4)


def test_an_image_has_the_same_features_in_every_batch(network):
    fast = choose_engine(network(), "openvino", IMAGES, 1)
    whole = fast.run(IMAGES)
    for start, stop in ((0, 1), (3, 9), (5, len(IMAGES))):
        np.testing.assert_array_equal(fast.run(IMAGES[start:stop]), whole[start:stop])


@pytest.mark.parametrize("cores", [1, 3, 64])
def test_features_do_not_depend_on_the_number_of_streams(network, cores, monkeypatch):
    model = network()
    before = run(model, IMAGES)
    monkeypatch.setattr("kerastl.features.openvino.count_cores", lambda: cores)
    np.testing.assert_array_equal(run(model, IMAGES), before)


def test_results_are_not_overwritten_by_the_next_batch(network):
    fast = choose_engine(network(), "openvino", IMAGES, 1)
    first = fast.run(IMAGES[:REQUEST])
    kept = first.copy()
    fast.run(IMAGES[-REQUEST:])
    np.testing.assert_array_equal(first, kept)


def test_images_of_another_shape_leave_the_engine_as_it_was(network):
    fast = choose_engine(network(), "openvino", IMAGES, 1)
    before = fast.run(IMAGES)
    with pytest.raises(RuntimeError, match="shape"):
        fast.run(IMAGES[:, :8])
    np.testing.assert_array_equal(fast.run(IMAGES), before)


def test_changed_weights_are_seen(network):
    model = network()
    before = run(model, IMAGES)
    model.get_layer("conv2").kernel.assign_add(0.1 * np.ones((3, 3, 8, 12), "float32"))
    after = run(model, IMAGES)
    np.testing.assert_allclose(after, model(IMAGES, training=False), rtol=1e-4, atol=1e-3)
    assert np.abs(after - before).max() > 0.1


def test_the_frozen_graph_is_the_function(network):
    """TensorFlow itself runs it; it may put constants together, and so round otherwise."""
    model = network(dropout=0.5)
    spec = [tf.TensorSpec((None, 16, 16, 3), "float32", name="x")]
    call = tf.function(lambda x: model(x, training=False), spec).get_concrete_function()
    graph = frozen(call)
    assert not {"VarHandleOp", "ReadVariableOp"} & {node.op for node in graph.node}

    def imported(x):
        return tf.graph_util.import_graph_def(graph, {"x": x}, [call.outputs[0].name], name="")[0]

    images = tf.cast(IMAGES, "float32")
    again = tf.compat.v1.wrap_function(imported, spec)
    np.testing.assert_allclose(again(images), call(images), rtol=1e-5, atol=1e-5)


def test_constants_and_whole_numbers_are_frozen_too():
    table, shift = tf.constant([[1.0, 2.0]]), tf.Variable(3, dtype="int64")
    spec = [tf.TensorSpec((None, 2), name="x")]
    call = tf.function(lambda x: x * table + tf.cast(shift, "float32"), spec)
    nodes = frozen(call.get_concrete_function()).node
    assert "ReadVariableOp" not in {node.op for node in nodes}
    held = [tf.make_ndarray(node.attr["value"].tensor) for node in nodes if node.op == "Const"]
    assert sorted((value.dtype.name, value.max()) for value in held) == [
        ("float32", 2),
        ("int64", 3),
    ]


def test_weights_that_no_graph_can_hold(network, monkeypatch):
    monkeypatch.setattr("kerastl.features.openvino.MOST", 1000)
    with pytest.raises(InputError, match=r"cannot convert 'small'.*\n  It has [\d,]+ bytes of"):
        run(network(), IMAGES)


def test_nothing_is_left_in_the_temporary_folder(network, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    run(network(), IMAGES)
    assert not list(tmp_path.iterdir())


def test_a_network_with_several_sizes_of_pictures():
    x = keras.Input((None, None, 3))
    model = keras.Model(x, keras.layers.GlobalAveragePooling2D()(x))
    fast = choose_engine(model, "openvino", IMAGES, 1)
    for size in (16, 10):
        images = IMAGES[:, :size].astype("float32")
        np.testing.assert_allclose(fast.run(images), images.mean((1, 2)), rtol=1e-5)


@pytest.mark.parametrize(
    ("machine", "able", "tried"),
    [
        ("x86_64", "FP32 FP16 BF16 INT8", ["bfloat16", "float32"]),
        ("AMD64", "FP32 FP16", ["float32"]),
        ("aarch64", "FP32 FP16", ["float16", "float32"]),
        ("arm64", "FP32 FP16 BF16", ["bfloat16", "float16", "float32"]),
        ("x86_64", "FP32", ["float32"]),
    ],
)
def test_which_precisions_are_worth_a_trial(machine, able, tried, monkeypatch):
    monkeypatch.setattr("platform.machine", lambda: machine)
    monkeypatch.setattr(openvino, "core", lambda: Cpu(able.split()))
    assert worthwhile() == tried
    assert set(tried) <= set(precisions())


class Cpu:
    """What a CPU says of itself; the only part of OpenVINO that a test cannot have for real."""

    def __init__(self, able):
        self.able = able

    def get_property(self, device, name):
        assert (device, name) == ("CPU", "OPTIMIZATION_CAPABILITIES")
        return self.able


def test_this_cpu_computes_in_float32():
    assert precisions()[0] == "float32"
    assert openvino.installed()


ENGINES = """
import signal

import keras
import numpy as np

from kerastl.features.engines import choose_engine

x = keras.Input((8, 8, 3))
model = keras.Model(x, keras.layers.Conv2D(2, 3)(x))
images = np.zeros((4, 8, 8, 3), "uint8")
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background ignores it
first = choose_engine(model, "openvino", images, 1)
second = choose_engine(model, "openvino", images, 1)
del first
del second
try:
    signal.raise_signal(signal.SIGINT)
except KeyboardInterrupt:
    print("heard")
"""


def test_an_interruption_is_heard_after_two_engines_whose_lives_overlapped():
    done = subprocess.run([sys.executable, "-c", ENGINES], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "heard\n"), done.stderr


def test_threads_that_ask_together_get_the_same():
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: core(), range(64)))
    assert all(one is found[0] for one in found)


def test_without_the_package_both_say_how_it_is_installed(monkeypatch):
    core()
    monkeypatch.setitem(sys.modules, "openvino", None)
    for call in (runtime, core):
        with pytest.raises(InputError, match=r"Run: pip install 'kerastl\[fast\]'"):
            call()
