"""The trials of a learning curve that are done, kept in a folder: none is run twice."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from kerastl.curve_report import COLUMNS, Trial, as_frame, trial_of
from kerastl.errors import InputError
from kerastl.files import DIGEST, as_folder, replacing, write_json
from kerastl.kept_settings import hold_to
from kerastl.part_files import SUFFIX, DamagedPart, read_checked, write_checked

SETTINGS, TRIALS = "settings.json", "kept.csv"
"""What the trials are of, and all of them, also those that a call does not ask for."""

SCORES = "scores"
"""A folder with a file for each trial that gave a score for each test example."""

Row = dict[str, Any]


@dataclass
class KeptTrials:
    """Trials that are done, written after each.

    Attributes:
        rows: The trials, of the columns of a `LearningCurve`'s frame.
        folder: Where they are kept; None keeps them nowhere.
        scores: Of each trial that succeeded `[n]`, one for each test example.
    """

    rows: list[Row] = field(default_factory=list)
    folder: Path | None = None
    scores: dict[Trial, np.ndarray] = field(default_factory=dict)

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
        kept = cls([], folder)
        for row in _read(folder / TRIALS, damaged):
            kept._take(row)
        return kept

    @property
    def done(self) -> set[Trial]:
        """The trials that need not be run."""
        return set(map(trial_of, self.rows))

    def add(self, row: Row, scores: np.ndarray) -> None:
        """Keep one more: first what it scored, then that it is done."""
        self.rows.append(row)
        self.scores[trial_of(row)] = scores
        if self.folder is None:
            return
        if len(scores) > 1:
            path = self._path(row)
            path.parent.mkdir(parents=True, exist_ok=True)
            write_checked(path, {"tasks": [row["candidate"]]}, [scores])
        with replacing(self.folder / TRIALS) as unfinished:
            as_frame(self.rows).to_csv(unfinished, index=False)

    def _take(self, row: Row) -> None:
        """A trial of the folder, unless its scores are gone: then it is run again."""
        scores = np.array([row["score"]])
        if row["n"] > 1:
            try:
                _, [scores] = read_checked(self._path(row))
            except (FileNotFoundError, DamagedPart):
                return
        if scores.shape == (row["n"],):
            self.rows.append(row)
            self.scores[trial_of(row)] = scores

    def _path(self, row: Row) -> Path:
        told = json.dumps(trial_of(row)).encode()
        name = hashlib.blake2b(told, digest_size=DIGEST).hexdigest()
        return self.folder / SCORES / f"{name}{SUFFIX}"


def _read(path: Path, damaged: str) -> list[Row]:
    """The trials that succeeded: the others are tried again."""
    types = {"size": int, "seed": int, "n": int, "score": float}
    try:
        frame = pd.read_csv(path, keep_default_na=False, na_values={"score": [""]},
                            dtype={"candidate": str, "failed": str})  # fmt: skip
        frame = frame[list(COLUMNS)].astype(types)
    except (OSError, ValueError, KeyError) as error:
        raise InputError(damaged) from error
    return frame[frame["failed"] == ""].to_dict("records")
