"""The masked loss as a layer, for graphs that take their labels as an input."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from kerastl.losses import MaskedBinaryCrossentropy, check_shapes


@keras.saving.register_keras_serializable(package="kerastl")
class MaskedMultiLabelLoss(keras.layers.Layer):
    """Adds the loss of the known labels to the model and passes the logits on.

    Called as `layer(logits, labels)` on two tensors `[batch, labels]`; labels
    below 0, and NaN, are unknown. The loss added is that of
    `MaskedBinaryCrossentropy`, averaged over the batch, in at least float32
    under mixed precision. The model that is to predict ends in front of this
    layer and shares the weights.

    Args:
        from_logits: See `MaskedBinaryCrossentropy`, as for all that follow.
        label_smoothing: Share in [0, 1) by which known labels are drawn to 1/2.
        normalizer: "examples", "known" or "known_per_example".
        pos_weight: Weight of the positive side: a number, or one per label.
        gamma: Focus on badly predicted labels: a number, or a pair.
        margin: Probability below which a negative label costs nothing.

    Returns:
        When called: the logits, unchanged.

    Raises:
        InputError: For options that do not fit; when called, for shapes that do not.

    Example:
        >>> import numpy as np
        >>> image, labels = keras.Input((4,)), keras.Input((3,))
        >>> logits = keras.layers.Dense(3)(image)
        >>> train = keras.Model([image, labels], MaskedMultiLabelLoss()(logits, labels))
        >>> train.compile("sgd")
        >>> x, y = np.ones((2, 4)), np.array([[1.0, 0.0, -1.0], [-1.0, -1.0, 0.0]])
        >>> history = train.fit([x, y], verbose=0)
        >>> keras.Model(image, logits).predict(x, verbose=0).shape
        (2, 3)
    """

    def __init__(
        self,
        from_logits: bool = True,
        label_smoothing: float = 0.0,
        normalizer: str = "examples",
        pos_weight: float | Sequence[float] | None = None,
        gamma: float | tuple[float, float] = 0.0,
        margin: float = 0.0,
        **kwargs: Any,
    ):
        # No autocast: under mixed precision it would round labels and logits.
        super().__init__(autocast=False, **kwargs)
        self.loss = MaskedBinaryCrossentropy(
            from_logits,
            label_smoothing,
            normalizer,
            pos_weight,
            gamma,
            margin,
            dtype=self.variable_dtype,
        )

    def call(self, logits: Any, labels: Any) -> Any:
        """`logits` `[batch, labels]` again, their loss added."""
        self.add_loss(ops.mean(self.loss.call(labels, logits)))
        return logits

    def compute_output_spec(self, logits: Any, labels: Any) -> keras.KerasTensor:
        """The form of the logits, which pass unchanged."""
        check_shapes(labels.shape, logits.shape, self.loss.pos_weight)
        return keras.KerasTensor(logits.shape, logits.dtype)

    def get_config(self) -> dict[str, Any]:
        """The arguments that make this layer again."""
        options = self.loss.get_config()
        for name in ("name", "reduction", "dtype"):
            options.pop(name)
        return {**super().get_config(), **options}
