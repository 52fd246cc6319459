import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings

from kerastl.errors import InputError
from kerastl.losses import NORMALIZERS, MaskedBinaryCrossentropy, check_shapes
from tests.support.masked_oracle import GAMMAS, cases, oracle, slopes

OPTIONS = [
    {},
    {"from_logits": False},
    {"label_smoothing": 0.1, "pos_weight": [2.0, 3.0], "gamma": 2.0, "normalizer": "known"},
    {"gamma": (1, 4), "margin": 0.05, "normalizer": "known_per_example"},
]


def value_and_gradient(y, z, dtype="float64", **options):
    z = tf.Variable(z, dtype=dtype)
    with tf.GradientTape() as tape:
        loss = MaskedBinaryCrossentropy(dtype=dtype, **options)(y, z)
    return loss.numpy(), tape.gradient(loss, z).numpy()


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


@given(cases())
@settings(max_examples=120, deadline=None, derandomize=True)
def test_equals_the_formula_and_its_slopes(case):
    y, z, options = case
    loss, gradient = value_and_gradient(y, z, **options)
    assert loss == pytest.approx(oracle(y, z, **options), abs=1e-6, rel=1e-9)
    np.testing.assert_allclose(gradient, slopes(y, z, **options), atol=1e-6)
    assert (gradient[~(y >= 0)] == 0).all()


@given(cases())
@settings(max_examples=60, deadline=None, derandomize=True)
def test_float32_is_as_good_as_float32_can_be(case):
    y, z, options = case
    z = z.astype("float32").astype("float64")
    loss, gradient = value_and_gradient(y, z, dtype="float32", **options)
    _, exact = value_and_gradient(y, z, **options)
    # 1e-6 absolute: -log(1 - q) just above a margin is a difference of near ones.
    assert loss == pytest.approx(oracle(y, z, **options), rel=1e-5, abs=1e-6)
    np.testing.assert_allclose(gradient, exact, rtol=1e-5, atol=1e-6)


@given(cases())
@settings(max_examples=30, deadline=None, derandomize=True)
def test_probabilities_give_the_same_as_logits(case):
    y, z, options = case
    loss, _ = value_and_gradient(y, sigmoid(z), from_logits=False, **options)
    assert loss == pytest.approx(oracle(y, z, **options), rel=1e-6, abs=1e-6)


def test_probabilities_of_0_and_1_are_clipped():
    """Clipped once, by epsilon, and so never infinite; on the right side they cost nothing."""
    wrong, gradient = value_and_gradient([[0.0, 1.0]], [[1.0, 0.0]], from_logits=False)
    assert wrong == pytest.approx(-2 * np.log(keras.config.epsilon()), rel=1e-6)
    assert np.isfinite(gradient).all()
    right, _ = value_and_gradient([[0.0, 1.0]], [[0.0, 1.0]], from_logits=False)
    assert right == pytest.approx(0, abs=1e-6)


def test_the_default_is_the_formula_of_the_logistic_loss():
    y = np.array([[1.0, -1.0, 0.0], [-1.0, -1.0, 1.0]])
    z = np.array([[0.3, 5.0, -1.0], [2.0, 2.0, -0.4]])
    terms = [np.log1p(np.exp(-0.3)), np.log1p(np.exp(-1.0)), np.log1p(np.exp(0.4))]
    assert value_and_gradient(y, z)[0] == pytest.approx(sum(terms) / 2, rel=1e-12)


def test_all_known_is_keras_own_times_the_labels():
    draw = np.random.default_rng(0)
    y, z = draw.random((7, 4)), draw.normal(0, 4, (7, 4))
    for smoothing in (0.0, 0.2):
        own = keras.losses.BinaryCrossentropy(
            from_logits=True, label_smoothing=smoothing, dtype="float64"
        )(y, z)
        loss, _ = value_and_gradient(y, z, label_smoothing=smoothing)
        assert loss == pytest.approx(4 * float(own), rel=1e-9)


def test_focal_is_keras_own():
    draw = np.random.default_rng(1)
    y, z = draw.integers(2, size=(7, 4)).astype("float64"), draw.normal(0, 3, (7, 4))
    own = keras.losses.BinaryFocalCrossentropy(gamma=2.0, from_logits=True, dtype="float64")(y, z)
    assert value_and_gradient(y, z, gamma=2.0)[0] == pytest.approx(4 * float(own), rel=1e-5)


def test_a_negative_below_the_margin_costs_nothing():
    z = np.log(np.array([[0.049 / 0.951, 0.051 / 0.949]]))
    loss, gradient = value_and_gradient(np.zeros((1, 2)), z, gamma=(0, 0), margin=0.05)
    assert gradient[0, 0] == 0 < gradient[0, 1]
    assert loss == pytest.approx(-np.log(1 - 0.001), rel=1e-6)


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("code", [-1.0, -2.0, np.nan, -np.inf])
@pytest.mark.parametrize("under", [1e30, np.inf, -np.inf, np.nan])
def test_an_unknown_label_adds_nothing_whatever_stands_there(under, code, options):
    y = np.array([[1.0, code], [code, 0.0]])
    loss, gradient = value_and_gradient(y, [[0.4, under], [under, 0.7]], **options)
    same, other = value_and_gradient(np.where(y >= 0, y, -1.0), [[0.4, 0.5], [0.5, 0.7]], **options)
    assert np.isfinite(loss)
    assert loss == same
    np.testing.assert_array_equal(gradient, other)
    assert gradient[0, 1] == gradient[1, 0] == 0
    assert gradient[0, 0] < 0 < gradient[1, 1]


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("normalizer", NORMALIZERS)
def test_nothing_known_is_zero(options, normalizer):
    options = {**options, "normalizer": normalizer}
    loss, gradient = value_and_gradient(-np.ones((3, 2)), np.full((3, 2), np.nan), **options)
    assert loss == 0
    assert (gradient == 0).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("gamma", [*GAMMAS, 0.1])
