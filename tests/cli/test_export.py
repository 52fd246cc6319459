"""The files for phones and servers through the command line: made, checked and shown."""

import json
import re
import shutil

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from kerastl.data.pictures import load_picture
from kerastl.data.tasks import Task
from kerastl.deploy import tflite
from kerastl.deploy.formats import FORMATS
from kerastl.deploy.preview import server as try_server
from kerastl.deploy.writers import BYTES_INPUT, BYTES_SIGNATURE
from kerastl.inference.litert import SIGNATURE, LiteRTModel
from kerastl.inference.sidecar import INPUT
from kerastl.models.saving import save_model
from tests.support.commands import ROOT, kerastl
from tests.support.tiny_models import patches, tiny

TASKS = (Task("zone", ["a", "b", "c"]), Task("alarm", ["no", "yes"], "binary"))


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """A folder with run/model.keras and cells.csv: 40 pictures, some labels unknown."""
    root = tmp_path_factory.mktemp("export")
    save_model(tiny(TASKS), root / "run" / "model.keras")
    rng, rows = np.random.default_rng(0), []
    for number, image in enumerate(patches(40)):
        Image.fromarray(image).save(root / f"{number:02}.png")
        split = "train" if number < 24 else "test"
        alarm = rng.choice(["no", "yes", "?"])
        rows.append([f"{number:02}.png", split, rng.choice(["a", "b", "c"]), alarm])
    table = pd.DataFrame(rows, columns=["image", "split", "zone", "alarm"])
    table.to_csv(root / "cells.csv", index=False)
    return root


@pytest.fixture(scope="module")
def exported(work):
    told = kerastl("export", "run", "cells.csv", "--formats", "saved_model, float32,int8",
                   "--waive", "int8", cwd=work)  # fmt: skip
    return work / "run", told


def test_export_shows_the_contract(exported):
    folder, told = exported
    report = json.loads((folder / "report.json").read_text())["export"]
    assert [f["format"] for f in report["files"]] == ["saved_model", "float32", "int8"]
    assert "Checked on 16 pictures." in told
    for words in ("accuracy", "minus Keras", "same", "largest", "1 thread", "2 threads", "XNNPACK"):
        assert words in told
    [row] = [line.split() for line in told.splitlines() if line.startswith("keras   ") and
             "zone" in line]  # fmt: skip
    assert row[2] == f"{report['keras']['zone']['value']:.4f}"
    assert row[-1] == str(report["keras"]["zone"]["n"])
    [row] = [line for line in told.splitlines() if line.startswith("model_float32.tflite  ")]
    assert row.count(" ms") == 2
    assert "model.json, report.json" in told


def test_every_form_predicts_the_same(exported, work, tmp_path, inside):
    folder, _ = exported
    (tmp_path / "text.jpg").write_text("this is no picture")
    frames = {}
    for form in ("model.keras", "saved_model", "model_float32.tflite"):
        out = tmp_path / f"{form}.csv"
        inside("predict", folder / form, work / "07.png", tmp_path / "text.jpg", "--out", out,
               cwd=tmp_path)  # fmt: skip
        frames[form] = pd.read_csv(out)
    expected = frames["model.keras"]
    assert expected["error"].tolist()[1] == "not a picture"
    for frame in frames.values():
        assert list(frame) == list(expected)
        np.testing.assert_allclose(frame["zone/score/b"][0], expected["zone/score/b"][0], atol=1e-4)


def turned(image):
    exif = Image.Exif()
    exif[0x0112] = 6
    return image, {"format": "JPEG", "exif": exif, "quality": 100, "subsampling": 0}


def clear(image):
    image = image.resize((40, 24)).convert("RGBA")
    image.paste((9, 9, 9, 0), (0, 0, 20, 24))
    return image


PICTURES = {
    "plain": lambda image: (image, {}),
    "turned": turned,
    "half transparent": lambda image: (clear(image), {}),
    "transparent palette": lambda image: (clear(image).quantize(20), {}),
    "transparent colour": lambda image: (image, {"transparency": image.getpixel((0, 0))}),
    "16 bits": lambda image: (Image.fromarray(np.asarray(image.convert("L")) * np.uint16(257)), {}),
    "12 bits": lambda image: (Image.fromarray(np.asarray(image.convert("L")) * np.uint16(16)), {}),
    "for print": lambda image: (image.convert("CMYK"), {"format": "JPEG", "quality": 100}),
}


@pytest.mark.parametrize("kind", PICTURES)
def test_the_python_of_the_deploy_page_runs(exported, monkeypatch, tmp_path, kind):
    """As it stands, beside the files of an export: it gives what `predict` gives.

    The other block decodes by what test_decoding holds: here two kinds will do.
    """
    folder = shutil.copytree(exported[0], tmp_path / "copy")
    image, options = PICTURES[kind](Image.fromarray(patches(8)[7]))
    image.save(folder / "picture.png", **{"format": "PNG", **options})
    pixels = load_picture(folder / "picture.png", 16)
    monkeypatch.chdir(folder)
    page = (ROOT / "docs/deploy.md").read_text("utf-8")
    blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert len(blocks) == 2
    expected = LiteRTModel(folder / "model_float32.tflite").predict(pixels[None])
    for block in blocks if kind in ("plain", "turned") else blocks[:1]:
        names = {}
        exec(compile(block, "deploy.md", "exec"), names)
        if "picture" in names:
            difference = np.abs(np.asarray(names["picture"], int) - pixels.astype(int))
            assert difference.max() <= 1  # turned before it is resized, or after
        for task in TASKS:
            np.testing.assert_allclose(
                np.asarray(names["scores"][task.name]), expected[task.name], atol=2e-3
            )


