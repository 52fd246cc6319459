"""Small searches over real fits, and which of their trials are finished."""

from __future__ import annotations

SMALL = {
    "weights": None, "depths": ["heads", 4], "epochs": 2, "head_epochs": 1, "tuner": "grid",
    "learning_rate": [1e-3, 1e-2], "depth_decay": 0.7, "dropout": 0.0, "weight_decay": 1e-4,
}  # fmt: skip

# Long enough that a trial can be killed in the middle.
OPTIONS = {**SMALL, "head_epochs": 3, "epochs": 30}


def finished(folder):
    """When each trial's record was written, by trial."""
    return {p.parent.name: p.stat().st_mtime_ns for p in folder.glob("trials/trial_*/record.json")}
