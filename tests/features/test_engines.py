import keras
import numpy as np
import pytest
import tensorflow as tf

from kerastl.data.tasks import Task
from kerastl.errors import InputError
from kerastl.features.engines import (
    ENGINES,
    MANY,
    SAMPLE,
    TOLERANCE,
    WORTH,
    canonical,
    choose_engine,
    difference,
    forward,
)
from kerastl.features.openvino import precisions, worthwhile
from kerastl.models.factories import create_model


class Unconvertible(keras.layers.Layer):
    def call(self, x):
        y = tf.numpy_function(lambda z: z + 1, [x], x.dtype)
        y.set_shape(x.shape)
        return y

    def compute_output_shape(self, shape):
        return shape


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


@pytest.fixture
def able(monkeypatch):
    """Sets what this CPU is held to be quick at, the cheapest first; all of it runs for real."""

    def choose(*names):
        missing = set(names) - set(precisions())
        if missing:
            pytest.skip(f"this CPU does not compute in {', '.join(missing)}")
        monkeypatch.setattr("kerastl.features.openvino.worthwhile", lambda: list(names))

    return choose


def test_one_name_for_each_engine():
    assert canonical("openvino") == "openvino:float32"
    others = [name for name in ENGINES if name != "openvino"]
    assert [canonical(name) for name in others] == others
    with pytest.raises(InputError, match="engine= of auto, keras, openvino, .*Received: None"):
        canonical(None)


def test_openvino_agrees_with_keras(network):
    model, images = one_input(network)
    found = choose_engine(model, "openvino", images, 1)
    assert found.name == "openvino:float32"
    for batch in (images, images[:2]):
        assert difference(forward(model)(batch), found.run(batch)) < TOLERANCE["float32"]


def test_openvino_agrees_on_a_whole_backbone():
    keras.utils.set_random_seed(0)
    model = create_model("EfficientNetLite0", [Task("t", ["a", "b"])], weights=None, image_size=64)
    images = np.random.default_rng(0).integers(0, 255, (2, 64, 64, 3), dtype=np.uint8)
    found = choose_engine(model, "openvino:float32", images, 1)
    assert difference(forward(model)(images), found.run(images)) < TOLERANCE["float32"]


def test_a_precision_asked_for_by_name_is_used(network, caplog):
    model, images = one_input(network)
    exact, apart = forward(model)(images), {}
    caplog.set_level("INFO", logger="kerastl")
    for precision in precisions():
        found = choose_engine(model, f"openvino:{precision}", images, 1)
        assert found.name == f"openvino:{precision}"
        apart[precision] = difference(exact, found.run(images))
        assert f"{found.name} differs from Keras by {apart[precision]:.1e}" in caplog.text
    # Eleven and eight bits of mantissa cannot come as near as 24, and bfloat16 is the coarsest.
    if "float16" in apart:
        assert apart["float32"] < 1e-5 < 1e-4 < apart["float16"] < 2e-2
    if "bfloat16" in apart:
        assert 1e-3 < apart["bfloat16"] < 1e-1


def test_auto_takes_openvino_for_many_pictures_only(network):
    model, images = one_input(network)
    assert choose_engine(model, "auto", images, WORTH).name == "openvino:float32"
    assert choose_engine(model, "auto", images, WORTH - 1).name == "keras"
    assert choose_engine(model, "keras", images, WORTH).name == "keras"


def test_auto_tries_the_cheapest_first_and_says_what_it_found(network, caplog, able):
    able("bfloat16", "float16", "float32")
    caplog.set_level("INFO", logger="kerastl")
    model, images = one_input(network)
    assert choose_engine(model, "auto", images, MANY).name == "openvino:bfloat16"
    first, last = caplog.messages
    assert first.startswith("openvino:bfloat16 differs from Keras by ")
    assert first.endswith("; auto accepts 3e-02.")
    assert last == "The engine is openvino:bfloat16."


def test_few_pictures_are_not_tried_in_every_precision(network, caplog):
    model, images = one_input(network)
    caplog.set_level("INFO", logger="kerastl")
    assert choose_engine(model, "auto", images, MANY - 1).name == "openvino:float32"
    assert len(caplog.messages) == 2


def vanishing():
    """A network whose values are too small for float16, which makes zeros of them."""
    x = keras.Input((8, 8, 3))
    y = x
    for seed, scale in enumerate((1e-6, 1e-4)):
        kernel = keras.initializers.RandomNormal(stddev=scale, seed=seed)
        y = keras.layers.Conv2D(4, 3, kernel_initializer=kernel)(y)
    return keras.Model(x, y), np.random.default_rng(0).uniform(0, 1, (4, 8, 8, 3)).astype("float32")


def test_auto_takes_no_precision_that_does_not_agree(caplog, able):
    able("float16", "float32")
    caplog.set_level("INFO", logger="kerastl")
    model, images = vanishing()
    assert choose_engine(model, "auto", images, MANY).name == "openvino:float32"
    assert "openvino:float16 differs from Keras by 1.0e+00; auto accepts 3e-02." in caplog.text
    assert choose_engine(model, "openvino:float16", images, MANY).name == "openvino:float16"


