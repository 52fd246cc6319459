import numpy as np
import pytest

from kerastl.data.tasks import Task, as_tasks, by_task, class_scores, known
from kerastl.errors import InputError


def test_kinds_have_their_units_and_columns():
    assert Task("t", "ab").units == 2
    assert Task("t", "ab", "binary").units == 1
    assert Task("t", "abc", "multilabel").columns == ("t.a", "t.b", "t.c")


def test_round_trip():
    task = Task("größe", ["s", "l"], "binary")
    assert Task(**task.to_dict()) == task


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("", "ab"), "a name that is not empty"),
        (("a/b", "ab"), "without '/'"),
        (("a\n", "ab"), "control characters"),
        (("t", "ab", "multi"), "a kind of multiclass, multilabel, binary. Received: 'multi'"),
        (("t", "abc", "binary"), "2 classes, the negative one first"),
        (("t", "a"), "at least 2 classes"),
        (("t", ""), "at least 2 classes"),
        (("t", "", "multilabel"), "at least 1 label"),
        (("t", "aa"), "each class once. Repeated: a"),
    ],
)
def test_what_is_no_task(args, words):
    with pytest.raises(InputError, match=words):
        Task(*args)


def test_all_faults_at_once():
    with pytest.raises(InputError) as caught:
        Task("a/b", ["x", "x"], "no")
    assert len(caught.value.faults) == 3


def test_tasks_need_names_of_their_own():
    assert as_tasks(Task("t", "ab")) == (Task("t", "ab"),)
    with pytest.raises(InputError, match="Received: none"):
        as_tasks([])


@pytest.mark.parametrize(("kind", "units"), [("multiclass", 3), ("binary", 1), ("multilabel", 3)])
def test_class_scores_are_probabilities(kind, units):
    task = Task("t", "ab" if kind == "binary" else "abc", kind)
    logits = np.random.default_rng(0).normal(0, 50, (20, units))
    scores = class_scores(task, logits)
    assert scores.shape == (20, len(task.classes))
    assert ((scores >= 0) & (scores <= 1)).all()
    if kind != "multilabel":
        np.testing.assert_allclose(scores.sum(axis=1), 1)
    if kind == "binary":
        np.testing.assert_allclose(scores[:, 1], 1 / (1 + np.exp(-logits[:, 0])))


def test_by_task_takes_one_array_or_a_dict():
    one, two = Task("a", "xy"), Task("b", "xy")
    assert by_task([one], 5) == {"a": 5}
    assert by_task([one, two], {"b": 2, "a": 1}) == {"a": 1, "b": 2}


def test_known():
    assert known(np.array([[0, -1], [0.5, 1]])).tolist() == [[True, False], [True, True]]


def test_a_class_name_that_is_no_text_is_refused():
    with pytest.raises(InputError, match=r"can be written in UTF-8. Received: 'caf\\udce9'"):
        Task("drink", ["tea", "caf\udce9"])
