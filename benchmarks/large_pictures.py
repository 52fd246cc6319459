"""Large photographs: kerastl's reading against keras.utils.image_dataset_from_directory.

    python benchmarks/large_pictures.py --pictures 24 --size 224

All read the same folder of 12-megapixel JPEGs to images of one size, from the same
cache of the disk. The pictures are real photographs enlarged, with their own detail
laid over them. A JPEG's entropy coding has to be undone in full at any scale, so the
megabytes of a file set what can be gained: the least is decoding at 1/8 alone.
Processor time is compared beside elapsed time, as other work on the machine changes
it less. A training of some epochs reads once with kerastl, and in every epoch with
Keras. The ways take turns; ratios are medians over the rounds. Prints a Markdown table.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import skimage.data
from measuring import row, show
from PIL import Image, ImageFilter
from sklearn.datasets import load_sample_images

import kerastl
from kerastl.data.batches import iter_batches, ordered_map
from kerastl.data.pictures import load_picture

WIDTH, HEIGHT = 4000, 3000


def photographs():
    """The photographs that scikit-learn and scikit-image bring along."""
    found = [skimage.data.astronaut(), skimage.data.chelsea(), skimage.data.coffee()]
    return [Image.fromarray(a) for a in [*load_sample_images().images, *found]]


def enlarged(photograph):
    """The photograph at 12 megapixels, with detail as fine as it was."""
    blurred = np.asarray(photograph.filter(ImageFilter.GaussianBlur(2)), "int16")
    detail = np.asarray(photograph, "int16") - blurred
    repeats = (-(-HEIGHT // photograph.height), -(-WIDTH // photograph.width), 1)
    large = np.asarray(photograph.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC), "int16")
    large = large + np.tile(detail, repeats)[:HEIGHT, :WIDTH]
    return Image.fromarray(np.clip(large, 0, 255).astype("uint8"))


def write_folder(root, pictures, quality):
    """Two classes of `pictures` files in all, each photograph as often as it takes."""
    large = [enlarged(p) for p in photographs()]
    for number in range(pictures):
        folder = root / ("even" if number % 2 == 0 else "odd")
        folder.mkdir(exist_ok=True)
        large[number % len(large)].save(folder / f"{number:04}.jpg", quality=quality)


def with_keras(root, size):
    """How a hand-written script reads them: full size, float32, no antialiasing."""
    data = keras.utils.image_dataset_from_directory(
        root, image_size=(size, size), batch_size=8, shuffle=False, verbose=False
    )
    return sum(len(images) for images, _ in data)


def every_pixel(root, size):
    """What kerastl gives, without the lower scale: all pixels decoded, then its resize."""

    def read(path):
        full = Image.fromarray(load_picture(path))
        return np.asarray(full.resize((size, size), Image.Resampling.BILINEAR))

    return sum(1 for _ in ordered_map(read, kerastl.read_folder(root).frame["image"], ahead=8))


def as_dataset(root, size):
    data = kerastl.image_dataset(kerastl.read_folder(root), size, 8)
    return sum(len(images) for images, _ in data)


def as_batches(root, size):
    return sum(len(b.rows) for b in iter_batches(kerastl.read_folder(root), (), size, 8))


def at_an_eighth(root, size):
    """The floor: entropy decoding and the smallest inverse transform there is."""

    def read(path):
        with Image.open(path) as image:
            image.draft(None, (1, 1))
            image.load()

    return sum(1 for _ in ordered_map(read, kerastl.read_folder(root).frame["image"], ahead=8))


KERAS = "image_dataset_from_directory"
WAYS = {
    KERAS: with_keras,
    "Pillow, every pixel, kerastl's resize": every_pixel,
    "kerastl.image_dataset": as_dataset,
    "kerastl's batches, as for stored features": as_batches,
    "decoded at 1/8 and not resized, the floor": at_an_eighth,
}
ONCE = "kerastl's batches, as for stored features"


def seconds(read, root, size, pictures):
    """(elapsed, processor) seconds for the whole folder."""
    start = time.perf_counter(), time.process_time()
    count = read(root, size)
    end = time.perf_counter(), time.process_time()
    if count != pictures:
        raise SystemExit(f"{read.__name__} gave {count} of {pictures} pictures.")
    return end[0] - start[0], end[1] - start[1]


def times(rounds, name, clock):
    """Times as fast as Keras in each round."""
    return [r[KERAS][clock] / r[name][clock] for r in rounds]


def each(rounds, name, pictures):
    """Elapsed and processor milliseconds of a picture."""
    found = np.median([r[name] for r in rounds], axis=0) / pictures * 1000
    return f"{found[0]:.0f} ms (processor {found[1]:.0f})"


def way_row(rounds, name, pictures):
    elapsed, processor = (np.median(times(rounds, name, clock)) for clock in (0, 1))
    what = f"12-megapixel JPEGs: {name} (by processor time {processor:.2f} times)"
    target = "≥ 3" if name == ONCE else ""
    return row(what, each(rounds, name, pictures), each(rounds, KERAS, pictures), elapsed, target)


def epochs_row(rounds, root, args):
    """Ingest of a whole training: measured, not multiplied, on Keras' side."""
    theirs = sum(seconds(with_keras, root, args.size, args.pictures)[0] for _ in range(args.epochs))
    ours = np.median([r[ONCE][0] for r in rounds])
    what = f"12-megapixel JPEGs: ingest of {args.epochs} epochs: once, against each epoch"
    return row(what, f"{ours:.1f} s", f"{theirs:.1f} s", theirs / ours)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pictures", type=int, default=24)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--quality", type=int, default=90, help="of the JPEG files")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=10)
    args = parser.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_folder(root, args.pictures, args.quality)
        megabytes = np.mean([p.stat().st_size for p in root.glob("*/*.jpg")]) / 1e6
        rounds = [
            {name: seconds(read, root, args.size, args.pictures) for name, read in WAYS.items()}
            for _ in range(args.rounds + 1)
        ][1:]  # the first warms up
        found = [way_row(rounds, name, args.pictures) for name in WAYS if name != KERAS]
        found.append(epochs_row(rounds, root, args))
    low, high = min(times(rounds, ONCE, 0)), max(times(rounds, ONCE, 0))
    show(
        found,
        f"{args.pictures} JPEGs of {WIDTH} x {HEIGHT}, {megabytes:.1f} MB each, to {args.size} px,",
        f"against `{KERAS}`, milliseconds a picture;",
        f"medians of {args.rounds} rounds ({ONCE}: {low:.2f} to {high:.2f} times).",
    )


if __name__ == "__main__":
    main()
