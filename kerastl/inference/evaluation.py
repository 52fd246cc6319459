"""From a model and data to scores: one forward pass, then figures and thresholds."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kerastl.data.batches import Batch, iter_batches
from kerastl.data.division import FILE, HELD_OUT, Division, run_of
from kerastl.data.manifest import Manifest
from kerastl.data.tasks import Task, by_task, class_scores
from kerastl.errors import InputError
from kerastl.features.engines import forward
from kerastl.features.extract import extract_features
from kerastl.files import replacing
from kerastl.inference.predictors import Predictor, as_predictor
from kerastl.models.cuts import split
from kerastl.models.spec import spec_of, with_spec
from kerastl.scoring.scores import Scores, score
from kerastl.scoring.thresholds import Thresholds, check_options, choose_thresholds
from kerastl.training.sources import worthwhile_cut


@dataclass(frozen=True)
class Predictions:
    """A model's scores for some pictures.

    Args:
        scores: By task `[n, classes]`, one score per class name.
        labels: By task, as a Manifest's `labels()` (of which the uncertain ones
            are unknown); None where none were given.
        rows: int `[n]`, the position in the data of each scored picture.
        skipped: Path and cause of each picture that could not be read.
        groups: int `[n]`, the group of each scored picture; None where there are none.
    """

    scores: dict[str, np.ndarray]
    labels: dict[str, np.ndarray] | None
    rows: np.ndarray
    skipped: dict[str, str]
    groups: np.ndarray | None = None


def evaluate(
    model: keras.Model | Predictor | str | Path,
    data: Any,
    *,
    draws: int = 1000,
    seed: int = 0,
    batch_size: int = 32,
) -> Scores:
    """Score a model on labelled pictures.

    Args:
        model: A kerastl model, or a saved or exported one (or its path).
        data: A Manifest (of which `scored_part` is scored), or
            (images, labels) arrays, or a batched `tf.data.Dataset` of such. Where the model
            is a path in the folder of a run, a Manifest is divided as that run has seen it.
        draws: Bootstrap draws behind the intervals that need them; 0 for no intervals.
        seed: Seed of the draws.
        batch_size: Pictures in a batch.

    Returns:
        The `Scores`, each with the number of known labels behind it, decided at
        the model's thresholds. A label that is uncertain is never scored, whatever
        training takes it for. Pictures that could not be read are left out, and
        counted in the notes.

    Raises:
        InputError: For data without labels, or that the model does not fit.

    Example:
        >>> from kerastl.models import classifier
        >>> x = keras.Input((8, 8, 3))
        >>> own = keras.Model(x, keras.layers.Conv2D(2, 3, name="conv")(x))
        >>> model = classifier(own, ["cat", "dog"], image_size=8)
        >>> images, codes = np.zeros((4, 8, 8, 3), "uint8"), np.array([0, 1, -1, -1])
        >>> evaluate(model, (images, codes)).get("label", "accuracy")
        0.5
    """
    predictor, notes = as_predictor(model), []
    run = run_of(Path(model)) if isinstance(model, (str, Path)) else None
    if run is not None and isinstance(data, Manifest):
        data, seen = Division.read(run / FILE).applied(data)
        if data.has(HELD_OUT) and seen:
            notes = [f"Pictures that were trained or tuned on, and are not counted: {seen}."]
        elif seen:
            notes = ["Nothing was held out: all pictures were trained or tuned on."]
    found = predict_scores(predictor, data, batch_size=batch_size)
    if found.labels is None:
        raise InputError("Expected data with labels: a Manifest, or (images, labels).")
    scores = score(
        predictor.tasks, found.labels, found.scores,
        thresholds=predictor.thresholds, groups=found.groups, draws=draws, seed=seed,
    )  # fmt: skip
    if found.skipped:
        notes.append(f"Pictures that could not be read, and are not counted: {len(found.skipped)}.")
    return replace(scores, notes=(*scores.notes, *notes))


def predict_scores(
    model: keras.Model | Predictor | str | Path, data: Any, *, batch_size: int = 32
) -> Predictions:
    """Class scores for every picture that can be read.

    Args:
        model: As in `evaluate`.
        data: As in `evaluate`; images alone will do too.
        batch_size: Pictures in a batch.

    Returns:
        The `Predictions`, in the order of the data.

    Raises:
        InputError: If there is no picture to score, or data and model do not fit.
    """
    predictor = as_predictor(model)
    data = scored_part(data)[0] if isinstance(data, Manifest) else data
    scores, labels, rows = [], [], []
    for batch in batches_of(predictor, data, batch_size=batch_size):
        scores.append(predictor.predict(batch.images))
        labels.append(batch.labels)
        rows.append(batch.rows)
    if not rows:
        raise InputError("Expected at least one picture that can be read. There is none.")
    known = None if labels[0] is None else join(labels)
    rows = np.concatenate(rows)
    return Predictions(join(scores), known, rows, _skipped(data), groups_of(data, rows))


def groups_of(data: Any, rows: np.ndarray) -> np.ndarray | None:
    """The groups of some rows of the data; None where they come in none."""
    groups = data.groups if isinstance(data, Manifest) else None
    return None if groups is None else groups[rows]


SCORED = {
    "test": "held-out pictures",
    "val": "validation pictures, which also chose the epoch",
    "train": "pictures that were trained on",
}
"""What the pictures of each part are, in words."""


def scored_part(data: Manifest) -> tuple[Manifest, str]:
    """What of a Manifest is scored, and what these pictures are: held out, as far as some are.

    Returns:
        Its test part where it has one, else its val part, else its train part; without a
        division all of it. What is uncertain is unknown there. And `SCORED`'s word for it.

    Example:
        >>> import pandas as pd
        >>> frame = pd.DataFrame({"image": ["a", "b"], "split": ["train", "val"], "t": [0, 1]})
        >>> part, words = scored_part(Manifest(frame, Task("t", ["x", "y"])))
        >>> part.frame["image"].tolist(), words
        (['b'], 'validation pictures, which also chose the epoch')
    """
    for name, words in SCORED.items():
        if data.has(name):
            return data.split(name).certain(), words
    return data.certain(), "pictures"


def batches_of(
    predictor: Predictor,
    data: Any,
    *,
    batch_size: int = 32,
    most: int | None = None,
    seed: int = 0,
) -> Iterator[Batch]:
    """Batches of the images that a predictor takes, with its tasks' labels.

    Args:
        predictor: Whose tasks and image size to keep to.
        data: A Manifest, arrays or a dataset, all of it.
        batch_size: Pictures in a batch.
        most: Use at most so many: drawn by `seed`; of a dataset, its first.
        seed: Seed of that choice.

    Raises:
        InputError: For a Manifest of other tasks, or data of another form.
    """
    if batch_size < 1:
        raise InputError(f"Expected a batch_size of at least 1. Received: {batch_size}.")
    if isinstance(data, Manifest):
        _check_tasks(predictor.tasks, data.tasks)
    count = 0
    data = data if most is None else _some(data, most, seed)
    for batch in iter_batches(data, predictor.tasks, predictor.image_size, batch_size):
        yield batch
        count += len(batch.images)
        if most is not None and count >= most:
            return


def _some(data: Any, most: int, seed: int) -> Any:
    """A Manifest or arrays cut down to `most` rows, drawn by seed and kept in order."""
    pair = data if isinstance(data, tuple) else (data,)
    if not isinstance(pair[0] if pair else None, (Manifest, np.ndarray)) or len(pair[0]) <= most:
        return data
    rows = np.sort(np.random.default_rng(seed).permutation(len(pair[0]))[:most])
    if isinstance(data, Manifest):
        return data.take(rows)
    # Labels of another length stay as they are, for iter_batches to refuse.
    return tuple(_at(part, rows, len(pair[0])) for part in pair)


def _at(values: Any, rows: np.ndarray, n: int) -> Any:
    if isinstance(values, Mapping):
        return {name: _at(one, rows, n) for name, one in values.items()}
    array = np.asarray(values)
    return array[rows] if array.ndim and len(array) == n else values


def _check_tasks(model: tuple[Task, ...], data: tuple[Task, ...]) -> None:
    have = {t.name: t for t in data}
    faults = [f"the model has {t}, the data {have.get(t.name)}" for t in model
              if have.get(t.name) != t]  # fmt: skip
    if faults:
        raise InputError("Expected data with the model's tasks, classes in the same order.", faults)


def _skipped(data: Any) -> dict[str, str]:
    if not isinstance(data, Manifest):
        return {}
    ours = set(data.frame["image"])
    return {path: cause for path, cause in data.skipped.items() if path in ours}


def join(parts: Sequence[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """The arrays of several batches as one array by task."""
    return {name: np.concatenate([p[name] for p in parts]) for name in parts[0]}


def stored_scores(
    model: keras.Model, data: Manifest, part: str, *, cache: Path, engine: str = "auto"
) -> Predictions:
    """Score the pictures of a part, with the features of the frozen part from a folder.

    Args:
        model: A kerastl model.
        data: Pictures with that part.
        part: "train", "val" or "test".
        cache: The folder of the features; what is missing there is made and kept.
        engine: What runs the frozen part, as in `fit`.

    Returns:
        The `Predictions`, with the certain labels. They are those of `predict_scores`
        within rounding.
    """
    data, tasks, cut = data.split(part).certain(), spec_of(model).tasks, worthwhile_cut(model)
    if cut is None:
        return predict_scores(model, data)
    prefix, tail = split(model, cut.layer)
    found = extract_features(prefix, data, tasks=tasks, cache=cache, engine=engine)
    scores = _tail_scores(tail, tasks, found.values)
    groups = groups_of(data, found.rows)
    return Predictions(scores, dict(found.labels), found.rows, dict(data.skipped), groups)


def write_scores(
    path: Path, tasks: Sequence[Task], rows: np.ndarray, scores: Sequence[Mapping[str, np.ndarray]]
) -> None:
    """Keep the scores of one network or several for the same pictures.

    Args:
        path: The file, an .npz.
        tasks: What the networks predict.
        rows: int `[n]`, the position in the data of each picture.
        scores: Of each network by task, `[n, classes]`.

    Example:
        >>> import tempfile
        >>> task, path = Task("a", ["b", "c"]), Path(tempfile.mkdtemp()) / "scores.npz"
        >>> write_scores(path, [task], np.array([7]), [{"a": np.array([[0.2, 0.8]])}])
        >>> scores, rows = read_scores(path, [task])
        >>> len(scores), scores[0]["a"].tolist(), rows.tolist()
        (1, [[0.2, 0.8]], [7])
    """
    flat = [of_one[t.name] for of_one in scores for t in tasks]
    with replacing(path) as unfinished, open(unfinished, "wb") as file:
        np.savez(file, rows=rows, **{f"scores_{i}": s for i, s in enumerate(flat)})


def read_scores(
    path: Path, tasks: Sequence[Task]
) -> tuple[tuple[dict[str, np.ndarray], ...], np.ndarray] | None:
    """What `write_scores` wrote: each network's scores by task, and the rows.

    Args:
        path: The file.
        tasks: As when it was written.

    Returns:
        None where there is no such file, or it is not of these tasks.
    """
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as kept:
            rows = kept["rows"]
            flat = [kept[f"scores_{i}"] for i in range(len(kept.files) - 1)]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    shapes = [(len(rows), len(task.classes)) for task in tasks]
    count, rest = divmod(len(flat), len(tasks))
    if rest or not count or [s.shape for s in flat] != shapes * count:
        return None
    names = [task.name for task in tasks]
    each = (flat[i : i + len(names)] for i in range(0, len(flat), len(names)))
    return tuple(dict(zip(names, scores, strict=True)) for scores in each), rows


def _tail_scores(
    tail: keras.Model, tasks: Sequence[Task], features: np.ndarray, batch_size: int = 64
) -> dict[str, np.ndarray]:
    """Class scores by task from stored features `[n, 1, ...]`."""
    run = forward(tail)
    parts = [
        by_task(tasks, run(features[i : i + batch_size, 0]))
        for i in range(0, len(features), batch_size)
    ]
    logits = {t.name: np.concatenate([p[t.name] for p in parts]) for t in tasks}
    return {t.name: class_scores(t, logits[t.name]).astype("float32") for t in tasks}


def tune_thresholds(
    model: keras.Model,
    data: Any,
    *,
    metric: str = "f1",
    draws: int = 200,
    seed: int = 0,
    batch_size: int = 32,
) -> Thresholds:
    """Choose each label's threshold on validation pictures, and store it with the model.

    `evaluate`, `predict`, `save_model` and `export` then keep to it. See
    `choose_thresholds` for how it is chosen.

    Args:
        model: A kerastl model; its spec gets the thresholds.
        data: A Manifest (its val part; all of it where it has no splits), or
            (images, labels) arrays, or a batched `tf.data.Dataset` of such. Not
            what the model is to be scored on afterwards.
        metric: "f1", "accuracy" or "balanced_accuracy".
        draws: Bootstrap draws over the pictures.
        seed: Seed of the draws.
        batch_size: Pictures in a batch.

    Returns:
        The `Thresholds`.

    Raises:
        InputError: For data without labels, a Manifest with splits but no val part,
            or another metric.

    Example:
        >>> from kerastl.models import multilabel_classifier
        >>> x = keras.Input((8, 8, 3))
        >>> own = keras.Model(x, keras.layers.Conv2D(2, 3, name="conv")(x))
        >>> model = multilabel_classifier(own, ["sun"], image_size=8)
        >>> grey = np.arange(20, dtype="uint8")[:, None, None, None]
        >>> images, labels = grey * np.ones((8, 8, 3), "uint8"), grey[:, 0, 0] > 9
        >>> tuned = tune_thresholds(model, (images, labels))
        >>> spec_of(model).thresholds == tuned.values
        True
    """
    spec = spec_of(model)
    check_options(metric, draws)
    found = predict_scores(model, _validation(data), batch_size=batch_size)
    if found.labels is None:
        raise InputError("Expected data with labels: a Manifest, or (images, labels).")
    chosen = choose_thresholds(
        spec.tasks, found.labels, found.scores, metric=metric, draws=draws, seed=seed
    )
    with_spec(model, spec, thresholds=chosen.values)
    return chosen


def _validation(data: Any) -> Any:
    if not isinstance(data, Manifest) or not data.splits:
        return data
    if not data.has("val"):
        raise InputError(
            "Expected a Manifest with a val part, on which thresholds are tuned. Its splits are: "
            f"{', '.join(data.splits)}. Give one with val, or (images, labels) that were neither "
            "trained on nor are to be scored."
        )
    return data.split("val")
