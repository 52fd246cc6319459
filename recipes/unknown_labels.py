"""What to do with "?": masked, dropped or called a no, measured on real solar cells.

Two labels a picture: is the cell defective, is it of the type poly. The annotators
were in doubt about 401 of the 2,624 cells (probability 1/3 or 2/3): real "?".

Table 1 trains with those "?" in five ways. Table 2 also hides 25, 50 and 75 % of
the other labels at random, and compares three ways: masked training, where a "?"
adds nothing to the loss; training on the complete rows alone; and taking "?" for
a no. Every way has the same features, the same number of steps, the same seeds,
and is scored on the same held-out cells, about which nobody was in doubt.

    python unknown_labels.py --seeds 10

A frozen backbone makes the features once; then only a small head is trained, by
plain Keras. A difference whose interval holds 0 is no difference; the intervals
are over seeds, and not widened for the number of ways compared.

Measured so (10 seeds; AUC of "defective" on 556 held-out cells, minus masked):

    the real ?:      ? = no -0.004 [-0.008, -0.001]; ? = yes -0.010 [-0.015, -0.004];
                     ? = its probability +0.004 [+0.001, +0.006]
    25 % hidden:     complete rows no difference; ? = no -0.011 [-0.014, -0.008]
    50 % hidden:     complete rows -0.005 [-0.010, -0.000]; ? = no -0.019 [-0.024, -0.014]
    75 % hidden:     complete rows -0.038 [-0.056, -0.019]; ? = no -0.035 [-0.038, -0.031]

Where the annotators' doubt is known as a number, it is worth more than a "?".
"""

import argparse

import keras
import numpy as np
from scipy import stats
from sklearn.metrics import roc_auc_score

import kerastl

LABELS = ["defective", "poly"]
UNKNOWN = kerastl.UNKNOWN


def features(backbone, weights, image_size, smoke):
    """Features [cells, features]; the probability of a defect and the type, [cells] each."""
    cells = kerastl.read_solar_cells(doubtful="soft")
    if smoke:
        cells = cells.take(range(0, len(cells), 16))
    model = kerastl.multilabel_classifier(backbone, LABELS, weights=weights, image_size=image_size)
    prefix = kerastl.split(model, kerastl.spec_of(model).features).prefix
    found = kerastl.extract_features(prefix, cells, tasks=cells.tasks)
    return found.values[:, 0], found.labels["defect"][:, 0], found.labels["type"]


def learn(x, y, seed, steps, batch_size=64):
    """A linear head on features, for any labels: what is below 0 is unknown."""
    keras.utils.set_random_seed(seed)
    head = keras.Sequential([keras.layers.Dropout(0.2), keras.layers.Dense(len(LABELS))])
    rate = keras.optimizers.schedules.CosineDecay(3e-3, steps)
    head.compile(keras.optimizers.AdamW(rate), kerastl.losses.MaskedBinaryCrossentropy())
    rows = np.concatenate([np.random.default_rng([seed, n]).permutation(len(x))
                           for n in range(-(-steps * batch_size // len(x)))])  # fmt: skip
    rows = rows[: steps * batch_size]
    head.fit(x[rows], y[rows], batch_size=batch_size, epochs=1, shuffle=False, verbose=0)
    return head


def held_out(sure, seed):
    """A quarter of the cells about which nobody was in doubt: bool [cells]."""
    draw = np.random.default_rng([seed, 1]).random(len(sure))
    return sure & (draw < np.quantile(draw[sure], 0.25))


def hide(y, share, seed):
    """The labels with `share` of the known ones hidden, each one on its own."""
    gone = np.random.default_rng([seed, 2]).random(y.shape) < share
    return np.where(gone, UNKNOWN, y)


def score(head, x, y):
    """AUC of each label, and the share of right answers at 1/2."""
    logits = keras.ops.convert_to_numpy(head(x))
    areas = [roc_auc_score(y[:, i], logits[:, i]) for i in range(len(LABELS))]
    return [*areas, np.mean((logits > 0) == (y == 1))]


def interval(values):
    """Mean over the seeds and its 95 % interval (Student's t)."""
    mean, error = np.mean(values), stats.sem(values)
    reach = stats.t.ppf(0.975, len(values) - 1) * error
    return mean, mean - reach, mean + reach


def table(scores, reference):
    """Print the ways' scores and, against the reference, the paired differences."""
    heads = [f"AUC {label}" for label in LABELS] + ["accuracy", "difference in AUC defective"]
    print(("  " + " " * 22 + "{:<23}{:<23}{:<23}{}").format(*heads))
    for way, values in scores.items():
        values = np.array(values)
        cells = ["{:.3f} [{:.3f}, {:.3f}]".format(*interval(column)) for column in values.T]
        told = ""
        if way != reference:
            mean, low, high = interval(values[:, 0] - np.array(scores[reference])[:, 0])
            verdict = "no difference" if low <= 0 <= high else "better" if low > 0 else "worse"
            told = f"{mean:+.3f} [{low:+.3f}, {high:+.3f}]: {verdict}"
        print(("  {:<22}{:<23}{:<23}{:<23}{}").format(way, *cells, told).rstrip())


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=10, help="held-out sets, hidings and heads")
    parser.add_argument("--steps", type=int, default=600, help="steps of each head")
    parser.add_argument("--backbone", default="EfficientNetLite0")
    parser.add_argument("--smoke", action="store_true", help="a few cells, an untrained backbone")
    args = parser.parse_args()
    weights, image_size = ("imagenet", None) if not args.smoke else (None, 64)
    if args.smoke:
        args.seeds, args.steps = 2, 20

    x, p, poly = features(args.backbone, weights, image_size, args.smoke)
    sure = (p == 0) | (p == 1)
    truth = np.stack([np.where(sure, p, UNKNOWN), poly], axis=1)
    print(f"{len(x)} cells, {(~sure).sum()} of them with a real ? about the defect")

    def with_doubt(value):
        """The labels with every doubtful defect replaced by `value`."""
        return np.stack([np.where(sure, p, value), poly], axis=1)

    doubt = {
        "masked": truth,
        "? = no": with_doubt(0),
        "? = yes": with_doubt(1),
        "? = its probability": with_doubt(p),
        "? = nearer answer": with_doubt(p > 0.5),
    }
    scores = {way: [] for way in doubt}
    for seed in range(args.seeds):
        test = held_out(sure, seed)
        for way, y in doubt.items():
            head = learn(x[~test], y[~test], seed, args.steps)
            scores[way].append(score(head, x[test], truth[test]))
    print(f"\n1. The real ?, {test.sum()} held-out cells, {args.seeds} seeds [95 % interval]")
    table(scores, "masked")

    for share in (0.25, 0.5, 0.75):
        scores, complete = {"masked": [], "complete rows only": [], "? = no": []}, []
        for seed in range(args.seeds):
            test = held_out(sure, seed)
            train_x, y = x[~test], hide(truth[~test], share, seed)
            whole = (y >= 0).all(axis=1)
            complete.append(whole.sum())
            ways = {
                "masked": (train_x, y),
                "complete rows only": (train_x[whole], y[whole]),
                "? = no": (train_x, np.maximum(y, 0)),
            }
            for way, data in ways.items():
                head = learn(*data, seed, args.steps)
                scores[way].append(score(head, x[test], truth[test]))
        print(f"\n2. {share:.0%} of the labels hidden; of {len(y)} rows {np.mean(complete):.0f} "
              f"are complete, {args.seeds} seeds [95 % interval]")  # fmt: skip
        table(scores, "masked")


if __name__ == "__main__":
    main()
