"""Who is in the photograph? In stages (find, embed, nearest person) or by one network.

    pip install 'kerastl[recipes]'
    python face_recognition.py                  # the built-in set, made from real faces
    python face_recognition.py people/          # a folder of photographs for each person
    python face_recognition.py --lfw            # Labeled Faces in the Wild, by TFDS

- In stages: OpenCV's cascade finds the face, a network that has learnt faces on other people
  embeds it, and the nearest known person is the answer, or "unknown" below a threshold.
- End to end: one network from the whole photograph to the person, with a threshold too.

Both begin at ImageNet's weights and choose their threshold on the same photographs, in which there
are strangers. A photograph in which no face is found gets no answer from the stages, which counts
as wrong. Measured so on the built-in set: 20 people are known, 480 photographs are asked about, 240
of them of strangers, so that "unknown" to all is wrong in 0.500 (share that is wrong, mean and in
brackets the lowest to the highest of 4, 4, 4, 4 and 3 repeats, each with an embedder and a network
of its own; 40 minutes on one core):

    photographs  in stages               end to end
    20           0.367 (0.323 to 0.415)  0.506 (0.500 to 0.517)
    40           0.335 (0.281 to 0.371)  0.501 (0.496 to 0.506)
    80           0.284 (0.262 to 0.315)  0.470 (0.442 to 0.500)
    160          0.241 (0.202 to 0.294)  0.377 (0.356 to 0.400)
    320          0.199 (0.181 to 0.219)  0.265 (0.238 to 0.294)

"in stages is better than end to end from 20 to 320 examples: they do not cross within the data."
Only the stages can learn from other people's faces, and that is most of it: what follows the finder
costs 0.327 [0.284, 0.368] of the score even so (n = 480, the first embedder). With the true place
of each face it scores lower, by 0.069 [0.032, 0.105]: the known faces were cut out by the finder
too. End to end learns nothing from 40 photographs or fewer, then falls faster. A smaller set, with
16 photographs of each person and 160 asked about, left the two inside the noise. Rounding, which
differs from one processor to another, makes another embedder of the same seed.

The finder finds 360 of 400 made faces (0.90 [0.87, 0.93], other draws than those above) where they
are, and none elsewhere; nothing in the photographs behind them.

Verification, "the same person, or not?", of 60 people whom nothing was learnt from, 6,000 pairs:
the four embedders are right in 0.808, 0.843, 0.832 and 0.848 (standard error 0.007 to 0.012 over 10
folds); of 3,000 pairs that are the same they accept 0.722 to 0.792 where 10 % of 3,000 others are
accepted, 0.468 to 0.603 where 1 % are. It follows LFW's second view: pairs in 10 folds, nobody in
two of them, each fold by the threshold of the other nine (Huang et al., Labeled Faces in the Wild,
UMass Amherst, Technical Report 07-49, 2007). The pairs are drawn here; they are not LFW's list, and
--lfw was not run on the real data set.

The built-in set is made: 100 real faces of 25 x 25 pixels (scikit-image's lfw_subset), each
taken for a person, put into other photographs. A person's photographs are one face in other
light, so that they are more alike than real ones; and lfw_subset, drawn at random from LFW
and without names, may have somebody twice, who then counts as two people.

Names and photographs stay on this machine. Recognise only people who agreed to it, and decide
nothing about anybody by it alone: it errs, and not alike for all people.
"""

import argparse
import functools
import itertools
import sys

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter, ImageOps
from skimage import data
from skimage.feature import Cascade

import kerastl

BACKBONE, SIDE, FACE, WHOLE, MARGIN = "EfficientNetLite0", 192, 96, 128, 0.1
UNKNOWN = "unknown"
PHOTO, CROP = kerastl.ImageType(), kerastl.ImageType(FACE, FACE)
FOUND = {"photo": PHOTO, "box": kerastl.ArrayType((3,), "int64")}
CASCADE = Cascade(data.lbp_frontal_face_cascade_filename())
FOLDS, FARS = 10, (0.1, 0.01)
LEAST_ACCEPTED = 10
"""So many of the others have to be accepted for their share to be told."""

