import io
import json

import keras
import numpy as np
import pytest
from rich.console import Console

from kerastl.errors import InputError
from kerastl.terminal import bar
from kerastl.training import callbacks
from kerastl.training.callbacks import (
    FILE,
    Resume,
    Unwatched,
)


def test_figures_of_a_task_that_is_not_watched_are_left_out():
    logs = dict.fromkeys(["loss", "val_loss", "a_loss", "val_a_loss", "val_a_b_loss"], 0.0)
    Unwatched(["a"], ["a", "a_b"]).on_epoch_end(0, logs)
    assert list(logs) == ["loss", "val_loss", "a_loss", "val_a_b_loss"]


def test_without_a_folder_nothing_is_kept(network):
    state = Resume(None, {"seed": 1})
    state.finish("heads", network(), {})
    assert not state.finished("heads")
    assert state.epoch("heads") == 0


def test_what_is_saved_is_read_back(tmp_path):
    first = Resume(tmp_path, {"seed": 1})
    first.about["stopping"] = {"stopped_epoch": 0}
    first.save("heads", 3, {"model/0": np.arange(4)}, {"loss": [3.0, 2.0, 1.0]})
    again = Resume(tmp_path, {"seed": 1})
    assert again.epoch("heads") == 3
    assert again.epoch("tail") == 0
    assert again.history("heads") == {"loss": [3.0, 2.0, 1.0]}
    assert not again.stopped("heads")
    np.testing.assert_array_equal(again.arrays["model/0"], np.arange(4))


def test_a_finished_phase_is_restored_in_the_next(network, tmp_path):
    model = network()
    first = Resume(tmp_path, {})
    first.finish("heads", model, {"loss": [1.0]})
    first.about["stopping"] = {}
    first.save("tail", 1, {}, {})
    again, other = Resume(tmp_path, {}), network(seed=7)
    assert again.finished("heads")
    assert not again.finished("tail")
    again.restore("heads", other)
    for one, two in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)


def test_the_state_is_one_whole_file(tmp_path):
    Resume(tmp_path, {}).save("heads", 1, {}, {})
    assert [p.name for p in tmp_path.iterdir()] == [FILE]


def test_no_pickle_is_read(tmp_path):
    about = np.array([json.dumps({"settings": {}}), {"a": 1}], dtype=object)
    np.savez(tmp_path / FILE, about=about)
    with pytest.raises(InputError, match="cannot be read"):
        Resume(tmp_path, {})


def test_the_epoch_bar_shows_validation(monkeypatch):
    told = io.StringIO()
    monkeypatch.setattr(callbacks, "bar", lambda: bar(Console(file=told, width=140)))
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    x, y = np.ones((4, 2)), np.ones((4, 1))
    shown = callbacks.EpochBar("heads", 2)
    model.fit(x, y, validation_data=(x, y), epochs=2, verbose=0, callbacks=[shown])
    assert "train heads" in told.getvalue()
    assert "2/2" in told.getvalue()
    assert "validation: loss" in told.getvalue()
