"""Frozen epochs: kerastl's fit on stored features against plain model.fit.

    python benchmarks/frozen.py --pictures 400 --epochs 10

Both train the same heads on the same solar cells from the same files, decoding
included. Times on a shared machine are noise; the ratio within one run is not.
Prints a Markdown table.
"""

import argparse
import subprocess
import sys
import time

import kerastl


def seconds(work):
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def plain(model, data, epochs):
    """What a hand-written script does: decode, run the network, every epoch."""
    train = kerastl.image_dataset(data, model.input_shape[1:3], 32, shuffle=True)
    model.fit(train, epochs=epochs, shuffle=False, verbose=0)


def ours(model, data, epochs):
    kerastl.fit(model, data, epochs=epochs, patience=epochs, verbose=0)


def import_seconds(module):
    return seconds(lambda: subprocess.run([sys.executable, "-c", f"import {module}"], check=True))


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pictures", type=int, default=400)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--backbone", default="EfficientNetLite0")
    parser.add_argument("--weights", default="imagenet")
    args = parser.parse_args()

    data = kerastl.read_solar_cells().split("train").take(range(args.pictures))
    weights = None if args.weights == "none" else args.weights

    def model():
        return kerastl.create_model(args.backbone, data.tasks, weights=weights)

    times = {name: seconds(lambda run=run: run(model(), data, args.epochs))
             for name, run in (("plain model.fit", plain), ("kerastl.fit", ours))}  # fmt: skip
    slowest = max(times.values())
    print(f"{args.backbone}, frozen, {args.pictures} pictures, {args.epochs} epochs\n")
    print("| | seconds | ratio |\n|---|---|---|")
    for name, value in times.items():
        print(f"| {name} | {value:.1f} | {slowest / value:.1f} |")
    print(
        f"\nimport kerastl {import_seconds('kerastl'):.2f} s, keras {import_seconds('keras'):.2f} s"
    )


if __name__ == "__main__":
    main()
