"""What is said of pictures that could be read, as they are decoded anyway."""

import logging

import numpy as np
import pandas as pd
from PIL import Image

from kerastl.data.batches import check_pictures, iter_batches, tell_remarks
from kerastl.data.manifest import Manifest
from kerastl.data.remarks import Remarks, of_one_colour
from kerastl.data.tasks import Task

TASK = Task("label", ["cat", "dog"])
NOISE = np.random.default_rng(0).integers(0, 256, (12, 12, 3), dtype="uint8")


def manifest(folder, pictures):
    for name, pixels in pictures.items():
        Image.fromarray(pixels).save(folder / name)
    paths = [str(folder / name) for name in pictures]
    return Manifest(pd.DataFrame({"image": paths, "label": 0}), TASK)


def black(n, good):
    flat = {f"black{i}.png": np.zeros((12, 12, 3), "uint8") for i in range(n)}
    return flat | {f"good{i}.png": NOISE // (i + 1) for i in range(good)}


def test_pictures_of_one_colour_are_counted_and_named(tmp_path):
    data = manifest(tmp_path, black(7, 3))
    assert len(list(iter_batches(data, TASK, 8, batch_size=4))) == 3
    [line] = data.remarks.lines(data.frame["image"].tolist())
    assert line == (
        "7 of 10 pictures are of one colour as read: "
        "black0.png, black1.png, black2.png, black3.png, black4.png, …"
    )
    assert f"note: {line}" in data.summary()


def test_a_part_of_a_manifest_shares_what_was_seen_and_counts_its_own(tmp_path):
    data = manifest(tmp_path, black(2, 2))
    check_pictures(data.take([1, 2]))
    assert data.take([1, 2]).remarks.lines(data.frame["image"].tolist()[1:3]) == [
        "1 of 2 pictures is of one colour as read: black1.png"
    ]


def test_one_span_is_said_once_and_several_with_their_pictures(tmp_path, caplog):
    deep = {
        f"{i}.png": np.full((4, 4), 3000 + i, "uint16") * np.eye(4, dtype="uint16")
        for i in range(3)
    }
    data = manifest(tmp_path, deep)
    check_pictures(data)
    with caplog.at_level(logging.WARNING, "kerastl"):
        tell_remarks(data, None)
        tell_remarks(data, None)
    [line] = caplog.messages
    assert line == (
        "note: 3 of 3 pictures have more than 8 bits, or signed values. Taken for black and white "
        "are 0 and 4095."
    )
    dark = manifest(tmp_path, {**deep, "dark.png": np.eye(4, dtype="uint16") * 900})
    check_pictures(dark)
    assert dark.remarks.lines(dark.frame["image"].tolist()) == [
        "4 of 4 pictures have more than 8 bits, or signed values. Taken for black and white are "
        "0 and 4095 in 3; 0 and 1023 in 1 (dark.png): the same value is another grey there."
    ]


def test_all_sixteen_bits_and_eight_need_no_words(tmp_path):
    data = manifest(tmp_path, {"a.png": np.eye(4, dtype="uint16") * 65535, "b.png": NOISE})
    check_pictures(data)
    assert data.remarks.lines(data.frame["image"].tolist()) == []


def test_copies_get_what_was_noted_of_one():
    remarks = Remarks()
    remarks.note("a.png", np.zeros((2, 2, 3), "uint8"), (0, 4095))
    remarks.share(["a.png", "b.png", "c.png"], [b"1", b"1", b"2"])
    assert set(remarks.flat) == set(remarks.spans) == {"a.png", "b.png"}
    remarks.share(["d.png", "e.png"], [b"1", None])  # of another part, where none was decoded
    assert set(remarks.flat) == {"a.png", "b.png", "d.png"}


def test_one_colour_is_what_the_eye_would_call_so():
    flat = np.full((20, 20, 3), 90, "uint8")
    flat[3, 3] = 92
    assert of_one_colour(flat)
    flat[3, 3] = 93
    assert not of_one_colour(flat), "not one of the rows that are looked at first"
    assert not of_one_colour(NOISE)