HELD = {"val": 3, "test": 4}
"""Photographs of each known person for the threshold and for the test; the rest is learnt."""

MADE = {"val": 3, "test": 12}
"""The same of the built-in set, which is made: so many tell smaller differences apart."""

LEAST_TEACHERS = 10


def find_face(photo):
    """A designed stage: row, column and side of the largest face; None where there is none."""
    least, most = SIDE // 5, min(photo.shape[:2])
    found = CASCADE.detect_multi_scale(photo, 1.1, 1, (least, least), (most, most))
    box = max(found, key=lambda one: one["width"], default=None)
    return box and {"photo": photo, "box": np.array([box["r"], box["c"], box["width"]])}


def crop(found):
    """The face with a margin, shrunk or enlarged to one size."""
    row, column, side = found["box"]
    around = int(side * MARGIN)
    image = Image.fromarray(found["photo"])
    part = image.crop((column - around, row - around, column + side + around, row + side + around))
    return np.asarray(part.resize((FACE, FACE), Image.Resampling.BILINEAR))


def embedder(photos, names, epochs, seed):
    """A network from a face to its features, learnt by telling these people apart.

    Nobody among them is known or asked about later. Where they are fewer than ten, the
    backbone's features stay what ImageNet made them.
    """
    found = [(crop(face), name) for face, name in zip(map(find_face, photos), names, strict=True)
             if face is not None]  # fmt: skip
    people = np.unique([name for _, name in found])
    if len(people) < LEAST_TEACHERS:
        model = kerastl.classifier(BACKBONE, ["a", "b"], trainable=False, image_size=FACE)
        return kerastl.split(model, "features").prefix
    faces, names = map(np.stack, zip(*found, strict=True))
    model = kerastl.classifier(
        BACKBONE, people.tolist(), trainable="stage3", image_size=FACE, seed=seed
    )
    kerastl.fit(model, (faces, np.searchsorted(people, names)), epochs=epochs, seed=seed, verbose=0)
    return kerastl.split(model, "features").prefix


def unit(vectors):
    vectors = np.asarray(vectors, "float64")
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def nearest(vectors, names):
    """A function from vectors to the cosine of the nearest known one, and whose it is."""
    known, names = unit(vectors), np.asarray(names)

    def look(asked):
        likeness = unit(asked) @ known.T
        return likeness.max(axis=1), names[likeness.argmax(axis=1)]

    return look


def best_threshold(sure, right, refused):
    """From how sure one has to be so that most answers are right.

    Args:
        sure: How sure each answer is.
        right: Whether each is right, if it is given.
        refused: Whether "unknown" would be right in its place.
    """
    tried = np.append(np.unique(sure), np.inf)
    shares = [np.where(sure >= t, right, refused).mean() for t in tried]
    return float(tried[np.argmax(shares)])


def threshold_of(sure, answers, truths):
    return best_threshold(sure, answers == truths, truths == UNKNOWN)


def in_stages(embedder_of, val):
    """Learns the gallery and the threshold; the finder is designed.

    Args:
        embedder_of: By seed, a network that has learnt faces on other people: each repeat has
            one of its own, so that repeats differ by what the network happened to learn, too.
        val: Photographs and truths for the threshold.
    """
    photos, truths = val

    def train(part, seed):
        front = [kerastl.Stage("find", find_face, PHOTO, FOUND, batched=False),
                 kerastl.Stage("crop", crop, FOUND, CROP, batched=False),
                 kerastl.Stage("embed", embedder_of(seed))]  # fmt: skip
        see = kerastl.Pipeline(front)
        there = [(v, name) for v, name in zip(see(part[0]), part[1], strict=True) if v is not None]
        seen = [(v, name) for v, name in zip(see(photos), truths, strict=True) if v is not None]
        if not there or not seen:
            use = "for the threshold" if there else "to learn from"
            raise kerastl.InputError(f"No face was found in any photograph {use}.")
        look = nearest(*zip(*there, strict=True))
        vectors, known = zip(*seen, strict=True)
        least = threshold_of(*look(vectors), np.array(known))

        def name(asked):
            return [n if s >= least else UNKNOWN for s, n in zip(*look(asked), strict=True)]

        return kerastl.Pipeline([*front, kerastl.Stage("name", name, gives=str)])

    return train


