"""Tuning: how many layers to unfreeze, by KerasTuner, on features that all trials share.

`space` is what is tried, `oracles` and `loop` hand trials out, `trial_fits` and `trial_jobs` do
one, `leaderboard` compares them, and `depth_choice` has the one-standard-error rule.

May use: keras-tuner, `training`, `features`, `inference`, `scoring`, `distributed`.
"""

from kerastl.lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "hypermodel": ["UnfreezeHyperModel"],
        "leaderboard": ["Leaderboard"],
        "searching": ["Search", "search"],
    },
)
