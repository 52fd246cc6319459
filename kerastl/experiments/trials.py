"""The same network trained again and again, from features of the frozen part made once."""

from __future__ import annotations

import copy
import hashlib
import inspect
import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import keras

from kerastl.data.manifest import RESERVED, Manifest
from kerastl.data.tasks import Task
from kerastl.errors import InputError, nearest
from kerastl.features.store.index import contents
from kerastl.inference.evaluation import (
    Predictions,
    groups_of,
    read_scores,
    stored_scores,
    write_scores,
)
from kerastl.models.cuts import split
from kerastl.models.factories import Backbone, create_model
from kerastl.models.graph import network_key
from kerastl.models.spec import Trainable, spec_of
from kerastl.training.data import identity
from kerastl.training.fitting import fit
from kerastl.tuning.trial_fits import BUILT_WITH, SET_HERE


@dataclass(frozen=True)
class Settings:
    """What every network of some trials has in common.

    Attributes:
        backbone: A name of `list_backbones()` or a Keras model of one's own.
        trainable: As in `set_trainable`.
        weights: The backbone's, as in `create_model`.
        image_size: Height and width, or one number, in pixels.
        epochs: Epochs of a fit, at most.
        seed: Seed of a backbone without weights: all networks start from the same.
        options: Further options of `create_model` and of `fit`.

    Raises:
        InputError: Naming every option that is none, and epochs below 1.

    Example:
        >>> Settings("MobileNetV2", options={"dropout": 0.5, "learning_rate": 1e-3}).epochs
        20
    """

    backbone: Backbone
    trainable: Trainable = "stage4"
    weights: str | Path | None = "imagenet"
    image_size: int | tuple[int, int] | None = None
    epochs: int = 20
    seed: int = 0
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self):
        there = [n for n in inspect.signature(fit).parameters if n not in SET_HERE]
        there += BUILT_WITH
        faults = [f"there is no option {n!r}.{nearest(n, there)}"
                  for n in self.options if n not in there]  # fmt: skip
        if self.epochs < 1:
            faults.append(f"epochs: expected at least 1, received {self.epochs}")
        if faults:
            raise InputError("The networks cannot be trained so.", faults)


