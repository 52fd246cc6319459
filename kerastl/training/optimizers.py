"""AdamW with a learning rate for each depth, which Keras' optimizers do not have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from kerastl.models.cuts import stages
from kerastl.models.graph import nodes


@keras.saving.register_keras_serializable(package="kerastl")
class DepthwiseAdamW(keras.optimizers.AdamW):
    """AdamW whose learning rate each variable multiplies by a factor of its own.

    Scaling the gradient would not do: Adam divides it out again.

    Args:
        multipliers: Variable path -> factor; 1 where none is given.
        **options: Those of `keras.optimizers.AdamW`.

    Example:
        >>> optimizer = DepthwiseAdamW({"dense/kernel": 0.1}, learning_rate=1e-3)
        >>> optimizer.get_config()["multipliers"]
        {'dense/kernel': 0.1}
    """

    def __init__(self, multipliers: Mapping[str, float] | None = None, **options: Any):
        super().__init__(**options)
        self.multipliers = dict(multipliers or {})

    def update_step(self, gradient, variable, learning_rate):
        """One step of AdamW at this variable's own rate."""
        own = self._trainable_variables[self._get_variable_index(variable)]
        factor = self.multipliers.get(own.path, 1.0)
        super().update_step(gradient, variable, learning_rate * factor)

    def get_config(self):
        """The arguments that make this optimizer again."""
        return {**super().get_config(), "multipliers": self.multipliers}


def depth_multipliers(model: keras.Model, decay: float) -> dict[str, float]:
    """A factor for each variable: `decay` to the power of the stages behind its own.

    Args:
        model: The whole model.
        decay: Factor from one stage to the one in front of it; 1 for none.

    Returns:
        Variable path -> factor: 1 in the last stage and behind it, smaller in front.

    Reference:
        Howard and Ruder, ULMFiT, ACL 2018, section 3.2 (discriminative
        fine-tuning), by stages in place of layers.
    """
    ends = [cut.index for cut in stages(model)]
    factors = {}
    for index, node in enumerate(nodes(model)):
        behind = max(sum(end >= index for end in ends) - 1, 0)
        for variable in getattr(node.operation, "trainable_variables", ()):
            factors.setdefault(variable.path, decay**behind)
    return factors


def schedule(learning_rate: float, steps: int, warmup: float) -> Any:
    """Linear warm-up for a share of the steps, then a cosine down to zero.

    Args:
        learning_rate: The highest rate.
        steps: Steps in all.
        warmup: Share of the steps in [0, 1).
    """
    rising = int(steps * warmup)
    return keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=0.0 if rising else learning_rate,
        decay_steps=max(steps - rising, 1),
        warmup_target=learning_rate if rising else None,
        warmup_steps=rising,
    )
