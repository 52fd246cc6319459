"""Experiments: questions about a user's own data, answered by trained networks, with an interval.

What does "?" mean in training (`policies`, `hiding`, `self_training`)? One network or several
(`joint`, `task_weights`)? `trials` trains the networks that are compared. `curves/` asks with how
much data.

May use: everything below the command line but `deploy`.
"""

from kerastl.lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "policies": ["PolicyReport", "compare_policies"],
        "joint": ["JointReport", "joint_or_separate"],
        "task_weights": ["TaskWeights", "tune_task_weights"],
        "self_training": ["self_train"],
    },
)
