"""What the command line shows, and how it says that something is wrong."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from kerastl import backend
from kerastl.cli.words import elsewhere, how_to_go_on, translated, words_of
from kerastl.errors import SHOWN, DiskError, InputError, shorten
from kerastl.terminal import quiet

if TYPE_CHECKING:
    import pandas as pd


out = Console(highlight=False)
err = Console(stderr=True, highlight=False)

FAULT = 2
INTERRUPTED = 130

_typed: dict[str, str] = {}
"""What the options are called that the verb has which was typed."""


def typed(command: Any) -> None:
    """Have what is said from now on said in the words of a verb."""
    _typed.clear()
    _typed.update(words_of(command))


def in_words(text: str) -> str:
    """A message of the library in the words of the verb that was typed."""
    return translated(text, _typed)


def say(text: object = "", style: str = "") -> None:
    """Print text as it is: brackets in a user's words are no markup."""
    out.print(Text(str(text), style=style), soft_wrap=True)


def title(text: str) -> None:
    """Print the heading of a section."""
    out.print()
    say(text, style="bold")


def show_frame(frame: pd.DataFrame) -> None:
    """Print a frame as a table, numbers to the right."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name, column in frame.items():
        numeric = column.dtype.kind in "iuf"
        table.add_column(Text(str(name)), justify="right" if numeric else "left")
    for row in frame.itertuples(index=False):
        table.add_row(*(Text(_cell(value)) for value in row))
    out.print(table)


def say_skipped(skipped: Mapping[str, str]) -> None:
    """Print the files that could not be used, each with its cause; many of one cause together."""
    if not skipped:
        return
    title(f"Skipped: {len(skipped):,} file{'s' if len(skipped) > 1 else ''}")
    together = Counter(skipped.values()) if len(skipped) > SHOWN else Counter()
    for cause, count in together.most_common():
        first = next(path for path, told in skipped.items() if told == cause)
        say(f"{count:,}, such as {first}: {cause}" if count > 1 else f"{first}: {cause}")
    for path, cause in skipped.items() if not together else ():
        say(f"{path}: {cause}")


def say_left_out(causes: Iterable[str], lines: Iterable[str]) -> None:
    """Print why pictures could not be read, each cause once, and what was no picture.

    It goes to stderr: on stdout there may be a table.
    """
    counts = Counter(cause for cause in causes if cause)
    told = [f"{count:,} could not be read: {cause}." for cause, count in counts.most_common()]
    for line in (*shorten(told), *lines):
        err.print(Text(line), soft_wrap=True)


def _cell(value: object) -> str:
    if isinstance(value, float):
        return "" if value != value else f"{value:,.1f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


@contextlib.contextmanager
def loading() -> Iterator[None]:
    """Import what loads TensorFlow, without its start-up notes."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    logging.getLogger("absl").setLevel(logging.ERROR)
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    backend.take()
    with quiet(tell=True):
        yield
    while backend.notes:
        err.print(Text(f"note: {backend.notes.pop(0)}"), soft_wrap=True)


@contextlib.contextmanager
def explained() -> Iterator[None]:
    """Turn a user's fault into a sentence and exit code 2, an interruption into 130."""
    try:
        yield
    except InputError as error:
        _tell(error)
        raise SystemExit(FAULT) from None
    except OSError as error:
        from kerastl.files import disk_error

        if (told := disk_error(error, error.filename)) is None:
            raise
        _tell(told)
        raise SystemExit(FAULT) from None
    except KeyboardInterrupt:
        err.print(Text(how_to_go_on(_typed), style="red"), soft_wrap=True)
        raise SystemExit(INTERRUPTED) from None


def _tell(error: InputError) -> None:
    where = elsewhere(_typed, error.full) if isinstance(error, DiskError) else ""
    err.print(Text(f"Error: {in_words(error.message)}{where}", style="red"), soft_wrap=True)
    for line in shorten(error.faults):
        err.print(Text(f"  {in_words(line)}"), soft_wrap=True)


@contextlib.contextmanager
def goes_on(folder: Path) -> Iterator[list[int]]:
    """Say of an interruption that the same command goes on; the list has those asked for.

    Python drops an interruption that meets a destructor, and TensorFlow has many: whoever
    goes through the parts of the work looks at the list, and interrupts after all.
    """
    asked: list[int] = []

    def interrupt(number: int, frame: object) -> None:
        asked.append(number)
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, interrupt)
    try:
        yield asked
    except KeyboardInterrupt:
        words = f"Interrupted. The same command goes on from what is done, in {folder}."
        err.print(Text(words, style="red"), soft_wrap=True)
        raise SystemExit(INTERRUPTED) from None
    finally:
        signal.signal(signal.SIGINT, before)
