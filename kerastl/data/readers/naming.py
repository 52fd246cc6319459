"""What the names of folders and columns say: a split, a picture, a group, a number, a label."""

from __future__ import annotations

import itertools
import re
from collections.abc import Collection, Sequence

from kerastl.data.manifest import SPLITS

_WORD = re.compile(r"[^\W\d_]+|\d+|#")
_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])")


def name_words(name: str) -> tuple[str, ...]:
    """The words of a name, in lower case.

    Example:
        >>> name_words("Patient ID"), name_words("seg_train2"), name_words("imageName")
        (('patient', 'id'), ('seg', 'train', '2'), ('image', 'name'))
    """
    return tuple(_WORD.findall(_HUMP.sub(" ", name).lower()))


def _singular(word: str) -> str:
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word


SPLIT_WORDS = {s: s for s in SPLITS} | {"valid": "val", "validation": "val"}
"""The names that a division has without a word said about them."""

_OTHER_WORDS = SPLIT_WORDS | {
    **dict.fromkeys(("training", "trainset", "traindata"), "train"),
    **dict.fromkeys(("validate", "validating", "valset", "dev", "devel", "development"), "val"),
    **dict.fromkeys(("eval", "evaluation"), "val"),
    **dict.fromkeys(("testing", "testset", "testdata", "holdout", "heldout"), "test"),
}
_FILLERS = frozenset((
    "set", "data", "dataset", "image", "img", "pic", "picture", "photo", "split", "part",
    "folder", "subset", "fold", "sample"
))  # fmt: skip


def split_of(name: str) -> str | None:
    """The split that a name stands for, or None.

    Example:
        >>> [split_of(n) for n in ("Training", "test set", "train_images", "hold-out", "tests")]
        ['train', 'test', 'train', 'test', 'test']
        >>> [split_of(n) for n in ("train_station", "seg_train", "trains", "bus")]
        [None, None, 'train', None]
    """
    found, rest = _split_and_rest(name)
    return found if found and not set(rest) - _FILLERS else None


def splits_of(names: Sequence[str]) -> dict[str, str]:
    """The splits that the names of folders beside each other stand for, by name.

    What stands around the word of a split has to be of no meaning ("set", "images"), the same at
    several ("seg_train", "seg_test"), or at every name there is.

    Example:
        >>> splits_of(["seg_train", "seg_test", "seg_pred"])
        {'seg_train': 'train', 'seg_test': 'test'}
        >>> splits_of(["test_tube", "train_toy", "ball"]), splits_of(["train_jan", "test_feb"])
        ({}, {'train_jan': 'train', 'test_feb': 'test'})
    """
    parts = {name: _split_and_rest(name) for name in names}
    like = {name: split for name, (split, _) in parts.items() if split}
    if len(like) == len(names) and len(set(like.values())) > 1:
        return like
    sides: dict[tuple[str, ...], set[str]] = {}
    for name, split in like.items():
        sides.setdefault(parts[name][1], set()).add(split)
    return {
        name: split
        for name, split in like.items()
        if not set(parts[name][1]) - _FILLERS or len(sides[parts[name][1]]) > 1
    }


def _split_and_rest(name: str) -> tuple[str | None, tuple[str, ...]]:
    """The split that one word of a name stands for, and its other words without a plural."""
    words = [_singular(word) for word in name_words(name)]
    if ("hold", "out") in itertools.pairwise(words):
        at = words.index("hold")
        words[at : at + 2] = ["holdout"]
    splits = [w for w in words if w in _OTHER_WORDS]
    if len({_OTHER_WORDS[w] for w in splits}) != 1:
        return None, ()
    return _OTHER_WORDS[splits[0]], tuple(w for w in words if w not in _OTHER_WORDS)


def split_column(columns: dict[str, Collection[str]]) -> str | None:
    """The one column all of whose words are splits, train and another, or None.

    Example:
        >>> split_column({"set": {"Training", "Testing"}, "kind": {"train", "bus"}})
        'set'
    """
    found = [
        name
        for name, words in columns.items()
        if len(splits := {split_of(word) for word in words}) > 1
        and "train" in splits
        and None not in splits
    ]
    return found[0] if len(found) == 1 else None


_PICTURE = frozenset((
    "image", "img", "picture", "pic", "photo", "file", "path", "filename", "filepath", "imagename",
))  # fmt: skip
_POINTER = _PICTURE | frozenset(["name", "id", "index", "code", "key", "location"])


def names_pictures(column: str) -> bool:
    """Whether a column's name is one of those under which pictures are listed.

    Example:
        >>> [names_pictures(c) for c in ("Path", "Image Index", "id_code", "image_label", "name")]
        [True, True, True, False, False]
    """
    words = {_singular(word) for word in name_words(column)}
    return words == {"id", "code"} or (bool(words & _PICTURE) and not words - _POINTER)


_GROUPS = (
    "patient", "subject", "participant", "donor", "person", "case", "lesion", "slide", "specimen",
    "study", "session", "video", "clip", "sequence", "plate", "visit", "site", "hospital", "centre",
    "center",
)  # fmt: skip
_NUMBERS = frozenset((
    "id", "ids", "uid", "uuid", "guid", "nr", "no", "num", "number", "code", "key", "name",
    "index", "idx", "#"
))  # fmt: skip
_LABELS = frozenset((
    "label", "class", "classe", "category", "target", "specie", "breed", "diagnosi", "diagnosis",
    "finding", "tag", "grade", "kind", "type", "genre", "y"
))  # fmt: skip


def group_rank(column: str) -> int | None:
    """How widely a column's name groups pictures, the widest first; None for other names.

    Example:
        >>> group_rank("Patient ID"), group_rank("site") > group_rank("lesion_id")
        (0, True)
        >>> group_rank("Patient Age"), group_rank("camera_id")
        (None, None)
    """
    words = [w for w in name_words(column) if w not in _NUMBERS]
    known = len(words) == 1 and _singular(words[0]) in _GROUPS
    return _GROUPS.index(_singular(words[0])) if known else None


def numbers_rows(column: str) -> bool:
    """Whether a column's name says that it numbers rows or things, and no class.

    Example:
        >>> [numbers_rows(c) for c in ("id", "Unnamed: 0", "Follow-up #", "idx", "class_id")]
        [True, True, True, True, False]
    """
    words = name_words(column)
    if not words or names_labels(column):
        return False
    unnamed = words[0] == "unnamed" and len(words) == 2
    return unnamed or names_things(column) or words[-1] in {"index", "idx", "row", "#"}


def names_things(column: str) -> bool:
    """Whether a column's name says that it holds ids, and not of classes."""
    words = name_words(column)
    return words[-1:] in {("id",), ("ids",), ("uid",), ("uuid",), ("guid",)} and not names_labels(
        column
    )


def names_labels(column: str) -> bool:
    """Whether a column's name says that its words are classes, whatever they look like."""
    return bool({_singular(word) for word in name_words(column)} & _LABELS)


def names_age(column: str) -> bool:
    """Whether a column's name is that of an age."""
    return "age" in name_words(column)
