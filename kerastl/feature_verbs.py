"""Making the features of very many pictures: what `extract` does, once Keras is loaded."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import keras

from kerastl.arguments import none, policy
from kerastl.console import say, say_skipped
from kerastl.cuts import find_cut, split
from kerastl.engine_record import settled_name
from kerastl.errors import InputError
from kerastl.feature_recipe import Recipe
from kerastl.features import Features, extract_features
from kerastl.graph import nodes
from kerastl.models import create_model
from kerastl.network_verbs import named_backbone
from kerastl.picture_list import list_pictures
from kerastl.progress import steps_shown
from kerastl.room import folder_bytes, size
from kerastl.shards import read_shard, shard_files
from kerastl.spec import spec_of
from kerastl.tasks import Task
from kerastl.trainable import set_trainable


def extract(
    data: str, folder: Path, *, at: str, model: Mapping[str, Any], options: Mapping[str, Any]
) -> None:
    """Make the features of all pictures that are not there yet, and say what was done."""
    manifest = list_pictures(data)
    net = cut_model(at, manifest.tasks, **model)
    prefix = split(net).prefix
    recipe = Recipe(prefix, engine=options["engine"], dtype=options["dtype"])
    store = folder / recipe.key
    before = _published(store)
    with steps_shown() as progress:
        found = extract_features(
            prefix, manifest, cache=folder, progress=partial(progress, "features"), **options
        )
    new = sum(len(read_shard(path).keys) for path, _ in _published(store) - before)
    _say_extracted(found, prefix, new)
    engine = found.engine.name if found.engine else settled_name(recipe, store)
    say(f"Engine {engine or 'keras'}, {size(folder_bytes(store))} in {store}.")
    say_skipped(manifest.skipped)
    if options["dtype"] == "float32":
        trainable = spec_of(net).trainable or "heads"
        _say_next({**model, "engine": recipe.engine, "trainable": trainable, "cache": folder})


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
    net = create_model(named_backbone(backbone), tasks, weights=none(weights), **options)
    trainable = policy(at)
    if isinstance(trainable, str) and find_cut(net, trainable).layer == spec_of(net).features:
        trainable = False
    if not split(set_trainable(net, trainable)).prefix.weights:
        raise InputError(f"Expected --at with layers to freeze in front of it. Received: {at!r}.")
    return net


def _published(store: Path) -> set[tuple[Path, int]]:
    """Each shard, and when it was written: one that is made anew has its old name."""
    return {(path, path.stat().st_mtime_ns) for path in shard_files(store)}


def _say_extracted(found: Features, prefix: keras.Model, new: int) -> None:
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
