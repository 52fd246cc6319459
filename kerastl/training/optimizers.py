"""What trains: AdamW with a learning rate for each depth, or the optimizer that was compiled."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from typing import Any

import keras

from kerastl.errors import InputError
from kerastl.models.cuts import stages
from kerastl.models.factories import DEFAULT_OPTIMIZER, RATE
from kerastl.models.graph import nodes
from kerastl.terminal import warn

RATES = {
    "learning_rate": 3e-4, "head_learning_rate": 3e-3, "depth_decay": 0.7, "weight_decay": 1e-4,
    "warmup": 0.1,
}  # fmt: skip
"""What fit's own optimizer has where nothing is given."""


def compiled_with(
    model: keras.Model,
) -> tuple[dict[str, Any], keras.optimizers.Optimizer | None]:
    """What a model is compiled with, and its optimizer where the user chose that.

    Args:
        model: A compiled model.

    Returns:
        Its configuration for `compile_from_config`; and a new optimizer of that, or None
        where it is the one of `compile_model`.

    Raises:
        InputError: For something of the user's own that Keras cannot make again.
    """
    try:
        compiled = model.get_compile_config()
        made = keras.saving.deserialize_keras_object(copy.deepcopy(dict(compiled)))
    except (TypeError, ValueError, AttributeError, NotImplementedError) as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InputError(
            "Something that the model is compiled with cannot be made again for each phase "
            f"({first}) Give its class a get_config, and register it with "
            "keras.saving.register_keras_serializable()."
        ) from error
    return compiled, None if is_default(compiled) else made["optimizer"]


def is_default(compiled: Mapping[str, Any]) -> bool:
    """Whether a model is compiled with no optimizer that a user chose."""
    optimizer = compiled.get("optimizer")
    return optimizer is None or optimizer["config"].get("name") == DEFAULT_OPTIMIZER


def chosen_rates(
    given: Mapping[str, float | None],
    model: keras.Model,
    optimizer: keras.optimizers.Optimizer | None,
) -> dict[str, float]:
    """The numbers of fit's own optimizer.

    Args:
        given: Those of `RATES`; None for what was not given.
        model: The model.
        optimizer: The user's, if there is one.

    Raises:
        InputError: For numbers that are given beside the user's optimizer.

    Example:
        >>> chosen_rates({"learning_rate": 1e-3, "warmup": None}, None, keras.optimizers.SGD(0.1))
        Traceback (most recent call last):
        kerastl.errors.InputError: The model is compiled with SGD, which trains as it is. Leave \
learning_rate out, or call kerastl.models.factories.compile_model(model) to have fit's AdamW again.
    """
    named = [name for name, value in given.items() if value is not None]
    if optimizer is not None and named:
        raise InputError(
            f"The model is compiled with {type(optimizer).__name__}, which trains as it is. Leave "
            f"{', '.join(named)} out, or call kerastl.models.factories.compile_model(model) to "
            "have fit's AdamW again."
        )
    if optimizer is None and given["learning_rate"] is None and model.optimizer is not None:
        rate = model.optimizer.get_config()["learning_rate"]
        if not (isinstance(rate, float) and math.isclose(rate, RATE, rel_tol=1e-5)):
            rate = f"{rate:g}" if isinstance(rate, float) else "schedule"
            warn(
                f"The learning rate {rate} of the compiled model is that of plain model.fit. "
                "kerastl.fit has its own: give it learning_rate= and head_learning_rate=."
            )
    return {n: RATES[n] if value is None else value for n, value in given.items()}


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
