"""How long a `.tflite` file takes for a picture, on this machine."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.stats import binom

from kerastl.errors import InputError
from kerastl.litert import LiteRTModel

RUNS = 30
WARM = 5
"""Runs before the first that counts: memory is laid out and caches are filled."""


@dataclass(frozen=True)
class Latency:
    """Milliseconds that one picture takes.

    Attributes:
        threads: Threads the interpreter had.
        median: Of the runs.
        low: Lower end of the median's 95 % interval.
        high: Upper end.
        runs: How many.
    """

    threads: int
    median: float
    low: float
    high: float
    runs: int

    def __str__(self) -> str:
        return f"{self.median:.1f} ms"


def measure_latency(path: str | Path, threads: int, *, runs: int = RUNS) -> Latency:
    """Time a file with the LiteRT interpreter, one picture a run.

    The interval is the one between two runs in the order of their times between which
    the median lies with 95 % at least: nothing is assumed of how times are spread.
    It speaks of this machine as it was; a phone has other figures.

    Args:
        path: The `.tflite` file.
        threads: Threads that the interpreter may use.
        runs: Runs that count; six at least.

    Returns:
        The `Latency`, in milliseconds.

    Raises:
        InputError: For fewer runs, and for a file that cannot be run.

    Example:
        >>> import keras, tempfile
        >>> from kerastl.conversion import to_float32
        >>> from kerastl.models import classifier
        >>> x = keras.Input((8, 8, 3))
        >>> own = keras.Model(x, keras.layers.Conv2D(2, 3, name="conv")(x))
        >>> path = Path(tempfile.mkdtemp(), "model.tflite")
        >>> n = path.write_bytes(to_float32(classifier(own, ["cat", "dog"], image_size=8)))
        >>> took = measure_latency(path, 1)
        >>> took.low <= took.median <= took.high, took.runs
        (True, 30)
    """
    if runs < 6:
        raise InputError(f"Expected at least 6 runs, for an interval. Received: runs={runs}.")
    model = LiteRTModel(path, threads)
    image = np.random.default_rng(0).integers(0, 256, (1, *model.image_size, 3), "uint8")
    took = sorted([_milliseconds(model, image) for _ in range(WARM + runs)][WARM:])
    # The number of runs below the median is binomial.
    rank = int(binom.ppf(0.025, runs, 0.5))
    return Latency(threads, float(np.median(took)), took[rank - 1], took[runs - rank], runs)


def _milliseconds(model: LiteRTModel, image: np.ndarray) -> float:
    start = time.perf_counter()
    model.predict(image)
    return (time.perf_counter() - start) * 1000
