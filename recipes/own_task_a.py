"""A task A of one's own, transferred to a small task B, against B from scratch.

Real handwritten digits (scikit-learn's, 8 x 8 pixels): task A tells 0 to 4 apart,
with all its pictures; task B tells 5 to 9 apart, with a few of each. The same
small network learns B four ways: from scratch; on A's features with only a new
head; from them with the last stage trained too; and with all of it trained.

Every way is scored on the same held-out pictures of 5 to 9, over several draws of
the few. A difference whose interval holds 0 is no difference.

    python own_task_a.py --shots 5 --seeds 5

Measured so (5 pictures of each class, 448 held out, mean over 5 draws):

    scratch                0.871 [0.833, 0.923]
    transfer, head         0.655 [0.611, 0.699]
    transfer, last stage   0.817 [0.756, 0.869]
    transfer, all          0.821 [0.766, 0.876]

Here A does not help B: scratch is better than each of the others by 0.05 or more, outside the
noise, and so it is with 150 epochs (0.896 against 0.840 at best). 901 digits of other classes
teach so small a network less than 25 pictures of B's own do. Who trains too little sees it the
other way: with 30 epochs at a third of the rate scratch came to 0.560, the last stage to 0.657.
`transfer_or_scratch.py` has a task A that helps.
"""

import argparse

import keras
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import kerastl

SIZE, RATE = 32, 3e-3


def digits():
    """Images uint8 [n, 32, 32, 3] and the digit that each shows."""
    found = load_digits()
    grey = np.rint(found.images * 255 / 16).astype("uint8")
    large = np.kron(grey, np.ones((1, SIZE // 8, SIZE // 8), "uint8"))
    return np.repeat(large[..., None], 3, axis=-1), found.target


def network(seed):
    """Three small stages; any keras.Model that takes pictures will do."""
    keras.utils.set_random_seed(seed)
    image = keras.Input((SIZE, SIZE, 3))
    x = keras.layers.Rescaling(1 / 127.5, -1)(image)
    for stage, filters in enumerate((16, 32, 64), start=1):
        x = keras.layers.Conv2D(filters, 3, padding="same", name=f"conv{stage}")(x)
        x = keras.layers.ReLU(name=f"relu{stage}")(x)
        x = keras.layers.MaxPooling2D(name=f"pool{stage}")(x)
    return keras.Model(image, x, name="own")


def few(labels, shots, seed):
    """Positions of `shots` pictures of each class."""
    draw = np.random.default_rng(seed)
    return np.concatenate([draw.permutation(np.flatnonzero(labels == c))[:shots] for c in range(5)])


def learn(backbone, classes, data, *, trainable, epochs):
    """All that trains learns at one rate from the first step on, whatever it begins with."""
    model = kerastl.classifier(backbone, classes, trainable=trainable, weights=None)
    kerastl.fit(
        model, data, epochs=epochs, learning_rate=RATE, head_learning_rate=RATE, head_epochs=0,
        depth_decay=1, verbose=0,
    )  # fmt: skip
    return model


def interval(values):
    """Mean and 95 % bootstrap interval over the draws."""
    values = np.asarray(values)
    draw = np.random.default_rng(0)
    means = draw.choice(values, (5000, len(values))).mean(axis=1)
    return values.mean(), *np.percentile(means, [2.5, 97.5])


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--shots", type=int, default=5, help="pictures of each class of task B")
    parser.add_argument("--seeds", type=int, default=10, help="draws of those few")
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--smoke", action="store_true", help="two draws, two epochs")
    args = parser.parse_args()
    if args.smoke:
        args.seeds, args.epochs = 2, 2

    images, digit = digits()
    a, b = digit < 5, digit >= 5
    names_a, names_b = [str(d) for d in range(5)], [str(d) for d in range(5, 10)]
    pool, test, pool_y, test_y = train_test_split(
        images[b], digit[b] - 5, test_size=0.5, stratify=digit[b], random_state=0
    )
    task_a = learn(network(0), names_a, (images[a], digit[a]), trainable=True, epochs=args.epochs)
    print(f"task A: {a.sum()} pictures; task B: {5 * args.shots}; held out: {len(test)}")

    ways = {
        "scratch": lambda seed: (network(seed), True),
        "transfer, head": lambda seed: (task_a, False),
        "transfer, last stage": lambda seed: (task_a, "pool2"),
        "transfer, all": lambda seed: (task_a, True),
    }
    scores = {way: [] for way in ways}
    for seed in range(args.seeds):
        rows = few(pool_y, args.shots, seed)
        for way, make in ways.items():
            backbone, trainable = make(seed)
            shots = (pool[rows], pool_y[rows])
            model = learn(backbone, names_b, shots, trainable=trainable, epochs=args.epochs)
            found = kerastl.evaluate(model, (test, test_y), draws=0)
            scores[way].append(found.get("label", "accuracy"))

    print(f"\naccuracy of task B, mean over {args.seeds} draws [95 % interval]")
    for way, values in scores.items():
        print("  {:<22} {:.3f} [{:.3f}, {:.3f}]".format(way, *interval(values)))
    for way in list(ways)[1:]:
        mean, low, high = interval(np.subtract(scores[way], scores["scratch"]))
        verdict = "no difference" if low <= 0 <= high else "better" if low > 0 else "worse"
        print(f"  {way} minus scratch: {mean:+.3f} [{low:+.3f}, {high:+.3f}]: {verdict}")


if __name__ == "__main__":
    main()
