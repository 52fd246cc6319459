"""Arrays from outside, held to one form."""

import numpy as np
import pytest

from kerastl.arrays import image_array, label_array
from kerastl.errors import InputError
from kerastl.tasks import Task

KIND = Task("kind", ["x", "y", "z"])
DEFECT = Task("defect", ["fine", "broken"], kind="binary")
SCENE = Task("scene", ["sea", "hill"], kind="multilabel")


@pytest.mark.parametrize("values", [[0, 2, -1], [[0], [2], [-1]], np.array([0.0, 2.0, np.nan])])
def test_multiclass_labels(values):
    found = label_array(KIND, values, 3)
    assert found.dtype == np.int32
    assert found.tolist() == [0, 2, -1]


@pytest.mark.parametrize("values", [[0, 0.5, -1], [[0], [0.5], [np.nan]]])
def test_binary_labels(values):
    found = label_array(DEFECT, values, 3)
    assert found.dtype == np.float32
    assert found.tolist() == [[0], [0.5], [-1]]


def test_multilabel_labels():
    assert label_array(SCENE, [[0, 1], [-1, 0.5]], 2).tolist() == [[0, 1], [-1, 0.5]]


@pytest.mark.parametrize("unknown", [-1, -2, np.nan])
def test_every_unknown_is_the_same(unknown):
    assert label_array(SCENE, [[0, unknown], [unknown, 1]], 2).tolist() == [[0, -1], [-1, 1]]
    assert label_array(KIND, [0, unknown], 2).tolist() == [0, -1]
    assert label_array(DEFECT, [0.5, unknown], 2).tolist() == [[0.5], [-1]]


def test_the_given_labels_are_left_alone():
    given = np.array([[0.0], [-2.0]])
    label_array(DEFECT, given, 2)
    assert given.tolist() == [[0], [-2]]


@pytest.mark.parametrize(
    ("task", "values", "words"),
    [
        (KIND, [0, 1], r"labels of kind \(x, y, z\) as \[3\] numbers. Received: int64 \[2\]."),
        (KIND, np.eye(3), r"Received: float64 \[3, 3\]"),
        (KIND, ["x", "y", "z"], r"Received: <U1 \[3\]"),
        (KIND, [0, 3, 7], r"from 0 to 2, or -1. Received: 3 \(row 1\), 2 such"),
        (KIND, [0, 0.5, 1], r"Received: 0.5 \(row 1\), 1 such"),
        (DEFECT, [0, 2, -0.5], r"of defect from 0 to 1, or -1. Received: 2 \(row 1\), 2 such"),
        (SCENE, [0, 1, 0], r"Expected labels of scene \(sea, hill\) as \[3, 2\] numbers"),
        (SCENE, [[0, 1], [0, 1.5], [-2, -3]], r"Received: 1.5 \(hill, row 1\), 2 such"),
        (SCENE, np.zeros((2, 3)), r"Received: float64 \[2, 3\]"),
    ],
)
def test_labels_of_another_form(task, values, words):
    with pytest.raises(InputError, match=words):
        label_array(task, values, 3)


def test_images_are_rounded():
    given = np.full((1, 2, 2, 3), 254.5, dtype="float32")
    given[0, 0] = 3.4
    assert image_array(given)[0, :, 0, 0].tolist() == [3, 254]
    assert image_array(given).dtype == np.uint8
    whole = np.ones((1, 2, 2, 3), "uint8")
    assert image_array(whole) is whole
    assert image_array(whole.astype("int64")).tolist() == whole.tolist()


@pytest.mark.parametrize(
    ("images", "words"),
    [
        (np.zeros((2, 8, 8)), r"Received: float64 \[2, 8, 8\]"),
        (np.zeros((2, 8, 8, 1), "uint8"), r"Received: uint8 \[2, 8, 8, 1\]"),
        (np.zeros((2, 3, 8, 8), "uint8"), r"Received: uint8 \[2, 3, 8, 8\]"),
        (np.full((1, 2, 2, 3), 256.0), "Received: numbers from 256 to 256"),
        (np.full((1, 2, 2, 3), -1), "Received: numbers from -1 to -1"),
        (np.full((1, 2, 2, 3), np.nan), "Received: numbers from nan to nan"),
        (np.full((1, 2, 2, 3), 0.5), "Received: fractions from 0 to 1. Multiply them by 255"),
        (np.full((1, 2, 2, 3), "a"), r"Received: <U1"),
    ],
)
def test_images_of_another_form(images, words):
    with pytest.raises(InputError, match=words):
        image_array(images)


def test_images_of_another_size():
    with pytest.raises(InputError, match=r"Expected images of 8x9 pixels\. Received: 8x8\."):
        image_array(np.zeros((1, 8, 8, 3), "uint8"), (8, 9))
