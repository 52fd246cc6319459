"""What Keras may be set to elsewhere: set aside for a command, one sentence in Python."""

import json
import os
import subprocess
import sys

import keras
import pytest

from kerastl import backend
from kerastl.errors import InputError
from tests.support.commands import ROOT, SCRIPT

WRONG = {"floatx": "float16", "image_data_format": "channels_first"}


@pytest.fixture
def wrong(monkeypatch):
    """A process whose Keras has other settings."""
    for name, value in WRONG.items():
        getattr(keras.config, f"set_{name}")(value)
    monkeypatch.setattr(backend, "notes", [])
    monkeypatch.setattr(backend, "_command", [])
    yield
    for name, value in backend.NEEDED.items():
        getattr(keras.config, f"set_{name}")(value)


def test_in_python_all_that_is_wrong_is_named_and_nothing_is_changed(wrong):
    with pytest.raises(InputError, match="kerastl needs Keras with other settings") as caught:
        backend.check()
    assert caught.value.faults == (
        "floatx is 'float16': call keras.config.set_floatx('float32') before, or mend keras.json",
        "image_data_format is 'channels_first': call "
        "keras.config.set_image_data_format('channels_last') before, or mend keras.json",
    )
    assert keras.config.floatx() == "float16"


def test_a_command_sets_them_and_says_so(wrong):
    backend.take()
    backend.check()
    assert (keras.config.floatx(), keras.config.image_data_format()) == ("float32", "channels_last")
    assert backend.notes == [
        "floatx float16 of keras.json is set aside: kerastl needs float32.",
        "image_data_format channels_first of keras.json is set aside: kerastl needs channels_last.",
    ]
    backend.check()
    assert len(backend.notes) == 2


def test_another_backend_that_is_loaded_already_is_refused(monkeypatch):
    monkeypatch.setattr(keras.config, "backend", lambda: "torch")
    with pytest.raises(InputError) as caught:
        backend.check()
    [fault] = caught.value.faults
    assert fault.startswith("the backend is 'torch': set KERAS_BACKEND=tensorflow, or import")


@pytest.mark.parametrize(("given", "told"), [(None, 0), ("tensorflow", 0), ("torch", 1)])
def test_tensorflow_is_chosen_before_keras_is_loaded(monkeypatch, given, told):
    monkeypatch.setattr(backend, "notes", [])
    monkeypatch.delitem(sys.modules, "keras")
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    if given:
        monkeypatch.setenv("KERAS_BACKEND", given)
    backend.choose()
    assert os.environ["KERAS_BACKEND"] == "tensorflow"
    assert len(backend.notes) == told


@pytest.mark.slow
def test_a_command_works_whatever_keras_is_set_to(tmp_path):
    (tmp_path / "keras.json").write_text(json.dumps({"backend": "jax", **WRONG}))
    env = {**os.environ, "PYTHONPATH": str(ROOT), "KERAS_BACKEND": "torch",
           "KERAS_HOME": str(tmp_path)}  # fmt: skip
    found = subprocess.run(
        [sys.executable, "-c", SCRIPT, "cuts", "MobileNetV2", "--image-size", "32"],
        env=env, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "block_16" in found.stdout
    for words in ("KERAS_BACKEND=torch is set aside", "floatx float16", "channels_first of"):
        assert found.stderr.count(words) == 1
