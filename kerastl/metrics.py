"""Keras metrics over the known labels only."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from kerastl import backend
from kerastl.errors import InputError

backend.check()

# They average over the labels of an example before they look at weights.
AVERAGING = (
    keras.metrics.BinaryCrossentropy,
    keras.metrics.CategoricalCrossentropy,
    keras.metrics.CategoricalHinge,
    keras.metrics.CosineSimilarity,
    keras.metrics.Hinge,
    keras.metrics.KLDivergence,
    keras.metrics.LogCoshError,
    keras.metrics.MeanAbsoluteError,
    keras.metrics.MeanAbsolutePercentageError,
    keras.metrics.MeanSquaredError,
    keras.metrics.MeanSquaredLogarithmicError,
    keras.metrics.Poisson,
    keras.metrics.SquaredHinge,
)


@keras.saving.register_keras_serializable(package="kerastl")
class Masked(keras.metrics.Metric):
    """A Keras metric that counts known labels only.

    Args:
        metric: A Keras metric that takes `sample_weight` per entry, such as
            `BinaryAccuracy`, `AUC` or `SparseCategoricalAccuracy`; also `F1Score`
            and `FBetaScore` with a threshold.
        name: The metric's name in logs; by default that of `metric`.

    Raises:
        InputError: For an F-score without a threshold; when updated with several
            labels, for a metric that averages over them.

    Example:
        >>> import numpy as np
        >>> masked = Masked(keras.metrics.SparseCategoricalAccuracy(name="accuracy"))
        >>> masked.update_state(np.array([1, -1]), np.array([[0.0, 1.0], [0.0, 1.0]]))
        >>> float(masked.result())
        1.0
    """

    def __init__(self, metric: keras.metrics.Metric, name: str | None = None, **kwargs: Any):
        super().__init__(name=name or metric.name, **kwargs)
        # True of F1Score too, which Keras derives from FBetaScore.
        self._f_score = isinstance(metric, keras.metrics.FBetaScore)
        if self._f_score and metric.threshold is None:
            raise InputError(
                f"{type(metric).__name__} without a threshold picks each example's highest "
                "prediction, known or not, so unknown labels cannot be left out. "
                "Give it one, such as threshold=0.5."
            )
        self.metric = metric

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add a batch.

        Args:
            y_true: `[batch]` or `[batch, labels]`; unknown where < 0 or NaN.
            y_pred: `[batch, classes]` or `[batch, labels]`.
            sample_weight: `[batch]`, or for all but F-scores like `y_true`.
        """
        y_true, y_pred = ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred)
        if len(y_true.shape) == 1 and len(y_pred.shape) == 2 and y_pred.shape[-1] == 1:
            y_true = ops.expand_dims(y_true, -1)
        self._check(y_true)
        known = y_true >= 0
        y = ops.where(known, y_true, ops.zeros_like(y_true))
        # An unknown entry's prediction goes too: NaN times the weight 0 is NaN.
        seen = ops.expand_dims(known, -1) if len(y_pred.shape) > len(known.shape) else known
        p = ops.where(seen, y_pred, ops.zeros_like(y_pred))
        # An F-score takes no weight per entry, but does not see a true negative
        # either, and 0 predicted of a label 0 is one.
        weight = sample_weight if self._f_score else self._weight(known, sample_weight)
        self.metric.update_state(y, p, sample_weight=weight)

    def _check(self, y_true) -> None:
        several = len(y_true.shape) == 2 and y_true.shape[-1] != 1
        if several and isinstance(self.metric, AVERAGING):
            raise InputError(
                f"{type(self.metric).__name__} averages over the labels of an example, so "
                "unknown ones cannot be left out. Take a metric that counts each label, such "
                "as BinaryAccuracy or AUC."
            )

    def _weight(self, known, sample_weight):
        weight = ops.cast(known, self.dtype)
        if sample_weight is None:
            return weight
        given = ops.cast(sample_weight, self.dtype)
        missing = len(weight.shape) - len(given.shape)
        return weight * ops.reshape(given, ops.shape(given) + (1,) * missing)

    def result(self) -> Any:
        """The metric over all known labels so far."""
        return self.metric.result()

    def reset_state(self) -> None:
        """Forget all batches."""
        self.metric.reset_state()

    def get_config(self) -> dict[str, Any]:
        """The arguments that make this metric again."""
        metric = keras.saving.serialize_keras_object(self.metric)
        return {**super().get_config(), "metric": metric}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Masked:
        """The metric that `get_config` described."""
        others = {name: value for name, value in config.items() if name != "metric"}
        return cls(keras.saving.deserialize_keras_object(config["metric"]), **others)
