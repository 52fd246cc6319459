"""Worlds in which the true value of every measure is known, to count how often intervals hold it.

A world draws pictures: their labels, and the scores that one or two networks give them.
"""

from collections import defaultdict
from dataclasses import dataclass, field

import numpy as np

from kerastl.data.tasks import Task
from kerastl.scoring.differences import difference
from kerastl.scoring.measures import answers
from kerastl.scoring.scores import _rows, score

DRAWS = 100
"""Bootstrap draws in each interval: few, for there are many intervals."""

MANY = 100_000
"""Pictures that the truth is measured on."""


@dataclass(frozen=True)
class World:
    """Pictures of one task and the scores of a network.

    Attributes:
        task: The task.
        skill: How far apart the scores of true and other classes lie, in their spread.
        rare: The share of the second class, or of each label; of several exclusive
            classes the last ones are as many times rarer than the first.
        sure: By how much the network exaggerates: 1 is calibrated for two classes.
        alike: What share of a picture's luck its whole group has.
        size: Pictures in a group.
    """

    task: Task
    skill: float = 1.7
    rare: float = 0.5
    sure: float = 1.0
    alike: float = 0.0
    size: int = 1

    def draw(self, rng, n, ways=1, own=0.4, gain=0.0, wobble=0.0, repeats=1):
        """Labels, scores `[ways, repeats, n, classes]` and groups of n pictures.

        Args:
            rng: The luck.
            n: How many.
            ways: How many networks, on the same luck of pictures.
            own: What share of its luck a network has alone, if there are several.
            gain: How much more skill the first has.
            wobble: How much skill varies from repeat to repeat.
            repeats: Trainings of each.
        """
        groups = np.arange(n) // self.size
        labels = self._labels(rng, n, groups)
        wide = len(self.task.classes) if self.task.kind != "binary" else 1
        truth = self._truth(labels, wide)
        common = self._luck(rng, groups, wide)
        found = []
        for way in range(ways):
            for _ in range(repeats):
                alone = rng.normal(size=(n, wide))
                luck = common if ways * repeats == 1 else (
                    np.sqrt(1 - own) * common + np.sqrt(own) * alone)  # fmt: skip
                skill = self.skill + (gain if way == 0 else 0.0) + wobble * rng.normal()
                found.append(self._scores(truth, skill * truth + luck, skill))
        return labels, np.reshape(found, (ways, repeats, n, -1)), groups

    def _labels(self, rng, n, groups):
        kind, classes = self.task.kind, len(self.task.classes)
        if kind == "multiclass":
            odds = np.linspace(1, self.rare, classes)
            return rng.choice(classes, size=n, p=odds / odds.sum())
        shape = n if kind == "binary" else (n, classes)
        if self.alike and kind == "binary":  # a group is mostly of one class
            own = rng.random(n) >= self.alike
            return (np.where(own, rng.random(n), rng.random(n)[groups]) < self.rare).astype(int)
        return (rng.random(shape) < self.rare).astype(int)

    def _truth(self, labels, wide):
        if self.task.kind == "multiclass":
            return np.eye(wide)[labels]
        return labels.reshape(len(labels), -1).astype(float)

    def _luck(self, rng, groups, wide):
        alone = rng.normal(size=(len(groups), wide))
        if wide > 1 and self.task.kind == "multilabel":  # a hard picture is hard for all labels
            alone = np.sqrt(0.6) * alone + np.sqrt(0.4) * rng.normal(size=(len(groups), 1))
        shared = rng.normal(size=(groups.max() + 1, wide))[groups]
        return np.sqrt(1 - self.alike) * alone + np.sqrt(self.alike) * shared

    def _scores(self, truth, seen, skill):
        if self.task.kind == "multiclass":
            power = np.exp(self.sure * self.skill * (seen - seen.max(axis=1, keepdims=True)))
            return power / power.sum(axis=1, keepdims=True)
        # The logarithm of the odds, given what was seen: calibrated.
        logit = self.skill * (seen - self.skill / 2) + np.log(self.rare / (1 - self.rare))
        p = 1 / (1 + np.exp(-self.sure * logit))
        return p if self.task.kind == "multilabel" else np.concatenate([1 - p, p], axis=1)


@dataclass
class Count:
    """How often an interval held, was withheld, and how wide it was."""

    held: int = 0
    few: int = 0
    total: int = 0
    wide: float = 0.0
    values: list = field(default_factory=list)
    ends: list = field(default_factory=list)

    def add(self, truth, value, low, high):
        if np.isnan(value):
            return
        self.total += 1
        self.values.append(value)
        if np.isnan(low):
            self.few += 1
        else:
            self.held += low - 1e-9 <= truth <= high + 1e-9
            self.wide += high - low
            self.ends += [low, high]

    @property
    def share(self):
        """Of the times with a value: the interval held, or "too few" was said."""
        return (self.held + self.few) / self.total if self.total else 1.0

    @property
    def given(self):
        """How often there was an interval."""
        return 1 - self.few / self.total if self.total else 0.0

    @property
    def stretch(self):
        """The mean width, over that of an interval that knew the measure's spread."""
        ideal = 2 * 1.96 * np.std(self.values)
        return self.wide / max(self.total - self.few, 1) / ideal if ideal > 0 else np.inf


def of_scores(world, n, times, seed=0, grouped=False):
    """By (class, metric) a Count over `times` draws of n pictures."""
    name, found = world.task.name, defaultdict(Count)
    labels, scores, _ = world.draw(np.random.default_rng(99), MANY)
    truth = {
        (r["class"], r["metric"]): r["value"]
        for r in score(world.task, {name: labels}, {name: scores[0, 0]}, draws=0)
        .frame.to_dict("records")
    }  # fmt: skip
    rng = np.random.default_rng(seed)
    for _ in range(times):
        labels, scores, groups = world.draw(rng, n)
        a = answers(world.task, labels, scores[0, 0])
        # What `score` makes its frame of, which takes longer than the figures in it.
        for row in _rows(world.task, a, None, groups if grouped else None, DRAWS, 0):
            _, class_, metric, value, low, high, *_ = row
            found[class_, metric].add(truth[class_, metric], value, low, high)
    return dict(found)


def of_difference(world, n, times, metric, seed=0, class_="", grouped=False, **ways):
    """A Count of the difference of two networks over `times` draws of n pictures and repeats."""
    truth = _true_difference(world, metric, class_, ways)
    rng, found = np.random.default_rng(seed), Count()
    for _ in range(times):
        labels, scores, groups = world.draw(rng, n, ways=2, **ways)
        d = difference(
            world.task, labels, *scores, metric=metric, class_=class_, draws=DRAWS,
            groups=groups if grouped else None,
        )  # fmt: skip
        found.add(truth, d.value, d.low, d.high)
    return found


def _true_difference(world, metric, class_, ways):
    """What it is on very many pictures and repeats: 0 where both ways are alike."""
    if not ways.get("gain"):
        return 0.0
    repeats = 60 if ways.get("wobble") else 1
    ways = {**ways, "repeats": repeats}
    count = MANY if repeats == 1 else MANY // 10
    labels, scores, _ = world.draw(np.random.default_rng(98), count, ways=2, **ways)
    name = world.task.name
    found = [
        [
            score(world.task, {name: labels}, {name: s}, only=(metric,), draws=0).get(
                name, metric, class_
            )
            for s in way
        ]
        for way in scores
    ]
    return np.mean(found[0]) - np.mean(found[1])
