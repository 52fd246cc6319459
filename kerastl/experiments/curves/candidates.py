"""Ready candidates of a learning curve: trained on a part of the data, scored on the test part."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kerastl.data.manifest import Manifest
from kerastl.data.tasks import Task
from kerastl.errors import InputError
from kerastl.experiments.trials import Settings, Trials
from kerastl.inference.evaluation import Predictions
from kerastl.models.factories import Backbone
from kerastl.models.spec import Trainable
from kerastl.pipelines.pipeline import Pipeline
from kerastl.scoring.measures import answers, average, codes_of

Candidate = Callable[[Any, int], np.ndarray]
"""Trains on the examples it is given, with a seed; one score from 0 to 1 a test example."""


FRESH = {"head_epochs": 0, "depth_decay": 1.0, "learning_rate": 1e-3}
"""Options of `fit` from random weights: there is nothing yet that training the heads first, or
smaller rates in front, would protect."""


def transfer(
    backbone: Backbone, *, trainable: Trainable = False, weights: str | Path | None = "imagenet",
    image_size: int | tuple[int, int] | None = None, epochs: int = 20,
    cache: str | Path | None = None, **options: Any,
) -> Candidate:  # fmt: skip
    """A network that has learnt on much data of another task, fitted to a part of ours.

    One network learns all tasks of the data. A picture's score is the share of its
    known labels, averaged over the tasks, that are right.

    Args:
        backbone: A name of `list_backbones()` or a Keras model of one's own.
        trainable: What is fitted: False the heads, "stage4" or a number of layers a
            tail, True everything.
        weights: The backbone's, as in `create_model`.
        image_size: Height and width, or one number, in pixels.
        epochs: Epochs of a fit, at most.
        cache: A folder that keeps features and finished scores for the next call.
        **options: Further options of `create_model` and of `fit`.

    Returns:
        A candidate for `learning_curve` over a Manifest with a test part.

    Raises:
        InputError: For options that there are not.

    Example:
        >>> transfer("MobileNetV2", trainable="stage4", epochs=10).settings.weights
        'imagenet'
        >>> transfer("MobileNetV2", epoch=10)
        Traceback (most recent call last):
        kerastl.errors.InputError: The networks cannot be trained so.
          there is no option 'epoch'. Did you mean ...?
    """
    settings = Settings(backbone, trainable, weights, image_size, epochs, options=options)
    return _Networks(settings, None if cache is None else Path(cache))


def scratch(backbone: Backbone, **options: Any) -> Candidate:
    """The same network from random weights: all of it learns from a part of our data alone.

    Each seed draws weights of its own, also in place of those of one's own model. All layers
    learn from the first step on, at one rate (`FRESH`). It needs more epochs than `transfer`.
    BatchNorm keeps its first statistics, as its averages lag where batches are few; with much
    data train_batch_norm=True may serve better.

    Args:
        backbone: As in `transfer`.
        **options: As in `transfer`, but for `weights` and `trainable`.

    Example:
        >>> scratch("MobileNetV2").settings.trainable
        True
    """
    one = transfer(backbone, **{**FRESH, **options, "weights": None, "trainable": True})
    return _Networks(one.settings, one.cache, fresh=True)


def joint(backbone: Backbone, **options: Any) -> Candidate:
    """One network for all tasks: `transfer` by the name of what it is held against."""
    return transfer(backbone, **options)


def separate(backbone: Backbone, **options: Any) -> Candidate:
    """A network of its own for each task.

    Args:
        backbone: As in `transfer`.
        **options: As in `transfer`.

    Example:
        >>> separate("MobileNetV2").separate
        True
    """
    one = transfer(backbone, **options)
    return _Networks(one.settings, one.cache, separate=True)


def end_to_end(
    train: Callable[[Any, int], Callable[[Any], Sequence[Any]]], inputs: Any, truths: Sequence[Any],
    right: Callable[[Any, Any], Any] | None = None,
) -> Candidate:  # fmt: skip
    """Whatever a user's function trains, scored on test examples of any kind.

    Args:
        train: Called with a part of the data and a seed; gives what answers a batch.
        inputs: The test examples, as a batch.
        truths: Their right answers.
        right: Called with an answer and its truth: the score, or whether it is right;
            by default whether they are equal. An answer None is never right.

    Returns:
        A candidate for `learning_curve` over data of any kind.

    Example:
        >>> def train(pairs, seed):
        ...     known = dict(pairs)
        ...     return lambda batch: [known.get(word) for word in batch]
        >>> candidate = end_to_end(train, ["one", "two"], ["un", "deux"])
        >>> candidate([("one", "un")], seed=0).tolist()
        [1.0, 0.0]
    """
    return _Answers(train, inputs, truths, right)


def staged(
    train: Callable[[Any, int], Pipeline], inputs: Any, truths: Sequence[Any],
    right: Callable[[Any, Any], Any] | None = None,
) -> Candidate:  # fmt: skip
    """A `Pipeline` whose learnt stages a user's function trains.

    Args:
        train: Called with a part of the data and a seed; gives the Pipeline.
        inputs: As in `end_to_end`.
        truths: As in `end_to_end`.
        right: As in `end_to_end`.
    """
    return _Answers(train, inputs, truths, right, Pipeline)


@dataclass(frozen=True)
class _Networks:
    settings: Settings
    cache: Path | None
    separate: bool = False
    fresh: bool = False

    def __call__(self, part: Manifest, seed: int) -> np.ndarray:
        if not isinstance(part, Manifest) or not part.has("test"):
            raise InputError("Expected a Manifest with a test part, on which networks are scored.")
        groups = [[task] for task in part.tasks] if self.separate else [list(part.tasks)]
        settings = _redrawn(self.settings, seed) if self.fresh else self.settings
        with Trials(settings, part, self.cache) as trials:
            found = [trials.run(group, seed, "test") for group in groups]
        return _shares([share for group, one in zip(groups, found, strict=True)
                        for share in _right(group, one)])  # fmt: skip


def _redrawn(settings: Settings, seed: int) -> Settings:
    backbone = settings.backbone
    if isinstance(backbone, keras.Model):
        keras.utils.set_random_seed(seed)
        backbone = keras.models.clone_model(backbone)
    return replace(settings, backbone=backbone, seed=seed)


def _right(tasks: Sequence[Task], found: Predictions) -> list[np.ndarray]:
    """By task, the share of each picture's known labels that are right; NaN without any."""
    shares = []
    for task in tasks:
        codes = codes_of(task, found.labels[task.name])
        known = codes >= 0 if codes.ndim == 1 else (codes >= 0).any(axis=1)
        share = np.full(len(codes), np.nan)
        a = answers(task, codes, found.scores[task.name])
        hits = (a.picked == a.truth) & a.seen
        whole = hits.all(axis=1) if task.kind != "multilabel" else hits.sum(1) / a.seen.sum(1)
        share[known] = whole
        shares.append(share)
    return shares


