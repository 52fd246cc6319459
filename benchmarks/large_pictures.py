"""Large photographs: kerastl's reading against keras.utils.image_dataset_from_directory.

    python benchmarks/large_pictures.py --pictures 24 --size 224

All read the same folder of 12-megapixel JPEGs to images of one size, once
through, from the same cache of the disk. The pictures are real photographs
enlarged, with their own detail laid over them. A JPEG's entropy coding has to be
undone in full at any scale, so the megabytes of a file set what can be gained.
Processor time is compared beside elapsed time, as other work on the machine
changes it less. Prints a Markdown table.
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
from PIL import Image, ImageFilter
from sklearn.datasets import load_sample_images

import kerastl
from kerastl.batches import count_cores, iter_batches, ordered_map
from kerastl.pictures import load_picture

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


WAYS = {
    "image_dataset_from_directory": with_keras,
    "Pillow, every pixel, kerastl's resize": every_pixel,
    "kerastl.image_dataset": as_dataset,
    "kerastl's batches, as for stored features": as_batches,
}


def seconds(read, root, size, pictures):
    """(elapsed, processor) seconds for the whole folder."""
    start = time.perf_counter(), time.process_time()
    count = read(root, size)
    end = time.perf_counter(), time.process_time()
    if count != pictures:
        raise SystemExit(f"{read.__name__} gave {count} of {pictures} pictures.")
    return end[0] - start[0], end[1] - start[1]


def ratio(rounds, name, clock):
    """Times as fast as Keras in each round: the median, the lowest and the highest."""
    found = [r["image_dataset_from_directory"][clock] / r[name][clock] for r in rounds]
    return f"{np.median(found):.2f} ({min(found):.2f} to {max(found):.2f})"


def show(rounds, pictures):
    print("| | ms a picture | times as fast | processor ms | times as fast |")
    print("|---|---|---|---|---|")
    for name in WAYS:
        each = np.median([r[name] for r in rounds], axis=0) / pictures * 1000
        cells = [f"{each[0]:.0f}", ratio(rounds, name, 0), f"{each[1]:.0f}", ratio(rounds, name, 1)]
        print(f"| {name} | {' | '.join(cells)} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pictures", type=int, default=24)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--quality", type=int, default=90, help="of the JPEG files")
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_folder(root, args.pictures, args.quality)
        megabytes = np.mean([p.stat().st_size for p in root.glob("*/*.jpg")]) / 1e6
        rounds = [
            {name: seconds(read, root, args.size, args.pictures) for name, read in WAYS.items()}
            for _ in range(args.rounds + 1)
        ][1:]  # the first warms up
    print(f"{args.pictures} JPEGs of {WIDTH} x {HEIGHT}, {megabytes:.1f} MB, to {args.size} px;")
    print(f"{count_cores()} cores, medians of {args.rounds} rounds (lowest to highest)\n")
    show(rounds, args.pictures)


if __name__ == "__main__":
    main()
