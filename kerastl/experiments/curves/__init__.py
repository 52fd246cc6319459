"""Learning curves: which way of training is better with how much data.

`candidates` are ways of training, `subsets` the nested parts they train on, `measuring` runs and
keeps the trials, `power_law` fits them, `crossings` compares two, `report` says it in a sentence.

May use: `experiments.trials`, and what that may use.
"""

from kerastl.lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "candidates": ["end_to_end", "joint", "scratch", "separate", "staged", "transfer"],
        "measuring": ["learning_curve"],
        "report": ["LearningCurve"],
    },
)
