"""What a long run shows while it works, and the process's stderr, kept clear of C++ libraries."""

from __future__ import annotations

import codecs
import contextlib
import logging
import os
import sys
import tempfile
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

PLAIN = {"\u2500": "-", "\u2501": "-", "\u2502": "|", "\u2026": "...", "\u00b1": "+/-"}
"""What stands for signs of our own where a terminal has none."""
ESCAPED = "kerastl.escaped"


def _escaped(error: UnicodeError) -> tuple[str, int]:
    """Letters that an encoding lacks, and bytes of names that are no letters."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(_plain, error.object[error.start : error.end])), error.end


def _plain(sign: str) -> str:
    byte = ord(sign) - 0xDC00  # as Python keeps a byte of a name that is not UTF-8
    if 0x80 <= byte <= 0xFF:
        return f"\\x{byte:02x}"
    return PLAIN.get(sign) or sign.encode("ascii", "backslashreplace").decode()


codecs.register_error(ESCAPED, _escaped)


def write_anything() -> None:
    """Have what stdout and stderr cannot write in their encoding escaped, not raised."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors=ESCAPED)


@contextlib.contextmanager
def quiet(*, tell: bool = False) -> Iterator[None]:
    """Keep notes that no logging level turns off away from the terminal.

    TensorFlow's start-up, its converter and the interpreter write them to the
    file descriptor itself. Errors come as exceptions and are not affected.

    Args:
        tell: Show the notes after all when the block fails.
    """
    try:
        kept = os.dup(2)
    except OSError:  # a service may have no stderr at all
        yield
        return
    with tempfile.TemporaryFile() as notes:
        try:
            os.dup2(notes.fileno(), 2)
            yield
        except BaseException:
            if tell:
                notes.seek(0)
                os.write(kept, notes.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)


log = logging.getLogger("kerastl")


def tell(text: str, show: bool, console: Console | None = None) -> None:
    """Log a line, and show it on standard error where progress is shown."""
    log.info(text)
    if show:
        (console or Console(stderr=True)).print(text, highlight=False, markup=False)


_warned: set[str] = set()


def warn(text: str, *, again: bool = True) -> None:
    """Log a warning: it is shown on standard error unless the user's logging says otherwise.

    Args:
        text: What the user has to know.
        again: Whether to log what this process has logged before. A search has many fits
            of the same data, and one warning is enough.
    """
    if again or text not in _warned:
        log.warning(text)
    _warned.add(text)


def bar(console: Console | None = None, left: ProgressColumn | None = None) -> Progress:
    """A progress bar on standard error: what, bar, m of n, time left, a note."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        left or TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", style="dim"),
        console=console or Console(stderr=True),
    )


@contextlib.contextmanager
def counting(what: str, show: bool) -> Iterator[Callable[[int, int], None] | None]:
    """A function that moves a bar to (done, total), or None where nothing is shown."""
    if not show:
        yield None
        return
    with bar() as progress:
        task = progress.add_task(what, total=None, note="")
        yield lambda done, total: progress.update(task, completed=done, total=total or None)


@contextlib.contextmanager
def steps_shown() -> Iterator[Callable[[str, int, int], None]]:
    """A function that shows (what is being done, steps done, steps in all).

    The bar appears with the first step: there may be a fault to tell before.
    """
    with contextlib.ExitStack() as shown:
        bars: list[Progress] = []

        def show(what: str, done: int, total: int) -> None:
            if not bars:
                bars.append(shown.enter_context(bar()))
                bars[0].add_task("", total=None, note="")
            bars[0].update(bars[0].task_ids[0], description=what, completed=done, total=total)

        yield show
