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


def test_skipped_files_are_listed_and_many_of_one_cause_together(capsys):
    console.say_skipped({"a.txt": "not a picture: suffix .txt", "b.jpg": "truncated"})
    assert capsys.readouterr().out.splitlines()[1:] == [
        "Skipped: 2 files", "a.txt: not a picture: suffix .txt", "b.jpg: truncated",
    ]  # fmt: skip
    many = {f"{n}.heic": "HEIC: needs pillow-heif" for n in range(40)}
    console.say_skipped({"b.jpg": "truncated", **many})
    assert capsys.readouterr().out.splitlines()[1:] == [
        "Skipped: 41 files",
        "40, such as 0.heic: HEIC: needs pillow-heif",
        "b.jpg: truncated",
    ]
    console.say_skipped({})
    assert capsys.readouterr().out == ""


def test_what_is_left_out_goes_to_stderr_with_one_count_a_cause(capsys):
    console.say_left_out(["", "truncated", "", "truncated", "empty file"], ["1 file is [odd]."])
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.splitlines() == [
        "2 could not be read: truncated.", "1 could not be read: empty file.", "1 file is [odd].",
    ]  # fmt: skip
