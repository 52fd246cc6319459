"""The callbacks of a fit: its own, and the user's, who see the whole model."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import keras
import numpy as np

from kerastl.gathering import Gathered
from kerastl.sampling import Sampler


def callbacks_of(
    net: keras.Model,
    model: keras.Model,
    own: Sequence[keras.callbacks.Callback],
    users: Sequence[keras.callbacks.Callback],
    **params: int,
) -> keras.callbacks.CallbackList:
    """All callbacks of a phase, for the `fit` of the net that trains.

    The user's have the whole model as `self.model`, also where the net is its
    tail: what they save, and what they predict of pictures, is the same either way.

    Args:
        net: What trains: the model or its tail.
        model: The whole model.
        own: Those of fit.
        users: The user's, called after them.
        **params: What Keras tells callbacks: epochs, steps, verbose.
    """
    model.stop_training = False
    relay = [] if net is model else [Stopped(model)]
    every = [*own, *users, *relay]
    found = keras.callbacks.CallbackList(every, add_history=True, model=net, **params)
    for callback in users:
        callback.set_model(model)
    return found


def counts_batches(callback: keras.callbacks.Callback) -> bool:
    """Whether a callback wants to hear of single batches, not of epochs only.

    Example:
        >>> counts_batches(keras.callbacks.ModelCheckpoint("best.keras", save_freq=100))
        True
        >>> counts_batches(keras.callbacks.CSVLogger("epochs.csv"))
        False
    """
    base = keras.callbacks.Callback
    return any(
        # Of the object, not its class: a LambdaCallback puts functions there.
        getattr(getattr(callback, name), "__func__", None) is not getattr(base, name)
        for name in dir(base)
        if name.startswith("on_") and "batch" in name
    )


class Stopped(keras.callbacks.Callback):
    """Ends the net's training when a user's callback ends that of the whole model.

    Args:
        whole: The whole model.
    """

    async_safe = True  # or Keras would wait for the figures of every batch

    def __init__(self, whole: keras.Model):
        super().__init__()
        self.whole = whole

    def on_train_batch_end(self, batch, logs=None):
        """Pass a stop on."""
        self.model.stop_training = self.model.stop_training or self.whole.stop_training

    def on_epoch_end(self, epoch, logs=None):
        """Pass a stop on."""
        self.on_train_batch_end(epoch)


class Order(keras.callbacks.Callback):
    """Has each epoch's order drawn when the epoch begins.

    Args:
        feed: What draws it.
    """

    def __init__(self, feed: Sampler | Gathered):
        super().__init__()
        self.feed = feed

    def on_epoch_begin(self, epoch, logs=None):
        """Draw it."""
        self.feed.begin(epoch)


class Drawn(keras.callbacks.Callback):
    """Starts each dropout's random numbers from the seed and the layer's name.

    Keras advances them while it builds a model, a different number of times for
    the whole model and for its tail.

    Args:
        seed: The fit's.
    """

    def __init__(self, seed: int):
        super().__init__()
        self.seed = seed

    def on_train_begin(self, logs=None):
        """Set every generator's state."""
        for layer in self.model._flatten_layers():
            generator = getattr(layer, "seed_generator", None)
            if generator is not None:
                name = hashlib.blake2b(layer.name.encode(), digest_size=4).digest()
                start = [self.seed, int.from_bytes(name, "little")]
                generator.state.assign(np.random.SeedSequence(start).generate_state(2))


class Rate(keras.callbacks.Callback):
    """Puts the learning rate of each epoch's last step into its logs."""

    def on_epoch_end(self, epoch, logs=None):
        """Read it off the optimizer."""
        logs["learning_rate"] = float(self.model.optimizer.learning_rate)