class Trials:
    """Networks over one frozen prefix, for any of a manifest's tasks and any seed.

    The backbone is built once and copied for each network, so that all have the
    same layers and start from the same weights; the seed decides the heads' first
    weights, the dropout and the order of the pictures. Features are kept by prefix
    and pictures, not by labels: networks of other tasks find them made.

    Args:
        settings: What the networks have in common.
        data: Pictures with a train part, and labels of all tasks.
        cache: A folder that keeps features, and the scores of every finished
            network, for the next call; by default a temporary one.
    """

    def __init__(self, settings: Settings, data: Manifest, cache: str | Path | None = None):
        self.settings, self.data = settings, data
        built = {k: v for k, v in settings.options.items() if k in ("dropout", "preprocessing")}
        # Trainable, so that no layer's rate is silenced in what the others copy.
        self.base = create_model(
            settings.backbone, data.tasks, trainable=True, weights=settings.weights,
            image_size=settings.image_size, seed=settings.seed, **built,
        )  # fmt: skip
        self._start = network_key(split(self.base, spec_of(self.base).features).prefix)
        self._temporary = tempfile.TemporaryDirectory(prefix="kerastl-trials-")
        self.folder = Path(self._temporary.name if cache is None else cache)
        self._images = _digest(contents(data.frame["image"].tolist(), self.folder).keys)

    def __enter__(self) -> Trials:
        return self

    def __exit__(self, *_: object) -> None:
        self._temporary.cleanup()

    def varied(self, **options: Any) -> Trials:
        """The same backbone and features under changed options of `create_model` and `fit`."""
        other = copy.copy(self)
        other.settings = replace(self.settings, options={**self.settings.options, **options})
        return other

    def train(self, tasks: Sequence[Task], seed: int, share: float = 1.0) -> keras.Model:
        """Train one network for some of the tasks.

        Args:
            tasks: Its tasks.
            seed: Its seed.
            share: The share of the settings' epochs that it gets, at least one.
        """
        options = self._options(tasks, share)
        built = {k: options.pop(k) for k in BUILT_WITH if k in options}
        built.pop("preprocessing", None)  # the base has it inside
        changing = options.get("augment") is not None and options.get("views", 1) == 1
        model = create_model(
            self.base, tasks, trainable=self.settings.trainable, seed=seed, **built
        )
        fit(
            model, _only(self.data, tasks), seed=seed,
            cache="auto" if changing else self.folder, **options,
        )  # fmt: skip
        return model

    def predict(self, model: keras.Model, part: str) -> Predictions:
        """A network's scores for a part of the data, with its certain labels.

        Args:
            model: One that `train` gave.
            part: "train", "val" or "test".
        """
        tasks = spec_of(model).tasks
        return stored_scores(
            model, _only(self.data, tasks), part, cache=self.folder,
            engine=self.settings.options.get("engine", "auto"),
        )  # fmt: skip

    def run(self, tasks: Sequence[Task], seed: int, part: str, share: float = 1.0) -> Predictions:
        """Train a network and score a part; what is in the cache already is read from it.

        Args:
            tasks: The network's tasks.
            seed: Its seed.
            part: "train", "val" or "test".
            share: The share of the settings' epochs that it gets.
        """
        store = self.folder / "scores" / f"{self._key(tasks, seed, part, share)}.npz"
        kept = read_scores(store, tasks)
        if kept is not None:
            data = _only(self.data, tasks).split(part).certain()
            [scores], rows = kept
            labels = {name: codes[rows] for name, codes in data.labels().items()}
            return Predictions(scores, labels, rows, dict(data.skipped), groups_of(data, rows))
        found = self.predict(self.train(tasks, seed, share), part)
        write_scores(store, tasks, found.rows, [found.scores])
        return found

    def _options(self, tasks: Sequence[Task], share: float) -> dict[str, Any]:
        """The options of a network of these tasks, without the other tasks' weights."""
        options = {"verbose": 0, **self.settings.options, "epochs": self.settings.epochs}
        for kind in ("epochs", "head_epochs"):
            if options.get(kind):
                options[kind] = max(1, round(options[kind] * share))
        # A name that no task has stays, for `create_model` to refuse.
        others = {t.name for t in self.data.tasks} - {t.name for t in tasks}
        for kind in ("loss_weights", "positive_weights"):
            given = options.pop(kind, None) or {}
            ours = {name: value for name, value in given.items() if name not in others}
            # One task's weight only scales its loss, which AdamW divides out.
            if ours and (kind == "positive_weights" or len(tasks) > 1):
                options[kind] = ours
        return options

    def _key(self, tasks: Sequence[Task], seed: int, part: str, share: float) -> str:
        """What a network and its scores are known by."""
        data = _only(self.data, tasks)
        options = self._options(tasks, share)
        options = {k: _described(v) for k, v in options.items() if k != "verbose"}
        return _digest([
            self._start, repr(self.settings.trainable), options, [t.to_dict() for t in tasks],
            seed, part, identity(data).decode(), sorted(data.uncertain.items()), self._images,
        ])  # fmt: skip


def _only(data: Manifest, tasks: Sequence[Task]) -> Manifest:
    """The same pictures with the labels of some tasks."""
    columns = [c for t in tasks for c in t.columns]
    frame = data.frame[[*(c for c in RESERVED if c in data.frame), *columns]]
    uncertain = {c: v for c, v in data.uncertain.items() if c in columns}
    return replace(data, frame=frame, tasks=tuple(tasks), uncertain=uncertain)


def _described(value: Any) -> Any:
    """An option as JSON values; a layer by its configuration."""
    if isinstance(value, (keras.layers.Layer, keras.Model)):
        return keras.saving.serialize_keras_object(value)
    return value


def _digest(values: Any) -> str:
    return hashlib.blake2b(json.dumps(values, default=repr).encode(), digest_size=16).hexdigest()
