"""Frozen epochs: kerastl.fit on features made once against plain model.fit.

    python benchmarks/frozen.py --epochs 10 40
    python benchmarks/frozen.py --pictures 64 --epochs 2 --plain-epochs 2

Every run has a process of its own and begins with an empty cache; from the files on
disk to a trained head, with decoding, conversion and the choice of the engine. Imports
and building the model count on neither side. The second runs find the features that
the first ones stored. Plain model.fit runs a few epochs: the first counts as it is,
with its tracing, and the others stand for all that follow. Prints a Markdown table.
"""

import argparse
import itertools
import statistics
import tempfile

from measuring import fresh, row, show

TARGETS = {10: "≥ 20", 40: "≥ 60"}


def plain_seconds(taken, epochs):
    """Seconds of so many epochs of plain model.fit, from a few."""
    return taken[0] + (epochs - 1) * statistics.mean(taken[1:])


def once(run, args, epochs, cache):
    """One measurement in a process of its own."""
    options = ["--pictures", args.pictures, "--backbone", args.backbone]
    options += ["--weights", args.weights, "--epochs", epochs, "--cache", f"{cache}/features"]
    return fresh("frozen_runs.py", run, *options, cache=f"{cache}/user")


def against_plain(what, ours, plain, target):
    return row(what, f"{ours:.1f} s", f"{plain:.0f} s", plain / ours, target)


def rows(args):
    """The rows of the table, and what the floor is made of."""
    with tempfile.TemporaryDirectory() as folder:
        named = (f"{folder}/{number}" for number in itertools.count())
        plain = once("plain", args, args.plain_epochs, next(named))["epochs"]
        found, firsts = [], {}
        for epochs in args.epochs:
            cache, whole = next(named), plain_seconds(plain, epochs)
            first = firsts[epochs] = once("ours", args, epochs, cache)["seconds"]
            again = once("ours", args, epochs, cache)["seconds"]
            what = f"{epochs} frozen epochs, against plain model.fit"
            found.append(against_plain(what, first, whole, TARGETS.get(epochs, "")))
            what = f"{epochs} frozen epochs again, on stored features"
            found.append(against_plain(what, again, whole, "≥ 100"))
        floor = once("floor", args, args.epochs[0], next(named))
    return [*found, floor_row(args.epochs[0], firsts[args.epochs[0]], floor)], plain, floor


def floor_row(epochs, ours, floor):
    least = floor["decode"] + floor["forward"]
    what = f"{epochs} frozen epochs, above the floor"
    return row(what, f"{ours:.1f} s", f"{least:.1f} s", ours / least, "≤ 1.5")


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pictures", type=int, default=1968, help="of train and val")
    parser.add_argument("--epochs", type=int, nargs="+", default=[10, 40])
    parser.add_argument("--plain-epochs", type=int, default=3, help="that are measured, from 2")
    parser.add_argument("--backbone", default="MobileNetV2")
    parser.add_argument("--weights", default="none", help="none is random: as fast, no download")
    args = parser.parse_args()

    found, plain, floor = rows(args)
    epochs = ", ".join(f"{s:.1f}" for s in plain)
    show(
        found,
        f"{args.backbone}, frozen, {args.pictures} solar cells at 224 px, batch 32. Plain",
        f"model.fit: {len(plain)} epochs measured ({epochs} s), the others taken to be like those",
        "after the first. The floor is one decode of all pictures in Pillow threads",
        f"({floor['decode']:.1f} s) and one forward pass of the decoded pictures by the best",
        f"engine that agrees ({floor['engine']}, {floor['request']} a request, "
        f"{floor['forward']:.1f} s), nothing stored.",
    )


if __name__ == "__main__":
    main()
