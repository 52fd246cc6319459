"""The masked loss in float64 NumPy, as the formula is written: slow, plain and independent."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from kerastl.losses import NORMALIZERS

GAMMAS = [0.0, 1.0, 2.0, (1.0, 4.0), (0.0, 0.5), (2.5, 0.0)]


def oracle(
    y, z, normalizer="examples", label_smoothing=0.0, pos_weight=None, gamma=0.0, margin=0.0
):
    """The loss of labels and logits `[examples, labels]`."""
    on, off = np.broadcast_to(gamma, 2)
    known = y >= 0
    y = np.where(known, y, 0) * (1 - label_smoothing) + label_smoothing / 2
    p = 1 / (1 + np.exp(-np.where(known, z, 0)))
    q = np.maximum(p - margin, 0)
    weight = 1 if pos_weight is None else np.asarray(pos_weight)
    entries = -weight * y * (1 - p) ** on * np.log(p) - (1 - y) * q**off * np.log(1 - q)
    each = np.where(known, entries, 0).sum(axis=1)
    if normalizer == "known":
        return each.sum() / max(known.sum(), 1)
    if normalizer == "known_per_example":
        each = each / np.maximum(known.sum(axis=1), 1)
    return each.mean()


def slopes(y, z, step=1e-6, **options):
    """The oracle's gradient with respect to the logits, by central differences."""
    gradient = np.zeros_like(z)
    for place in np.ndindex(*z.shape):
        shift = np.zeros_like(z)
        shift[place] = step
        rise = oracle(y, z + shift, **options) - oracle(y, z - shift, **options)
        gradient[place] = rise / (2 * step)
    return gradient


@st.composite
def cases(draw):
    """Labels (hard, soft, unknown), logits and options of the loss."""
    examples, labels = draw(st.integers(1, 5)), draw(st.integers(1, 4))
    random = np.random.default_rng(draw(st.integers(0, 10**6)))
    y = random.choice([-2.0, -1.0, np.nan, 0.0, 0.3, 1.0, 1.0, 0.0], (examples, labels))
    one_each = random.uniform(0, 20, labels).tolist()
    options = {
        "normalizer": draw(st.sampled_from(NORMALIZERS)),
        "label_smoothing": draw(st.sampled_from([0.0, 0.1])),
        "pos_weight": draw(st.sampled_from([None, 3.0, one_each])),
        "gamma": draw(st.sampled_from(GAMMAS)),
        "margin": draw(st.sampled_from([0.0, 0.05, 0.4])),
    }
    return y, random.normal(0, 4, (examples, labels)), options
