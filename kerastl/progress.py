"""What a long run shows while it works: one bar for pictures, one for epochs."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator

import keras
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

log = logging.getLogger("kerastl")


def tell(text: str, show: bool, console: Console | None = None) -> None:
    """Log a line, and show it on standard error where progress is shown."""
    log.info(text)
    if show:
        (console or Console(stderr=True)).print(text, highlight=False, markup=False)


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


class EpochBar(keras.callbacks.Callback):
    """A bar over the epochs of one phase, with the loss and its validation.

    Args:
        phase: What it is called.
        epochs: How many epochs there are at most.
        done: How many are done already.
    """

    def __init__(self, phase: str, epochs: int, done: int = 0):
        super().__init__()
        self.phase, self.epochs, self.done = phase, epochs, done

    def on_train_begin(self, logs=None):
        """Show the bar."""
        self.progress = bar()
        self.progress.start()
        self.task = self.progress.add_task(
            f"train {self.phase}", total=self.epochs, completed=self.done, note=""
        )

    def on_epoch_end(self, epoch, logs=None):
        """Move it on, and show the epoch's losses and accuracies."""
        logs = logs or {}
        part = "val_" if "val_loss" in logs else ""
        names = [n for n in logs if n == f"{part}loss" or n.endswith("accuracy")]
        chosen = [n for n in names if n.startswith("val_") == bool(part)]
        note = "  ".join(f"{n.removeprefix('val_')} {logs[n]:.3f}" for n in chosen)
        where = "validation: " if part else ""
        self.progress.update(self.task, advance=1, note=where + note)

    def on_train_end(self, logs=None):
        """Leave the finished bar on the screen."""
        self.close()

    def close(self) -> None:
        """Give the terminal back, also after an interruption."""
        self.progress.stop()
