"""One network for all tasks, or one for each? Measured on real solar cells, or on your table.

The solar cells have two tasks, `defect` and `type`, with every label known. The
first table compares one joint network with two separate ones, trained for as many
epochs with the same seeds. Then most labels of `defect` are hidden from training,
and the question is asked again: does the task with many labels help the other?

    python joint_or_separate.py --seeds 5
    python joint_or_separate.py my_table.csv --task rust --task kind --seeds 5

Multi-task learning makes sense when the tasks share low-level features, have
similar amounts of data each, and the network is large enough. A difference whose
interval holds 0 is no difference; one that is really worse is negative transfer.

Measured so (5 seeds, 656 held-out cells, AUC of defect, joint minus separate):

    all labels               0.906 and 0.905: +0.001 [-0.006, +0.008], no difference
    90 % of defect's hidden  0.832 and 0.842: -0.010 [-0.031, +0.011], no difference

No difference was found, so one network for both is half the work on the phone.

Fifteen networks a table take minutes on two cores. With --cache FOLDER the frozen
features and every finished network are kept, and an interrupted run goes on there.
"""

import argparse
import sys
import tempfile

import numpy as np

import kerastl


def hide(data, task, share, seed):
    """The same data, `share` of the task's known training labels hidden."""
    frame = data.frame.copy()
    known = np.flatnonzero((frame["split"] == "train") & (frame[task] >= 0))
    gone = np.random.default_rng(seed).permutation(known)[: round(share * len(known))]
    frame.loc[gone, task] = kerastl.UNKNOWN
    return kerastl.Manifest(frame, data.tasks)


def told(what, done, total):
    print(f"  {done} of {total} networks trained: {what}", file=sys.stderr, flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("table", nargs="?", help="a .csv with an image and a column a task")
    parser.add_argument("--task", action="append", help="a column to predict; by default all")
    parser.add_argument("--seeds", type=int, default=5, help="networks of each kind")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--backbone", default="EfficientNetLite0")
    parser.add_argument("--trainable", default="stage4", help="what trains lies after this stage")
    parser.add_argument("--image-size", type=int, default=96)
    parser.add_argument("--hidden", type=float, default=0.9, help="share of defect's labels hidden")
    parser.add_argument("--cache", help="a folder to go on from; by default a temporary one")
    parser.add_argument("--smoke", action="store_true", help="a few pictures, one epoch")
    args = parser.parse_args()

    if args.table:
        data = kerastl.read_csv(args.table, tasks=args.task)
    else:
        data = kerastl.read_solar_cells()
    options = {"image_size": args.image_size, "epochs": args.epochs, "verbose": 0}
    if args.smoke:
        data = data.take(range(0, len(data), max(1, len(data) // 120)))
        options |= {"image_size": 32, "epochs": 1, "weights": None}
        args.seeds = 1

    with tempfile.TemporaryDirectory() as temporary:
        options |= {"trainable": args.trainable, "repeats": args.seeds, "progress": told}
        options["cache"] = args.cache or temporary  # the frozen part runs once for all networks
        print("\nAll labels")
        print(kerastl.joint_or_separate(args.backbone, data, **options))
        if not args.table:
            print(f"\n{args.hidden:.0%} of the training labels of defect hidden")
            few = hide(data, "defect", args.hidden, seed=0)
            print(kerastl.joint_or_separate(args.backbone, few, **options))


if __name__ == "__main__":
    main()
