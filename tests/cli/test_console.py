import errno
from types import SimpleNamespace

import pandas as pd
import pytest

from kerastl.cli import console
from kerastl.errors import DiskError, InputError


@pytest.fixture(autouse=True)
def _no_verb():
    yield
    console.typed(None)


def verb(name, *options):
    """Type a verb that has these options."""

    def params(option):
        return SimpleNamespace(name=option[2:], opts=[option], param_type_name="option")

    console.typed(SimpleNamespace(name=name, params=[params(o) for o in options]))


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
    assert told.startswith("Error: Nothing can be written to a/b.csv: no space left on device (")
    assert "are free). What was written before is whole. Make room" in told
    assert len(told.splitlines()) == 1


def test_a_full_disk_names_the_options_of_the_verb(capsys):
    error = DiskError("Nothing can be written to work: no space left on device.")
    verb("train", "--out", "--cache", "--budget")
    assert ended(error, capsys)[1].endswith(" Options: --out, --cache.\n")
    error.full = True
    assert "Options: --out, --cache, --budget. `kerastl cache prune" in ended(error, capsys)[1]
    verb("labels", "--task")
    assert ended(error, capsys)[1] == "Error: Nothing can be written to work: no space left on "\
        "device.\n"  # fmt: skip


def test_a_message_is_in_the_words_of_the_verb(capsys):
    error = InputError("Expected engine= of keras. Try sep=';'.", ["use weights=None (`x`)"])
    verb("train", "--engine", "--weights")
    assert ended(error, capsys)[1].splitlines() == [
        "Error: Expected --engine of keras.", "  use --weights none (`x`)"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--cache", "--resume"], "Interrupted. The same command with --resume goes on."),
        (["--cache"], "Interrupted. What lies in --cache is kept, and the same command goes on"),
        (["--task"], "Interrupted.\n"),
    ],
)
def test_an_interruption_says_how_the_verb_goes_on(capsys, options, words):
    verb("it", *options)
    code, told = ended(KeyboardInterrupt(), capsys)
    assert code == 130
    assert told.startswith(words)


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
