"""What the search on the command line does, once Keras is loaded."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
from rich.progress import Progress, Task, TimeRemainingColumn
from rich.text import Text

from kerastl.arguments import none, pairs, policy
from kerastl.balance import positive_weights
from kerastl.console import err, goes_on, say, show_frame, title
from kerastl.label_verbs import say_labels
from kerastl.manifest import Manifest
from kerastl.models import Backbone
from kerastl.network_verbs import named_backbone
from kerastl.progress import bar
from kerastl.reports import REPORT
from kerastl.runs import open_data, run_folder
from kerastl.search_progress import SearchProgress
from kerastl.search_settings import SETTINGS
from kerastl.searching import Search
from kerastl.searching import search as search_depths
from kerastl.sidecar import NAME as SIDECAR
from kerastl.thresholds import check_metric
from kerastl.trainable import freeze_plan
from kerastl.verbs import say_next, write_shown

SHOWN = 10
"""Trials of the leaderboard that are printed."""


def search(
    data: str,
    *,
    out: Path | None,
    backbone: str,
    weights: str,
    depths: str | None,
    reading: Mapping[str, Any],
    balance: bool,
    task_weights: Sequence[str],
    thresholds: str,
    overwrite: bool,
    seed: int,
    options: Mapping[str, Any],
) -> None:
    """Read, search, show what was found, and write the chosen model's run."""
    folder = search_folder(data, out)
    metric = none(thresholds) and check_metric(thresholds)
    manifest = open_data(data, seed=seed, **reading)
    say_labels(manifest)
    said = {"depths": depths, "balance": balance}
    said["task_weights"] = pairs(task_weights, "--task-weight")
    network, learning = _backbones(backbone), _learning(manifest, said)
    with goes_on(folder) as asked:
        with _shown(asked) as progress:
            found = search_depths(
                network, manifest, folder=folder, progress=progress, weights=none(weights),
                seed=seed, overwrite=overwrite, **learning, **options,
            )  # fmt: skip
        _show(found)
        settings = {**reading, **said, **options, "data": data, "backbone": backbone, "seed": seed}
        settings |= {"weights": weights, "thresholds": thresholds, "values": dict(found.values)}
        write_shown(
            folder, found.model, manifest, None, settings=_plain(settings), thresholds_metric=metric
        )
    if (folder / SIDECAR).is_file():
        say("The exported files there are of the model before: export again.")
    say_next(folder, data)


def search_folder(data: str, out: Path | None) -> Path:
    """Where a search is kept: `out`, or the newest one if that is not whole, or a new one.

    Args:
        data: What the search reads; its name names the folder.
        out: The folder, if one was given.

    Raises:
        InputError: When the folder holds a model that no search made.
    """
    if out is not None and (out / SETTINGS).is_file():
        return out
    folder = run_folder(data, out, resume=False)
    if out is None:
        newest = folder.with_name(str(int(folder.name) - 1))
        if (newest / SETTINGS).is_file() and not (newest / REPORT).is_file():
            return newest
    return folder


def _backbones(words: str) -> Backbone | list[str]:
    names = [word.strip() for word in words.split(",")]
    return names if len(names) > 1 else named_backbone(names[0])


def _learning(manifest: Manifest, said: Mapping[str, Any]) -> dict[str, Any]:
    """What decides how every trial learns, as Python takes it; what was not said is left out."""
    depths = said["depths"] and [policy(word.strip()) for word in said["depths"].split(",")]
    weighed = positive_weights(manifest) if said["balance"] else None
    learning = {
        "depths": depths, "loss_weights": said["task_weights"], "positive_weights": weighed
    }  # fmt: skip
    return {name: value for name, value in learning.items() if value}


def trial_table(frame: pd.DataFrame) -> pd.DataFrame:
    """A leaderboard's frame in words: of the values those that differ between trials.

    Example:
        >>> columns = ["trial", "trainable", "layers", "dropout", "learning_rate", "score", "low",
        ...            "high", "epochs", "seconds", "status"]
        >>> rows = [["1", "stage4", 43, 0.2, 3e-4, 0.9, 0.85, 0.95, 8, 61.2, "done"],
        ...         ["0", "heads", 0, 0.2, 1e-3, 0.8, 0.72, 0.86, 20, 3.4, "done"]]
        >>> print(trial_table(pd.DataFrame(rows, columns=columns)).to_string(index=False))
        trial trainable  layers learning_rate                score  epochs  seconds
            1    stage4      43        0.0003 0.900 [0.850, 0.950]       8       61
            0     heads       0         0.001 0.800 [0.720, 0.860]      20        3
    """
    values = frame.columns[frame.columns.get_loc("layers") + 1 : frame.columns.get_loc("score")]
    table = frame[["trial", "trainable", "layers"]].copy()
    for name in (n for n in values if frame[n].nunique() > 1):
        table[name] = frame[name].map(lambda v: f"{v:.2g}" if isinstance(v, float) else str(v))
    rows = zip(frame["score"], frame["low"], frame["high"], frame["status"], strict=True)
    table["score"] = [
        f"{score:.3f} [{low:.3f}, {high:.3f}]" if status == "done" else status
        for score, low, high, status in rows
    ]
    return table.assign(epochs=frame["epochs"], seconds=frame["seconds"].round().astype(int))


def _show(found: Search) -> None:
    frame = found.leaderboard.frame
    few = f"Trials, the best {SHOWN} of {len(frame)}"
    title("Trials, best first" if len(frame) <= SHOWN else few)
    show_frame(trial_table(frame).head(SHOWN))
    title("How many layers to unfreeze")
    say(found.leaderboard)
    title("What trains in the chosen model")
    show_frame(freeze_plan(found.model))


class _Left(TimeRemainingColumn):
    """The time left that a search tells, and rich's own guess where it tells none."""

    def render(self, task: Task) -> Text:
        seconds = task.fields["left"]
        if seconds is None:
            return super().render(task)
        return Text(str(timedelta(seconds=round(seconds))), style="progress.remaining")


def _plain(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as JSON has them."""
    return {name: str(v) if isinstance(v, Path) else v for name, v in settings.items()}


@contextlib.contextmanager
def _shown(asked: Sequence[int]) -> Iterator[Callable[[SearchProgress], None]]:
    """A function that shows a search's progress: a bar, and a line for every finished trial."""
    with contextlib.ExitStack() as shown:
        bars: dict[str, Progress] = {}

        def show(told: SearchProgress) -> None:
            if asked:
                raise KeyboardInterrupt
            if told.stage not in bars:
                shown.close()  # there is one bar at a time
                bars[told.stage] = shown.enter_context(bar(err, left=_Left()))
                bars[told.stage].add_task(told.stage, total=told.total or None, note="", left=None)
            _move(bars[told.stage], told)

        yield show


def _move(progress: Progress, told: SearchProgress) -> None:
    if told.text:
        words = f"trial {told.done} of {told.total}: {told.text}"
        progress.console.print(words, markup=False, soft_wrap=True)
    progress.update(
        progress.task_ids[0], completed=told.done, total=told.total or None,
        note=f"best {told.best}" if told.best else "", left=told.seconds_left,
    )  # fmt: skip
