"""Epochs of the tail: trained from stored activations against the live network.

    python benchmarks/tails.py --pictures 320 --layers 30 60 100

The same call of kerastl.fit with and without stored features, on the same solar cells;
only the epochs are timed, and the first of each, which traces, is not counted. What
making the activations takes once is in a column of its own. Prints a Markdown table.
"""

import argparse
import os
import statistics
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
from measuring import row, show

import kerastl

TARGETS = {30: "≥ 4"}


class Clock(keras.callbacks.Callback):
    """The seconds of each epoch."""

    def on_train_begin(self, logs=None):
        self.taken = []

    def on_epoch_begin(self, epoch, logs=None):
        self.start = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        self.taken.append(time.perf_counter() - self.start)


def an_epoch(data, layers, args, *, cache, epochs):
    """Seconds of an epoch, and of all that comes before the first one."""
    weights = None if args.weights == "none" else args.weights
    model = kerastl.create_model(args.backbone, data.tasks, weights=weights, trainable=layers)
    clock, start = Clock(), time.perf_counter()
    options = {"epochs": epochs, "head_epochs": 0, "patience": epochs, "batch_size": 32}
    kerastl.fit(model, data, cache=cache, callbacks=[clock], verbose=0, **options)
    before = time.perf_counter() - start - sum(clock.taken)
    return statistics.median(clock.taken[1:]), before


def compared(data, layers, args):
    """The row of one depth."""
    ours, before = an_epoch(data, layers, args, cache="auto", epochs=args.epochs + 1)
    live, _ = an_epoch(data, layers, args, cache=False, epochs=2)
    what = f"an epoch of the last {layers} layers, against live ({before:.0f} s once before)"
    return row(what, f"{ours:.2f} s", f"{live:.2f} s", live / ours, TARGETS.get(layers, ""))


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pictures", type=int, default=320)
    parser.add_argument("--layers", type=int, nargs="+", default=[30, 60, 100])
    parser.add_argument("--epochs", type=int, default=3, help="from stored activations")
    parser.add_argument("--backbone", default="MobileNetV2")
    parser.add_argument("--weights", default="none", help="none is random: as fast, no download")
    args = parser.parse_args()

    data = kerastl.read_solar_cells().split("train").take(range(args.pictures))
    show(
        [compared(data, layers, args) for layers in args.layers],
        f"{args.backbone}, {args.pictures} solar cells at 224 px, batch 32, Keras on both sides.",
        "Live runs decode and run the whole network in every epoch (`cache=False`).",
    )


if __name__ == "__main__":
    main()
