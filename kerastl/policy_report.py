"""What was found out about the meanings of "?": a table, and the meaning to choose."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from kerastl.differences import Difference
from kerastl.scores import records

COLUMNS = (
    "task", "label", "column", "policy", "auc", "average_precision", "difference", "low", "high",
    "n", "positives", "repeats", "verdict",
)  # fmt: skip

ASSUMED = (
    "Assumed: labels are uncertain at random given the picture. Where annotators were unsure of "
    "just those of one truth among pictures that look alike, no hiding of known labels shows it."
)


@dataclass(frozen=True)
class PolicyReport:
    """What `compare_policies` found: a row for each label and policy.

    Attributes:
        frame: Columns task, label, column (of the manifest), policy, auc and
            average_precision (means over repeats), difference (of the AUC to
            ignore's), low, high, n (known labels it is scored on), positives
            (among them), repeats and verdict.
        shares: By column, the share of positives among the known training labels:
            what the policy soft stands for.
        left_out: By column, why it could not be compared.
        level: Of the intervals: 95 % corrected for the number of policies.

    Example:
        >>> rows = [("sky", "blue", "sky", p, a, a, d, d - 0.01, d + 0.01, 90, 40, 5, v)
        ...         for p, a, d, v in [("ignore", 0.80, 0.0, "reference"),
        ...                            ("negative", 0.78, -0.02, "worse"),
        ...                            ("soft", 0.83, 0.03, "better")]]
        >>> report = PolicyReport(pd.DataFrame(rows, columns=list(COLUMNS)), {"sky": 0.4})
        >>> report.chosen, report.uncertain()
        ({'sky': 'soft'}, {'sky': 0.4})
    """

    frame: pd.DataFrame
    shares: Mapping[str, float]
    left_out: Mapping[str, str] = field(default_factory=dict)
    level: float = 0.95

    @property
    def chosen(self) -> dict[str, str]:
        """By column the best policy that is really better than ignore, else ignore."""
        found = dict.fromkeys([*self.shares, *self.left_out], "ignore")
        better = self.frame[self.frame["verdict"] == "better"].sort_values("difference")
        # The last of a column is the best, and takes the place of the others.
        return found | dict(zip(better["column"], better["policy"], strict=True))

    def uncertain(self) -> dict[str, str | float]:
        """The choice as `Manifest.with_uncertain` takes it.

        A column for which self-trained was chosen is ignored here: `self_train`
        gives its labels, from a model that was trained so.
        """
        words = ("ignore", "negative", "positive")
        return {
            column: policy if policy in words else self.shares[column]
            for column, policy in self.chosen.items()
            if policy != "self-trained"
        } | dict.fromkeys(self.self_trained, "ignore")

    @property
    def self_trained(self) -> tuple[str, ...]:
        """The columns for which self-trained was chosen: those for `self_train`."""
        return tuple(c for c, policy in self.chosen.items() if policy == "self-trained")

    @property
    def notes(self) -> tuple[str, ...]:
        """What was chosen and why, what was left out, and what is assumed."""
        return tuple(self._notes())

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; what is undefined is None."""
        return {
            "policies": records(self.frame), "chosen": self.chosen,
            "uncertain": self.uncertain(), "shares": dict(self.shares), "level": self.level,
            "notes": list(self.notes),
        }  # fmt: skip

    def __str__(self) -> str:
        lines: list[str] = []
        for column, rows in self.frame.groupby("column", sort=False):
            lines += [*_table(str(column), rows, self.level), ""]
        return "\n".join([*lines, *self.notes])

    def _notes(self) -> Iterator[str]:
        for column in self.shares:
            policy = self.chosen[column]
            if policy == "ignore":
                yield f"{column}: ignore is kept; no policy is really better: no difference."
            else:
                yield f"{column}: {policy} is chosen; it is really better than ignore."
        yield from (
            f"{c}: ignore is kept; not compared: {why}." for c, why in self.left_out.items()
        )
        if self.shares:
            yield ASSUMED


def _table(column: str, rows: pd.DataFrame, level: float) -> Iterator[str]:
    first = rows.iloc[0]
    yield (
        f"{column}: scored on {first['n']} known labels of val, {first['positives']} positive; "
        f"{first['repeats']} repeats; intervals {100 * level:.4g} %"
    )
    yield f"  {'policy':<12}  {'AUC':<5}  {'AP':<5}  {'AUC to ignore':<23}  verdict"
    for r in rows.to_dict("records"):
        apart = Difference(
            r["difference"], r["low"], r["high"], math.nan, math.nan, r["n"], r["repeats"], level
        )
        shown = "" if r["verdict"] == "reference" else str(apart)
        yield (
            f"  {r['policy']:<12}  {r['auc']:.3f}  {r['average_precision']:.3f}  {shown:<23}  "
            f"{r['verdict']}"
        )
