"""Scores: from class scores and known labels to decisions, measures and intervals.

A measure takes how often each picture is counted in each draw, so that the plain value and the
bootstrap are the same lines (`measures`). `limits` says which measure gets which interval of
`intervals`. What is unknown is counted nowhere. Whoever compares two things does it by the paired
difference of `differences`.

May use: `data`, numpy, SciPy, pandas, scikit-learn, matplotlib. Knows no Keras.
"""

from kerastl.lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "scores": ["Scores"],
        "scores_plot": ["plot_scores"],
        "differences": ["Difference", "difference"],
        "thresholds": ["Thresholds", "choose_thresholds"],
    },
)
