"""Losses for labels of which some are unknown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from kerastl import backend
from kerastl.errors import InputError

backend.check()

NORMALIZERS = ("examples", "known", "known_per_example")
HUGE = 1e30  # gamma times a logit beyond it could be infinite in float32, its gradient NaN


@keras.saving.register_keras_serializable(package="kerastl")
class MaskedBinaryCrossentropy(keras.losses.Loss):
    r"""The logistic loss over the known labels of each example.

    With the mask k_ij = 1 where label j of example i is known (y_ij >= 0), m
    examples and p = sigmoid(z) of the logits z:

        loss = 1/m * sum_i sum_j k_ij * (w_j * y * (1 - p)^a * -log(p)
                                         + (1 - y) * q^b * -log(1 - q))
        q = max(p - margin, 0);  w_j = pos_weight;  a, b = gamma

    By default w = 1 and a = b = margin = 0, the usual logistic loss. An unknown
    label adds exactly 0, to the loss and to every gradient, whatever stands
    there (NaN is unknown too); a batch with nothing known has loss 0.

    Args:
        from_logits: Whether predictions are logits (the default) or
            probabilities, which are clipped by `keras.config.epsilon()`.
        label_smoothing: Share in [0, 1) by which known labels are drawn to 1/2.
        normalizer: What the sum is divided by: "examples", the m of the formula;
            "known", the known labels of the batch; "known_per_example", each
            example's known labels, then the mean over examples (Durand et al.,
            CVPR 2019). Weights do not change the divisor.
        pos_weight: Weight of the positive side: a number, or one per label, as
            from `positive_weights`. None: 1.
        gamma: How far well predicted labels count less: a number for both sides
            (focal loss, Lin et al., ICCV 2017) or a pair, positive side first.
        margin: Probability in [0, 1) below which a negative label costs nothing
            (asymmetric loss, Ridnik et al., ICCV 2021: gamma (1, 4), margin 0.05).

    Raises:
        InputError: For options that do not fit; when called, for shapes that do not.

    Example:
        >>> loss = MaskedBinaryCrossentropy()
        >>> y, z = np.array([[1.0, -1.0]]), np.array([[0.0, 9.0]])
        >>> round(float(loss(y, z)), 4)
        0.6931
        >>> asymmetric = MaskedBinaryCrossentropy(gamma=(1, 4), margin=0.05)
        >>> round(float(asymmetric(y, z)), 4)
        0.3466
    """

    def __init__(
        self,
        from_logits: bool = True,
        label_smoothing: float = 0.0,
        normalizer: str = "examples",
        pos_weight: float | Sequence[float] | None = None,
        gamma: float | tuple[float, float] = 0.0,
        margin: float = 0.0,
        name: str = "masked_binary_crossentropy",
        **kwargs: Any,
    ):
        super().__init__(name=name, **kwargs)
        faults = [*_share_faults(label_smoothing, margin), *_choice_faults(normalizer)]
        faults += [*_weight_faults(pos_weight), *_gamma_faults(gamma)]
        if faults:
            raise InputError("The loss cannot have these options.", faults)
        self.from_logits = from_logits
        self.label_smoothing = label_smoothing
        self.normalizer = normalizer
        self.pos_weight = None if pos_weight is None else np.asarray(pos_weight, float).tolist()
        self.gamma = np.asarray(gamma, float).tolist()
        self.margin = margin

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Loss of each example `[batch]` from labels and predictions `[batch, labels]`."""
        # Keras has done this for tensors, but not for nested lists.
        y_true, y_pred = (ops.convert_to_tensor(y, dtype=self.dtype) for y in (y_true, y_pred))
        if y_true.shape.rank is not None:
            check_shapes(y_true.shape, y_pred.shape, self.pos_weight)
        # Binary labels may be flat, `[batch]`; against `[batch, 1]` they would broadcast.
        y_true = ops.reshape(y_true, ops.shape(y_pred))
        known = y_true >= 0
        losses = self._entries(known, y_true, y_pred)
        known = ops.cast(known, y_pred.dtype)
        return ops.sum(losses * known, axis=-1) * self._scale(known)

    def _entries(self, known, y, z):
        """The loss of each entry; of an unknown one, that of label 0 at logit 0.

        An unknown label's prediction is replaced before the loss, not after:
        0 * infinity would be NaN in the gradient.
        """
        z = ops.where(known, z, 0.0 if self.from_logits else 0.5)
        y = ops.where(known, y, 0.0)
        y = y * (1 - self.label_smoothing) + 0.5 * self.label_smoothing
        z = z if self.from_logits else _logits(z)
        on, off = self.gamma if isinstance(self.gamma, list) else (self.gamma, self.gamma)
        # By way of NumPy: Keras casts Python numbers to float32 first, even to float64.
        weight = 1.0 if self.pos_weight is None else ops.cast(np.asarray(self.pos_weight), z.dtype)
        return weight * y * _positive(z, on) + (1 - y) * _negative(z, off, self.margin)

    def _scale(self, known):
        if self.normalizer == "examples":
            return 1.0
        if self.normalizer == "known_per_example":
            return 1.0 / ops.maximum(ops.sum(known, axis=-1), 1.0)
        examples = ops.cast(ops.shape(known)[0], known.dtype)
        return examples / ops.maximum(ops.sum(known), 1.0)

    def get_config(self) -> dict[str, Any]:
        """The arguments that make this loss again."""
        own = ("from_logits", "label_smoothing", "normalizer", "pos_weight", "gamma", "margin")
        values = {name: getattr(self, name) for name in own}
        return {**super().get_config(), "dtype": self.dtype, **values}


