"""Peak memory while features of very many pictures go to a store.

    python benchmarks/memory.py --pictures 100000

The pictures are JPEGs of 224 pixels and about 3 kB that differ in a comment, so that
the store, which keeps equal content once, keeps them all. The prefix is small: what is
measured is kerastl's memory, not a network's. Files and features go to a temporary
folder (about 12 KiB a picture) and are removed afterwards. Prints a Markdown table.
"""

import argparse
import io
import os
import resource
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import pandas as pd
from measuring import row, seconds, show
from PIL import Image

import kerastl

SIZE, LIMIT = 224, 2 * 1024
IN_A_FOLDER = 1000


def encoded():
    """A small JPEG of coarse noise."""
    coarse = np.random.default_rng(0).integers(0, 256, (5, 5, 3), dtype="uint8")
    file = io.BytesIO()
    Image.fromarray(coarse).resize((SIZE, SIZE), Image.Resampling.BICUBIC).save(file, "JPEG")
    return file.getvalue()


def write_pictures(root, count):
    """So many files of different content; gives their paths."""
    data = encoded()
    paths = [root / f"{n // IN_A_FOLDER:05}" / f"{n:08}.jpg" for n in range(count)]
    for number, path in enumerate(paths):
        path.parent.mkdir(exist_ok=True)
        comment = f"{number:08}".encode()
        # A COM segment behind the start of the image: two bytes of its length, then text.
        segment = b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment
        path.write_bytes(data[:2] + segment + data[2:])
    return paths


def small_prefix():
    """Averages over patches of 8 pixels, 9 KiB a picture, by Keras."""
    image = keras.Input((SIZE, SIZE, 3))
    pooled = keras.layers.AveragePooling2D(8)(keras.layers.Rescaling(1 / 255)(image))
    return keras.Model(image, pooled)


def peak_mebibytes():
    """The largest resident memory this process has had."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024**2 if sys.platform == "darwin" else 1024)


def extracted(root, count):
    """Seconds of the extraction, and the peak before and after it."""
    paths = write_pictures(root / "pictures", count)
    frame = pd.DataFrame({"image": list(map(str, paths)), "label": np.arange(count) % 2})
    data = kerastl.Manifest(frame, kerastl.Task("label", ["even", "odd"]))
    prefix, before = small_prefix(), peak_mebibytes()
    found = []
    work = lambda: found.append(  # noqa: E731
        kerastl.extract_features(prefix, data, engine="keras", cache=root / "features")
    )
    taken = seconds(work)
    if len(found[0].values) != count:
        raise SystemExit(f"Features of {len(found[0].values)} of {count} pictures were made.")
    return taken, before, peak_mebibytes()


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pictures", type=int, default=100_000)
    args = parser.parse_args()

    with tempfile.TemporaryDirectory(prefix="kerastl-memory-") as folder:
        root = Path(folder)
        (root / "pictures").mkdir()
        taken, before, peak = extracted(root, args.pictures)
    what = f"peak memory, features of {args.pictures:,} pictures to a store, against 2 GiB"
    show(
        [row(what, f"{peak:.0f} MiB", f"{LIMIT} MiB", LIMIT / peak, "≥ 1")],
        f"{taken:.0f} s; {before:.0f} MiB of the peak were there before, TensorFlow with them.",
    )


if __name__ == "__main__":
    main()
