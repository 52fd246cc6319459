"""What a user may give to `export`: it is handled, or a sentence refuses it and costs nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from kerastl.data.manifest import Manifest
from kerastl.data.pictures import load_picture
from kerastl.data.tasks import Task
from kerastl.deploy.exporting import export
from kerastl.deploy.formats import ALL
from kerastl.errors import InputError
from kerastl.inference.predictors import KerasPredictor, load_predictor
from kerastl.models.factories import create_model
from kerastl.models.saving import save_model
from kerastl.models.spec import spec_of, with_spec
from tests.support.exports import refused
from tests.support.tiny_models import SIZE, TASKS, on_disk, patches, tiny

HALF = ["mixed_float16", "mixed_bfloat16"]


@pytest.fixture(scope="module")
def model():
    return tiny()


@pytest.fixture(scope="module")
def exported(model, tmp_path_factory):
    """A folder with a good export, which no test may change."""
    folder = tmp_path_factory.mktemp("exported")
    export(model, folder, ["saved_model", "float32"], latency=False)
    return folder


def in_half(policy, tasks=TASKS):
    """The model that `tiny` makes, its weights too, which computes in half precision."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        return tiny(tasks)
    finally:
        keras.config.set_dtype_policy(before)


@pytest.mark.parametrize("policy", HALF)
def test_mixed_precision_is_exported_in_float32_from_the_same_weights(policy, tmp_path):
    half = in_half(policy)
    assert {layer.compute_dtype for layer in half.layers} & {"float16", "bfloat16"}
    export(half, tmp_path, ["float32"], latency=False)
    made = load_predictor(tmp_path / "model_float32.tflite").predict(patches())
    for name, scores in KerasPredictor(tiny()).predict(patches()).items():
        np.testing.assert_allclose(made[name], scores, atol=1e-5)
    assert {layer.compute_dtype for layer in half.layers} & {"float16", "bfloat16"}


@pytest.mark.slow
@pytest.mark.parametrize("policy", HALF)
def test_mixed_precision_in_every_format(policy, tmp_path):
    report = export(
        in_half(policy), tmp_path, ALL, calibration=patches(), evaluation=patches(200, 1),
        latency=False,
    )  # fmt: skip
    assert [file.cause for file in report.files] == [""] * len(report.files)


def test_mixed_precision_through_the_command_line(inside, tmp_path):
    save_model(in_half("mixed_float16"), tmp_path / "run" / "model.keras")
    told = inside("export", "run", "--formats", "saved_model,float32", "--no-latency",
                  cwd=tmp_path)  # fmt: skip
    assert told.count("100.0%") == 2 * len(TASKS)


def dynamic():
    """A model that takes images of any size."""
    x = keras.Input((None, None, 3), dtype="uint8")
    h = keras.layers.GlobalAveragePooling2D()(keras.layers.Rescaling(1 / 255)(x))
    free = keras.Model(x, keras.layers.Dense(3)(h), name="free")
    return with_spec(free, replace(spec_of(tiny(TASKS[0])), features=free.layers[-2].name))


def test_a_dynamic_image_size_is_refused_before_anything_is_made(tmp_path):
    folder = tmp_path / "new"
    told = refused(dynamic(), folder, ALL, "one image size", calibration=patches())
    assert "'free', which takes images of [None, None]. Build it with image_size=" in told
    assert not folder.exists()


def test_a_dynamic_image_size_through_the_command_line(inside, tmp_path):
    save_model(dynamic(), tmp_path / "run" / "model.keras")
    told = inside("export", "run", "--formats", "float32", cwd=tmp_path, code=2)
    assert "Expected a model of one image size" in " ".join(told.split())
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["model.keras"]


