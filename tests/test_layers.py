import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings

from kerastl.errors import InputError
from kerastl.layers import MaskedMultiLabelLoss
from kerastl.losses import MaskedBinaryCrossentropy
from tests.support.masked_oracle import cases, oracle, slopes

OPTIONS = {
    "label_smoothing": 0.1, "normalizer": "known", "pos_weight": [2.0, 1.0, 3.0],
    "gamma": [1.0, 4.0], "margin": 0.05,
}  # fmt: skip


def data(n=12, seed=0):
    draw = np.random.default_rng(seed)
    labels = draw.choice([-1.0, 0.0, 0.3, 1.0], (n, 3)).astype("float32")
    return draw.normal(size=(n, 4)).astype("float32"), labels


def head(seed=0, **dense):
    image = keras.Input((4,))
    start = keras.initializers.GlorotUniform(seed=seed)
    return image, keras.layers.Dense(3, kernel_initializer=start, **dense)(image)


def by_layer(compiled=None, dense=None, **options):
    """A model that trains by the layer, and the one that predicts."""
    image, logits = head(**(dense or {}))
    labels = keras.Input((3,))
    model = keras.Model([image, labels], MaskedMultiLabelLoss(**options)(logits, labels))
    model.compile(keras.optimizers.SGD(0.5), **(compiled or {}))
    return model, keras.Model(image, logits)


def by_loss(compiled=None, **options):
    model = keras.Model(*head())
    model.compile(
        keras.optimizers.SGD(0.5), MaskedBinaryCrossentropy(**options), **(compiled or {})
    )
    return model


def two_steps(model, inputs, labels=None):
    return model.fit(inputs, labels, batch_size=6, epochs=1, shuffle=False, verbose=0)


@given(cases())
@settings(max_examples=60, deadline=None, derandomize=True)
def test_equals_the_formula_and_its_slopes(case):
    y, z, options = case
    layer, logits = MaskedMultiLabelLoss(dtype="float64", **options), tf.Variable(z)
    with tf.GradientTape() as tape:
        given_back = layer(logits, y)
        (loss,) = layer.losses
    assert float(loss) == pytest.approx(oracle(y, z, **options), abs=1e-6, rel=1e-9)
    np.testing.assert_allclose(tape.gradient(loss, logits), slopes(y, z, **options), atol=1e-6)
    np.testing.assert_array_equal(given_back, z)


@pytest.mark.parametrize("options", [{}, OPTIONS])
def test_trains_as_the_loss_does(options):
    x, y = data()
    with_layer, predicts = by_layer(**options)
    with_loss = by_loss(**options)
    layers, losses = two_steps(with_layer, [x, y]), two_steps(with_loss, x, y)
    np.testing.assert_allclose(layers.history["loss"], losses.history["loss"], rtol=1e-6)
    np.testing.assert_allclose(
        predicts.predict(x, verbose=0), with_loss.predict(x, verbose=0), atol=1e-6
    )


@pytest.mark.parametrize("options", [{}, OPTIONS])
def test_compiled_by_xla_is_the_same(options):
    x, y = data()
    compiled = {"jit_compile": True}
    for make, inputs in ((by_layer, ([x, y],)), (by_loss, (x, y))):
        plain, fast = make(**options), make(compiled=compiled, **options)
        plain, fast = (m[0] if isinstance(m, tuple) else m for m in (plain, fast))
        assert fast.jit_compile is True
        histories = [two_steps(model, *inputs).history["loss"] for model in (plain, fast)]
        np.testing.assert_allclose(*histories, rtol=1e-5)
        np.testing.assert_allclose(plain.get_weights()[0], fast.get_weights()[0], atol=1e-5)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
@pytest.mark.parametrize("options", [{}, OPTIONS])
def test_mixed_precision_is_as_good_as_its_logits(policy, options):
    x, y = data()
    plain, plain_predicts = by_layer(**options)
    mixed, predicts = by_layer(dense={"dtype": policy}, dtype=policy, **options)
    loss = keras.Model(*head(dtype=policy))
    loss.compile(keras.optimizers.SGD(0.5), MaskedBinaryCrossentropy(**options))
    for model, inputs in ((plain, ([x, y],)), (mixed, ([x, y],)), (loss, (x, y))):
        model.history_of = two_steps(model, *inputs).history["loss"]
    assert predicts.output.dtype == keras.DTypePolicy(policy).compute_dtype
    np.testing.assert_allclose(mixed.history_of, plain.history_of, rtol=2e-2)
    np.testing.assert_allclose(loss.history_of, mixed.history_of, rtol=1e-6)
    np.testing.assert_allclose(
        predicts.get_weights()[0], plain_predicts.get_weights()[0], atol=3e-2
    )


def test_mixed_precision_rounds_neither_labels_nor_logits():
    layer = MaskedMultiLabelLoss(dtype="mixed_float16")
    z, y = np.array([[0.1, 9.0]], "float32"), np.array([[0.3, -1.0]], "float32")
    assert layer(z, y).dtype == "float32"
    assert float(layer.losses[0]) == pytest.approx(oracle(y, z.astype("float64")), rel=1e-6)


def test_unknown_labels_may_have_any_code_and_whole_labels_any_type():
    z = np.array([[0.5, np.inf], [np.nan, -1.0]], "float32")
    found = []
    for unknown in (-1, -2):
        layer = MaskedMultiLabelLoss()
        layer(z, np.array([[1, unknown], [unknown, 0]], "int32"))
        found.append(float(layer.losses[0]))
    expected = (np.log1p(np.exp(-0.5)) + np.log1p(np.exp(-1.0))) / 2
    assert found[0] == found[1] == pytest.approx(expected)


def test_evaluate_gives_the_loss():
    x, y = data()
    model, predicts = by_layer(**OPTIONS)
    found = model.evaluate([x, y], verbose=0)
    logits = predicts.predict(x, verbose=0).astype("float64")
    assert found == pytest.approx(oracle(y, logits, **OPTIONS), rel=1e-5)


def test_survives_save_and_load(tmp_path):
    x, y = data()
    model, predicts = by_layer(**OPTIONS)
    two_steps(model, [x, y])
    model.save(tmp_path / "training.keras")
    predicts.save(tmp_path / "predicting.keras")
    again = keras.models.load_model(tmp_path / "training.keras")
    options = again.layers[-1].get_config()
    assert {name: options[name] for name in OPTIONS} == OPTIONS
    assert again.evaluate([x, y], verbose=0) == model.evaluate([x, y], verbose=0)
    alone = keras.models.load_model(tmp_path / "predicting.keras")
    np.testing.assert_array_equal(alone.predict(x, verbose=0), predicts.predict(x, verbose=0))


def test_what_does_not_fit():
    with pytest.raises(InputError, match="Expected gamma"):
        MaskedMultiLabelLoss(gamma=-1)
    _, logits = head()
    with pytest.raises(InputError, match="expected 3 weights in pos_weight, received 2"):
        MaskedMultiLabelLoss(pos_weight=[1, 2])(logits, keras.Input((3,)))
    with pytest.raises(InputError, match=r"labels as \[batch, 3\], received \[batch, 2\]"):
        MaskedMultiLabelLoss()(logits, keras.Input((2,)))
