"""Several GPUs of one machine: the strategy that a model was built under, and its loss."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from kerastl.errors import InputError
from kerastl.training.sampling import FILLER


def strategy_of(model: keras.Model) -> tf.distribute.Strategy:
    """The strategy under whose scope a model was built; without one, TensorFlow's default.

    Raises:
        InputError: For a model that was not built under the strategy that is in force.

    Example:
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        >>> strategy_of(model).num_replicas_in_sync
        1
    """
    now = tf.distribute.get_strategy() if tf.distribute.has_strategy() else None
    if now is not None and model.distribute_strategy is not now:
        raise _elsewhere()
    values = [variable.value for variable in model.variables]
    if now is not None and not all(now.extended.variable_created_in_scope(v) for v in values):
        raise _elsewhere()
    return model.distribute_strategy


def _elsewhere() -> InputError:
    return InputError(
        "The model was not built under the strategy that is in force. Build or load it inside "
        "`with strategy.scope():`."
    )


def over_devices(losses: Any, strategy: tf.distribute.Strategy) -> Any:
    """Losses as compiled, each taken over the whole batch where several devices share it."""
    if strategy.num_replicas_in_sync == 1:
        return losses
    return keras.tree.map_structure(_whole, losses)


def _whole(loss: Any) -> Any:
    if loss is None or isinstance(loss, WholeBatchLoss):
        return loss
    return WholeBatchLoss(keras.losses.get(loss))


@keras.saving.register_keras_serializable(package="kerastl")
class WholeBatchLoss(keras.losses.Loss):
    """A loss over the whole batch, of which each device holds a part.

    Keras takes each device's mean and then the mean of these. That is another
    number where the parts differ in size, as in a last, smaller batch, or in
    known labels. Here every device gathers labels and logits of all (a few
    numbers an example) and takes the loss L of them. Keras sums over R devices,
    so each gives L / R; the gathering's gradient sums over devices too, and so
    each logit's gradient is that of L. Fillers (see `Sampler`) are left out.

    Args:
        loss: A Keras loss, or a function of labels and predictions.
    """

    def __init__(self, loss: Any):
        name = getattr(loss, "name", None) or getattr(loss, "__name__", None)
        reduction = getattr(loss, "reduction", "sum_over_batch_size")
        super().__init__(name=name, reduction=reduction, dtype=getattr(loss, "dtype", None))
        self.loss = loss

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """The loss of each example."""
        return getattr(self.loss, "call", self.loss)(y_true, y_pred)

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """The loss L / R, from labels and predictions of this device's examples."""
        context = tf.distribute.get_replica_context()
        if context is None or context.num_replicas_in_sync == 1:
            return super().__call__(y_true, y_pred, sample_weight)
        parts = [y_true, y_pred] if sample_weight is None else [y_true, y_pred, sample_weight]
        whole = [context.all_gather(tf.convert_to_tensor(part), axis=0) for part in parts]
        labels = tf.reshape(whole[0], [tf.shape(whole[0])[0], -1])
        there = tf.reduce_any(labels != FILLER, axis=1)
        value = super().__call__(*(tf.boolean_mask(part, there) for part in whole))
        # Keras has divided a mean by R already.
        return value / context.num_replicas_in_sync if self.reduction == "sum" else value

    def get_config(self) -> dict[str, Any]:
        """The arguments that make this loss again."""
        return {"loss": keras.saving.serialize_keras_object(self.loss)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> WholeBatchLoss:
        """The loss that `get_config` described."""
        return cls(keras.saving.deserialize_keras_object(config["loss"]))
