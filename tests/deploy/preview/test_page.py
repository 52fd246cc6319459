"""The page of `kerastl try` in a real browser shows what Keras says, and asks nobody else."""

from __future__ import annotations

import json
import shutil
import subprocess
from urllib.parse import urlsplit

import numpy as np
import pytest
from PIL import Image

from kerastl.data.pictures import load_picture
from kerastl.deploy.exporting import export
from kerastl.deploy.preview.litert_js import fetch_litert_js
from kerastl.deploy.preview.server import open_server
from kerastl.deploy.tflite import to_float32
from kerastl.inference.predictors import KerasPredictor, load_predictor
from kerastl.inference.sidecar import write_sidecar
from tests.support.commands import ROOT
from tests.support.tiny_models import SIZE, TASKS, patches, tiny

BROWSER = ROOT / "tests/browser"
FRAME = (64, 48)
SIZES = {"larger.png": (61, 47), "smaller.png": (9, 7), "wide.png": (400, 21)}

pytestmark = pytest.mark.slow


def photo(width, height, seed=0):
    """Smooth colours with some grain, as a camera gives them."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (4, 5, 3), dtype="uint8"))
    smooth = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC), "int16")
    grain = rng.integers(-12, 13, smooth.shape)
    return Image.fromarray(np.clip(smooth + grain, 0, 255).astype("uint8"))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Exported files and pictures to show them: odd sizes, EXIF, transparency and a film."""
    folder, model, exact = tmp_path_factory.mktemp("try"), tiny(), patches(1, seed=3)[0]
    export(
        model, folder / "export", ["float32", "int8"], calibration=patches(40), waive=["int8"],
        latency=False,
    )  # fmt: skip
    Image.fromarray(exact).save(folder / "picture.png")
    for name, size in SIZES.items():
        photo(*size).save(folder / name)
    turned = Image.Exif()
    turned[0x0112] = 6
    photo(80, 50).save(folder / "turned.jpg", quality=95, exif=turned)
    clear = photo(40, 40).convert("RGBA")
    clear.putalpha(Image.linear_gradient("L").resize(clear.size))
    clear.save(folder / "clear.png")
    with (folder / "camera.mjpeg").open("wb") as film:
        for _ in range(30):
            Image.fromarray(exact).resize(FRAME, Image.Resampling.NEAREST).save(film, "jpeg")
    return folder, KerasPredictor(model), exact


def browser():
    names = ("chromium", "chromium-browser", "google-chrome", "/usr/bin/chromium")
    found = next(filter(None, map(shutil.which, names)), None)
    if not found or not (BROWSER / "node_modules").is_dir() or shutil.which("node") is None:
        pytest.fail("The page needs chromium, node and playwright-core: run `make browser`.")
    return found


def ask(folder, name, runtime, model, pictures, **more):
    """What the page showed in a browser, or complained of."""
    told = {
        "browser": browser(), "profile": str(folder / f"profile_{name}"),
        "screenshot": str(folder / f"{name}.png"), "pictures": [str(folder / p) for p in pictures],
        **more,
    }  # fmt: skip
    (folder / f"{name}.json").write_text(json.dumps(told))
    with open_server(model, browser_runtime=runtime) as server:
        command = ["node", "drive.js", server.url, folder / f"{name}.json"]
        ran = subprocess.run(command, cwd=BROWSER, capture_output=True, text=True, timeout=240)
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


def drive(folder, name, runtime, model, pictures, camera=True):
    """What the page showed of the pictures and of the camera, and nothing else was asked for."""
    film = str(folder / "camera.mjpeg") if camera else None
    said = ask(folder, name, runtime, folder / "export" / model, pictures, camera=film)
    assert said["problems"] == []
    assert said["odd"] == "words.txt is not a picture that this browser can read."
    assert {urlsplit(u).hostname for u in said["requests"] if u.startswith("http")} == {"127.0.0.1"}
    return said


def litert_js():
    folder = fetch_litert_js()
    assert folder, "LiteRT.js could not be fetched through npm."
    return folder


