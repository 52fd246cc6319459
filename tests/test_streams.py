import os

import pytest

from kerastl.streams import quiet


def test_notes_are_kept_away(capfd):
    with quiet():
        os.write(2, b"a note")
    os.write(2, b"after")
    assert capfd.readouterr().err == "after"


def test_notes_are_told_when_the_block_fails_and_they_are_asked_for(capfd):
    with pytest.raises(RuntimeError), quiet(tell=True):
        os.write(2, b"the reason")
        raise RuntimeError
    assert capfd.readouterr().err == "the reason"
    with pytest.raises(RuntimeError), quiet():
        os.write(2, b"a note")
        raise RuntimeError
    assert capfd.readouterr().err == ""
