"""Every interval holds the truth as often as it says, with few pictures too, or says "too few"."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.stats import binom, multinomial

from kerastl.data.tasks import Task
from kerastl.scoring.differences import paired_difference
from kerastl.scoring.intervals import exact
from kerastl.scoring.thresholds import choose_thresholds
from kerastl.scoring.trial_scores import score_trials
from tests.support.coverage import MANY, Count, World, of_difference, of_scores

SIZES = (3, 10, 30, 300)
LEAST = 0.93

BINARY = Task("defect", ["no", "yes"], "binary")
KIND = Task("kind", list("abcde"))
TAGS = Task("tags", list("xyz"), "multilabel")

WORLDS = {
    "AUC 0.5": World(BINARY, 1e-4),
    "AUC 0.8": World(BINARY, 1.19),
    "AUC 0.99": World(BINARY, 3.3),
    "one in ten": World(BINARY, 2.3, rare=0.1),
    "too sure": World(BINARY, 1.7, sure=3.0),
    "five classes": World(KIND, 2.0, rare=0.5),
    "three labels": World(TAGS, 1.7, rare=0.3),
}
GROUPED = {
    "threes": World(BINARY, 1.7, alike=0.5, size=3),
    "tens": World(BINARY, 1.7, alike=0.5, size=10),
    "fives of labels": World(TAGS, 1.7, rare=0.3, alike=0.5, size=5),
}


@pytest.mark.parametrize("n", SIZES)
def test_a_share_is_held_whatever_it_is(n):
    """Not simulated: the chance of every count, times whether its interval holds the share."""
    ends = np.array([exact(k, n) for k in range(n + 1)])
    for p in np.linspace(0.001, 0.999, 333):
        held = (ends[:, 0] <= p) & (p <= ends[:, 1])
        assert binom.pmf(np.arange(n + 1), n, p)[held].sum() >= 0.95
    if n == 300:
        for p in (0.5, 0.8, 0.95, 0.99):
            wide = binom.pmf(np.arange(n + 1), n, p) @ np.diff(ends)[:, 0]
            assert wide <= 1.3 * 2 * 1.96 * np.sqrt(p * (1 - p) / n)


@pytest.mark.parametrize("n", [3, 10, 30])
def test_a_difference_of_right_and_wrong_is_held_whatever_it_is(n):
    """As above: `up` examples are gained and `down` lost, of each number that there can be."""
    counts = [(up, down) for up in range(n + 1) for down in range(n + 1 - up)]
    found = [
        paired_difference(np.r_[np.ones(up), np.zeros(n - up)], np.r_[np.zeros(n - down),
                          np.ones(down)]) for up, down in counts
    ]  # fmt: skip
    low, high = (np.nan_to_num([getattr(d, end) for d in found], nan=sign * 9.0)
                 for end, sign in (("low", -1), ("high", 1)))  # fmt: skip
    every = np.array([(up, down, n - up - down) for up, down in counts])
    shares = [0, 0.01, 0.05, 0.15, 0.3, 0.5, 0.8]
    for gained, lost in itertools.product(shares, shares):
        if gained + lost <= 1:
            chance = multinomial.pmf(every, n, [gained, lost, 1 - gained - lost])
            held = (low <= gained - lost) & (gained - lost <= high)
            assert chance[held].sum() >= LEAST, (gained, lost)


USUAL = ("AUC 0.8", "too sure", "five classes", "three labels")
"""Worlds in which 300 pictures are enough for everything."""


def check(found, n, where):
    """Held or too few in 0.93; and with many pictures not by saying nothing, or much."""
    for key, count in found.items():
        assert count.share >= LEAST, (*where, n, key, count.share)
        if n == 300 and where[0] in USUAL:
            assert count.given == 1, (*where, key)
            # The error of calibration is as near to 0 as it can be: what could be is not told.
            most = 3.2 if key[1] == "calibration_error" else 1.3
            assert count.stretch <= most, (*where, key, count.stretch)


def test_scores_hold_the_truth_in_a_few_draws():
    for name, n in (("AUC 0.99", 10), ("three labels", 30), ("one in ten", 3)):
        found = of_scores(WORLDS[name], n, 100)
        low = {k: c.share for k, c in found.items() if c.share < 0.9}  # 0.93, of a hundred
        assert not low


@pytest.mark.slow
@pytest.mark.parametrize("name", WORLDS)
def test_scores_hold_the_truth_in_500_draws(name):
    for n in SIZES:
        check(of_scores(WORLDS[name], n, 500), n, [name])


@pytest.mark.slow
@pytest.mark.parametrize("name", GROUPED)
def test_scores_of_groups_hold_the_truth_in_500_draws(name):
    for n in SIZES:
        check(of_scores(GROUPED[name], n, 500, grouped=True), n, [name])


class OneOnTop(World):
    """One negative in a hundred scores above every positive, as one with a wrong label does."""

    def draw(self, rng, n, **_):
        labels = (rng.random((n, 1)) < self.rare).astype(int)
        top = rng.random((n, 1)) < 0.01
        p = np.where(labels == 1, 0.5 + 0.2 * rng.random((n, 1)), np.where(top, 0.9, 0.1))
        return labels, p[None, None], None


@pytest.mark.slow
@pytest.mark.parametrize("rare", [0.1, 0.5])
def test_what_is_rare_and_matters_is_allowed_for_in_500_draws(rare):
    world = OneOnTop(Task("tags", ["x"], "multilabel"), rare=rare)
    for n in (30, 300):
        found = of_scores(world, n, 500)
        for metric in ("auc", "average_precision"):
            assert found["x", metric].share >= LEAST, (n, metric, found["x", metric].share)


@pytest.mark.slow
def test_groups_taken_for_pictures_would_not():
    """Why groups are asked for."""
    found = of_scores(World(BINARY, 1.7, alike=0.7, size=10), 300, 200)
    assert found["", "accuracy"].share < 0.85
    assert found["", "auc"].share < 0.85


def test_with_pictures_enough_an_interval_says_something():
    world = WORLDS["AUC 0.8"]
    many, some = of_scores(world, 300, 60), of_scores(world, 30, 60)
    for key, count in many.items():
        # The error of calibration is as near to 0 as it can be, and its interval begins there.
        assert count.stretch <= 1.3 * 1.2 or key[1] == "calibration_error", (key, count.stretch)
    assert all(count.given > 0.95 for count in some.values())


WAYS = {
    "alike": {},
    "nearly the same": {"own": 0.05},
    "better": {"gain": 0.5},
    "twice": {"repeats": 2, "wobble": 0.3},
    "five times": {"repeats": 5, "wobble": 0.3},
}


def test_differences_hold_the_truth_in_a_few_draws():
    for metric in ("accuracy", "auc"):
        count = of_difference(WORLDS["AUC 0.8"], 10, 60, metric, repeats=2, wobble=0.3)
        assert count.share >= 0.9
        assert -1 <= min(count.ends) <= max(count.ends) <= 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "metric", "ways"),
    [
        *(("AUC 0.8", "accuracy", ways) for ways in WAYS),
        *(("AUC 0.99", "auc", ways) for ways in ("alike", "better", "twice")),
        ("AUC 0.8", "macro_f1", "nearly the same"),
        ("AUC 0.8", "log_loss", "better"),
        ("AUC 0.8", "calibration_error", "alike"),
        ("three labels", "average_precision", "nearly the same"),
    ],
)
def test_differences_hold_the_truth_in_500_draws(name, metric, ways):
    for n in SIZES:
        repeats = WAYS[ways].get("repeats", 1)
        times = 500 if n * repeats <= 300 else 200
        count = of_difference(WORLDS[name], n, times, metric, **WAYS[ways])
        assert count.share >= (LEAST if times == 500 else 0.92), (n, count.share)


@pytest.mark.slow
@pytest.mark.parametrize("executions", [1, 3])
def test_trials_hold_the_truth_in_500_draws(executions):
    for world, n in itertools.product((WORLDS["AUC 0.8"], WORLDS["five classes"]), SIZES):
        name, rng, found, apart = world.task.name, np.random.default_rng(0), Count(), Count()
        labels, scores, _ = world.draw(np.random.default_rng(99), MANY, ways=2)
        runs = {"a": [{name: scores[0, 0]}]}
        truth = score_trials([world.task], {name: labels}, runs, draws=1)["a"].value
        for _ in range(500):
            labels, scores, _ = world.draw(rng, n, ways=2, repeats=executions)
            runs = {w: [{name: s} for s in way] for w, way in zip("ab", scores, strict=True)}
            made = score_trials([world.task], {name: labels}, runs, draws=100)
            found.add(truth, made["a"].value, *made["a"].limits)
            d = made["a"].to(made["b"])
            apart.add(0.0, d.value, d.low, d.high)
        assert found.share >= LEAST, (world, n, found.share)
        assert apart.share >= LEAST, (world, n, apart.share)


@pytest.mark.slow
@pytest.mark.parametrize("metric", ["f1", "accuracy"])
def test_the_gain_of_a_threshold_is_held_in_500_draws(metric):
    world = World(BINARY, 3.0)
    labels, scores, _ = world.draw(np.random.default_rng(99), MANY)
    yes, p = labels == 1, scores[0, 0][:, 1]

    def value(threshold):
        hits = ((p >= threshold) & yes).sum()
        if metric == "f1":
            return 2 * hits / ((p >= threshold).sum() + yes.sum())
        return ((p >= threshold) == yes).mean()

    for n in SIZES:
        count, rng = Count(), np.random.default_rng(0)
        for _ in range(500 if n in (10, 30) else 50):
            y, s, _ = world.draw(rng, n)
            found = choose_thresholds(BINARY, {"defect": y}, {"defect": s[0, 0]}, metric=metric,
                                      draws=40).frame.iloc[0]  # fmt: skip
            truth = value(found["threshold"]) - value(0.5)
            count.add(truth, found["gain"], found["low"], found["high"])
        assert count.share >= LEAST, (n, count.share)
