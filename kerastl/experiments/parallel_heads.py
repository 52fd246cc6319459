"""Many small heads trained side by side on the same features, none aware of another."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerastl.losses import MaskedBinaryCrossentropy
from kerastl.training.optimizers import schedule

RATE, WARMUP, WEIGHT_DECAY = 3e-3, 0.1, 1e-4
"""Those of `fit`'s first phase."""


class ParallelHeads:
    """One logistic head a column, trained as `fit` trains heads.

    The loss is a sum over columns and AdamW works on each weight alone, so every
    column is trained exactly as if it were the only one. Ways to train a label that
    stand side by side share their first weights, the order of the pictures and the
    dropped features: whatever comes out different is the way's doing.

    Args:
        features: Features of a picture.
        labels: Labels of one way.
        ways: How many ways stand side by side.
        examples: Pictures in an epoch.
        epochs: Epochs of each training.
        dropout: Share of the features dropped in training.

    Example:
        >>> heads = ParallelHeads(features=2, labels=1, ways=2, examples=4, epochs=1)
        >>> heads.fit(np.ones((4, 2), "float32"), np.ones((4, 2), "float32"), seed=0)
        >>> heads.scores(np.ones((3, 2), "float32")).shape
        (2, 3, 1)
    """

    def __init__(
        self,
        features: int,
        labels: int,
        ways: int,
        examples: int,
        epochs: int,
        dropout: float = 0.0,
    ):
        self.labels, self.ways = labels, ways
        self.batch_size = min(32, max(4, examples // 8))
        self.steps = math.ceil(examples * epochs / self.batch_size)
        image = keras.Input((features,))
        self.dropout = keras.layers.Dropout(dropout, seed=0)
        self.head = keras.layers.Dense(ways * labels)
        self.net = keras.Model(image, self.head(self.dropout(image)))
        self.loss = MaskedBinaryCrossentropy()
        rate = schedule(RATE, self.steps, WARMUP)
        self.optimizer = keras.optimizers.AdamW(rate, weight_decay=WEIGHT_DECAY)
        self.optimizer.build(self.net.trainable_variables)
        self.start = [v.numpy() for v in self.optimizer.variables]
        # One graph with the loop inside: a step of so small a net costs less than
        # the call of it.
        self.run = tf.function(self._run, autograph=False, reduce_retracing=True)

    def fit(self, features: np.ndarray, targets: np.ndarray, seed: int) -> None:
        """Train from fresh weights.

        Args:
            features: `[n, features]`.
            targets: `[n, ways * labels]`, all labels of the first way first; a
                soft label is in [0, 1], -1 is unknown.
            seed: Seed of the weights, the dropout and the order.
        """
        self._begin(features.shape[1], seed)
        count = self.steps * self.batch_size
        draw = np.random.default_rng(seed)
        order = [draw.permutation(len(features)) for _ in range(math.ceil(count / len(features)))]
        rows = np.concatenate(order)[:count].reshape(self.steps, self.batch_size)
        self.run(
            tf.constant(features, "float32"), tf.constant(targets, "float32"), tf.constant(rows)
        )

    def _run(self, features: tf.Tensor, targets: tf.Tensor, rows: tf.Tensor) -> None:
        def step(done: tf.Tensor) -> tuple[tf.Tensor]:
            with tf.GradientTape() as tape:
                logits = self.net(tf.gather(features, rows[done]), training=True)
                loss = self.loss(tf.gather(targets, rows[done]), logits)
            variables = self.net.trainable_variables
            self.optimizer.apply_gradients(
                zip(tape.gradient(loss, variables), variables, strict=True)
            )
            return (done + 1,)

        tf.while_loop(lambda done: done < tf.shape(rows)[0], step, [tf.constant(0)])

    def scores(self, features: np.ndarray) -> np.ndarray:
        """Scores in (0, 1), `[ways, n, labels]`."""
        kernel, bias = (np.asarray(w, "float64") for w in self.head.get_weights())
        logits = np.asarray(features, "float64") @ kernel + bias
        p = 1 / (1 + np.exp(-np.clip(logits, -700, 700)))
        return p.reshape(len(features), self.ways, self.labels).transpose(1, 0, 2)

    def _begin(self, features: int, seed: int) -> None:
        """Fresh weights, the same for every way, and the optimizer as it was at first."""
        drawn = keras.initializers.GlorotUniform(seed=seed)((features, self.labels))
        kernel = np.tile(keras.ops.convert_to_numpy(drawn), (1, self.ways))
        self.head.set_weights([kernel, np.zeros(kernel.shape[1])])
        for variable, value in zip(self.optimizer.variables, self.start, strict=True):
            variable.assign(value)
        if self.dropout.rate:  # without a rate it has no random numbers
            self.dropout.seed_generator.state.assign(np.array([seed, 0], "uint32"))


def dropout_of(model: keras.Model) -> float:
    """Share of the features that a kerastl model drops in front of its heads."""
    found: list[Any] = [layer for layer in model.layers if layer.name == "heads_dropout"]
    return float(found[0].rate) if found else 0.0
