"""All trials of a search, the best of each depth, and the choice among them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from kerastl.data.tasks import Task, as_tasks
from kerastl.errors import InputError
from kerastl.files import replacing
from kerastl.scoring.trial_scores import (
    MEASURES,
    TrialScore,
    finite,
    left_out,
    measure_name,
    score_faults,
    score_trials,
    trial_score,
)
from kerastl.tuning.depth_choice import chosen_depth, depth_lines, depth_table, sentence
from kerastl.tuning.leaderboard_plot import plot_leaderboard

__all__ = ["Leaderboard", "TrialRecord", "leaderboard", "trial_score"]

UNDEFINED = "its score is undefined: no task has the known labels in val that it needs"
OWN = "tuner/"
"""How the names of those values begin that a tuner keeps for itself."""


@dataclass(frozen=True)
class TrialRecord:
    """What is left of a trial.

    Attributes:
        trial_id: The tuner's name for it.
        values: The hyperparameters by name, "trainable" among them.
        layers: Layers of the backbone that trained.
        epochs: Epochs of all its executions.
        seconds: They took.
        failure: Why it has no scores, else "".
        scores: For each execution the scores of val by task, `[pictures, classes]`.
    """

    trial_id: str
    values: Mapping[str, Any]
    layers: int
    epochs: int
    seconds: float
    failure: str = ""
    scores: tuple[Mapping[str, np.ndarray], ...] = ()


@dataclass(frozen=True)
class Leaderboard:
    """All trials of a search, and how many layers to unfreeze by them.

    The choice is by the one-standard-error rule: the fewest layers whose best trial is
    within one standard error of the best of all. Selection flatters: the best of many
    trials looks better on val than it is, and a depth that was tried more often has had
    more luck. What the winner is worth, the test part says.

    Attributes:
        frame: A row a trial, best first and failed ones last: trial, trainable, layers,
            the other hyperparameters, score, standard_error, low, high (the 95 % interval),
            n (pictures), executions, with several tasks each one's AUC or accuracy, epochs,
            seconds, status ("done" or "failed: ...").
        depths: A row a depth, fewest layers first, as in `depth_table`: its best trial, the
            difference to the best of all with its 95 % interval, and the verdict.
        chosen: The trial that was chosen.
        sentence: The choice, with the numbers.
        measure: What the score is, in words.
        notes: What had no part in the score, what failed, and what to mind.
    """

    frame: pd.DataFrame
    depths: pd.DataFrame
    chosen: str
    sentence: str
    measure: str
    notes: tuple[str, ...] = ()

    def write(self, folder: str | Path) -> None:
        """Write leaderboard.csv, depths.csv and leaderboard.png, each whole or not at all."""
        folder = Path(folder)
        for name, frame in (("leaderboard.csv", self.frame), ("depths.csv", self.depths)):
            with replacing(folder / name) as unfinished:
                frame.to_csv(unfinished, index=False)
        plot_leaderboard(self.frame, self.depths, self.measure, folder / "leaderboard.png")

    def __str__(self) -> str:
        return "\n".join([*depth_lines(self.depths), "", self.sentence, *self.notes])


def leaderboard(
    records: Sequence[TrialRecord],
    tasks: Task | Iterable[Task],
    labels: Mapping[str, np.ndarray],
    *,
    groups: np.ndarray | None = None,
    draws: int = 1000,
    seed: int = 0,
) -> Leaderboard:
    """Order trials by their score on val, and choose a depth among them.

    The score is `trial_score`, the mean over executions. Intervals and standard errors hold
    the pictures at hand, with the same draws of them for all trials, and how each execution
    happened to go, as in `difference`. With one execution a trial they speak of
    the pictures only.

    Args:
        records: What is left of the trials, each with as many executions.
        tasks: The tasks.
        labels: By task, the labels of the pictures that the scores are of; unknown is -1.
        groups: The group of each of these pictures, as in `score`.
        draws: Draws of pictures, or of groups.
        seed: Of the draws.

    Returns:
        The `Leaderboard`.

    Raises:
        InputError: Where no trial has a score, with the reasons, and for scores that do not
            fit the labels.

    Example:
        >>> task, truth = Task("kind", ["a", "b"]), np.tile([0, 1], 20)
        >>> def record(trial, word, layers, wrong):
        ...     guess = np.where(np.arange(40) < wrong, 1 - truth, truth)
        ...     values = {"trainable": word, "learning_rate": 1e-3}
        ...     return TrialRecord(trial, values, layers, 5, 1.0, "", ({"kind": np.eye(2)[guess]},))
        >>> trials = [record("0", "heads", 0, 9), record("1", "20", 20, 8)]
        >>> board = leaderboard(trials, task, {"kind": truth})
        >>> board.chosen
        '0'
        >>> print(board.sentence)
        Train the heads alone (trial 0): accuracy 0.775 on 40 pictures is within one standard
        error (0.064) of the best, 0.800 with the last 20 layers; the difference -0.025
        [-0.105, +0.050] is no difference.

    References:
        Breiman et al., Classification and Regression Trees, 1984, section 3.4.3.
        Hastie et al., The Elements of Statistical Learning, 2009, section 7.10.
    """
    tasks = as_tasks(tasks)
    labels = {name: np.asarray(codes) for name, codes in labels.items()}
    _check(records, tasks, labels, draws)
    whole = {r.trial_id: r.scores for r in records if not _failure(r)}
    found = score_trials(tasks, labels, whole, groups=groups, draws=draws, seed=seed)
    scores = {trial: s for trial, s in found.items() if not np.isnan(s.value)}
    reasons = {r.trial_id: _failure(r) or UNDEFINED for r in records if r.trial_id not in scores}
    if not scores:
        raise InputError("No trial has a score, so there is nothing to choose.", _grouped(reasons))
    frame = _frame(records, tasks, scores, reasons)
    depths = depth_table(frame, scores)
    counted = _counted_tasks(tasks, scores)
    measure = measure_name(counted, named=len(tasks) > 1)
    return Leaderboard(
        frame, depths, str(chosen_depth(depths)["trial"]),
        sentence(depths, measure, int(frame["n"].iloc[0])), measure,
        tuple(_notes(tasks, labels, scores, reasons)),
    )  # fmt: skip


def _failure(record: TrialRecord) -> str:
    """Why a trial cannot be scored, in one line."""
    if record.failure:
        return record.failure.strip().splitlines()[0]
    return "" if all(map(finite, record.scores)) else "its scores are not finite"


def _counted_tasks(tasks: Sequence[Task], scores: Mapping[str, TrialScore]) -> list[Task]:
    """Those that have a part in the score, which is the same for all trials."""
    first = next(iter(scores.values()))
    return [t for t, v in zip(tasks, first.by_task, strict=True) if not np.isnan(v)]


def _frame(
    records: Sequence[TrialRecord],
    tasks: Sequence[Task],
    scores: Mapping[str, TrialScore],
    reasons: Mapping[str, str],
) -> pd.DataFrame:
    names = dict.fromkeys(name for r in records for name in r.values if not name.startswith(OWN))
    names.pop("trainable", None)
    rows = []
    for r in records:
        first = {"trial": r.trial_id, "trainable": r.values["trainable"], "layers": r.layers}
        values = {name: r.values.get(name) for name in names}
        last = {"epochs": r.epochs, "seconds": r.seconds}
        status = f"failed: {reasons[r.trial_id]}" if r.trial_id in reasons else "done"
        measured = _measured(tasks, scores.get(r.trial_id))
        rows.append({**first, **values, **measured, **last, "status": status})
    frame = pd.DataFrame(rows)
    # Of as good trials the shallower is the first.
    order = frame.sort_values(["score", "layers"], ascending=[False, True], kind="stable")
    return order.reset_index(drop=True)


def _measured(tasks: Sequence[Task], score: TrialScore | None) -> dict[str, Any]:
    nothing = float("nan")
    low, high = score.limits if score else (nothing, nothing)
    found = {
        "score": score.value if score else nothing,
        "standard_error": score.standard_error if score else nothing,
        "low": low,
        "high": high,
        "n": score.n if score else 0,
        "executions": len(score.each) if score else 0,
    }
    each = score.by_task if score else [nothing] * len(tasks)
    several = zip(tasks, each, strict=True) if len(tasks) > 1 else ()
    return found | {f"{t.name} {MEASURES[t.kind]}": float(v) for t, v in several}


def _notes(
    tasks: Sequence[Task],
    labels: Mapping[str, np.ndarray],
    scores: Mapping[str, TrialScore],
    reasons: Mapping[str, str],
) -> Iterator[str]:
    yield from left_out(tasks, labels)
    if reasons:
        yield f"Failed: {'; '.join(_grouped(reasons))}."
    if not max(scores.values(), key=lambda s: s.value).standard_error > 0:
        yield "The best has the same score in every draw of pictures: val cannot tell its error."
    if len(scores) > 1:
        yield (
            f"The best of {len(scores)} trials looks better on val than it is: "
            "score the chosen model on the test part."
        )


def _grouped(reasons: Mapping[str, str]) -> list[str]:
    """A line for each reason, with the trials it stopped."""
    groups: dict[str, list[str]] = {}
    for trial, reason in reasons.items():
        groups.setdefault(reason.rstrip("."), []).append(trial)
    return [f"trial {', '.join(trials)}: {reason}" for reason, trials in groups.items()]


def _check(
    records: Sequence[TrialRecord], tasks: Sequence[Task], labels: Mapping, draws: int
) -> None:
    faults = [] if draws >= 1 else [f"draws: expected at least 1, received {draws}"]
    if not records:
        faults.append("expected at least one trial, received none")
    for r in records:
        each = [f for run in r.scores for f in score_faults(tasks, labels, run)]
        faults += [f"trial {r.trial_id}: {fault}" for fault in dict.fromkeys(each)]
        if not r.failure and not r.scores:
            faults.append(f"trial {r.trial_id}: expected scores or a failure, received neither")
    runs = sorted({len(r.scores) for r in records if not r.failure})
    if len(runs) > 1:
        faults.append(f"expected as many executions of each trial, received {runs}")
    if faults:
        raise InputError("There can be no leaderboard of these trials.", faults)
