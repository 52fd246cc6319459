"""The trials of a learning curve that are done, kept in a folder: none is run twice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from kerastl.curve_report import COLUMNS, as_frame
from kerastl.errors import InputError
from kerastl.files import as_folder, replacing, write_json
from kerastl.kept_settings import hold_to

SETTINGS, TRIALS = "settings.json", "kept.csv"
"""What the trials are of, and all of them, also those that a call does not ask for."""

Row = dict[str, Any]


@dataclass
class KeptTrials:
    """Trials that are done, written after each.

    Attributes:
        rows: The trials, of the columns of a `LearningCurve`'s frame.
        folder: Where they are kept; None keeps them nowhere.
    """

    rows: list[Row] = field(default_factory=list)
    folder: Path | None = None

    @classmethod
    def of(cls, folder: str | Path, settings: Mapping[str, Any]) -> KeptTrials:
        """What a folder keeps; it is told what its trials are of, or held to it.

        Args:
            folder: Need not be there.
            settings: All that decides what a trial comes to, the data among it.

        Raises:
            InputError: Where its trials are of other settings, naming each, or cannot be
                read.
        """
        folder, given = as_folder(folder), {name: str(value) for name, value in settings.items()}
        if not (folder / TRIALS).exists():
            write_json(folder / SETTINGS, given)
            return cls([], folder)
        damaged = f"{folder} holds trials that cannot be read. Give another folder."
        other = (
            f"{folder} holds a learning curve of other data or settings. Give another folder, "
            f"or delete {folder / TRIALS} to begin anew."
        )
        hold_to(folder / SETTINGS, given, other, damaged)
        return cls(_read(folder / TRIALS, damaged), folder)

    @property
    def done(self) -> set[tuple[str, int, int]]:
        """Candidate, size and seed of each."""
        return {(row["candidate"], row["size"], row["seed"]) for row in self.rows}

    def add(self, row: Row) -> None:
        """Keep one more."""
        self.rows.append(row)
        if self.folder is not None:
            with replacing(self.folder / TRIALS) as unfinished:
                as_frame(self.rows).to_csv(unfinished, index=False)


def _read(path: Path, damaged: str) -> list[Row]:
    """The trials that succeeded: the others are tried again."""
    try:
        frame = pd.read_csv(path, keep_default_na=False, na_values={"score": [""]},
                            dtype={"candidate": str, "failed": str})  # fmt: skip
        frame = frame[list(COLUMNS)].astype({"size": int, "seed": int, "score": float})
    except (OSError, ValueError, KeyError) as error:
        raise InputError(damaged) from error
    return frame[frame["failed"] == ""].to_dict("records")