def _positive(z, gamma: float):
    """(1 - p)^gamma * -log(p); softplus(z) is -log(1 - p), softplus(-z) is -log(p)."""
    # Without the test, 0 * infinity at gamma = 0 would be NaN for an infinite logit.
    if not gamma:
        return ops.softplus(-z)
    z = ops.clip(z, -HUGE, HUGE)
    return ops.exp(-gamma * ops.softplus(z)) * ops.softplus(-z)


def _negative(z, gamma: float, margin: float):
    """q^gamma * -log(1 - q) with q = max(p - margin, 0)."""
    if not margin:
        return _positive(-z, gamma)
    rest = ops.sigmoid(-z) + margin  # 1 - q, without the rounding of 1 - p near p = 1
    q = ops.sigmoid(z) - margin
    # Where q is 0 both logarithms get a 1, so that no gradient is infinite there.
    above = ops.logical_and(q > 0, rest < 1)
    loss = -ops.log(ops.where(above, rest, 1.0))
    return ops.exp(gamma * ops.log(ops.where(above, q, 1.0))) * loss if gamma else loss


def _logits(p):
    p = ops.clip(p, keras.config.epsilon(), 1 - keras.config.epsilon())
    return ops.log(p) - ops.log1p(-p)


def check_shapes(labels: Any, logits: Any, pos_weight: Any) -> None:
    """Raise an InputError unless labels, predictions and weights fit one another.

    Args:
        labels: The labels' shape; None for a size that is not known yet.
        logits: The predictions' shape, `[batch, labels]`.
        pos_weight: A number, one per label, or None.

    Raises:
        InputError: Naming every shape that does not fit.

    Example:
        >>> check_shapes((None, 3), (None, 3), [1.0, 2.0, 3.0])
    """
    labels, logits = tuple(labels), tuple(logits)
    if len(logits) != 2:
        faults = [f"expected predictions as [batch, labels], received {_words(logits)}"]
        raise InputError("The loss does not fit what it is called on.", faults)
    faults, width = [], logits[1]
    one_each = labels[1:] == (width,) or (len(labels) == 2 and None in (labels[1], width))
    if not one_each and not (len(labels) == 1 and width == 1):
        faults.append(f"expected labels as {_words(logits)}, received {_words(labels)}")
    if isinstance(pos_weight, list) and width not in (None, len(pos_weight)):
        faults.append(f"expected {width} weights in pos_weight, received {len(pos_weight)}")
    if faults:
        raise InputError("The loss does not fit what it is called on.", faults)


def _words(shape: tuple[int | None, ...]) -> str:
    return f"[{', '.join(['batch', *(str(size or 'any') for size in shape[1:])][: len(shape)])}]"


def is_weight(value: Any) -> bool:
    """Whether all there is are numbers, finite and not negative.

    Example:
        >>> is_weight([1.0, 0.5]), is_weight([float("nan")]), is_weight("much")
        (True, False, False)
    """
    try:
        found = np.asarray(value, dtype="float64")
    except (TypeError, ValueError):
        return False
    return bool(found.size) and bool(np.isfinite(found).all() and (found >= 0).all())


def _choice_faults(normalizer: Any):
    if normalizer not in NORMALIZERS:
        words = ", ".join(NORMALIZERS)
        yield f"Expected a normalizer of {words}. Received: {normalizer!r}."


def _share_faults(label_smoothing: Any, margin: Any):
    for name, value in (("label_smoothing", label_smoothing), ("margin", margin)):
        if not (is_weight(value) and np.ndim(value) == 0 and value < 1):
            yield f"Expected {name} in [0, 1). Received: {value!r}."


def _weight_faults(pos_weight: Any):
    if pos_weight is not None and not (is_weight(pos_weight) and np.ndim(pos_weight) < 2):
        yield (
            "Expected pos_weight as a number or one per label, finite and not negative. "
            f"Received: {pos_weight!r}."
        )


def _gamma_faults(gamma: Any):
    if not (is_weight(gamma) and np.shape(gamma) in ((), (2,))):
        yield (
            "Expected gamma as a number or a pair (positive, negative), finite and not negative. "
            f"Received: {gamma!r}."
        )
