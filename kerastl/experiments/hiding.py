"""Hide known labels as the uncertain ones are hidden, so that the truth is known."""

from __future__ import annotations

import numpy as np
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.preprocessing import StandardScaler

from kerastl.data.tasks import UNCERTAIN, known

COMPONENTS = 32
"""Principal components of the features that the chance of "?" may depend on."""

FOLDS = 5


def components(features: np.ndarray, seed: int = 0) -> np.ndarray:
    """The first principal components of standardised features, each with variance 1.

    Args:
        features: `[n, features]`.
        seed: Seed of the randomised decomposition.

    Returns:
        `[n, components]`, at most 32; none where the features do not vary.

    Example:
        >>> components(np.eye(4)).shape, components(np.ones((4, 2))).shape
        ((4, 3), (4, 0))
    """
    scaled = StandardScaler().fit_transform(np.asarray(features, "float64"))
    if not scaled.any():
        return scaled[:, :0]
    most = min(COMPONENTS, *scaled.shape)
    found = PCA(most, svd_solver="randomized", random_state=seed).fit_transform(scaled)
    spread = found.std(axis=0)
    kept = spread > 1e-6 * spread.max()
    return found[:, kept] / spread[kept]


def chance_of_uncertain(inputs: np.ndarray, codes: np.ndarray, seed: int = 0) -> np.ndarray:
    """How likely each picture's label is uncertain rather than known, given its features.

    A logistic regression, cross-fitted: no picture's chance comes from a fit that
    saw its label.

    Args:
        inputs: `[n, components]`, as `components` gives them.
        codes: `[n]`, a column of a manifest's frame: -2 is uncertain, -1 unannotated.
        seed: Seed of the folds.

    Returns:
        `[n]` in (0, 1); where a label is unannotated the share of the uncertain ones.

    Example:
        >>> codes = np.array([-2, 0, 1, 1, -1])
        >>> chance_of_uncertain(np.zeros((5, 2)), codes).tolist()
        [0.25, 0.25, 0.25, 0.25, 0.25]
    """
    asked = np.flatnonzero(known(codes) | (codes == UNCERTAIN))
    unsure = codes[asked] == UNCERTAIN
    chances = np.full(len(codes), unsure.mean() if len(asked) else 0.0)
    folds = min(FOLDS, int(unsure.sum()), int((~unsure).sum()))
    if folds < 2 or not inputs.shape[1]:
        return chances
    split = StratifiedKFold(folds, shuffle=True, random_state=seed)
    model = LogisticRegression(C=0.1, max_iter=1000)
    found = cross_val_predict(model, inputs[asked], unsure, cv=split, method="predict_proba")
    chances[asked] = found[:, 1]
    return chances


def hide(codes: np.ndarray, chances: np.ndarray, count: int, seed: int | list[int]) -> np.ndarray:
    """Which known labels to hide, drawn with odds in proportion to their chances' odds.

    Among the known labels, those hidden so are to their features what the uncertain
    labels are, provided that labels are missing at random given the picture: that
    pictures which look alike are equally often uncertain, whatever their truth.

    Args:
        codes: `[n]`, a column of a manifest's frame.
        chances: `[n]`, as `chance_of_uncertain` gives them.
        count: How many to hide; at most half of the known labels of either class
            are (a soft label counts as positive from 0.5).
        seed: Seed of the draw.

    Returns:
        bool `[n]`.

    Example:
        >>> hide(np.array([0, 0, 1, 1, -1, -2]), np.full(6, 0.3), count=9, seed=0).sum()
        np.int64(2)
    """
    draw = np.random.default_rng(seed)
    p = np.clip(chances, 1e-6, 1 - 1e-6)
    # The largest of log weights plus Gumbel noise are a draw without replacement
    # in which each is taken next with a chance in proportion to its weight.
    rank = np.log(p / (1 - p)) + draw.gumbel(size=len(codes))
    may = np.concatenate([
        rows[np.argsort(-rank[rows])][: len(rows) // 2]
        for rows in (np.flatnonzero(codes >= 0.5), np.flatnonzero(known(codes) & (codes < 0.5)))
    ])  # fmt: skip
    hidden = np.zeros(len(codes), bool)
    hidden[may[np.argsort(-rank[may])][:count]] = True
    return hidden
