"""Searches whose trials cost nothing: the score is a formula of the values."""

import math

from kerastl.distributed.pool import Finished
from kerastl.tuning.loop import run_search
from kerastl.tuning.oracles import make_oracle
from kerastl.tuning.space import SearchSpace
from kerastl.tuning.trial_jobs import Job, Outcome

SPACE = SearchSpace(
    ("heads", "stage4", "all"), learning_rate=[1e-4, 1e-3, 1e-2], depth_decay=0.7,
    dropout=(0.0, 0.5), weight_decay=1e-4,
)  # fmt: skip
"""Three depths, three rates, and a range."""

SMALL = SearchSpace(("heads", "all"), [1e-4, 1e-3], 0.7, [0.0, 0.1], 1e-4)
"""Eight configurations."""


def score(values):
    """Best at the middle depth, a rate of 1e-3 and a dropout of 0.3."""
    depth = {"heads": -0.1, "stage4": 0.0, "all": -0.05}[values["trainable"]]
    rate = 0.05 * (math.log10(values["learning_rate"]) + 3) ** 2
    return 0.9 + depth - rate - (values["dropout"] - 0.3) ** 2


def outcome(job):
    """What a job comes to."""
    return Outcome(job.trial_id, score(job.values), job.epochs, 0.0)


class Workers:
    """A pool of several workers, which finish in an order of their own; it notes every job."""

    def __init__(self, work=outcome, count=1):
        self.work, self.count, self.under_way, self.begun = work, count, [], []

    @property
    def free(self):
        return self.count - len(self.under_way)

    def submit(self, job):
        self.under_way.append(job)
        self.begun.append(job)

    def next(self):
        job = self.under_way.pop(len(self.begun) % len(self.under_way))
        try:
            return Finished(job, self.work(job))
        except Exception as error:
            return Finished(job, error=error)


def job_of(trial):
    values = dict(trial.hyperparameters.values)
    return Job(trial.trial_id, values, None, int(values.get("tuner/epochs", 9)))


def oracle_in(folder, kind="random", space=SPACE, trials=8, epochs=9, **options):
    options = {"seed": 0, **options}
    return make_oracle(kind, space, trials=trials, epochs=epochs, folder=folder, **options)


def run(oracle, pool=None, finished=lambda outcome: None):
    """Run a search to its end, and return its pool."""
    pool = pool or Workers()
    run_search(oracle, pool, job_of, finished=finished)
    return pool
