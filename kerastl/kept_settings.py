"""The settings of kept work: what was begun with others does not go on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from kerastl.errors import InputError


def hold_to(path: Path, given: Mapping[str, str], other: str, damaged: str) -> None:
    """Compare settings with those that a file keeps.

    Args:
        path: A JSON file.
        given: Settings by name.
        other: What is said where they differ.
        damaged: What is said of a file that cannot be read.

    Raises:
        InputError: Naming each setting that differs.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp(), "settings.json")
        >>> size = path.write_text('{"epochs": "5"}')
        >>> hold_to(path, {"epochs": "5"}, "Another fit.", "Damaged.")
        >>> hold_to(path, {"epochs": "9", "seed": "1"}, "Another fit.", "Damaged.")
        Traceback (most recent call last):
        kerastl.errors.InputError: Another fit.
          epochs: 5 there, 9 here
          seed: not given there, 1 here
    """
    there = _read(path, damaged)
    faults = [
        f"{name}: {there.get(name, 'not given')} there, {given.get(name, 'not given')} here"
        for name in sorted({*there, *given})
        if there.get(name) != given.get(name)
    ]
    if faults:
        raise InputError(other, faults)


def _read(path: Path, damaged: str) -> dict[str, str]:
    try:
        there = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(damaged) from error
    if not isinstance(there, dict):
        raise InputError(damaged)
    return there
