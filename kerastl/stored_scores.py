"""A network's scores for a part of the data, from stored features, and the file they go to."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import keras
import numpy as np

from kerastl.cuts import split
from kerastl.engines import forward
from kerastl.evaluation import Predictions, predict_scores
from kerastl.features import extract_features
from kerastl.files import replacing
from kerastl.manifest import Manifest
from kerastl.sources import worthwhile_cut
from kerastl.spec import spec_of
from kerastl.tasks import Task, by_task, class_scores


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
    return Predictions(scores, dict(found.labels), found.rows, dict(data.skipped))


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