def pixels(shown):
    return np.array(shown["pixels"], "uint8").reshape(SIZE, SIZE, 3)


def assert_scores(shown, expected, within):
    for task in TASKS:
        right = expected[task.name][0]
        np.testing.assert_allclose(shown["scores"][task.name], right, atol=within)
    zone = TASKS[0].classes[int(np.argmax(expected["zone"][0]))]
    assert zone in shown["answers"]


@pytest.mark.parametrize("name", ["browser", "interpreter"])
def test_the_page_shows_the_scores_of_keras_and_stays_here(made, name):
    folder, keras_model, exact = made
    runtime = litert_js() if name == "browser" else None
    said = drive(folder, name, runtime, "model_float32.tflite", ["picture.png"])
    assert ("LiteRT.js in this browser" in said["runtime"]) == (name == "browser")
    assert ("stay in this browser" in said["hint"]) == (name == "browser")
    assert ("go to the machine that serves" in said["hint"]) == (name == "interpreter")
    dropped, filmed = said["dropped"]["picture.png"], said["filmed"]
    np.testing.assert_array_equal(pixels(dropped), exact)
    difference = pixels(filmed).astype(int) - exact
    assert np.abs(difference).mean() < 40  # it is the film, not another one
    for shown in (dropped, filmed):
        assert shown["runtime"] == name
        assert_scores(shown, keras_model.predict(pixels(shown)[None]), 1e-3)


def test_a_file_in_integers_runs_in_the_browser_too(made):
    folder, _, exact = made
    said = drive(folder, "int8", litert_js(), "model_int8.tflite", ["picture.png"])
    expected = load_predictor(folder / "export" / "model_int8.tflite").predict(exact[None])
    shown = said["dropped"]["picture.png"]
    assert shown["runtime"] == "browser"
    assert_scores(shown, expected, 1.01 / 256)


def test_any_picture_becomes_what_kerastl_makes_of_it(made):
    folder, *_ = made
    names = [*SIZES, "turned.jpg", "clear.png"]
    said = drive(folder, "odd", None, "model_float32.tflite", names, camera=False)
    for name in names:
        seen, read = pixels(said["dropped"][name]), load_picture(folder / name, (SIZE, SIZE))
        apart = np.abs(seen.astype(int) - read)
        # Two decoders of JPEG, and two ways to round a colour that is half transparent.
        assert apart.max() <= {"turned.jpg": 4, "clear.png": 2}.get(name, 1), name
    assert said["filmed"].startswith("The camera cannot be used (NotAllowedError): allow it for")


@pytest.mark.parametrize("name", ["browser", "interpreter"])
def test_a_score_that_is_no_number_is_told(made, name, tmp_path):
    folder, *_ = made
    broken = tiny()
    head = broken.get_layer("alarm")
    head.set_weights([np.nan * values for values in head.get_weights()])
    (tmp_path / "model.tflite").write_bytes(to_float32(broken))
    write_sidecar(tmp_path, TASKS, (SIZE, SIZE))
    runtime = litert_js() if name == "browser" else None
    said = ask(folder, f"nan_{name}", runtime, tmp_path, ["picture.png"], broken=True)
    assert said["complaint"] == (
        "The model gave no number for alarm: the file is damaged or was converted wrongly."
    )


def test_a_threshold_that_is_moved_changes_the_answer(made):
    folder, *_ = made
    said = drive(folder, "slide", None, "model_float32.tflite", ["picture.png"], camera=False)
    alarm, u, v = said["sliders"]
    assert alarm["label"] == "Threshold of yes"
    assert ("yes" in alarm["0"], "yes" in alarm["1"]) == (True, False)
    assert ("no" in alarm["0"], "no" in alarm["1"]) == (False, True)
    for slider, name in ((u, "u"), (v, "v")):
        assert slider["label"] == f"Threshold of {name}"
        assert (name in slider["0"], name in slider["1"]) == (True, False)
