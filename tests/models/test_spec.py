import json

import pytest

from kerastl.data.tasks import Task
from kerastl.errors import InputError
from kerastl.models.factories import classifier, multilabel_classifier
from kerastl.models.spec import Spec, spec_of, with_spec


def test_round_trip(network):
    spec = spec_of(classifier(network(), ["a", "b"], trainable=0.3))
    assert Spec.from_dict(spec.to_dict()) == spec


def test_thresholds_survive_json_and_an_older_spec_has_none(network):
    model = multilabel_classifier(network(), ["a", "b"])
    spec = spec_of(with_spec(model, spec_of(model), thresholds={"labels": [0.2, 1]}))
    plain = json.loads(json.dumps(spec.to_dict()))
    assert plain["thresholds"] == {"labels": [0.2, 1.0]}
    assert Spec.from_dict(plain) == spec
    del plain["thresholds"]
    assert Spec.from_dict(plain).thresholds == {}


@pytest.mark.parametrize(
    ("thresholds", "fault"),
    [
        ({"labels": [0.2]}, "labels: expected 2 thresholds, received 1"),
        ({"labels": [0.2, -1]}, "labels: expected thresholds from 0 to 1, received -1"),
        ({"other": [0.2]}, "there is no task 'other'"),
        ([0.2], "Expected thresholds by task name"),
    ],
)
def test_thresholds_that_do_not_fit(network, thresholds, fault):
    plain = spec_of(multilabel_classifier(network(), ["a", "b"])).to_dict()
    with pytest.raises(InputError) as error:
        Spec.from_dict({**plain, "thresholds": thresholds})
    assert fault in str(error.value)


@pytest.mark.parametrize("plain", [{}, {"tasks": []}, {"tasks": [{}], "image_size": [1, 2]}])
def test_what_is_no_spec(plain):
    with pytest.raises(InputError, match="no description of a kerastl model"):
        Spec.from_dict(plain)


def test_a_model_without_one(network):
    with pytest.raises(InputError, match="'small' does not know its tasks"):
        spec_of(network())


def test_two_tasks_of_one_name_are_refused():
    task = Task("pet", ["cat", "dog"])
    with pytest.raises(InputError, match="a name of its own. Repeated: pet"):
        Spec((task, task), (8, 8), "own", "conv", "features")
