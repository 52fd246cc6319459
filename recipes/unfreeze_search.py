"""How many layers to unfreeze, measured on real solar cells with packaged ImageNet weights.

Four depths (the heads alone, the last 9 layers, the last 20, and the 46 after stage 4)
by three learning rates: twelve trials of EfficientNetLite0, each the heads for two epochs
and then the tail for four. The frozen part is run once, and all trials share its features.

    python unfreeze_search.py --folder found

The choice is made on the val part: the shallowest depth within one standard error of
the best. The best of twelve looks better on val than it is, so the chosen network is
scored on the test part, which the search does not look at. A difference whose interval
holds 0 is no difference.

Measured so (295 val pictures; the best of each depth's three rates, 95 % intervals):

    trains      layers  score                   to the best
    heads            0  0.972 [0.958, 0.983]    -0.008 [-0.016, +0.001]  no difference
    9                9  0.974 [0.961, 0.985]    -0.006 [-0.014, +0.002]  no difference
    20              20  0.972 [0.959, 0.984]    -0.007 [-0.015, -0.001]  worse
    stage4          46  0.980 [0.969, 0.988]    chosen: none of the others is within one
                                                standard error, 0.005

The score is the mean of AUC of defect and accuracy of type. On 656 held-out cells the chosen
network has 0.872 [0.846, 0.896] accuracy and 0.935 [0.913, 0.954] AUC of defect.

Killed and called again with the same --folder, it goes on where it was. There lie the
tables (leaderboard.csv, depths.csv), the plot (leaderboard.png) and the chosen network
(model.keras).
"""

import argparse
import sys

import kerastl

DEPTHS = ["heads", 9, 20, "stage4"]
RATES = [1e-4, 3e-4, 1e-3]


def told(progress):
    """A line for each trial, and one for each tenth of the pictures."""
    if progress.text or progress.done % max(1, progress.total // 10) == 0:
        best = f"; best {progress.best}" if progress.best else ""
        left = progress.seconds_left
        rest = "" if left is None else f"; about {left / 60:.0f} minutes left"
        line = f"{progress.stage} {progress.done} of {progress.total} {progress.text}{best}{rest}"
        print(" ", line, file=sys.stderr, flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--folder", default="unfreeze_search", help="where the search is kept")
    parser.add_argument("--head-epochs", type=int, default=2, help="of a trial's heads, at most")
    parser.add_argument("--epochs", type=int, default=4, help="of its tail after that, at most")
    parser.add_argument("--backbone", default="EfficientNetLite0")
    parser.add_argument("--image-size", type=int, default=224)
    parser.add_argument("--budget", type=float, help="bytes that the features may take")
    parser.add_argument("--smoke", action="store_true", help="a few cells, two short trials")
    args = parser.parse_args()

    data = kerastl.read_solar_cells()
    options = {"depths": DEPTHS, "learning_rate": RATES, "image_size": args.image_size}
    if args.smoke:
        data = data.take(range(0, len(data), len(data) // 120))
        options = {"depths": ["heads", 4], "learning_rate": 1e-3, "image_size": 32}
        options |= {"weights": None}
        args.epochs = args.head_epochs = 1

    found = kerastl.search(
        args.backbone, data, folder=args.folder, tuner="grid", epochs=args.epochs,
        head_epochs=args.head_epochs, depth_decay=0.7, dropout=0.2, weight_decay=1e-4,
        progress=told,
        budget=None if args.budget is None else int(args.budget), **options,
    )  # fmt: skip
    print(found)
    kerastl.save_model(found.model, found.folder / "model.keras")

    test = data.split("test")
    print(f"\nThe chosen network on {len(test)} held-out cells")
    print(kerastl.evaluate(found.model, test))
    print(f"\nIn {found.folder}: leaderboard.csv, depths.csv, leaderboard.png, model.keras")


if __name__ == "__main__":
    main()
