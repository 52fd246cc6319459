"""From a TensorFlow Datasets builder to a manifest; its pictures are written out once, as files."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from kerastl.data.manifest import Manifest
from kerastl.data.readers.assembly import assemble
from kerastl.data.readers.naming import SPLIT_WORDS
from kerastl.data.splits import FRACTIONS, check_fractions
from kerastl.data.tasks import UNKNOWN, Task
from kerastl.errors import InputError, nearest

INDEX = "kerastl.json"
"""The file that ends a written folder: it lists the pictures with their labels."""

SUFFIXES = {b"\xff\xd8\xff": ".jpg", b"\x89PNG": ".png", b"GIF8": ".gif", b"BM": ".bmp"}


def read_tfds(
    name_or_builder: Any,
    *,
    tasks: str | Iterable[str] | None = None,
    image: str | None = None,
    split: str | Sequence[str] | None = None,
    folder: str | os.PathLike | None = None,
    fractions: Sequence[float] = FRACTIONS,
    seed: int = 0,
) -> Manifest:
    """Read a dataset of TensorFlow Datasets.

    The encoded pictures are written to files as they are, once; the next call
    finds them there. Those of `tfds.ImageFolder` are files already and stay
    where they are.

    Args:
        name_or_builder: A dataset's name, which may download it, or a builder.
        tasks: The ClassLabel features to use; all by default. Each becomes a task.
        image: The feature that holds the picture, where there are several.
        split: One TFDS split, which is then divided by `fractions`; or several
            of train, validation and test, which are kept. By default those of
            the three that are there, or the only one there is.
        folder: Where to write the pictures; `<builder.data_dir>/kerastl` by default.
        fractions: The shares of train, val and test.
        seed: Seed of the division.

    Returns:
        The manifest, split.

    Raises:
        InputError: For a dataset that is not there, or without labels or pictures.

    Example:
        >>> read_tfds(3)
        Traceback (most recent call last):
        kerastl.errors.InputError: Expected a dataset's name or a builder. Received: 3.
    """
    check_fractions(fractions)
    builder = _builder(name_or_builder)
    image = _image_feature(builder, image)
    found = _tasks(builder, tasks)
    parts = _splits(builder, split)
    kept = len(parts) > 1
    rows = []
    for part in parts:
        records = _records(builder, part, image, found, folder)
        rows += [{"split": SPLIT_WORDS.get(part), **record} for record in records]
    frame = pd.DataFrame(rows)
    frame = frame if kept else frame.drop(columns="split")
    names = frame.pop("name").tolist()
    return assemble(frame, found, fractions=fractions, seed=seed, names=names, stable=False)


def _builder(given: Any) -> Any:
    if not isinstance(given, str) and not hasattr(given, "as_dataset"):
        raise InputError(f"Expected a dataset's name or a builder. Received: {given!r}.")
    try:
        import tensorflow_datasets as tfds
    except ImportError:
        raise InputError(
            "read_tfds needs tensorflow-datasets. Try: pip install tensorflow-datasets"
        ) from None
    builder = _named(tfds, given) if isinstance(given, str) else given
    if not builder.info.splits:
        _prepare(builder)
    return builder


def _named(tfds: Any, name: str) -> Any:
    try:
        return tfds.builder(name)
    except tfds.core.DatasetNotFoundError:
        hint = nearest(name, tfds.list_builders())
        raise InputError(f"There is no TFDS dataset {name!r}.{hint}") from None


def _prepare(builder: Any) -> None:
    try:
        builder.download_and_prepare()
    except Exception as error:  # builders raise what they like: no connection, no space, no licence
        raise InputError(
            f"The TFDS dataset {builder.info.full_name} is not prepared in {builder.data_dir} "
            f"and could not be made: {type(error).__name__}: {error}. Prepare it where there is "
            "a connection and copy that folder."
        ) from error


def _image_feature(builder: Any, image: str | None) -> str:
    from tensorflow_datasets.core import features

    there = [n for n, f in builder.info.features.items() if isinstance(f, features.Image)]
    if image is None and len(there) == 1:
        return there[0]
    if image not in there:
        got = "" if image is None else f" Received: image={image!r}."
        listed = ", ".join(there) or "none"
        raise InputError(f"Expected image= to name a feature of pictures: {listed}.{got}")
    return image


def _tasks(builder: Any, tasks: str | Iterable[str] | None) -> list[Task]:
    from tensorflow_datasets.core import features

    there = {n: f for n, f in builder.info.features.items() if isinstance(f, features.ClassLabel)}
    wanted = list(there) if tasks is None else [tasks] if isinstance(tasks, str) else list(tasks)
    missing = [name for name in wanted if name not in there]
    if missing or not wanted:
        listed = ", ".join(there) or "none"
        got = f" Received: {', '.join(map(str, missing))}." if missing else ""
        raise InputError(f"Expected tasks of the dataset's ClassLabel features: {listed}.{got}")
    return [Task(n, tuple(map(there[n].int2str, range(there[n].num_classes)))) for n in wanted]


def _splits(builder: Any, split: str | Sequence[str] | None) -> list[str]:
    there = list(builder.info.splits)
    if isinstance(split, str):
        return [_known_split(builder, split)]
    parts = [s for s in there if s in SPLIT_WORDS] if split is None else list(split)
    if not parts and len(there) == 1:
        return there
    words = [SPLIT_WORDS.get(s) for s in parts]
    if len(parts) == 1 or (
        "train" in words and None not in words and len(set(words)) == len(words)
    ):
        return parts
    raise InputError(
        f"Expected split= as one TFDS split, or train with validation or test. "
        f"Received: {', '.join(map(str, parts)) or 'none'}; the dataset has {', '.join(there)}."
    )


def _known_split(builder: Any, split: str) -> str:
    try:
        builder.info.splits[split]
    except (KeyError, ValueError) as error:
        raise InputError(f"The dataset has no split {split!r}: {error}") from error
    return split


def _records(
    builder: Any,
    split: str,
    image: str,
    tasks: Sequence[Task],
    folder: str | os.PathLike | None,
) -> list[dict[str, Any]]:
    """One dict a picture: its file as `image`, its `name` for the division, its codes."""
    import tensorflow_datasets as tfds

    if isinstance(builder, tfds.ImageFolder):
        return [_in_place(builder, e, tasks) for e in _examples(builder, split, image)]
    base = os.path.join(builder.data_dir, "kerastl") if folder is None else os.fspath(folder)
    target = os.path.join(base, _folder_name(builder, split, image, tasks))
    if not os.path.exists(os.path.join(target, INDEX)):
        _write(builder, split, image, tasks, target)
    with open(os.path.join(target, INDEX), encoding="utf-8") as file:
        index = json.load(file)
    return [{**r, "image": os.path.join(target, os.path.basename(r["image"]))} for r in index]


def _in_place(builder: Any, example: Mapping[str, Any], tasks: Sequence[Task]) -> dict[str, Any]:
    path = os.fsdecode(example["image/filename"])
    name = os.path.relpath(path, builder.data_dir)
    return {"image": path, "name": name, **_labels(example, tasks)}


def _folder_name(builder: Any, split: str, image: str, tasks: Sequence[Task]) -> str:
    """A name that another version, split or choice of tasks does not share."""
    size = builder.info.splits[split].num_examples
    what = [builder.info.full_name, split, size, image, [t.to_dict() for t in tasks]]
    digest = hashlib.blake2b(json.dumps(what).encode(), digest_size=5).hexdigest()
    return f"{re.sub(r'[^A-Za-z0-9]', '_', split)}-{digest}"


def _write(builder: Any, split: str, image: str, tasks: Sequence[Task], target: str) -> None:
    unfinished = f"{target}.{os.getpid()}.tmp"
    try:
        os.makedirs(unfinished)
        records = [
            _write_one(unfinished, f"{split}/{i:07d}", example, image, tasks)
            for i, example in enumerate(_examples(builder, split, image))
        ]
        with open(os.path.join(unfinished, INDEX), "w", encoding="utf-8") as file:
            json.dump(records, file)
        os.replace(unfinished, target)
    except OSError as error:
        raise InputError(f"The pictures could not be written to {target}: {error}.") from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _write_one(
    folder: str, name: str, example: Mapping[str, Any], image: str, tasks: Sequence[Task]
) -> dict[str, Any]:
    encoded = bytes(example[image])
    suffix = next((s for start, s in SUFFIXES.items() if encoded.startswith(start)), ".png")
    file_name = os.path.basename(name) + suffix
    with open(os.path.join(folder, file_name), "wb") as file:
        file.write(encoded)
    return {"image": file_name, "name": name, **_labels(example, tasks)}


def _labels(example: Mapping[str, Any], tasks: Sequence[Task]) -> dict[str, int]:
    return {t.name: max(int(example[t.name]), UNKNOWN) for t in tasks}


def _examples(builder: Any, split: str, image: str) -> Iterator[Mapping[str, Any]]:
    import tensorflow_datasets as tfds

    decoders = {image: tfds.decode.SkipDecoding()}
    if builder.info.file_format == tfds.core.FileFormat.ARRAY_RECORD:
        yield from builder.as_data_source(split=split, decoders=decoders)
    else:
        data = builder.as_dataset(split=split, decoders=decoders, shuffle_files=False)
        yield from data.as_numpy_iterator()
