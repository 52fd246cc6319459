"""The features of very many pictures: making them, and looking after the folder that keeps them."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kerastl.cli.console import loading, say, say_skipped, show_frame, title
from kerastl.cli.options import (
    DEFAULT_BACKBONE,
    Backbone,
    BatchSize,
    Budget,
    Engine,
    ImageSize,
    MaxPixels,
    Ray,
    Weights,
    byte_count,
    given,
    none,
    policy,
)
from kerastl.errors import InputError, nearest
from kerastl.terminal import steps_shown

if TYPE_CHECKING:
    import keras

    from kerastl.data.tasks import Task
    from kerastl.features.extract import Features

PANEL = "Very many pictures"
DAMAGED = 1
"""Exit code of `cache verify` where a shard is damaged."""

PLACES = ("", "features", ".fit/features")
"""Where features lie in the folder that fit, a comparison or an interrupted run has."""

PRUNE = {
    "keep_bytes": "--keep",
    "older_than_days": "--older-than-days",
    "everything": "--everything",
}

app = typer.Typer()
cache = typer.Typer(
    no_args_is_help=True,
    help="List, verify and prune the features that a folder keeps.",
    epilog="Example: kerastl cache list work/",
)
app.add_typer(cache, name="cache", rich_help_panel=PANEL)

Folder = Annotated[
    Path,
    typer.Argument(
        metavar="FOLDER",
        help="What was given as --cache, or the folder of an interrupted run.",
        show_default=False,
    ),
]


@app.command(
    rich_help_panel=PANEL, epilog="Example: kerastl extract pictures/ --at stage4 --cache work/"
)
def extract(
    data: Annotated[
        str,
        typer.Argument(
            metavar="DATA",
            help="A folder of pictures, labelled or not, a .csv table with a column `image`, or "
            "tfds:NAME.",
            show_default=False,
        ),
    ],
    folder: Annotated[
        Path,
        typer.Option(
            "--cache",
            metavar="FOLDER",
            help="The folder that keeps the features: train finds them there.",
            show_default=False,
        ),
    ],
    backbone: Backbone = DEFAULT_BACKBONE,
    weights: Weights = "imagenet",
    image_size: ImageSize = None,
    at: Annotated[
        str,
        typer.Option(
            metavar="CUT",
            help="Where the frozen layers end: a stage or a layer from `kerastl cuts`, or what "
            "--trainable takes.",
        ),
    ] = "heads",
    dtype: Annotated[
        str,
        typer.Option(
            metavar="NAME", help="float32, as train reads it; or float16, in half the room."
        ),
    ] = "float32",
    engine: Engine = "auto",
    batch_size: BatchSize = None,
    budget: Budget = None,
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="Seed of random weights.")] = 0,
    ray: Ray = None,
    max_pixels: MaxPixels = None,
) -> None:
    """Run the frozen layers once over pictures, and keep what they make."""
    room = byte_count(budget, "--budget")
    with loading():
        from kerastl.cli.opening import list_pictures
        from kerastl.data.batches import tell_remarks
        from kerastl.features.extract import extract_features
        from kerastl.features.recipe import Recipe, settled_name
        from kerastl.features.store.shards import read_shard
        from kerastl.features.store.upkeep import folder_bytes, size
        from kerastl.models.cuts import split
        from kerastl.models.spec import spec_of

    model = {"backbone": backbone, "weights": weights, "image_size": image_size, "seed": seed}
    manifest = list_pictures(data)
    net = cut_model(at, manifest.tasks, **model)
    prefix = split(net).prefix
    recipe = Recipe(prefix, engine=engine, dtype=dtype)
    store = folder / recipe.key
    before = _published(store)
    with steps_shown() as progress:
        found = extract_features(
            prefix, manifest, cache=folder, progress=partial(progress, "features"), engine=engine,
            dtype=dtype, batch_size=batch_size or 32, **given(budget=room, ray=ray),
        )  # fmt: skip
    new = sum(len(read_shard(path).keys) for path, _ in _published(store) - before)
    _say_extracted(found, prefix, new)
    settled = found.engine.name if found.engine else settled_name(recipe, store)
    say(f"Engine {settled or 'keras'}, {size(folder_bytes(store))} in {store}.")
    say_skipped(manifest.skipped)
    tell_remarks(manifest)
    if dtype == "float32":
        layers = spec_of(net).trainable or "heads"
        _say_next({**model, "engine": recipe.engine, "trainable": layers, "cache": folder})


def cut_model(
    at: str, tasks: Sequence[Task], *, backbone: str, weights: str, **options: Any
) -> keras.Model:
    """The model that `train --trainable AT` builds of the same options.

    Its prefix is the same, and so its features are those that `train` looks for.

    Args:
        at: A cut's name, or another word that `--trainable` takes.
        tasks: Of the model; the prefix has nothing of them.
        backbone: A name, or a .keras file.
        weights: The word on the command line.
        **options: Further ones of `create_model`.

    Raises:
        InputError: Where the network cannot be cut there.
    """
    from kerastl.cli.runs import named_backbone
    from kerastl.models.cuts import find_cut, split
    from kerastl.models.factories import create_model
    from kerastl.models.spec import spec_of
    from kerastl.models.trainable import set_trainable

    net = create_model(named_backbone(backbone), tasks, weights=none(weights), **options)
    trainable = policy(at)
    if isinstance(trainable, str) and find_cut(net, trainable).layer == spec_of(net).features:
        trainable = False
    if not split(set_trainable(net, trainable)).prefix.weights:
        raise InputError(f"Expected --at with layers to freeze in front of it. Received: {at!r}.")
    return net


def _published(store: Path) -> set[tuple[Path, int]]:
    """Each shard, and when it was written: one that is made anew has its old name."""
    from kerastl.features.store.shards import shard_files

    return {(path, path.stat().st_mtime_ns) for path in shard_files(store)}


def _say_extracted(found: Features, prefix: keras.Model, new: int) -> None:
    from kerastl.models.graph import nodes

    different = len(set(found.keys or ()))
    layer, shape = nodes(prefix)[-1].operation.name, "x".join(map(str, prefix.output_shape[1:]))
    copies = len(found.rows) - different
    words = "all are there already" if not new else f"{new:,} made now"
    words += f", {different - new:,} there already" if 0 < new < different else ""
    words += f"; copies of others: {copies:,}" if copies else ""
    say(f"Features of {len(found.rows):,} pictures at {layer} ({shape}): {words}.")


def _say_next(options: Mapping[str, Any]) -> None:
    """Print the call that trains on these features: what it has to have in common."""
    usual = {"weights": "imagenet", "image_size": None, "seed": 0, "engine": "auto"}
    told = {k: v for k, v in options.items() if k not in usual or v != usual[k]}
    words = [f"--{k.replace('_', '-')} {shlex.quote(str(v))}" for k, v in told.items()]
    say(f"\nNext:  kerastl train LABELLED {' '.join(words)}")


@cache.command("list", epilog="Example: kerastl cache list work/")
def show_store(folder: Folder) -> None:
    """Show what features and predictions there are, and the room they take."""
    from kerastl.features.store.upkeep import list_store, size

    store = _store(folder)
    frame = list_store(store)
    if frame.empty:
        say(f"There are no features in {store}.")
        return
    total = int(frame["bytes"].sum())
    words = frame.assign(
        prefix=frame["prefix"].str[:8],
        model=frame["model"].str.removeprefix("kerastl_"),
        bytes=[size(n) for n in frame["bytes"]],
    )
    words["last used"] = frame["last used"].dt.strftime("%Y-%m-%d %H:%M")
    show_frame(words.rename(columns={"bytes": "size"}))
    say(f"\n{size(total)} in {store}.")


@cache.command(epilog="Example: kerastl cache verify work/")
def verify(folder: Folder) -> None:
    """Hold every shard against its checksum; exit code 1 where one is damaged."""
    from kerastl.features.store.records import part_files, prediction_folders
    from kerastl.features.store.shards import shard_files
    from kerastl.features.store.upkeep import prefix_folders, verify_store

    store = _store(folder)
    count = sum(len(shard_files(path)) for path in prefix_folders(store))
    count += sum(len(part_files(path)) for path in prediction_folders(store))
    damaged = verify_store(store)
    if not damaged:
        say(f"All {count} shards in {store} are whole.")
        return
    title(f"Damaged: {len(damaged)} of {count} shards")
    for path, cause in damaged:
        say(f"{path}: {cause}")
    say("\nThe next call that needs what they hold makes them anew.")
    raise typer.Exit(DAMAGED)


@cache.command(epilog="Example: kerastl cache prune work/ --keep 2GB")
def prune(
    folder: Folder,
    keep: Annotated[
        str | None,
        typer.Option(
            metavar="SIZE", help="Remove the least recently used until this is left: 500MB, 2GB."
        ),
    ] = None,
    older_than_days: Annotated[
        float | None,
        typer.Option(metavar="DAYS", min=0, help="Remove what was not used for so long."),
    ] = None,
    everything: Annotated[bool, typer.Option("--everything", help="Remove all of it.")] = False,
) -> None:
    """Make room: remove features and predictions, those of a whole prefix or model at a time."""
    from kerastl.features.store.records import prediction_folders
    from kerastl.features.store.upkeep import folder_bytes, prefix_folders, prune_store, size

    choice = {
        "keep_bytes": byte_count(keep, "--keep"), "older_than_days": older_than_days,
        "everything": everything,
    }  # fmt: skip
    named = [word for name, word in PRUNE.items() if choice[name] not in (None, False)]
    if len(named) != 1:
        there = " and ".join(named) or "none"
        raise InputError(f"Expected one of {', '.join(PRUNE.values())}. Received: {there}.")
    store = _store(folder)
    freed = prune_store(store, **choice)
    there = [*prefix_folders(store), *prediction_folders(store)]
    left = sum(folder_bytes(path) for path in there)
    say(f"{size(freed)} freed, {size(left)} left in {store}.")
    if choice["keep_bytes"] is not None and left > choice["keep_bytes"]:
        say("What a process is writing now was left alone.")


def _store(folder: Path) -> Path:
    """The folder of features that a user means: itself, or a run's or comparison's below it."""
    from kerastl.features.store.index import INDEX
    from kerastl.features.store.records import prediction_folders
    from kerastl.features.store.upkeep import prefix_folders

    if not folder.is_dir():
        hint = nearest(folder.name, [p.name for p in folder.absolute().parent.glob("*")])
        raise InputError(f"There is no folder {folder}.{hint}")
    for place in (folder / below for below in PLACES):
        if prefix_folders(place) or prediction_folders(place) or (place / INDEX).exists():
            return place
    if any(folder.iterdir()):
        raise InputError(
            f"{folder} holds no features. Expected a folder that train, extract or predict was "
            "given as --cache, or that of an interrupted run: a finished one has its own removed."
        )
    return folder
