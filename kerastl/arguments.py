"""From words on the command line to the values that Python takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kerastl.errors import InputError


def policy(text: str) -> bool | int | float | str:
    """The `trainable` policy that a word on the command line stands for.

    Example:
        >>> [policy(word) for word in ("heads", "all", "20", "0.25", "stage4")]
        [False, True, 20, 0.25, 'stage4']
    """
    named: dict[str, bool] = {"heads": False, "none": False, "all": True}
    if text.lower() in named:
        return named[text.lower()]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def reading(
    tasks: Sequence[str] | None,
    unknown: Sequence[str] | None,
    unsure: Sequence[str] | None,
    uncertain: Sequence[str] | None,
) -> dict[str, Any]:
    """How a table is read: the options that were given, as the readers take them.

    Example:
        >>> reading(None, None, ["maybe"], ["defect=0.5"])
        {'unsure': ['?', 'maybe'], 'uncertain': {'defect': 0.5}}
    """
    given = {"tasks": tasks, "unknown": unknown, "unsure": ["?", *unsure] if unsure else None}
    found: dict[str, Any] = {name: list(words) for name, words in given.items() if words}
    if uncertain:
        found["uncertain"] = _meaning(uncertain)
    return found


def _meaning(words: Sequence[str]) -> Any:
    """One meaning of "?" for every label, or a meaning for each of those named."""
    if len(words) == 1 and "=" not in words[0]:
        return _number_or_word(words[0])
    return pairs(words, "--uncertain")


def pairs(words: Sequence[str], option: str) -> dict[str, Any]:
    """NAME=VALUE words as a mapping, numbers as numbers.

    Raises:
        InputError: Naming every word that is none.

    Example:
        >>> pairs(["defect=1", "type=0.3"], "--task-weight")
        {'defect': 1.0, 'type': 0.3}
    """
    odd = [repr(word) for word in words if "=" not in word]
    if odd:
        raise InputError(f"Expected {option} NAME=VALUE. Received:", odd)
    split_words = [word.rpartition("=") for word in words]
    return {name: _number_or_word(value) for name, _, value in split_words}


def _number_or_word(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def none(text: str) -> str | None:
    """The word, or None where it is "none"."""
    return None if text.lower() == "none" else text
