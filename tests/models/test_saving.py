import json
import os
import subprocess
import sys
import zipfile

import keras
import numpy as np
import pytest

from kerastl.data.tasks import Task
from kerastl.errors import InputError
from kerastl.models.factories import classifier, multitask_classifier
from kerastl.models.saving import load_model, save_model
from kerastl.models.trainable import set_trainable

TASKS = [Task("defect", ["fine", 'größer, "x"'], "binary"), Task("type", ["mono", "poly"])]


def test_round_trip(network, striped, tmp_path):
    model = multitask_classifier(network(dropout=0.5), TASKS, trainable="stage1")
    again = load_model(save_model(model, tmp_path / "new" / "m.keras"))
    assert again.kerastl_spec == model.kerastl_spec
    images, _ = striped(4)
    expected, found = model.predict(images, verbose=0), again.predict(images, verbose=0)
    for name in expected:
        np.testing.assert_array_equal(found[name], expected[name])
    assert {v.path for v in again.trainable_variables} == {
        v.path for v in model.trainable_variables
    }
    assert again.compiled
    assert os.listdir(tmp_path / "new") == ["m.keras"]


def test_a_frozen_dropout_wakes_up_after_loading(network, tmp_path):
    model = classifier(network(dropout=0.5), ["x", "y"])
    again = load_model(save_model(model, tmp_path / "m.keras"))
    assert again.get_layer("drop").rate == 0
    set_trainable(again, True)
    assert again.get_layer("drop").rate == 0.5


def test_plain_keras_opens_it_without_kerastl(network, striped, tmp_path):
    model = multitask_classifier(network(), TASKS)
    save_model(model, tmp_path / "m.keras")
    images, _ = striped(2)
    np.save(tmp_path / "x.npy", images)
    script = (
        "import sys; sys.modules['kerastl'] = None\n"
        "import keras, numpy as np\n"
        "m = keras.models.load_model('m.keras')\n"
        "np.save('y.npy', m.predict(np.load('x.npy'), verbose=0)['type'])\n"
    )
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True, capture_output=True)
    expected = model.predict(images, verbose=0)["type"]
    np.testing.assert_allclose(np.load(tmp_path / "y.npy"), expected, atol=1e-6)


def test_no_such_file(tmp_path):
    with pytest.raises(InputError, match="There is no model file"):
        load_model(tmp_path / "none.keras")


def test_a_file_that_is_no_model(tmp_path):
    (tmp_path / "m.keras").write_text("hello")
    with pytest.raises(InputError, match="is not a whole .keras file"):
        load_model(tmp_path / "m.keras")


def test_a_plain_keras_model_says_how_to_go_on(network, tmp_path):
    network().save(tmp_path / "m.keras")
    with pytest.raises(InputError, match="without kerastl's tasks.*as the backbone"):
        load_model(tmp_path / "m.keras")


def test_another_ending(network, tmp_path):
    with pytest.raises(InputError, match="ends in .keras. Received:"):
        save_model(classifier(network(), ["x", "y"]), tmp_path / "m.h5")


def test_a_model_without_tasks(network, tmp_path):
    with pytest.raises(InputError, match="does not know its tasks"):
        save_model(network(), tmp_path / "m.keras")


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ("[]", "a description that is no JSON object"),
        ("{}", "no description of a kerastl model: 'tasks'"),
        ("{", "m.keras is not a whole .keras file"),
        (json.dumps({"tasks": 3}), "no description of a kerastl model: 'int' object is not"),
    ],
)
def test_a_damaged_description(network, tmp_path, entry, words):
    keras.Model.save(network(), tmp_path / "m.keras")
    with zipfile.ZipFile(tmp_path / "m.keras", "a") as archive:
        archive.writestr("kerastl.json", entry)
    with pytest.raises(InputError, match=words):
        load_model(tmp_path / "m.keras")