def test_auto_answers_alike_for_the_same_pictures(network):
    model, images = one_input(network)
    names = [choose_engine(model, "auto", images, MANY).name for _ in range(3)]
    assert set(names) == {f"openvino:{worthwhile()[0]}"}


def test_auto_keeps_keras_where_nothing_agrees(network, monkeypatch, caplog):
    model, images = one_input(network)
    caplog.set_level("INFO", logger="kerastl")
    monkeypatch.setattr("kerastl.features.engines.TOLERANCE", dict.fromkeys(TOLERANCE, -1.0))
    assert choose_engine(model, "auto", images, MANY).name == "keras"
    assert caplog.messages[-1] == "The engine is keras."
    assert choose_engine(model, "openvino", images, MANY).name == "openvino:float32"


def test_auto_takes_the_gpu_where_there_is_one(network, monkeypatch):
    model, images = one_input(network)
    monkeypatch.setattr("tensorflow.config.list_physical_devices", lambda kind: [kind])
    assert choose_engine(model, "auto", images, MANY).name == "keras"


def test_no_more_than_a_sample_is_run_for_the_choice(network, monkeypatch):
    model, images = one_input(network)
    seen = []
    measured = lambda ours, theirs: seen.append(len(ours)) or difference(ours, theirs)  # noqa: E731
    monkeypatch.setattr("kerastl.features.engines.difference", measured)
    choose_engine(model, "auto", np.concatenate([images] * 20), WORTH)
    assert seen == [SAMPLE]


def features(rows=64, channels=400, seed=0):
    """As a backbone's are: not negative, channels of different size, many zeros."""
    draw = np.random.default_rng(seed)
    size = draw.uniform(0.3, 1, channels)
    return np.maximum(draw.normal(0, 1, (rows, channels)), 0) * size


def test_equal_features_do_not_differ():
    assert difference(features(), features()) == 0
    assert difference(np.zeros((2, 3)), np.zeros((2, 3))) == 0


@pytest.mark.parametrize("scale", [1e-20, 1.0, 1e10])
def test_the_difference_has_no_unit(scale):
    ours, theirs = features(), features() * 1.01
    assert difference(ours * scale, theirs * scale) == pytest.approx(0.01)


def test_one_value_that_is_wrong_is_found():
    ours = features()
    theirs = ours.copy()
    theirs[3, 5] += 0.1 * ours.max()
    assert difference(ours, theirs) == pytest.approx(0.1)


def test_small_channels_that_are_wrong_are_found():
    """They are far below the largest value: a largest difference alone would pass them."""
    ours = features()
    ours[:, :20] *= 0.02 * ours.max() / ours[:, :20].max(0)
    theirs = ours.copy()
    theirs[:, :20] = 0
    assert np.abs(ours - theirs).max() / ours.max() < TOLERANCE["float16"]
    assert difference(ours, theirs) > TOLERANCE["float16"]


def test_a_channel_of_next_to_nothing_does_not_count_in_full():
    """A ReLU that hardly opens on the sample: the rounding of it is no fault."""
    ours = features()
    ours[:, 7] *= 1e-5
    theirs = ours.copy()
    theirs[:, 7] = 0
    assert 0 < difference(ours, theirs) < 1e-5


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_features_that_are_no_numbers_agree_with_nothing(value):
    ours = features()
    theirs = ours.copy()
    theirs[0, 0] = value
    assert not difference(ours, theirs) <= TOLERANCE["float16"]
    assert not difference(theirs, ours) <= TOLERANCE["float16"]


def test_an_engine_that_is_none_or_not_there(network, monkeypatch):
    model, images = one_input(network)
    with pytest.raises(InputError, match="engine= of auto, keras, openvino, .*Received: 'onnx'"):
        choose_engine(model, "onnx", images, 1)
    with pytest.raises(InputError, match="Did you mean openvino:float16"):
        choose_engine(model, "openvino:flot16", images, 1)
    monkeypatch.setattr("kerastl.features.openvino.precisions", lambda: ["float32"])
    with pytest.raises(InputError, match="engine= of openvino:float32, which this CPU can run"):
        choose_engine(model, "openvino:bfloat16", images, 1)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match="pip install 'kerastl.fast.'"):
        choose_engine(model, "openvino", images, 1)
    assert choose_engine(model, "auto", images, WORTH).name == "keras"


def test_a_network_that_openvino_cannot_convert_runs_on_keras(caplog):
    x = keras.Input((4,))
    model = keras.Model(x, Unconvertible()(x), name="odd")
    ones = np.ones((3, 4), "float32")
    caplog.set_level("INFO", logger="kerastl")
    found = choose_engine(model, "auto", ones, WORTH)
    assert found.name == "keras"
    assert found.run(ones).tolist() == (ones + 1).tolist()
    assert "OpenVINO cannot convert 'odd'. Use engine='keras'" in caplog.text
    with pytest.raises(InputError, match="OpenVINO cannot convert 'odd'"):
        choose_engine(model, "openvino", ones, 1)
