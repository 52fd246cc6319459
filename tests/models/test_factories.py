import keras
import numpy as np
import pytest

from kerastl.data.tasks import Task
from kerastl.errors import InputError
from kerastl.losses import MaskedBinaryCrossentropy
from kerastl.models.factories import (
    add_heads,
    classifier,
    head_names,
    losses_for,
    metrics_for,
    multilabel_classifier,
    multitask_classifier,
    task_weights,
)

TASKS = [Task("defect", ["no", "yes"], "binary"), Task("tags", ["a", "b", "c"], "multilabel"),
         Task("type", ["mono", "poly"])]  # fmt: skip


def test_classifier_fits_with_plain_keras(network, striped):
    model = classifier(network(), ["across", "down"], trainable=True, learning_rate=1e-2)
    images, codes = striped(64)
    history = model.fit(images, codes, epochs=8, verbose=0)
    assert history.history["accuracy"][-1] > 0.9


def test_unknown_class_codes_are_left_out(network, striped):
    images, codes = striped(16)
    half = codes.copy()
    half[8:] = -1
    model = classifier(network(), ["across", "down"])
    all_at_once = model.evaluate(images, half, verbose=0, return_dict=True)
    known_only = model.evaluate(images[:8], codes[:8], verbose=0, return_dict=True)
    assert all_at_once == pytest.approx(known_only, abs=1e-6)


def test_multilabel(network, striped):
    model = multilabel_classifier(network(), ["a", "b", "c"])
    assert isinstance(model.loss, MaskedBinaryCrossentropy)
    images, _ = striped(8)
    labels = np.random.default_rng(0).choice([-1.0, 0.0, 1.0], (8, 3)).astype("float32")
    assert np.isfinite(model.evaluate(images, labels, verbose=0, return_dict=True)["loss"])


def test_multitask_gives_logits_by_task(network, striped):
    model = multitask_classifier(network(), TASKS)
    images, codes = striped(8)
    found = model.predict(images, verbose=0)
    assert {name: y.shape for name, y in found.items()} == {
        "defect": (8, 1), "tags": (8, 3), "type": (8, 2),
    }  # fmt: skip
    labels = {"defect": codes[:, None].astype("float32"), "tags": -np.ones((8, 3)), "type": codes}
    logs = model.evaluate(images, labels, verbose=0, return_dict=True)
    assert logs["tags_loss"] == 0
    assert {"defect_accuracy", "defect_auc", "type_accuracy"} <= set(logs)


def test_the_backbone_is_a_copy(network, striped):
    own = network()
    before = [w.copy() for w in own.get_weights()]
    model = classifier(own, ["across", "down"], trainable=True, train_batch_norm=True)
    model.fit(*striped(16), verbose=0)
    for now, then in zip(own.get_weights(), before, strict=True):
        np.testing.assert_array_equal(now, then)


