import numpy as np
import pytest

from kerastl.data.manifest import Manifest
from kerastl.data.tasks import Task
from kerastl.errors import InputError
from kerastl.experiments.self_training import self_train
from kerastl.inference.evaluation import predict_scores
from kerastl.models.factories import create_model
from tests.support.two_tasks import SHADE, WAY, colour_network, striped_manifest

BOTH = Task("has", ["way", "shade"], "multilabel")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Uncertain labels of every task in every part, and unannotated ones."""
    plain = striped_manifest(tmp_path_factory.mktemp("self"), train=20, val=8, test=8)
    frame = plain.frame.assign(**{"has.way": plain.frame["way"], "has.shade": 1.0})
    frame.loc[::3, ["way", "shade", "has.way"]] = -2
    frame.loc[1::5, "way"] = -1
    return Manifest(frame, (WAY, SHADE, BOTH))


@pytest.fixture(scope="module")
def model(data):
    return create_model(colour_network(), data.tasks)


def test_uncertain_training_labels_become_the_models_scores(data, model):
    found = self_train(model, data)
    train = data.frame["split"] == "train"
    scores = predict_scores(model, data.split("train")).scores
    for column, score in (("way", scores["way"][:, 1]), ("has.way", scores["has"][:, 0])):
        asked = (data.frame[column] == -2) & train
        assert asked.sum() >= 5
        np.testing.assert_allclose(found.frame.loc[asked, column], score[asked[train]], atol=1e-6)
        rest = found.frame.loc[~asked, column]
        assert rest.tolist() == data.frame.loc[~asked, column].tolist()
        assert (found.frame.loc[asked, column] >= 0).all()
    assert found.frame["shade"].tolist() == data.frame["shade"].tolist()


def test_only_the_columns_that_are_named(data, model):
    found = self_train(model, data, ["has.way"])
    assert found.frame["way"].tolist() == data.frame["way"].tolist()
    assert found.frame["has.way"].tolist() != data.frame["has.way"].tolist()


def test_without_splits_all_is_training(data, model):
    found = self_train(model, Manifest(data.frame.drop(columns="split"), data.tasks))
    assert not (found.frame["way"] == -2).any()


def test_a_picture_that_cannot_be_read_stays_uncertain(data, model, tmp_path):
    frame = data.frame.copy()
    frame.loc[3, "image"] = str(tmp_path / "gone.png")
    found = self_train(model, Manifest(frame, data.tasks))
    assert found.frame.loc[[0, 3, 6], "way"].eq(-2).tolist() == [False, True, False]


def test_nothing_uncertain_is_nothing_to_do(data, model):
    sure = Manifest(data.frame.replace(-2, -1), data.tasks)
    assert self_train(model, sure) is sure


def test_a_column_that_is_none_is_named(data, model):
    with pytest.raises(InputError) as caught:
        self_train(model, data, ["has.wy", "shade"])
    assert str(caught.value).splitlines() == [
        "Expected columns of binary or multilabel tasks. There are: way, has.way, has.shade.",
        "  'has.wy': no such column. Did you mean has.way?",
        "  'shade': no such column. Did you mean has.shade?",
    ]