def test_a_model_that_is_not_square_keeps_height_and_width_apart(tmp_path):
    x = keras.Input((12, 20, 3))
    h = keras.layers.Conv2D(4, 3, activation="relu")(keras.layers.Rescaling(1 / 127.5, -1)(x))
    made = create_model(keras.Model(x, h), TASKS, image_size=(12, 20), seed=0)
    formats = ["saved_model", "float32", "onnx", "openvino"]
    report = export(
        made, tmp_path, formats, evaluation=patches(8).repeat(2, axis=2)[:, :12, :20], latency=False
    )
    assert [file.cause for file in report.files] == [""] * 4
    with pytest.raises(InputError, match="Expected images of 12x20 pixels. Received: 20x12"):
        load_predictor(tmp_path / "model.onnx").predict(np.zeros((1, 20, 12, 3), "uint8"))


OTHER = {
    "size": ((4, SIZE // 2, SIZE, 3), "Expected images of 16x16 pixels. Received: 8x16"),
    "grey": ((4, SIZE, SIZE, 1), r"Expected images as RGB .* Received: uint8 \[4, 16, 16, 1\]"),
    "alpha": ((4, SIZE, SIZE, 4), r"Expected images as RGB .* Received: uint8 \[4, 16, 16, 4\]"),
    "flat": ((4, SIZE, SIZE), r"Expected images as RGB .* Received: uint8 \[4, 16, 16\]"),
}


@pytest.mark.parametrize("use", ["calibration", "evaluation"])
@pytest.mark.parametrize("which", OTHER)
def test_arrays_of_another_form_are_refused(which, use, model, exported):
    shape, told = OTHER[which]
    wrong = np.random.default_rng(0).integers(0, 256, shape, "uint8")
    given = {"calibration": patches(8), use: wrong}
    refused(model, exported, ["int8"], told, **given)


@pytest.mark.parametrize("use", ["calibration", "evaluation"])
def test_a_dataset_of_another_size_is_refused(use, model, exported):
    wrong = tf.data.Dataset.from_tensor_slices(patches(4)[:, ::2]).batch(2)
    given = {"calibration": patches(8), use: wrong}
    refused(model, exported, ["int8"], "Expected images of 16x16 pixels. Received: 8x16", **given)


MODES = ["RGB", "L", "RGBA", "P", "LA", "CMYK", "1", "I"]


def odd_files(folder):
    """Pictures of other sizes and channels: 16 to train on, 16 to test on."""
    data = on_disk(folder, 32)
    for number, path in enumerate(data.frame["image"]):
        new, mode = path.replace(".png", ".tif"), MODES[number % len(MODES)]
        Image.open(path).resize((40, 24)).convert(mode).save(new)
        data.frame.loc[number, "image"] = new
    return data


def test_files_of_any_size_and_channels_are_read_as_predict_reads_them(model, tmp_path):
    data = odd_files(tmp_path / "pictures")
    report = export(model, tmp_path / "a", ["int8"], calibration=data, latency=False)
    assert (report.source, report.pictures, data.skipped) == ("held-out pictures", 16, {})
    images = np.stack([load_picture(p, SIZE) for p in data.split("train").frame["image"]])
    export(model, tmp_path / "b", ["int8"], calibration=images, latency=False)
    a, b = (load_predictor(tmp_path / x / "model_int8.tflite").predict(images) for x in "ab")
    assert all((a[name] == b[name]).all() for name in a)


def spoil(paths):
    for path in paths:
        Path(path).write_text("no picture")


def run_and_table(data, folder):
    """A run of one task and a table of labels, as the command line takes them."""
    save_model(tiny(TASKS[0]), folder / "run" / "model.keras")
    frame = data.frame.assign(zone=np.array([*TASKS[0].classes, "?"])[data.frame["zone"]])
    frame.to_csv(folder / "table.csv", index=False)
    return ["run", "table.csv", "--task", "zone"]


def test_files_of_any_size_and_channels_through_the_command_line(inside, tmp_path):
    args = run_and_table(odd_files(tmp_path / "pictures"), tmp_path)
    told = inside("export", *args, "--formats", "saved_model,int8", "--no-latency", cwd=tmp_path)
    assert "Checked on 16 pictures." in told
    assert told.count("kept") == 2


def test_files_that_are_no_pictures_through_the_command_line(inside, tmp_path):
    data = on_disk(tmp_path / "pictures")
    args = run_and_table(data, tmp_path)
    spoil(data.frame["image"])
    told = inside("export", *args, "--formats", "float32", cwd=tmp_path, code=2)
    assert "at least one evaluation picture that can be read" in " ".join(told.split())
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["model.keras"]


def test_a_file_that_is_no_picture_is_left_out_and_listed(model, tmp_path):
    data = on_disk(tmp_path / "pictures")
    bad = data.frame["image"].iloc[[0, -1]]
    spoil(bad)
    report = export(model, tmp_path / "made", ["int8"], calibration=data, latency=False)
    assert report.pictures == 15
    assert "from 23 pictures only" in report.files[0].notes[0]
    assert sorted(data.skipped) == sorted(bad)


def black(folder):
    """As `on_disk`, but every picture is black."""
    data = on_disk(folder)
    for path in data.frame["image"]:
        Image.new("L", (20, 20)).save(path)
    return data


def test_int8_without_pictures_to_calibrate_on_is_refused(model, exported, tmp_path):
    told = refused(model, exported, ["saved_model", "int8"], "calibration= pictures for int8")
    assert "leave int8 out: formats=" in told
    data = black(tmp_path / "black")
    refused(model, exported, ["int8"], "24, all of one colour", calibration=data)
    refused(model, exported, ["int8"], "0, all of one colour", calibration=data.take([]))
    pairs = tf.data.Dataset.from_tensor_slices(patches(4) * 0).batch(2)
    refused(model, exported, ["int8"], "4, all of one colour", calibration=pairs)


def test_black_pictures_through_the_command_line(inside, tmp_path):
    args = run_and_table(black(tmp_path / "black"), tmp_path)
    told = inside("export", *args, "--formats", "int8", cwd=tmp_path, code=2)
    assert "all of one colour" in " ".join(told.split())
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["model.keras"]


def test_black_evaluation_pictures_are_compared_like_others(model, tmp_path):
    dark = np.zeros((5, SIZE, SIZE, 3), "uint8")
    report = export(model, tmp_path, ["float32"], evaluation=dark, latency=False)
    assert (report.pictures, report.files[0].cause) == (5, "")


def empties(folder):
    """Data without one picture that can be read, by what they are."""
    gone = on_disk(folder)
    frame = gone.frame.assign(image=[f"gone{i}.png" for i in range(len(gone))])
    images = np.zeros((0, SIZE, SIZE, 3), "uint8")
    return {
        "array": images,
        "pair": (images, {t.name: np.zeros((0, len(t.columns))) for t in TASKS}),
        "manifest": gone.take([]),
        "missing files": Manifest(frame, TASKS),
        "dataset": tf.data.Dataset.from_tensor_slices(patches(4)).batch(2).take(0),
    }


@pytest.mark.parametrize("which", ["array", "pair", "manifest", "missing files", "dataset"])
def test_an_empty_evaluation_is_refused(which, model, exported, tmp_path):
    data = empties(tmp_path / "pictures")[which]
    refused(model, exported, ["float32"], "at least one evaluation picture", evaluation=data)


def test_two_tasks_of_one_name_are_refused(tmp_path):
    twice = [Task("zone", ["a", "b"]), Task("zone", ["c", "d"])]
    with pytest.raises(InputError, match="each with a name of its own. Repeated: zone"):
        tiny(twice)
    with pytest.raises(InputError, match="each with a name of its own. Repeated: zone"):
        Manifest(on_disk(tmp_path / "pictures").frame, twice)


def test_pictures_of_other_tasks_are_refused(model, exported, tmp_path):
    data = on_disk(tmp_path / "pictures")
    other = Manifest(data.frame, (Task("zone", ["a", "c", "b"]), *TASKS[1:]))
    refused(model, exported, ["float32"], "classes in the same order", evaluation=other)
