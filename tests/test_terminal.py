import io
import os
import subprocess
import sys

import pytest
from rich.console import Console

from kerastl import terminal
from kerastl.terminal import quiet
from tests.support.commands import ROOT


def test_counting_shows_nothing_when_not_asked():
    with terminal.counting("features", show=False) as move:
        assert move is None


def test_a_line_is_logged_and_shown_where_progress_is(caplog):
    told = io.StringIO()
    with caplog.at_level("INFO", logger="kerastl"):
        terminal.tell("why [not]", show=False, console=Console(file=told))
        assert told.getvalue() == ""
        terminal.tell("why [not]", show=True, console=Console(file=told))
    assert told.getvalue() == "why [not]\n"
    assert caplog.messages == ["why [not]"] * 2


def test_counting_moves_a_bar(monkeypatch):
    told = io.StringIO()
    real = terminal.bar
    monkeypatch.setattr(terminal, "bar", lambda: real(Console(file=told, width=100)))
    with terminal.counting("features", show=True) as move:
        move(3, 10)
        move(10, 10)
    assert "features" in told.getvalue()
    assert "10/10" in told.getvalue()


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


def test_what_an_encoding_lacks_is_escaped_and_not_raised():
    code = (
        "import os, sys\nfrom kerastl import terminal\nterminal.write_anything()\n"
        "from rich.console import Console\n"
        "words = os.fsdecode(b'caf\\xe9') + ' ─│ ±0.1 … Größe'\n"
        "print(words)\nprint(words, file=sys.stderr)\nConsole(width=40).rule(words)\n"
    )
    for encoding, name in [("ascii", r"Gr\xf6\xdfe"), ("cp1252", "Größe"), ("utf-8", "Größe")]:
        env = {**os.environ, "PYTHONIOENCODING": encoding}
        ran = subprocess.run([sys.executable, "-c", code], env=env, cwd=ROOT, capture_output=True)
        told = ran.stdout.decode(encoding)
        assert ran.returncode == 0, ran.stderr
        lines = "─│ ±0.1 …" if encoding == "utf-8" else "-| +/-0.1 ..."
        lines = "-| ±0.1 …" if encoding == "cp1252" else lines
        assert told.splitlines()[0] == rf"caf\xe9 {lines} {name}"
        assert ran.stderr.decode(encoding).splitlines()[0] == told.splitlines()[0]


def test_bytes_that_cannot_be_read_are_no_matter_of_ours():
    with pytest.raises(UnicodeDecodeError):
        b"\xe9".decode("utf-8", errors=terminal.ESCAPED)


def test_a_warning_of_many_fits_is_logged_once(monkeypatch, caplog):
    monkeypatch.setattr(terminal, "_warned", set())
    for again in (False, False, True):
        terminal.warn("val has no label", again=again)
    assert caplog.messages == ["val has no label"] * 2
