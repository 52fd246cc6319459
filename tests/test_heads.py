import keras

from kerastl.heads import add_heads, head_names, losses_for, metrics_for
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


def test_names_that_tensorflow_cannot_carry():
    names = head_names([Task(n, "xy") for n in ("日本", "a b", "a?b", "-x")], taken=["x"])
    assert names == ["head_0", "a_b", "a_b_head", "x_head"]
    for name in names:
        keras.layers.Dense(1, name=name)(keras.Input((2,)))


def test_no_dropout_layer_for_none():
    features = keras.Input((4,))
    model = keras.Model(features, add_heads(features, TASKS[:1], 0.0, 0))
    assert [layer.name for layer in model.layers[1:]] == ["a"]
