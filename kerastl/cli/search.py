"""The search over how many layers to unfreeze: its options, its progress, what was found."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import Progress, Task, TimeRemainingColumn
from rich.text import Text

from kerastl.cli.console import err, goes_on, loading, say, show_frame, title
from kerastl.cli.labels import say_labels
from kerastl.cli.options import (
    DEFAULT_BACKBONE,
    Balance,
    BatchSize,
    Budget,
    Data,
    Engine,
    Epochs,
    Group,
    ImageColumn,
    MaxPixels,
    Metric,
    Ray,
    RunFolder,
    Seed,
    Tags,
    TaskNames,
    TaskWeights,
    Uncertain,
    Unknown,
    Unsure,
    Weights,
    byte_count,
    given,
    none,
    number_range,
    pairs,
    picture_sizes,
    policy,
    reading,
)
from kerastl.cli.train import PANEL, named, say_next, write_shown
from kerastl.terminal import bar

if TYPE_CHECKING:
    import pandas as pd

    from kerastl.data.manifest import Manifest
    from kerastl.models.factories import Backbone
    from kerastl.tuning.loop import SearchProgress
    from kerastl.tuning.searching import Search

SHOWN = 10
"""Trials of the leaderboard that are printed."""

app = typer.Typer()


def _values(what: str) -> typer.models.OptionInfo:
    return typer.Option(metavar="VALUES", help=what)


@app.command(
    rich_help_panel=PANEL,
    epilog="Example: kerastl search flowers/ --depths heads,9,stage4 --learning-rate 1e-5..1e-3",
)
def search(
    data: Data,
    backbone: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="A name from `kerastl backbones`, several with commas between to choose from, "
            "or a .keras file.",
        ),
    ] = DEFAULT_BACKBONE,
    weights: Weights = "imagenet",
    image_size: Annotated[
        str | None,
        typer.Option(
            metavar="PIXELS",
            help="Several with commas between are chosen from.",
            show_default="what the backbone was made for",
        ),
    ] = None,
    depths: Annotated[
        str | None,
        typer.Option(
            metavar="LAYERS",
            help="What may train, with commas between: heads, all, a number of layers, a share, "
            "or the stage to train after.",
            show_default="heads and the last stages",
        ),
    ] = None,
    trials: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="Trials in all.", show_default="20; of a grid, all"),
    ] = None,
    epochs: Epochs = 20,
    head_epochs: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=0, help="Epochs of the heads at most.", show_default="as many"
        ),
    ] = None,
    tuner: Annotated[
        str,
        typer.Option(
            metavar="NAME", help="How values are chosen: bayesian, random, hyperband or grid."
        ),
    ] = "bayesian",
    learning_rate: Annotated[str, _values("The tail's highest rate.")] = "3e-5..3e-3",
    depth_decay: Annotated[
        str, _values("Factor of the rate from a stage to the one in front of it.")
    ] = "0.5..1",
    dropout: Annotated[str, _values("Share of features hidden from the heads.")] = "0..0.5",
    weight_decay: Annotated[str, _values("Pull of the weights towards 0.")] = "1e-6..1e-2",
    executions: Annotated[
        int, typer.Option(metavar="N", min=1, help="Fits of each trial, each with a seed.")
    ] = 1,
    batch_size: BatchSize = None,
    task: TaskNames = None,
    image: ImageColumn = None,
    group: Group = None,
    tags: Tags = None,
    unknown: Unknown = None,
    unsure: Unsure = None,
    uncertain: Uncertain = None,
    balance: Balance = False,
    task_weight: TaskWeights = None,
    thresholds: Metric = "f1",
    seed: Seed = 0,
    cache: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="A folder that keeps the features.",
            show_default="one in the run's folder",
        ),
    ] = None,
    budget: Budget = None,
    engine: Engine = "auto",
    keep: Annotated[
        int, typer.Option(metavar="N", min=1, help="Best trials whose weights are kept.")
    ] = 3,
    workers: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="Trials side by side, by Ray.",
            show_default="1; on a cluster, one on each machine",
        ),
    ] = None,
    ray: Ray = None,
    out: RunFolder = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Begin anew where the folder holds a search.")
    ] = False,
    max_pixels: MaxPixels = None,
) -> None:
    """Measure how many layers to unfreeze, and write the model that the search chooses.

    VALUES are a number; some, with commas between; or a range, as 1e-5..1e-3. Interrupted, the
    same command goes on: no finished trial is run again.
    """
    options = {
        "epochs": epochs,
        "tuner": tuner,
        "executions": executions,
        "engine": engine,
        "keep": keep,
        "learning_rate": number_range(learning_rate, "--learning-rate"),
        "depth_decay": number_range(depth_decay, "--depth-decay"),
        "dropout": number_range(dropout, "--dropout"),
        "weight_decay": number_range(weight_decay, "--weight-decay"),
        **given(
            image_size=picture_sizes(image_size), trials=trials, head_epochs=head_epochs,
            batch_size=batch_size, cache=cache, budget=byte_count(budget, "--budget"),
            workers=workers, ray=ray,
        ),
    }  # fmt: skip
    words = reading(task, unknown, unsure, uncertain, image, group, tags)
    with loading():
        from kerastl.cli.opening import open_training
        from kerastl.cli.runs import division_of
        from kerastl.inference.sidecar import NAME
        from kerastl.scoring.thresholds import check_metric
        from kerastl.tuning.searching import search as search_depths

    folder = search_folder(data, out)
    metric = none(thresholds) and check_metric(thresholds)
    manifest = open_training(data, *_files(backbone), weights, seed=seed, **words)
    say_labels(manifest)
    said = {"depths": depths, "balance": balance}
    said["task_weights"] = pairs(task_weight or (), "--task-weight")
    network, learning = _backbones(backbone), _learning(manifest, said)
    division = division_of(manifest, {"backbone": backbone, "weights": weights})
    with goes_on(folder) as asked:
        with _shown(asked) as progress:
            found = search_depths(
                network, manifest, folder=folder, progress=progress, weights=none(weights),
                seed=seed, overwrite=overwrite, **learning, **options,
            )  # fmt: skip
        _show(found)
        settings = {**words, **said, **options, "data": named(data), "backbone": backbone}
        settings |= {"seed": seed, "weights": weights, "thresholds": thresholds}
        settings["values"] = dict(found.values)
        write_shown(
            folder, found.model, manifest, None, settings=_plain(settings),
            thresholds_metric=metric, division=division,
        )  # fmt: skip
    if (folder / NAME).is_file():
        say("The exported files there are of the model before: export again.")
    say_next(folder)


def search_folder(data: str, out: Path | None) -> Path:
    """Where a search is kept: `out`, or the newest one if that is not whole, or a new one.

    Args:
        data: What the search reads; its name names the folder.
        out: The folder, if one was given.

    Raises:
        InputError: When the folder holds a model that no search made, or another process
            is at work in it.
    """
    from kerastl.cli.claims import claim
    from kerastl.cli.runs import newest_run, run_folder
    from kerastl.inference.sidecar import REPORT
    from kerastl.tuning.searching import SETTINGS

    if out is not None and (out / SETTINGS).is_file():
        return claim(out)
    newest = newest_run(data)
    if out is None and (newest / SETTINGS).is_file() and not (newest / REPORT).is_file():
        return claim(newest)
    return run_folder(data, out, resume=False)


def _files(words: str) -> list[str]:
    return [name.strip() for name in words.split(",")]


def _backbones(words: str) -> Backbone | list[str]:
    from kerastl.cli.runs import named_backbone

    names = _files(words)
    return names if len(names) > 1 else named_backbone(names[0])


def _learning(manifest: Manifest, said: Mapping[str, Any]) -> dict[str, Any]:
    """What decides how every trial learns, as Python takes it; what was not said is left out."""
    from kerastl.data.labels import positive_weights

    depths = said["depths"] and [policy(word.strip()) for word in said["depths"].split(",")]
    weighed = positive_weights(manifest) if said["balance"] else None
    learning = {
        "depths": depths, "loss_weights": said["task_weights"], "positive_weights": weighed
    }  # fmt: skip
    return {name: value for name, value in learning.items() if value}


def trial_table(frame: pd.DataFrame) -> pd.DataFrame:
    """A leaderboard's frame in words: of the values those that differ between trials.

    Example:
        >>> import pandas as pd
        >>> columns = ["trial", "trainable", "layers", "dropout", "learning_rate", "score", "low",
        ...            "high", "epochs", "seconds", "status"]
        >>> rows = [["1", "stage4", 43, 0.2, 3e-4, 0.9, 0.85, 0.95, 8, 61.2, "done"],
        ...         ["0", "heads", 0, 0.2, 1e-3, 0.8, 0.72, 0.86, 20, 3.4, "done"]]
        >>> print(trial_table(pd.DataFrame(rows, columns=columns)).to_string(index=False))
        trial trainable  layers learning_rate                score  epochs  seconds
            1    stage4      43        0.0003 0.900 [0.850, 0.950]       8       61
            0     heads       0         0.001 0.800 [0.720, 0.860]      20        3
    """
    from kerastl.scoring.intervals import in_words

    values = frame.columns[frame.columns.get_loc("layers") + 1 : frame.columns.get_loc("score")]
    table = frame[["trial", "trainable", "layers"]].copy()
    for name in (n for n in values if frame[n].nunique() > 1):
        table[name] = frame[name].map(lambda v: f"{v:.2g}" if isinstance(v, float) else str(v))
    rows = zip(frame["score"], frame["low"], frame["high"], frame["status"], strict=True)
    table["score"] = [
        in_words(score, low, high) if status == "done" else status
        for score, low, high, status in rows
    ]
    return table.assign(epochs=frame["epochs"], seconds=frame["seconds"].round().astype(int))


def _show(found: Search) -> None:
    from kerastl.models.trainable import freeze_plan

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
