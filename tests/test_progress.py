import io

import keras
import numpy as np
from rich.console import Console

from kerastl import progress


def test_counting_shows_nothing_when_not_asked():
    with progress.counting("features", show=False) as move:
        assert move is None


def test_a_line_is_logged_and_shown_where_progress_is(caplog):
    told = io.StringIO()
    with caplog.at_level("INFO", logger="kerastl"):
        progress.tell("why [not]", show=False, console=Console(file=told))
        assert told.getvalue() == ""
        progress.tell("why [not]", show=True, console=Console(file=told))
    assert told.getvalue() == "why [not]\n"
    assert caplog.messages == ["why [not]"] * 2


def test_counting_moves_a_bar(monkeypatch):
    told = io.StringIO()
    real = progress.bar
    monkeypatch.setattr(progress, "bar", lambda: real(Console(file=told, width=100)))
    with progress.counting("features", show=True) as move:
        move(3, 10)
        move(10, 10)
    assert "features" in told.getvalue()
    assert "10/10" in told.getvalue()


def test_the_epoch_bar_shows_validation(monkeypatch):
    told = io.StringIO()
    real = progress.bar
    monkeypatch.setattr(progress, "bar", lambda: real(Console(file=told, width=140)))
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    x, y = np.ones((4, 2)), np.ones((4, 1))
    shown = progress.EpochBar("heads", 2)
    model.fit(x, y, validation_data=(x, y), epochs=2, verbose=0, callbacks=[shown])
    assert "train heads" in told.getvalue()
    assert "2/2" in told.getvalue()
    assert "validation: loss" in told.getvalue()
