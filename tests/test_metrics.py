import keras
import numpy as np
import pytest
from sklearn import metrics as sk

from kerastl.errors import InputError
from kerastl.metrics import Masked

Y = np.random.default_rng(0).choice([-2.0, -1.0, np.nan, 0.0, 1.0], (90, 3))
# A label's scores lean to its side, so that no measure is near chance.
P = 1 / (1 + np.exp(-(np.random.default_rng(1).normal(size=Y.shape) + (Y == 1) - (Y == 0))))
KNOWN = Y >= 0
TRUTH, SCORES, PICKED = Y[KNOWN], P[KNOWN], P[KNOWN] > 0.5


def each_label(measure):
    """A scikit-learn measure over the known entries of each label."""
    return [measure(Y[k, j], P[k, j]) for j, k in enumerate(KNOWN.T)]


def f_beta(beta):
    return each_label(lambda y, p: sk.fbeta_score(y, p > 0.5, beta=beta))


CASES = {
    "accuracy": (lambda: keras.metrics.BinaryAccuracy(), sk.accuracy_score(TRUTH, PICKED)),
    "precision": (lambda: keras.metrics.Precision(), sk.precision_score(TRUTH, PICKED)),
    "recall": (lambda: keras.metrics.Recall(), sk.recall_score(TRUTH, PICKED)),
    "f1": (lambda: keras.metrics.F1Score(threshold=0.5), f_beta(1)),
    "f1_micro": (
        lambda: keras.metrics.F1Score("micro", threshold=0.5), sk.f1_score(TRUTH, PICKED)
    ),
    "f1_macro": (
        lambda: keras.metrics.F1Score("macro", threshold=0.5), np.mean(f_beta(1))
    ),
    "f2": (lambda: keras.metrics.FBetaScore(beta=2.0, threshold=0.5), f_beta(2)),
}  # fmt: skip


def updated(metric, y=Y, p=P, sizes=(90,), **weights):
    masked = Masked(metric)
    for rows in np.split(np.arange(len(y)), np.cumsum(sizes)[:-1]):
        masked.update_state(y[rows], p[rows], **{k: w[rows] for k, w in weights.items()})
    return masked


@pytest.mark.parametrize("sizes", [(90,), (3, 40, 47)])
@pytest.mark.parametrize("name", CASES)
def test_equals_scikit_learn_on_the_known_entries(name, sizes):
    make, expected = CASES[name]
    assert KNOWN.any(axis=0).all()
    assert not KNOWN.any(axis=1).all()  # some rows are wholly unknown
    np.testing.assert_allclose(updated(make(), sizes=sizes).result(), expected, rtol=1e-5)


@pytest.mark.parametrize("sizes", [(90,), (3, 40, 47)])
def test_auc_equals_scikit_learn_as_far_as_its_thresholds_go(sizes):
    each = updated(
        keras.metrics.AUC(multi_label=True, num_labels=3, num_thresholds=2000), sizes=sizes
    )
    assert float(each.result()) == pytest.approx(np.mean(each_label(sk.roc_auc_score)), abs=2e-3)
    flat = updated(keras.metrics.AUC(num_thresholds=2000), sizes=sizes)
    assert float(flat.result()) == pytest.approx(sk.roc_auc_score(TRUTH, SCORES), abs=2e-3)


@pytest.mark.parametrize("sizes", [(90,), (3, 40, 47)])
def test_class_codes_equal_scikit_learn(sizes):
    draw = np.random.default_rng(2)
    codes, logits = draw.integers(-2, 4, 90), draw.normal(size=(90, 4))
    masked = updated(keras.metrics.SparseCategoricalAccuracy(), codes, logits, sizes)
    expected = sk.accuracy_score(codes[codes >= 0], logits[codes >= 0].argmax(axis=1))
    assert float(masked.result()) == pytest.approx(expected)


