"""Errors that fall as a power law does, with noise, and the records of such a learning curve."""

from __future__ import annotations

import numpy as np

SIZES = (50, 100, 200, 400, 800, 1600)

REPEATS = (8, 6, 5, 4, 3, 2)

CURVES = {"stages": (0.2, 1.0, -0.6), "end to end": (0.01, 6.0, -0.55)}


def measured(curve, sizes, repeats, seed, fixed=0.005, drawn=0.3):
    """Errors with noise of variance `fixed^2 + drawn^2 / n`."""
    rng, n = np.random.default_rng(seed), np.repeat(sizes, repeats)
    alpha, eta, gamma = curve
    noise = rng.standard_normal(len(n)) * np.sqrt(fixed**2 + drawn**2 / n)
    return n, alpha + eta * n**gamma + noise


def rows(name, curve, seed=0):
    n, e = measured(curve, SIZES, REPEATS, seed)
    numbers = [k for count in REPEATS for k in range(count)]
    return [
        {"candidate": name, "size": int(size), "seed": k, "score": 1 - error, "n": 500,
         "seconds": 1.0, "failed": ""}
        for size, error, k in zip(n, e, numbers, strict=True)
    ]  # fmt: skip