def end_to_end(classes, val, epochs):
    """One network on whole photographs, its last stages trained."""
    photos, truths = val
    names = np.array(classes)

    def train(part, seed):
        model = kerastl.classifier(
            BACKBONE, classes, trainable="stage3", image_size=WHOLE, seed=seed
        )
        codes = np.searchsorted(names, part[1])
        kerastl.fit(model, (smaller(part[0]), codes), epochs=epochs, seed=seed, verbose=0)
        see = kerastl.Pipeline({"see": model})

        def look(asked):
            scores = np.stack(see(smaller(asked)))
            return scores.max(axis=1), names[scores.argmax(axis=1)]

        least = threshold_of(*look(photos), truths)
        return lambda asked: [n if s >= least else UNKNOWN
                              for s, n in zip(*look(asked), strict=True)]  # fmt: skip

    return train


def smaller(photos):
    return np.stack([np.asarray(Image.fromarray(p).resize((WHOLE, WHOLE))) for p in photos])


def made_people(count, each, seed=0):
    """Photographs made of real faces: uint8 `[n, SIDE, SIDE, 3]`, names, and the true boxes."""
    draw = np.random.default_rng(seed)
    faces = [np.rint(255 * face).astype("uint8") for face in data.lfw_subset()[:count]]
    behind = [data.coffee(), data.chelsea(), data.brick(), data.grass(), data.gravel()]
    shots = [(number, photograph(face, behind[draw.integers(len(behind))], draw))
             for number, face in enumerate(faces) for _ in range(each)]  # fmt: skip
    photos, boxes = zip(*(shot for _, shot in shots), strict=True)
    names = np.array([f"person {number:03}" for number, _ in shots])
    return np.stack(photos), names, np.array(boxes)


def photograph(face, behind, draw):
    """A face somewhere in another photograph: its size, turn, light, focus and noise differ."""
    side = int(draw.integers(50, 100))
    row, column = draw.integers(0, SIDE - side, 2)
    image = Image.fromarray(face).resize((side, side), Image.Resampling.BICUBIC)
    image = image.rotate(draw.uniform(-6, 6), Image.Resampling.BICUBIC, fillcolor=128)
    image = ImageEnhance.Contrast(image).enhance(draw.uniform(0.7, 1.3))
    image = ImageEnhance.Brightness(image).enhance(draw.uniform(0.7, 1.3))
    image = image.filter(ImageFilter.GaussianBlur(draw.uniform(0, 1))).convert("RGB")
    rows, columns = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    edge = Image.fromarray(np.clip(1500 * (1.1 - np.hypot(rows, columns)), 0, 255).astype("uint8"))
    scene = ImageOps.fit(Image.fromarray(behind).convert("RGB"), (SIDE, SIDE))
    scene.paste(image, (int(column), int(row)), edge)
    noisy = np.asarray(scene) + draw.normal(0, 6, (SIDE, SIDE, 1))
    return np.clip(noisy, 0, 255).astype("uint8"), (row, column, side)


def read_people(folder):
    """Photographs and names from a folder with a folder for each person."""
    data = kerastl.check_pictures(kerastl.read_folder(folder))
    for path, cause in data.skipped.items():
        print(f"left out: {path}: {cause}", file=sys.stderr)
    people = np.array(data.tasks[0].classes)
    return as_photographs(zip(data.frame["image"], people[data.frame["label"]], strict=True))


def read_lfw():
    """Labeled Faces in the Wild; TFDS gives the photographs and whose they are, and no pairs."""
    import tensorflow_datasets as tfds

    try:
        found = tfds.as_numpy(tfds.load("lfw", split="train"))
    except Exception as error:  # TFDS raises what it likes: no connection, no space
        raise kerastl.InputError(f"TFDS cannot load lfw: {error}") from error
    return as_photographs((Image.fromarray(one["image"]), one["label"].decode()) for one in found)