@pytest.mark.parametrize("margin", [0.0, 1e-9, 0.05, 0.5])
def test_no_logit_is_too_large(gamma, margin, dtype):
    half = np.array([0.0, 1e-30, 1.0, 15.0, 17.0, 40.0, 100.0, 1e4, 3e38])
    z = np.concatenate([half, -half])[None]
    for label in (0.0, 1.0):
        y = np.full_like(z, label)
        loss, gradient = value_and_gradient(y, z / 20, dtype, gamma=gamma, margin=margin)
        assert np.isfinite(loss)
        assert loss >= 0
        assert np.isfinite(gradient).all()
        _, gradient = value_and_gradient(y, z, dtype, gamma=gamma, margin=margin)
        assert np.isfinite(gradient).all()


def test_weights_do_not_change_the_divisor():
    y, z = np.array([[1.0, -1.0], [1.0, 1.0]]), np.zeros((2, 2))
    for normalizer in NORMALIZERS:
        once, _ = value_and_gradient(y, z, normalizer=normalizer)
        thrice, _ = value_and_gradient(y, z, normalizer=normalizer, pos_weight=3.0)
        assert thrice == pytest.approx(3 * once)


def test_sample_weight_weighs_examples():
    y, z = np.array([[1.0, -1.0], [0.0, 0.0]]), np.zeros((2, 2))
    loss = MaskedBinaryCrossentropy()(y, z, sample_weight=np.array([3.0, 0.0]))
    assert float(loss) == pytest.approx(1.5 * np.log(2))


def test_binary_labels_may_be_flat():
    """Against predictions `[batch, 1]` they would else count each with each."""
    z = np.array([[0.5], [-1.0], [2.0]])
    flat = MaskedBinaryCrossentropy()(np.array([1.0, 0.0, -1.0]), z)
    assert float(flat) == float(MaskedBinaryCrossentropy()(np.array([[1.0], [0.0], [-1.0]]), z))


@pytest.mark.parametrize("options", OPTIONS)
def test_serialises(options):
    loss = MaskedBinaryCrossentropy(**options, dtype="float64", reduction="sum")
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(loss))
    assert again.get_config() == loss.get_config()
    assert again.dtype == "float64"
    y, z = np.array([[1.0, -1.0], [0.0, 0.2]]), np.array([[0.2, 0.5], [0.9, 0.1]])
    assert float(again(y, z)) == float(loss(y, z))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"normalizer": "mean"}, r"Expected a normalizer of examples, known.*'mean'"),
        ({"label_smoothing": 1}, r"Expected label_smoothing in \[0, 1\). Received: 1"),
        ({"margin": 1.0}, r"Expected margin in \[0, 1\). Received: 1.0"),
        ({"margin": float("nan")}, r"Expected margin in \[0, 1\). Received: nan"),
        ({"pos_weight": -1}, r"Expected pos_weight as a number or one per label.*Received: -1"),
        ({"pos_weight": [1, float("inf")]}, r"finite and not negative. Received: \[1, inf\]"),
        ({"pos_weight": {"a": 1}}, r"Expected pos_weight.*Received: {'a': 1}"),
        ({"gamma": -0.5}, r"Expected gamma as a number or a pair.*Received: -0.5"),
        ({"gamma": (1, 2, 3)}, r"Expected gamma.*Received: \(1, 2, 3\)"),
        ({"gamma": "focal"}, r"Expected gamma.*Received: 'focal'"),
    ],
)
def test_refuses_what_is_no_option(options, words):
    with pytest.raises(InputError, match=words):
        MaskedBinaryCrossentropy(**options)


def test_all_faults_at_once():
    with pytest.raises(InputError) as caught:
        MaskedBinaryCrossentropy(normalizer="mean", gamma=-1, margin=2, pos_weight=-1)
    assert len(caught.value.faults) == 4


@pytest.mark.parametrize(
    ("labels", "logits", "weights", "words"),
    [
        ((None, 2), (None, 3), None, r"labels as \[batch, 3\], received \[batch, 2\]"),
        ((4, 1), (4, 3), None, r"labels as \[batch, 3\], received \[batch, 1\]"),
        ((None,), (None, 3), None, r"labels as \[batch, 3\], received \[batch\]"),
        ((4, 3, 1), (4, 3), None, r"labels as \[batch, 3\], received \[batch, 3, 1\]"),
        ((4,), (4,), None, r"predictions as \[batch, labels\], received \[batch\]"),
        ((4, 3), (4, 3), [1.0, 2.0], "expected 3 weights in pos_weight, received 2"),
    ],
)
def test_shapes_that_do_not_fit(labels, logits, weights, words):
    with pytest.raises(InputError, match=words):
        check_shapes(labels, logits, weights)


def test_sizes_that_are_not_known_yet_pass():
    check_shapes((None, None), (None, 3), None)
    check_shapes((None, 3), (None, None), [1.0])
    check_shapes((None,), (None, 1), [1.0])


def test_a_wrong_width_is_found_in_fit():
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    model.compile("sgd", MaskedBinaryCrossentropy(pos_weight=[1, 2]))
    with pytest.raises(InputError, match="expected 3 weights in pos_weight, received 2"):
        model.fit(np.ones((2, 4)), np.ones((2, 3)), verbose=0)
