"""How many layers to unfreeze: the one-standard-error rule over the best trial of each depth."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import pandas as pd

from kerastl.scoring.differences import Difference
from kerastl.scoring.intervals import TOO_FEW, in_words
from kerastl.scoring.trial_scores import TrialScore

COLUMNS = (
    "trainable", "layers", "trials", "trial", "score", "standard_error", "low", "high",
    "difference", "difference_low", "difference_high", "within", "verdict",
)  # fmt: skip


def depth_table(frame: pd.DataFrame, scores: Mapping[str, TrialScore]) -> pd.DataFrame:
    """The best trial of each depth beside the best of all.

    Args:
        frame: A row a trial, best first, with at least one that has a score: columns trial,
            trainable, layers, score, standard_error, low, high; backbone, where there is a
            choice.
        scores: By trial, of those that have a score.

    Returns:
        A row a depth, fewest layers first, and of as many layers the better first:
        backbone (where there is a choice), trainable, layers, trials (with a score), trial
        (the best), score, standard_error, low, high, difference (to the best of all),
        difference_low, difference_high, within (one standard error of the best of all) and
        verdict: best, no difference, worse, too few; failed, where no trial has a score.
    """
    best = frame.iloc[0]
    by = [c for c in ("backbone", "trainable") if c in frame]
    rows = []
    for _, part in frame.groupby(by, sort=False, dropna=False):
        trials = int(part["score"].notna().sum())
        row = part.iloc[0].to_dict() | {"trials": trials, "trial": part["trial"].iloc[0]}
        rows.append(row | _beside(row, best, scores))
    table = pd.DataFrame(rows, columns=[*by[:-1], *COLUMNS])
    order = table.sort_values(["layers", "score"], ascending=[True, False], kind="stable")
    return order.reset_index(drop=True)


def chosen_depth(depths: pd.DataFrame) -> pd.Series:
    """The row of the choice: the fewest layers within one standard error of the best."""
    return depths[depths["within"]].iloc[0]


def best_depth(depths: pd.DataFrame) -> pd.Series:
    """The row of the best score."""
    return depths[depths["verdict"] == "best"].iloc[0]


def short_answer(depths: pd.DataFrame) -> str:
    """The choice in a line, for the head of a picture."""
    chosen, best = chosen_depth(depths), best_depth(depths)
    begin = f"{_advice(chosen)}: {chosen['score']:.3f}"
    if chosen["trial"] == best["trial"]:
        return f"{begin}, the best"
    return f"{begin}, within one standard error of the best, {best['score']:.3f}"


def sentence(depths: pd.DataFrame, measure: str, n: int) -> str:
    """The choice and what it rests on, with the numbers.

    Args:
        depths: As `depth_table` gives it.
        measure: What the score is, in words.
        n: Pictures behind the scores.
    """
    chosen, best = chosen_depth(depths), best_depth(depths)
    done = depths[depths["verdict"] != "failed"]
    begin = (
        f"{_advice(chosen)} ({_origin(chosen)}): {measure} {chosen['score']:.3f} on {n} pictures"
    )
    if len(done) == 1:
        none = "was tried" if len(depths) == 1 else "has a finished trial"
        count = (
            "the only trial" if chosen["trials"] == 1 else f"the best of {chosen['trials']} trials"
        )
        return f"{begin} is {count}; no other depth {none}."
    if chosen["trial"] != best["trial"]:
        return (
            f"{begin} is within one standard error ({best['standard_error']:.3f}) of the best, "
            f"{best['score']:.3f} with {_layers(best)}; the difference {_said(chosen)}"
            f"{', but smaller than that error' if chosen['verdict'] == 'worse' else ''}."
        )
    shallower = done[done["layers"] < best["layers"]]
    if shallower.empty:
        return f"{begin} is the best, and no depth that was tried is shallower."
    following = shallower.loc[shallower["score"].idxmax()]
    error = "" if math.isnan(best["standard_error"]) else f" ({best['standard_error']:.3f})"
    return (
        f"{begin} is the best, and no shallower depth is within one standard error{error} of it; "
        f"the nearest has {following['score']:.3f} with {_layers(following)}, and the difference "
        f"{_said(following)}."
    )


def depth_lines(depths: pd.DataFrame) -> Iterator[str]:
    """The depths as a table of text, a line each."""
    first = depths.reindex(columns=["backbone", "trainable"]).dropna(axis="columns", how="all")
    names = [" ".join(map(str, row)) for row in first.itertuples(index=False)]
    wide = max(9, *map(len, names))
    yield f"{'trainable':<{wide}}  layers  trials  {'score':<22}  {'to the best':<23}  verdict"
    for name, r in zip(names, depths.to_dict("records"), strict=True):
        score = apart = ""
        if r["verdict"] != "failed":
            score = in_words(r["score"], r["low"], r["high"])
        if r["verdict"] not in ("failed", "best"):
            ends = r["difference_low"], r["difference_high"]
            apart = in_words(r["difference"], *ends, "+.3f")
        yield (
            f"{name:<{wide}}  {r['layers']:>6}  {r['trials']:>6}  {score:<22}  "
            f"{apart:<23}  {r['verdict']}"
        )


def _beside(row: Mapping, best: pd.Series, scores: Mapping[str, TrialScore]) -> dict:
    """What is said of a depth's best trial beside the best of all."""
    trial = row["trial"]
    if trial not in scores:
        return {"trial": "", "within": False, "verdict": "failed"}
    apart = scores[trial].to(scores[best["trial"]])
    error = 0.0 if math.isnan(best["standard_error"]) else best["standard_error"]
    return {
        "difference": apart.value,
        "difference_low": apart.low,
        "difference_high": apart.high,
        "within": bool(row["score"] >= best["score"] - error),
        "verdict": "best" if trial == best["trial"] else apart.verdict,
    }


def _advice(row: pd.Series) -> str:
    return f"{'Unfreeze' if row['layers'] else 'Train'} {_layers(row)}"


def _layers(row: pd.Series) -> str:
    backbone, layers = row.get("backbone"), row["layers"]
    if not layers:
        return "the heads alone" if backbone is None else f"the heads alone on {backbone}"
    last = "the last layer" if layers == 1 else f"the last {layers} layers"
    some = f"all {layers} layers" if row["trainable"] == "all" else last
    return some if backbone is None else f"{some} of {backbone}"


def _origin(row: pd.Series) -> str:
    """Where these layers begin, and whose they are."""
    return ", ".join([*_begin(str(row["trainable"])), f"trial {row['trial']}"])


def _begin(word: str) -> list[str]:
    """A depth's word, where the number of its layers does not say as much."""
    if word in ("heads", "all") or word.isdigit():
        return []
    return [f"{word} of them"] if word.replace(".", "", 1).isdigit() else [f"after {word}"]


def _said(row: pd.Series) -> str:
    """A difference to the best, and whether it is one."""
    apart = Difference(
        row["difference"], row["difference_low"], row["difference_high"], row["score"],
        row["score"] - row["difference"], 0, 1,
    )  # fmt: skip
    told = {"no difference": "no difference", TOO_FEW: "not known"}.get(apart.verdict, "real")
    return f"{apart} is {told}"
