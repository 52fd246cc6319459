"""Keras metrics over the known labels only."""

from __future__ import annotations

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="kerastl")
class Masked(keras.metrics.Metric):
    """A Keras metric that counts known labels only.

    Args:
        metric: A Keras metric that takes `sample_weight` per entry, such as
            `BinaryAccuracy`, `AUC` or `SparseCategoricalAccuracy`.
        name: The metric's name in logs; by default that of `metric`.

    Example:
        >>> import numpy as np
        >>> masked = Masked(keras.metrics.SparseCategoricalAccuracy(name="accuracy"))
        >>> masked.update_state(np.array([1, -1]), np.array([[0.0, 1.0], [0.0, 1.0]]))
        >>> float(masked.result())
        1.0
    """

    def __init__(self, metric: keras.metrics.Metric, name: str | None = None, **kwargs):
        super().__init__(name=name or metric.name, **kwargs)
        self.metric = metric

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Add a batch: `y_true` `[batch]` or `[batch, labels]`, unknown where < 0."""
        y_true, y_pred = ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred)
        if len(y_true.shape) == 1 and len(y_pred.shape) == 2 and y_pred.shape[-1] == 1:
            y_true = ops.expand_dims(y_true, -1)
        known = y_true >= 0
        weight = ops.cast(known, self.dtype)
        if sample_weight is not None:
            given = ops.cast(sample_weight, self.dtype)
            missing = len(weight.shape) - len(given.shape)
            weight = weight * ops.reshape(given, ops.shape(given) + (1,) * missing)
        y = ops.where(known, y_true, ops.zeros_like(y_true))
        self.metric.update_state(y, y_pred, sample_weight=weight)

    def result(self):
        """The metric over all known labels so far."""
        return self.metric.result()

    def reset_state(self):
        """Forget all batches."""
        self.metric.reset_state()

    def get_config(self):
        """The arguments that make this metric again."""
        metric = keras.saving.serialize_keras_object(self.metric)
        return {**super().get_config(), "metric": metric}

    @classmethod
    def from_config(cls, config):
        """The metric that `get_config` described."""
        metric = keras.saving.deserialize_keras_object(config.pop("metric"))
        return cls(metric, **config)
