"""Losses for labels of which some are unknown."""

from __future__ import annotations

import keras
from keras import ops

from kerastl.errors import InputError

NORMALIZERS = ("examples", "known", "known_per_example")


@keras.saving.register_keras_serializable(package="kerastl")
class MaskedBinaryCrossentropy(keras.losses.Loss):
    r"""The logistic loss over the known labels of each example.

    With the mask k_ij = 1 where label j of example i is known (y_ij >= 0), m
    examples and logits z:

        loss = 1/m * sum_i sum_j k_ij * (log(1 + exp(z_ij)) - y_ij * z_ij)

    An unknown label adds exactly 0, to the loss and to every gradient, whatever
    stands there; a batch with nothing known has loss 0.

    Args:
        from_logits: Whether predictions are logits (the default) or
            probabilities.
        label_smoothing: Share in [0, 1) by which known labels are drawn to 1/2.
        normalizer: What the sum is divided by: "examples", the m of the formula;
            "known", the known labels of the batch; "known_per_example", each
            example's known labels, then the mean over examples (Durand et al.,
            CVPR 2019).

    Raises:
        InputError: For a normalizer that is none, or a smoothing outside [0, 1).

    Example:
        >>> import numpy as np
        >>> loss = MaskedBinaryCrossentropy()
        >>> y, z = np.array([[1.0, -1.0]]), np.array([[0.0, 9.0]])
        >>> round(float(loss(y, z)), 4)
        0.6931
    """

    def __init__(
        self,
        from_logits: bool = True,
        label_smoothing: float = 0.0,
        normalizer: str = "examples",
        name: str = "masked_binary_crossentropy",
        **kwargs,
    ):
        super().__init__(name=name, **kwargs)
        if normalizer not in NORMALIZERS:
            raise InputError(
                f"Expected a normalizer of {', '.join(NORMALIZERS)}. Received: {normalizer!r}."
            )
        if not 0 <= label_smoothing < 1:
            raise InputError(f"Expected label_smoothing in [0, 1). Received: {label_smoothing}.")
        self.from_logits = from_logits
        self.label_smoothing = label_smoothing
        self.normalizer = normalizer

    def call(self, y_true, y_pred):
        """Loss of each example `[batch]` from labels and predictions `[batch, labels]`."""
        known = ops.cast(y_true >= 0, y_pred.dtype)
        y = ops.where(y_true >= 0, ops.cast(y_true, y_pred.dtype), 0.0)
        y = y * (1 - self.label_smoothing) + 0.5 * self.label_smoothing
        # An unknown label's prediction is replaced before the loss, not after:
        # 0 * infinity would be NaN in the gradient.
        z = ops.where(y_true >= 0, y_pred, 0.0 if self.from_logits else 0.5)
        losses = ops.binary_crossentropy(y, z, from_logits=self.from_logits) * known
        return ops.sum(losses, axis=-1) * self._scale(known)

    def _scale(self, known):
        if self.normalizer == "examples":
            return 1.0
        if self.normalizer == "known_per_example":
            return 1.0 / ops.maximum(ops.sum(known, axis=-1), 1.0)
        examples = ops.cast(ops.shape(known)[0], known.dtype)
        return examples / ops.maximum(ops.sum(known), 1.0)

    def get_config(self):
        """The arguments that make this loss again."""
        own = ("from_logits", "label_smoothing", "normalizer")
        return {**super().get_config(), **{name: getattr(self, name) for name in own}}
