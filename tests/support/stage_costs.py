"""Costs of a pipeline's stages with figures of one's choice, for the tests of their report."""

from __future__ import annotations

from kerastl.pipelines.attribution_report import StageCost
from kerastl.scoring.differences import Difference


def by(value, half=0.03):
    return Difference(value, value - half, value + half, ours=0.9, theirs=0.9 - value, n=200,
                      repeats=1)  # fmt: skip


def stage(name, cost=None, without=None, together=()):
    found = None if cost is None else by(cost)
    return StageCost(name, found, found, together, None if without is None else by(without), 0)