def as_photographs(shots):
    """Images or paths with names: uint8 `[n, SIDE, SIDE, 3]`, square by a black margin; names."""
    photos, names = [], []
    for picture, name in shots:
        image = picture if isinstance(picture, Image.Image) else Image.open(picture)
        upright = ImageOps.exif_transpose(image).convert("RGB")
        photos.append(np.asarray(ImageOps.pad(upright, (SIDE, SIDE))))
        names.append(name)
    return np.stack(photos), np.array(names)


def divided(names, held=HELD, seed=0):
    """Rows by what they are for; nobody is in two parts but the known people.

    Args:
        names: Whose each photograph is.
        held: As `HELD`.
        seed: Of the draw.

    Returns:
        "teach", other people's, from which faces are learnt; "learn", "val" and "test" of the
        known people, the last two with strangers, each with strangers of its own.
    """
    draw = np.random.default_rng(seed)
    people, counts = np.unique(names, return_counts=True)
    enough = draw.permutation(people[counts > sum(held.values())])
    known = enough[: min(30, max(2, len(people) // 5))]
    others = draw.permutation(np.setdiff1d(people, known))
    if len(known) < 2 or len(others) < 2:
        raise kerastl.InputError(
            f"Expected 4 people or more, 2 of them with {sum(held.values()) + 1} photographs or "
            f"more. Received: {len(people)} people, {len(enough)} of them with as many."
        )
    strange = others[: max(2, 2 * len(people) // 5)]
    rows = {name: draw.permutation(np.flatnonzero(names == name)) for name in people}
    parts, start = {"teach": np.flatnonzero(~np.isin(names, [*known, *strange]))}, 0
    for number, (part, count) in enumerate(held.items()):
        ours = [rows[name][start : start + count] for name in known]
        theirs = [rows[name][:count] for name in strange[number::2]]
        parts[part] = np.concatenate([*ours, *theirs])
        start += count
    return {**parts, "learn": np.concatenate([rows[name][start:] for name in known])}


def pairs(names, seed=0):
    """Pairs of rows, whether they are the same person, and in which fold they are.

    There are 10 folds, or fewer where there are not two people for each. No person is in two
    folds, and each fold has as many pairs of one kind as of the other.
    """
    draw, people = np.random.default_rng(seed), np.unique(names)
    found, folds = [], min(FOLDS, len(people) // 2)
    for fold, ours in enumerate(np.array_split(draw.permutation(people), folds)):
        rows = np.flatnonzero(np.isin(names, ours))
        both = np.array(list(itertools.combinations(rows, 2))).reshape(-1, 2)
        same = names[both[:, 0]] == names[both[:, 1]]
        count = min(300, same.sum(), (~same).sum())
        for kind in (same, ~same):
            chosen = draw.choice(np.flatnonzero(kind), count, replace=False)
            found += [(*both[row], same[row], fold) for row in chosen]
    first, second, same, fold = np.array(found).reshape(-1, 4).T
    return first, second, same.astype(bool), fold


def verify(vectors, names, seed=0):
    """Are two photographs of the same person? LFW's protocol, over 10 folds.

    Args:
        vectors: One for each photograph, None where no face was found: that is never
            the same person as another.
        names: Whose they are.

    Returns:
        Accuracy in each fold, by the threshold of the other nine; the share of the same
        that are accepted where a given share of the others is; the number of pairs.
    """
    first, second, same, fold = pairs(names, seed)
    if len(np.unique(fold)) < 2:
        raise kerastl.InputError(
            "Expected pairs of photographs of the same person in 2 folds or more. Received: "
            f"{same.sum()} such pairs of {len(np.unique(names))} people."
        )
    size = next(len(v) for v in vectors if v is not None)
    filled = unit([np.full(size, np.nan) if v is None else v for v in vectors])
    likeness = np.nan_to_num((filled[first] * filled[second]).sum(axis=1), nan=-1)
    shares = []
    for number in np.unique(fold):
        here = fold == number
        least = best_threshold(likeness[~here], same[~here], ~same[~here])
        shares.append(np.mean((likeness[here] >= least) == same[here]))
    borne = [far for far in FARS if far * (~same).sum() >= LEAST_ACCEPTED]
    accepted = {far: accepted_at(likeness, same, far) for far in borne}
    return np.array(shares), accepted, len(same)


def accepted_at(likeness, same, far):
    """The share of same pairs above the likeness that at most a share of the others reaches."""
    others = np.sort(likeness[~same])
    least = others[len(others) - 1 - int(far * len(others))]
    return float((likeness[same] > least).mean())


def tell(vectors, names):
    shares, accepted, count = verify(vectors, names)
    error = shares.std(ddof=1) / np.sqrt(len(shares))
    print(f"accuracy {shares.mean():.3f}, standard error {error:.3f} over {len(shares)} folds, "
          f"{count} pairs of {len(np.unique(names))} people")  # fmt: skip
    for far, share in accepted.items():
        print(f"accepted {share:.3f} of the same where {far:.0%} of the others are, "
              f"of {count // 2} each")  # fmt: skip


def compare(photos, names, boxes, held, folder, repeats, epochs):
    """Identification by both ways, what each stage costs, and verification."""
    rows = divided(names, held)
    known = np.unique(names[rows["learn"]])
    right = np.where(np.isin(names, known), names, UNKNOWN)
    val, test, learn = ((photos[rows[p]], right[rows[p]]) for p in ("val", "test", "learn"))

    @functools.cache
    def embedder_of(seed):
        return embedder(photos[rows["teach"]], names[rows["teach"]], epochs, seed)

    sizes = [len(known) * 2**step for step in range(len(repeats))]
    seeds = {size: n for size, n in zip(sizes, repeats, strict=True) if size <= len(learn[0])}
    print(f"{len(known)} people are known; {len(test[0])} photographs are asked about, "
          f"{np.sum(test[1] == UNKNOWN)} of them of strangers.")  # fmt: skip
    stages = in_stages(embedder_of, val)
    print(kerastl.learning_curve(
        {"in stages": kerastl.staged(stages, *test),
         "end to end": kerastl.end_to_end(end_to_end(known.tolist(), val, 4 * epochs), *test)},
        learn, list(seeds), seeds, strata=learn[1].tolist(), folder=folder,
        settings={"epochs": epochs},
    ))  # fmt: skip

    pipeline = stages(learn, 0)
    if boxes is not None:
        truly = [{"photo": photos[row], "box": boxes[row]} for row in rows["test"]]
        truths = {"find": truly, "name": test[1].tolist()}
        print(f"\nWhat each stage costs, trained on {len(learn[0])} photographs")
        print(kerastl.attribute(pipeline, test[0], truths, lambda said: np.array(said) == test[1]))

    print("\nThe same person, or not? Nobody of those whom faces were learnt from")
    rest = np.setdiff1d(np.arange(len(names)), rows["teach"])
    for seed in range(max(repeats)):
        tell(stages(learn, seed).trace(photos[rest])["embed"], names[rest])


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("people", nargs="?", help="a folder with a folder for each person")
    parser.add_argument("--lfw", action="store_true", help="Labeled Faces in the Wild, by TFDS")
    parser.add_argument("--folder", default="face_recognition", help="keeps every trial")
    parser.add_argument("--smoke", action="store_true", help="few people, few epochs")
    args = parser.parse_args()
    count, each, held, repeats, epochs = (
        (20, 9, HELD, (1, 1), 1) if args.smoke else (100, 32, MADE, (4, 4, 4, 4, 3), 15)
    )
    try:
        if args.people or args.lfw:
            found = *(read_lfw() if args.lfw else read_people(args.people)), None, HELD
        else:
            found = *made_people(count, each), held
        compare(*found, args.folder, repeats, epochs)
    except kerastl.InputError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