@pytest.mark.parametrize("sizes", [(90,), (3, 40, 47)])
@pytest.mark.parametrize("name", [*CASES, "auc"])
def test_what_stands_under_an_unknown_label_does_not_matter(name, sizes):
    make = CASES[name][0] if name in CASES else lambda: keras.metrics.AUC(num_thresholds=50)
    # AUC wants all predictions in [0, 1]; infinity and NaN are not.
    odd = np.random.default_rng(3).choice([0.0, 1.0, 0.7, np.inf, -np.inf, np.nan], P.shape)
    plain, other = updated(make(), sizes=sizes), updated(make(), p=np.where(KNOWN, P, odd))
    np.testing.assert_allclose(plain.result(), other.result(), rtol=1e-5)


def test_a_batch_with_nothing_known_changes_nothing():
    masked = Masked(keras.metrics.SparseCategoricalAccuracy())
    masked.update_state(np.array([1]), np.array([[0.0, 1.0]]))
    masked.update_state(np.array([-1, -1]), np.array([[1.0, 0.0], [1.0, 0.0]]))
    assert float(masked.result()) == 1.0
    masked.reset_state()
    assert float(masked.result()) == 0.0


def test_binary_labels_may_be_flat():
    masked = Masked(keras.metrics.BinaryAccuracy(threshold=0.0))
    masked.update_state(np.array([1.0, 0.0, -1.0]), np.array([[1.0], [1.0], [1.0]]))
    assert float(masked.result()) == 0.5


def test_sample_weight_weighs_the_known():
    masked = Masked(keras.metrics.SparseCategoricalAccuracy())
    scores = np.array([[0.0, 1.0]] * 3)
    masked.update_state(np.array([1, 0, -1]), scores, sample_weight=np.array([3.0, 1.0, 9.0]))
    assert float(masked.result()) == 0.75


@pytest.mark.parametrize("name", ["precision", "f1_micro"])
def test_sample_weight_is_that_of_examples(name):
    weight = np.random.default_rng(4).uniform(0, 3, 90)
    measure = sk.precision_score if name == "precision" else sk.f1_score
    entries = np.broadcast_to(weight[:, None], Y.shape)[KNOWN]
    masked = updated(CASES[name][0](), sizes=(50, 40), sample_weight=weight)
    expected = measure(TRUTH, PICKED, sample_weight=entries)
    assert float(masked.result()) == pytest.approx(expected, rel=1e-5)


def test_in_compile_and_fit():
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, "sigmoid")])
    masked = Masked(keras.metrics.F1Score("micro", threshold=0.5))
    model.compile("sgd", "mse", metrics=[masked])
    x, y = np.random.default_rng(0).normal(size=(90, 4)), np.nan_to_num(Y, nan=-1)
    found = model.evaluate(x, y, batch_size=13, verbose=0, return_dict=True)
    expected = sk.f1_score(TRUTH, model.predict(x, verbose=0)[KNOWN] > 0.5)
    assert found["f1_score"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    "metric",
    [
        keras.metrics.BinaryAccuracy(name="accuracy", threshold=0.0),
        keras.metrics.F1Score(name="accuracy", threshold=0.25),
    ],
)
def test_serialises(metric):
    plain = keras.saving.serialize_keras_object(Masked(metric))
    again = keras.saving.deserialize_keras_object(plain)
    assert again.name == "accuracy"
    assert again.metric.threshold == metric.threshold
    assert type(again.metric) is type(metric)


@pytest.mark.parametrize("make", [keras.metrics.F1Score, keras.metrics.FBetaScore])
def test_an_f_score_of_the_highest_prediction_is_refused(make):
    words = "without a threshold picks each example's highest .* such as threshold=0.5"
    with pytest.raises(InputError, match=words):
        Masked(make())


def test_a_metric_that_averages_over_labels_is_refused():
    with pytest.raises(InputError, match="MeanSquaredError averages over the labels"):
        Masked(keras.metrics.MeanSquaredError()).update_state(Y, P)
    one = updated(keras.metrics.MeanSquaredError(), Y[:, :1], P[:, :1])
    first = KNOWN[:, 0]
    assert float(one.result()) == pytest.approx(((Y - P)[first, 0] ** 2).mean(), rel=1e-5)
