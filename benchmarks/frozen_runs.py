"""One run of the benchmark of frozen epochs, in this process; prints its seconds as JSON.

    python benchmarks/frozen_runs.py ours --epochs 10 --cache FOLDER

`plain` is what a hand-written script does, `ours` is kerastl.fit, and `floor` is what
no way of doing it can go below: one decode and one forward pass of the best engine.
"""

import argparse
import json
import os
import tempfile
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import openvino
import tensorflow as tf
from measuring import seconds

import kerastl
from kerastl.data.batches import ordered_map
from kerastl.data.pictures import load_picture
from kerastl.features.engines import choose_engine
from kerastl.features.openvino import core

SIZE, BATCH = (224, 224), 32
HINTS = {"float32": "f32", "float16": "f16", "bfloat16": "bf16"}
REQUESTS = (1, 8, 32)
"""Pictures in a request: the floor is taken at the fastest of these."""


class Clock(keras.callbacks.Callback):
    """The seconds of each epoch, with its validation; tracing counts in the first."""

    def on_train_begin(self, logs=None):
        self.taken, self.last = [], time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        now = time.perf_counter()
        self.taken.append(now - self.last)
        self.last = now


def by_hand(data):
    """Decode each picture in every epoch, as the guides of Keras and tf.data do it."""

    def read(path, labels):
        image = tf.io.decode_image(tf.io.read_file(path), channels=3, expand_animations=False)
        return tf.cast(tf.image.resize(image, SIZE), "uint8"), labels

    files = tf.data.Dataset.from_tensor_slices((data.frame["image"].tolist(), data.labels()))
    read_files = files.map(read, num_parallel_calls=tf.data.AUTOTUNE)
    return read_files.batch(BATCH).prefetch(tf.data.AUTOTUNE)


def plain(model, data, args):
    clock = Clock()
    train, val = by_hand(data.split("train")), by_hand(data.split("val"))
    options = {"epochs": args.epochs, "shuffle": False, "verbose": 0}
    model.fit(train, validation_data=val, callbacks=[clock], **options)
    return {"epochs": clock.taken}


def ours(model, data, args):
    _ = kerastl.fit  # its imports are not counted
    options = {"epochs": args.epochs, "patience": args.epochs, "batch_size": BATCH}
    fit = lambda: kerastl.fit(model, data, cache=args.cache, verbose=0, **options)  # noqa: E731
    return {"seconds": seconds(fit)}


def floor(model, data, args):
    images = []
    paths = data.frame["image"].tolist()
    read = lambda path: load_picture(path, SIZE)  # noqa: E731
    decode = seconds(lambda: images.extend(ordered_map(read, paths)))
    images = np.stack(images)
    prefix = kerastl.split(model).prefix
    engine = choose_engine(prefix, "auto", images[:BATCH], len(images))
    if engine.name == "keras":
        passes = {BATCH: lambda some: [engine.run(some[n : n + BATCH]) for n in starts(some)]}
    else:
        passes = requests(prefix, engine.name.partition(":")[2] or "float32")
    few = {size: seconds(lambda run=run: run(images[:64])) for size, run in passes.items()}
    best = min(few, key=few.get)
    forward = seconds(lambda: passes[best](images))
    return {"decode": decode, "forward": forward, "engine": engine.name, "request": best}


def starts(images):
    return range(0, len(images), BATCH)


def requests(prefix, precision):
    """OpenVINO with every core busy, a forward pass for each size of request, warmed up."""
    with tempfile.TemporaryDirectory() as folder:
        prefix.export(folder, verbose=False)
        exact = {"INFERENCE_PRECISION_HINT": HINTS[precision], "PERFORMANCE_HINT": "THROUGHPUT"}
        compiled = core().compile_model(core().read_model(folder), "CPU", exact)

    def passes(size):
        queue = openvino.AsyncInferQueue(compiled)

        def run(images):
            for start in range(0, len(images), size):
                queue.start_async({0: images[start : start + size]})
            queue.wait_all()

        run(np.zeros((2 * size, *SIZE, 3), "uint8"))
        return run

    return {size: passes(size) for size in REQUESTS}


def some(data, pictures):
    """So many of the pictures that do not test, the parts in their shares."""
    split = data.frame["split"].to_numpy()
    train, val = (np.flatnonzero(split == part) for part in ("train", "val"))
    fewer = round(pictures * len(val) / (len(train) + len(val)))
    return data.take(np.sort([*train[: pictures - fewer], *val[:fewer]]))


RUNS = {"plain": plain, "ours": ours, "floor": floor}


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("run", choices=RUNS)
    parser.add_argument("--pictures", type=int, default=1968)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--backbone", default="MobileNetV2")
    parser.add_argument("--weights", default="none")
    parser.add_argument("--cache", default="auto", help="of ours: a folder")
    args = parser.parse_args()

    data = some(kerastl.read_solar_cells(), args.pictures)
    weights = None if args.weights == "none" else args.weights
    model = kerastl.create_model(args.backbone, data.tasks, weights=weights)
    print(json.dumps(RUNS[args.run](model, data, args)))


if __name__ == "__main__":
    main()
