"""One side of the benchmark of a search, in this process; prints what it found as JSON.

    python benchmarks/unfreezing_runs.py ours --folder FOLDER

`plain` is KerasTuner with a hand-written HyperModel: the whole network, whose pictures are
decoded in every epoch. `ours` is kerastl.search. Both try the same grid with the same
recipe: two phases, AdamW, warm-up and cosine. With --turns each waits before a trial for a
line on its standard input, so that two sides may take turns; waiting is not counted.
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import keras_tuner
import numpy as np
import tensorflow as tf
from frozen_runs import SIZE, some

import kerastl
from kerastl.inference.evaluation import predict_scores
from kerastl.models.factories import compile_model
from kerastl.tuning.space import depth_policy
from kerastl.tuning.trial_jobs import read_record

BATCH, HEADS, WARMUP, DECAY = 32, 10.0, 0.1, 1e-4
"""As kerastl has them by default; the heads' rate is ten times the tail's."""


class Turns:
    """The seconds of each turn, without those in which the other side has its own."""

    def __init__(self, taken):
        self.taken, self.seconds = taken, []

    def begin(self):
        if self.taken:
            print("turn", flush=True)
            sys.stdin.readline()
        self.start = time.perf_counter()

    def end(self):
        self.seconds.append(time.perf_counter() - self.start)


def decoded(data, shuffle=False):
    """As the guides of Keras and tf.data do it: each picture decoded in every epoch."""

    def read(path, labels):
        image = tf.io.decode_image(tf.io.read_file(path), channels=3, expand_animations=False)
        return tf.cast(tf.image.resize(image, SIZE, antialias=True), "uint8"), labels

    files = tf.data.Dataset.from_tensor_slices((data.frame["image"].tolist(), data.labels()))
    files = files.shuffle(len(data), seed=0) if shuffle else files
    read_files = files.map(read, num_parallel_calls=tf.data.AUTOTUNE)
    return read_files.batch(BATCH).prefetch(tf.data.AUTOTUNE)


class ByHand(keras_tuner.HyperModel):
    """The whole network in every trial: the heads first, and then what the depth says."""

    def __init__(self, tasks, args):
        super().__init__()
        self.tasks, self.args = tasks, args

    def build(self, hp):
        hp.Choice("trainable", self.args.depths)
        hp.Choice("learning_rate", self.args.rates)
        return kerastl.create_model(self.args.backbone, self.tasks, weights=weights(self.args))

    def fit(self, hp, model, train, validation_data, callbacks=(), verbose=0):
        rate, policy = hp.get("learning_rate"), depth_policy(hp.get("trainable"))
        phases = [(False, HEADS * rate, self.args.head_epochs), (policy, rate, self.args.epochs)]
        if not policy:
            phases = [(False, HEADS * rate, self.args.head_epochs + self.args.epochs)]
        for policy, rate, epochs in phases:
            kerastl.set_trainable(model, policy)
            steps = epochs * len(train)
            rising = int(steps * WARMUP)
            cosine = keras.optimizers.schedules.CosineDecay(
                0.0, steps - rising, warmup_target=rate, warmup_steps=rising
            )
            compile_model(model, cosine)
            model.optimizer.weight_decay = DECAY
            found = model.fit(
                train, validation_data=validation_data, epochs=epochs, verbose=verbose,
                callbacks=list(callbacks) if policy == phases[-1][0] else None,
            )  # fmt: skip
        return found


def plain(data, args, turns):
    """Scores of val by configuration, after a search by KerasTuner's own GridSearch."""

    class Timed(keras_tuner.GridSearch):
        def on_trial_begin(self, trial):
            turns.begin()

        def on_trial_end(self, trial):
            super().on_trial_end(trial)
            turns.end()

    tuner = Timed(ByHand(data.tasks, args), "val_loss", directory=args.folder, project_name="plain")
    train, val = decoded(data.split("train"), shuffle=True), decoded(data.split("val"))
    tuner.search(train, validation_data=val, verbose=0)
    val = data.split("val").certain()
    return {
        named(trial.hyperparameters.values): predict_scores(tuner.load_model(trial), val).scores
        for trial in tuner.oracle.trials.values()
    }


def ours(data, args, turns):
    """The same by kerastl.search; its first turn makes the features, its last the answer."""

    def told(progress):
        if progress.stage == "trials" and progress.done:
            turns.end()
            turns.begin()

    turns.begin()
    found = kerastl.search(
        args.backbone, data, folder=args.folder / "ours", depths=args.depths, tuner="grid",
        learning_rate=args.rates, depth_decay=1.0, dropout=0.2, weight_decay=DECAY,
        weights=weights(args), epochs=args.epochs, head_epochs=args.head_epochs,
        batch_size=BATCH, warmup=WARMUP, progress=told,
    )  # fmt: skip
    turns.end()
    folders = sorted((found.folder / "trials").glob("trial_*"))  # in the order of their turns
    records = [read_record(folder, data.tasks) for folder in folders]
    return {named(record.values): record.scores[0] for record in records}


def named(values):
    """A configuration in words."""
    return f"{values['trainable']} {values['learning_rate']:g}"


def weights(args):
    return None if args.weights == "none" else args.weights


def options(parser):
    """What both sides, and the script that compares them, are told."""
    parser.add_argument("--pictures", type=int, default=1968, help="of train and val")
    parser.add_argument("--backbone", default="EfficientNetLite0")
    parser.add_argument("--weights", default="imagenet")
    parser.add_argument("--depths", nargs="+", default=["heads", "9", "20", "stage4"])
    parser.add_argument("--rates", type=float, nargs="+", default=[1e-4, 3e-4, 1e-3])
    parser.add_argument("--head-epochs", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=4, help="of the tail, after those")


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("side", choices=["plain", "ours"])
    options(parser)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--turns", action="store_true", help="wait for a line before each trial")
    args = parser.parse_args()

    data = some(kerastl.read_solar_cells(), args.pictures)
    turns = Turns(args.turns)
    scores = {"plain": plain, "ours": ours}[args.side](data, args, turns)
    flat = {f"{name}|{task}": v for name, found in scores.items() for task, v in found.items()}
    np.savez(args.folder / f"{args.side}.npz", **flat)
    print(json.dumps({"seconds": turns.seconds}), flush=True)


if __name__ == "__main__":
    main()
