"""The page of `kerastl try` in a real browser shows what Keras says, and asks nobody else."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from PIL import Image
from tiny_models import TASKS, patches, tiny

from kerastl.exporting import export
from kerastl.litert_js import fetch_litert_js
from kerastl.predictors import KerasPredictor
from kerastl.try_server import open_server

BROWSER = Path(__file__).parent / "browser"
FRAME = (64, 48)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder, model = tmp_path_factory.mktemp("try"), tiny()
    export(model, folder / "export", formats=("float32",), latency=False)
    image = patches(1, seed=3)[0]
    Image.fromarray(image).save(folder / "picture.png")
    with (folder / "camera.mjpeg").open("wb") as film:
        for _ in range(30):
            Image.fromarray(image).resize(FRAME, Image.Resampling.NEAREST).save(film, "jpeg")
    return folder, KerasPredictor(model), image


def drive(folder, name, runtime):
    missing = [p for p in ("/usr/bin/chromium",) if not Path(p).exists()]
    if missing or not (BROWSER / "node_modules").is_dir() or shutil.which("node") is None:
        pytest.fail("The page needs Debian's chromium and playwright-core: run `make browser`.")
    with open_server(folder / "export", browser_runtime=runtime) as server:
        command = [
            "node", "drive.js", server.url, folder / "picture.png", folder / "camera.mjpeg",
            folder / f"profile_{name}", folder / f"{name}.png",
        ]  # fmt: skip
        ran = subprocess.run(command, cwd=BROWSER, capture_output=True, text=True, timeout=240)
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


@pytest.mark.parametrize("name", ["browser", "interpreter"])
def test_the_page_shows_the_scores_of_keras_and_stays_here(made, name):
    folder, keras_model, image = made
    runtime = fetch_litert_js() if name == "browser" else None
    assert name == "interpreter" or runtime, "LiteRT.js could not be fetched through npm."
    said = drive(folder, name, runtime)
    assert said["problems"] == []
    assert said["error"] == "words.txt is not a picture that this browser can read."
    assert ("LiteRT.js in this browser" in said["runtime"]) == (name == "browser")
    assert {urlsplit(u).hostname for u in said["requests"] if u.startswith("http")} == {"127.0.0.1"}
    pixels = np.array(said["dropped"]["pixels"], "uint8").reshape(image.shape)
    np.testing.assert_array_equal(pixels, image)
    filmed = np.array(said["filmed"]["pixels"], "uint8").reshape(image.shape)
    assert np.abs(filmed.astype(int) - image).mean() < 40  # it is the film, not another one
    for shown, seen in ((said["dropped"], image), (said["filmed"], filmed)):
        assert shown["runtime"] == name
        expected = keras_model.predict(seen[None])
        for task in TASKS:
            scores, right = np.array(shown["scores"][task.name]), expected[task.name][0]
            np.testing.assert_allclose(scores, right, atol=1e-3)
        zone = TASKS[0].classes[int(np.argmax(expected["zone"][0]))]
        assert zone in shown["answers"]
