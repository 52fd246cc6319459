import pytest

from kerastl.errors import InputError
from kerastl.models import classifier
from kerastl.spec import Spec, spec_of


def test_round_trip(network):
    spec = spec_of(classifier(network(), ["a", "b"], trainable=0.3))
    assert Spec.from_dict(spec.to_dict()) == spec


@pytest.mark.parametrize("plain", [{}, {"tasks": []}, {"tasks": [{}], "image_size": [1, 2]}])
def test_what_is_no_spec(plain):
    with pytest.raises(InputError, match="no description of a kerastl model"):
        Spec.from_dict(plain)


def test_a_model_without_one(network):
    with pytest.raises(InputError, match="'small' does not know its tasks"):
        spec_of(network())
