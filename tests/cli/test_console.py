import errno

import pandas as pd
import pytest

from kerastl.cli import console
from kerastl.errors import InputError


def ended(error, capsys):
    with pytest.raises(SystemExit) as caught, console.explained():
        raise error
    return caught.value.code, capsys.readouterr().err


def test_a_fault_is_told_with_all_its_lines(capsys):
    code, told = ended(InputError("Two faults.", ["line 2: [bold]a[/bold]", "line 3: b"]), capsys)
    assert code == 2
    assert told.splitlines() == ["Error: Two faults.", "  line 2: [bold]a[/bold]", "  line 3: b"]


def test_a_full_disk_is_one_sentence(capsys):
    code, told = ended(OSError(errno.ENOSPC, "No space left on device", "a/b.csv"), capsys)
    assert code == 2
    assert told.startswith("Error: No space left on device: a/b.csv. What was written before")
    assert len(told.splitlines()) == 1


def test_an_interruption_says_how_to_go_on(capsys):
    code, told = ended(KeyboardInterrupt(), capsys)
    assert code == 130
    assert "--resume" in told


def test_a_fault_of_our_own_is_not_hidden():
    with pytest.raises(ZeroDivisionError), console.explained():
        raise ZeroDivisionError
    with pytest.raises(OSError, match="odd"), console.explained():
        raise OSError(errno.EINVAL, "odd")


def test_a_users_words_are_no_markup(capsys):
    console.say("[red]class[/red]")
    console.show_frame(pd.DataFrame({"[b]": ["[i]x[/i]"], "n": [1234567], "f": [float("nan")]}))
    told = capsys.readouterr().out
    assert "[red]class[/red]" in told
    assert "[i]x[/i]" in told
    assert "1,234,567" in told
    assert "nan" not in told
