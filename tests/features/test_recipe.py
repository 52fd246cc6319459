"""The engine of a folder of features: chosen once."""

import numpy as np
import pytest

from kerastl.errors import InputError
from kerastl.features.engines import WORTH
from kerastl.features.recipe import Recipe, settled_engine, settled_name
from kerastl.features.store.store import ENGINE


@pytest.fixture
def sample(striped):
    return striped(4)[0]


def test_the_first_choice_stays(network, sample, tmp_path, monkeypatch):
    monkeypatch.setattr("kerastl.features.openvino.installed", lambda: False)
    recipe = Recipe(network())
    assert settled_name(recipe, tmp_path) is None
    assert settled_engine(recipe, tmp_path, sample, WORTH).name == "keras"
    assert settled_name(recipe, tmp_path) == (tmp_path / ENGINE).read_text() == "keras"
    monkeypatch.undo()
    assert settled_engine(recipe, tmp_path, sample, 100 * WORTH).name == "keras"


def test_few_pictures_do_not_bind_many(network, sample, tmp_path):
    assert settled_engine(Recipe(network()), tmp_path, sample, WORTH - 1).name == "keras"
    assert settled_name(Recipe(network()), tmp_path) is None


def test_the_recorded_engine_is_used(network, sample, tmp_path):
    recipe = Recipe(network())
    first = settled_engine(recipe, tmp_path, sample, WORTH)
    assert first.name.startswith("openvino")
    again = settled_engine(recipe, tmp_path, sample, 1)
    assert again.name == first.name
    np.testing.assert_array_equal(again.run(sample), first.run(sample))


def test_an_engine_asked_for_is_not_recorded(network, sample, tmp_path):
    recipe = Recipe(network(), "keras")
    assert settled_engine(recipe, tmp_path, sample, WORTH).name == "keras"
    assert settled_name(recipe, tmp_path) == "keras"
    assert not list(tmp_path.iterdir())
    (tmp_path / ENGINE).write_text("openvino")
    assert settled_engine(recipe, tmp_path, sample, WORTH).name == "keras"


@pytest.mark.parametrize("told", ["tensorrt", "", "\xff\x00"])
def test_a_recorded_engine_that_cannot_run_here(network, sample, tmp_path, caplog, told):
    (tmp_path / ENGINE).write_text(told, encoding="latin-1")
    assert settled_engine(Recipe(network()), tmp_path, sample, 1).name == "keras"
    if told:
        assert f"are of the engine {told}" in caplog.text or "\ufffd" in caplog.text
        assert (tmp_path / ENGINE).read_text("latin-1") == told, "another machine may have it"
    else:
        assert settled_name(Recipe(network()), tmp_path) is None


def test_an_engine_has_one_name(network):
    model = network()
    assert Recipe(model, "openvino").key == Recipe(model, "openvino:float32").key
    assert Recipe(model, "openvino").key != Recipe(model, "openvino:bfloat16").key
    assert Recipe(model, "openvino").about["engine"] == "openvino:float32"
    with pytest.raises(InputError, match="Expected engine= of auto.* Received: 'tensorrt'"):
        Recipe(model, "tensorrt")


def test_an_engine_asked_for_that_cannot_run(network, sample, tmp_path, monkeypatch):
    monkeypatch.setattr("kerastl.features.openvino.installed", lambda: False)
    with pytest.raises(InputError, match="OpenVINO is not installed"):
        settled_engine(Recipe(network(), "openvino"), tmp_path, sample, 1)