def test_the_names_of_the_deploy_page_are_those_of_the_files(exported):
    page = (ROOT / "docs/deploy.md").read_text("utf-8")
    for form in FORMATS.values():
        assert f"| `{form.name}` | `{form.file}" in page
    about = json.loads((exported[0] / "model.json").read_text("utf-8"))
    for field in ("name", "dtype", "shape", "colour_order", "range", "resizing"):
        assert f"`input.{field}`" in page
        assert field in about["input"]
    for field in ("name", "output", "kind", "classes", "thresholds", "scores"):
        assert f"`tasks[].{field}`" in page or f"`.{field}`" in page
        assert field in about["tasks"][1]
    for name in (INPUT, SIGNATURE, BYTES_SIGNATURE, BYTES_INPUT):
        assert name in page


def test_check_against_the_model(exported, work, inside):
    told = inside("check", "run/model_float32.tflite", "cells.csv", "--model", "run",
                  "--no-latency", cwd=work)  # fmt: skip
    assert "Checked on 16 pictures." in told
    assert "100.0%" in told
    assert " ms" not in told


def test_check_as_json_for_another_program(exported, work, inside):
    told = inside("check", "run/saved_model", "cells.csv", "--model", "run/model.keras", "--json",
                  cwd=work)  # fmt: skip
    [file] = json.JSONDecoder().raw_decode(told)[0]["files"]  # what is told beside it comes after
    assert (file["format"], file["cause"]) == ("saved_model", "")


def test_check_on_pictures_without_labels(exported, work, inside, tmp_path):
    shutil.copy(work / "03.png", tmp_path)
    for pictures in (tmp_path, work / "03.png"):
        told = inside("check", "run/model_float32.tflite", pictures, "--model", "run",
                      "--no-latency", cwd=work)  # fmt: skip
        assert "Checked on 1 " in told


def test_check_on_labels_alone_says_what_it_did_not_check(exported, work, inside):
    told = inside("check", "run/model_float32.tflite", "cells.csv", "--no-latency", cwd=work)
    assert "was not compared with a Keras model" in told


def test_a_file_of_other_weights_is_exit_code_1_unless_waived(exported, work, inside):
    save_model(tiny(TASKS, seed=5), work / "other" / "model.keras")
    args = ["check", "run/model_float32.tflite", "cells.csv", "--model", "other", "--no-latency"]
    told = inside(*args, cwd=work, code=1)
    assert "Error: " in told
    assert "refused" in told
    assert "waived" in inside(*args, "--waive", "float32", cwd=work)


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["export", "run", "cells.csv", "--formats", "flaot32"], "Did you mean float32"),
        (["export", "run", "cells.csv", "--formats", ""], "Expected formats"),
        (["export", "run", "cells.csv", "--formats", "float32", "--waive", "int8"], "int8"),
        (["export", "run", "--formats", "int8"], "Expected DATA pictures for int8"),
        (["export", "gone", "cells.csv"], "no model file"),
        (["export", "run", "cells.csv", "--fromats", "int8"], "--formats"),
        (["check", "gone.tflite", "cells.csv"], "There is no gone.tflite"),
        (["check", "cells.csv", "cells.csv"], "which is none of them"),
        (["check", "run/model_float32.tflite", "gone.csv"], "gone.csv"),
        (["check", "run/model_float32.tflite", "cells.csv", "--model", "gone"], "no model file"),
        (["check", "run/model_float32.tflite", "cells.csv", "--waive", "x"], "Expected formats"),
        (["try", "gone.tflite"], "gone.tflite"),
        (["try", "run", "--port", "99999"], "--port"),
    ],
)  # fmt: skip
def test_bad_input_is_one_sentence_and_exit_code_2(args, words, exported, work, inside):
    told = inside(*args, cwd=work, code=2)
    assert words in told


def test_a_file_that_export_refuses_is_shown_and_exit_code_1(work, inside, monkeypatch):
    """A converter that writes another model: the table is shown, the file set aside."""
    other = tflite.to_float32(tiny(TASKS, seed=5))
    monkeypatch.setattr(tflite, "to_float32", lambda model: other)
    args = ["export", "run", "cells.csv", "--formats", "saved_model,float32", "--no-latency"]
    told = inside(*args, "--out", "broken", cwd=work, code=1)
    assert "Error: model_float32.tflite: float32: zone has a score that differs by" in told
    assert "saved_model, model_float32.tflite.rejected, model.json, report.json" in told
    rows = [line for line in told.splitlines() if line.startswith("float32 ")]
    assert len(rows) == len(TASKS)
    assert (work / "broken" / "model_float32.tflite.rejected").is_file()
    assert not (work / "broken" / "model_float32.tflite").exists()


def test_try_hands_its_options_on(exported, work, inside, monkeypatch):
    """The server itself is tested in test_try_server.py."""
    asked = []
    monkeypatch.setattr(try_server, "serve", lambda model, **options: asked.append(options))
    inside("try", "run", cwd=work)
    inside("try", "run", "--host", "0.0.0.0", "--port", "8123", "--no-browser", cwd=work)
    assert [(o["host"], o["port"], o["open_browser"]) for o in asked] == [
        ("127.0.0.1", 0, True), ("0.0.0.0", 8123, False),
    ]  # fmt: skip