def test_same_seed_same_weights(network):
    a, b = (classifier(network(), ["x", "y"], seed=3) for _ in range(2))
    for one, other in zip(a.get_weights(), b.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_image_input_is_raw_uint8(network):
    model = classifier(network(), ["x", "y"])
    assert model.inputs[0].dtype == "uint8"
    assert model.input_shape == (None, 16, 16, 3)
    assert all(not hasattr(layer, "layers") for layer in model.layers)


def test_a_task_may_have_the_name_of_a_layer(network):
    model = classifier(network(), ["x", "y"], name="conv1")
    assert model.get_layer("conv1_head").units == 2
    multitask_classifier(network(), [Task("a b", ["x", "y"]), Task("a?b", ["x", "y"])])


def test_classes_are_checked(network):
    with pytest.raises(InputError, match="at least 2 classes"):
        classifier(network(), ["only"])
    with pytest.raises(InputError, match="Repeated: x"):
        classifier(network(), ["x", "x"])
    with pytest.raises(InputError, match="each with a name of its own. Repeated: t"):
        multitask_classifier(network(), [Task("t", ["x", "y"])] * 2)


def test_loss_weights_reach_the_loss(network, striped):
    images, codes = striped(8)
    labels = {"defect": codes[:, None].astype("float32"), "type": codes}
    tasks = [TASKS[0], TASKS[2]]
    model = multitask_classifier(network(), tasks, loss_weights={"defect": 2.0, "type": 0.0})
    logs = model.evaluate(images, labels, verbose=0, return_dict=True)
    assert logs["loss"] == pytest.approx(2 * logs["defect_loss"], rel=1e-5)


def test_the_default_is_the_sum_over_known_labels(network, striped):
    """Of binary and multilabel tasks, by example; of a multiclass task the mean over the known."""
    images, codes = striped(8)
    labels = {
        "defect": np.where(np.arange(8) < 6, codes, -1)[:, None].astype("float32"),
        "tags": np.random.default_rng(0).choice([-1.0, 0.0, 1.0], (8, 3)),
        "type": np.where(np.arange(8) < 2, codes, -1),
    }
    model = multitask_classifier(network(), TASKS)
    found = model.evaluate(images, labels, verbose=0, return_dict=True)["loss"]
    z = {name: y.astype("float64") for name, y in model.predict(images, verbose=0).items()}
    total = 0.0
    for name in ("defect", "tags"):
        y = labels[name]
        total += np.where(y >= 0, np.logaddexp(0, z[name]) - y * z[name], 0).sum() / 8
    rows = np.arange(2)
    total += (np.logaddexp.reduce(z["type"], axis=1)[rows] - z["type"][rows, codes[:2]]).mean()
    assert found == pytest.approx(total, rel=1e-5)


def test_one_task_may_have_a_weight(network, striped):
    images, codes = striped(8)
    plain, double = (classifier(network(), ["x", "y"], loss_weights={"label": w}) for w in (1, 2))
    losses = [
        m.evaluate(images, codes, verbose=0, return_dict=True)["loss"] for m in (plain, double)
    ]
    assert losses[1] == pytest.approx(2 * losses[0], rel=1e-5)


def test_positive_weights_reach_the_loss(network, striped):
    images, _ = striped(8)
    plain = multilabel_classifier(network(), ["a", "b"])
    heavy = multilabel_classifier(network(), ["a", "b"], positive_weights={"labels": [3.0, 1.0]})
    for label, factor in ((0, 3), (1, 1)):
        y = np.full((8, 2), -1.0)
        y[:, label] = 1.0
        losses = [
            m.evaluate(images, y, verbose=0, return_dict=True)["loss"] for m in (plain, heavy)
        ]
        assert losses[1] == pytest.approx(factor * losses[0], rel=1e-5)


def test_weights_are_checked(network):
    with pytest.raises(InputError, match="marks: there is no such task; the tasks are defect"):
        multitask_classifier(network(), TASKS, loss_weights={"marks": 1.0})
    with pytest.raises(InputError, match="type: expected a number.*got inf"):
        multitask_classifier(network(), TASKS, loss_weights={"type": float("inf")})
    with pytest.raises(InputError, match="type: a multiclass task has no positive labels"):
        multitask_classifier(network(), TASKS, positive_weights={"type": [1.0, 1.0]})


def test_mixed_precision_keeps_logits_in_float32(network, striped):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = classifier(network(), ["x", "y"])
    finally:
        keras.config.set_dtype_policy(before)
    assert model.predict(striped(2)[0], verbose=0).dtype == np.float32


HEADED = [Task("a", "xy"), Task("b", "xy", "binary"), Task("c", "xyz", "multilabel")]


def test_one_task_gives_a_tensor_several_a_dict():
    features = keras.Input((4,))
    assert add_heads(features, HEADED[:1], 0.1, 0).shape == (None, 2)
    found = add_heads(features, HEADED, 0.1, 0)
    assert {n: y.shape[1] for n, y in found.items()} == {"a": 2, "b": 1, "c": 3}


def test_losses_and_metrics_follow_the_outputs():
    assert isinstance(losses_for(HEADED[1:2]), MaskedBinaryCrossentropy)
    assert set(losses_for(HEADED)) == set(metrics_for(HEADED)) == {"a", "b", "c"}
    assert losses_for(HEADED)["a"].ignore_class == -1
    assert [m.name for m in metrics_for(HEADED)["c"]] == ["accuracy", "auc"]


def test_positive_weights_go_to_their_tasks():
    losses = losses_for(HEADED, {"c": [1.0, 2.0, 3.0]})
    assert losses["c"].pos_weight == [1.0, 2.0, 3.0]
    assert losses["b"].pos_weight is None
    assert losses_for(HEADED[1:2], {"b": [4.0]}).pos_weight == [4.0]


def test_positive_weights_that_do_not_fit_are_all_named():
    given = {"a": [1.0, 2.0], "b": [-1.0], "c": [1.0, 2.0], "cc": [1.0]}
    with pytest.raises(InputError, match="The positive weights do not fit the tasks") as caught:
        losses_for(HEADED, given)
    assert caught.value.faults == (
        "cc: there is no such task; the tasks are a, b, c. Did you mean c?",
        "a: a multiclass task has no positive labels; leave it out",
        "b: expected 1 weight, finite and not negative, got [-1.0]",
        "c: expected 3 weights, finite and not negative, got [1.0, 2.0]",
    )


def test_task_weights_are_1_where_not_given():
    assert task_weights(HEADED, {"b": 0}) == {"a": 1.0, "b": 0.0, "c": 1.0}
    assert task_weights(HEADED[:1]) == 1.0


def test_task_weights_that_do_not_fit_are_all_named():
    given = {"a": float("nan"), "b": -1, "c": [1.0], "d": 1}
    with pytest.raises(InputError, match="The loss weights do not fit the tasks") as caught:
        task_weights(HEADED, given)
    assert [fault.partition(":")[0] for fault in caught.value.faults] == ["d", "a", "b", "c"]
    assert caught.value.faults[2] == "b: expected a number, finite and not negative, got -1"


def test_names_that_tensorflow_cannot_carry():
    names = head_names([Task(n, "xy") for n in ("日本", "a b", "a?b", "-x")], taken=["x"])
    assert names == ["head_0", "a_b", "a_b_head", "x_head"]
    for name in names:
        keras.layers.Dense(1, name=name)(keras.Input((2,)))


def test_no_dropout_layer_for_none():
    features = keras.Input((4,))
    model = keras.Model(features, add_heads(features, HEADED[:1], 0.0, 0))
    assert [layer.name for layer in model.layers[1:]] == ["a"]
