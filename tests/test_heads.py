import keras
import pytest

from kerastl.errors import InputError
from kerastl.heads import add_heads, head_names, losses_for, metrics_for, task_weights
from kerastl.losses import MaskedBinaryCrossentropy
from kerastl.tasks import Task

TASKS = [Task("a", "xy"), Task("b", "xy", "binary"), Task("c", "xyz", "multilabel")]


def test_one_task_gives_a_tensor_several_a_dict():
    features = keras.Input((4,))
    assert add_heads(features, TASKS[:1], 0.1, 0).shape == (None, 2)
    found = add_heads(features, TASKS, 0.1, 0)
    assert {n: y.shape[1] for n, y in found.items()} == {"a": 2, "b": 1, "c": 3}


def test_losses_and_metrics_follow_the_outputs():
    assert isinstance(losses_for(TASKS[1:2]), MaskedBinaryCrossentropy)
    assert set(losses_for(TASKS)) == set(metrics_for(TASKS)) == {"a", "b", "c"}
    assert losses_for(TASKS)["a"].ignore_class == -1
    assert [m.name for m in metrics_for(TASKS)["c"]] == ["accuracy", "auc"]


def test_positive_weights_go_to_their_tasks():
    losses = losses_for(TASKS, {"c": [1.0, 2.0, 3.0]})
    assert losses["c"].pos_weight == [1.0, 2.0, 3.0]
    assert losses["b"].pos_weight is None
    assert losses_for(TASKS[1:2], {"b": [4.0]}).pos_weight == [4.0]


def test_positive_weights_that_do_not_fit_are_all_named():
    given = {"a": [1.0, 2.0], "b": [-1.0], "c": [1.0, 2.0], "cc": [1.0]}
    with pytest.raises(InputError, match="The positive weights do not fit the tasks") as caught:
        losses_for(TASKS, given)
    assert caught.value.faults == (
        "cc: there is no such task; the tasks are a, b, c. Did you mean c?",
        "a: a multiclass task has no positive labels; leave it out",
        "b: expected 1 weight, finite and not negative, got [-1.0]",
        "c: expected 3 weights, finite and not negative, got [1.0, 2.0]",
    )


def test_task_weights_are_1_where_not_given():
    assert task_weights(TASKS, {"b": 0}) == {"a": 1.0, "b": 0.0, "c": 1.0}
    assert task_weights(TASKS[:1]) == 1.0


def test_task_weights_that_do_not_fit_are_all_named():
    given = {"a": float("nan"), "b": -1, "c": [1.0], "d": 1}
    with pytest.raises(InputError, match="The loss weights do not fit the tasks") as caught:
        task_weights(TASKS, given)
    assert [fault.partition(":")[0] for fault in caught.value.faults] == ["d", "a", "b", "c"]
    assert caught.value.faults[2] == "b: expected a number, finite and not negative, got -1"


def test_names_that_tensorflow_cannot_carry():
    names = head_names([Task(n, "xy") for n in ("日本", "a b", "a?b", "-x")], taken=["x"])
    assert names == ["head_0", "a_b", "a_b_head", "x_head"]
    for name in names:
        keras.layers.Dense(1, name=name)(keras.Input((2,)))


def test_no_dropout_layer_for_none():
    features = keras.Input((4,))
    model = keras.Model(features, add_heads(features, TASKS[:1], 0.0, 0))
    assert [layer.name for layer in model.layers[1:]] == ["a"]
