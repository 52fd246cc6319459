"""Frozen epochs: kerastl.fit on features made once against plain model.fit.

    python benchmarks/frozen.py --epochs 10 40
    python benchmarks/frozen.py --pictures 64 --epochs 2 --plain-epochs 2

Every run has a process of its own and begins with an empty cache; from the files on
disk to a trained head, with decoding, conversion and the choice of the engine. Imports
and building the model count on neither side. The second runs find the features that
the first ones stored. Every run is done several times, and the median counts: one
neighbour on a shared machine doubles a time. Plain model.fit runs a few epochs before
all others and a few after them; the first ones, with their tracing, stand for the first,
and the others for all that follow. Prints a Markdown table.
"""

import argparse
import itertools
import statistics
import tempfile

from measuring import fresh, row, show

TARGETS = {10: "≥ 20", 40: "≥ 60"}


def plain_seconds(runs, epochs):
    """Seconds of so many epochs of plain model.fit, from a few of each run."""
    first = statistics.median(taken[0] for taken in runs)
    return first + (epochs - 1) * statistics.median(s for taken in runs for s in taken[1:])


def once(run, args, epochs, cache):
    """One measurement in a process of its own."""
    options = ["--pictures", args.pictures, "--backbone", args.backbone]
    options += ["--weights", args.weights, "--epochs", epochs, "--cache", f"{cache}/features"]
    return fresh("frozen_runs.py", run, *options, cache=f"{cache}/user")


def against_plain(what, ours, plain, target):
    return row(what, f"{ours:.1f} s", f"{plain:.0f} s", plain / ours, target)


def ours(args, epochs, folders):
    """Medians of the first run and of the second one, and all the first ones."""
    found = []
    for _ in range(args.repeats):
        cache = next(folders)
        found.append([once("ours", args, epochs, cache)["seconds"] for _ in ("first", "again")])
    firsts, seconds = zip(*found, strict=True)
    return statistics.median(firsts), statistics.median(seconds), firsts


def rows(args):
    """The rows of the table, and what stands under it."""
    with tempfile.TemporaryDirectory() as folder:
        named = (f"{folder}/{number}" for number in itertools.count())
        plain = [once("plain", args, args.plain_epochs, next(named))["epochs"]]
        found = {epochs: ours(args, epochs, named) for epochs in args.epochs}
        floors = [once("floor", args, args.epochs[0], next(named)) for _ in range(args.repeats)]
        plain.append(once("plain", args, args.plain_epochs, next(named))["epochs"])
    floor = sorted(floors, key=lambda one: one["decode"] + one["forward"])[len(floors) // 2]
    made = []
    for epochs, (first, again, _) in found.items():
        whole, what = plain_seconds(plain, epochs), f"{epochs} frozen epochs"
        target = TARGETS.get(epochs, "")
        made.append(against_plain(f"{what}, against plain model.fit", first, whole, target))
        made.append(against_plain(f"{what} again, on stored features", again, whole, "≥ 100"))
    made.append(floor_row(args.epochs[0], found[args.epochs[0]][0], floor))
    return made, plain, floor, found[args.epochs[0]][2]


def floor_row(epochs, ours, floor):
    least = floor["decode"] + floor["forward"]
    what = f"{epochs} frozen epochs, above the floor"
    return row(what, f"{ours:.1f} s", f"{least:.1f} s", ours / least, "≤ 1.5")


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pictures", type=int, default=1968, help="of train and val")
    parser.add_argument("--epochs", type=int, nargs="+", default=[10, 40])
    parser.add_argument("--plain-epochs", type=int, default=3, help="that are measured, from 2")
    parser.add_argument("--repeats", type=int, default=3, help="of every other run")
    parser.add_argument("--backbone", default="MobileNetV2")
    parser.add_argument("--weights", default="none", help="none is random: as fast, no download")
    args = parser.parse_args()

    found, plain, floor, firsts = rows(args)
    epochs = " and ".join(", ".join(f"{s:.1f}" for s in taken) for taken in plain)
    runs = ", ".join(f"{s:.1f}" for s in firsts)
    show(
        found,
        f"{args.backbone}, frozen, {args.pictures} solar cells at 224 px, batch 32. Plain",
        f"model.fit: epochs measured before and after all else ({epochs} s),",
        "the others taken to be like those after the first. Medians of "
        f"{args.repeats} runs ({args.epochs[0]} epochs: {runs} s).",
        "The floor is one decode of all pictures in Pillow threads",
        f"({floor['decode']:.1f} s) and one forward pass of the decoded pictures by the best",
        f"engine that agrees ({floor['engine']}, {floor['request']} a request, "
        f"{floor['forward']:.1f} s), nothing stored.",
    )


if __name__ == "__main__":
    main()