def _shares(shares: Sequence[np.ndarray]) -> np.ndarray:
    """The mean over tasks, of the pictures that have any known label."""
    found = average(np.stack(shares))
    if np.isnan(found).all():
        raise InputError("No label of the test part is known: there is nothing to score on.")
    return found[~np.isnan(found)]


@dataclass(frozen=True)
class _Answers:
    train: Callable[[Any, int], Callable[[Any], Sequence[Any]]]
    inputs: Any
    truths: Sequence[Any]
    right: Callable[[Any, Any], Any] | None = None
    kind: type | None = None

    def __call__(self, part: Any, seed: int) -> np.ndarray:
        answer = self.train(part, seed)
        if self.kind is not None and not isinstance(answer, self.kind):
            raise InputError(
                f"Expected train() to give a {self.kind.__name__}. Received: "
                f"{type(answer).__name__}. For anything else there is end_to_end."
            )
        given = list(answer(self.inputs))
        if len(given) != len(self.truths):
            raise InputError(
                f"Expected an answer for each of the {len(self.truths)} test examples. "
                f"Received: {len(given)}."
            )
        pairs = zip(given, self.truths, strict=True)
        return np.array([0.0 if a is None else float(self._score(a, t)) for a, t in pairs])

    def _score(self, answer: Any, truth: Any) -> Any:
        return np.array_equal(answer, truth) if self.right is None else self.right(answer, truth)
