"""A SavedModel: alone, from images and from picture files, with the scores that Keras gives."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from kerastl.data.tasks import Task
from kerastl.deploy.writers import write_saved_model
from kerastl.inference.answers import score_columns
from kerastl.inference.prediction import predict
from kerastl.inference.predictors import KerasPredictor
from tests.support.tiny_models import TASKS, patches, tiny

ALONE = """
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "kerastl":
            raise ImportError(f"{name} cannot be imported here")
sys.meta_path.insert(0, Blocker())
sys.modules["keras"] = sys.modules["tf_keras"] = None  # TensorFlow itself looks for them
import json, pathlib, numpy as np, tensorflow as tf
loaded = tf.saved_model.load(sys.argv[1])
images = np.load(sys.argv[2])
made = loaded.signatures["serving_default"](images=tf.constant(images))
one = loaded.signatures["serving_default"](images=tf.constant(images[:1]))
assert all(v.shape[0] == 1 for v in one.values())
files = [pathlib.Path(name).read_bytes() for name in sys.argv[3:]]
read = loaded.signatures["serve_bytes"](encoded=tf.constant(files))
assert sys.modules["keras"] is None and "kerastl" not in sys.modules
plain = lambda scores: {name: v.numpy().tolist() for name, v in scores.items()}
json.dump([plain(made), plain(read)], sys.stdout)
"""


@pytest.fixture(scope="module")
def model():
    return tiny()


@pytest.fixture(scope="module")
def folder(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("made") / "saved_model"
    write_saved_model(model, folder)
    return folder


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """JPEG and PNG files: large, turned, transparent, grey, 16-bit, small."""
    root, rng = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    image = Image.fromarray(rng.integers(0, 256, (90, 130, 3), dtype="uint8"))
    turned = Image.Exif()
    turned[0x0112] = 6
    clear = image.copy()
    clear.putalpha(image.convert("L"))
    deep = Image.fromarray(rng.integers(0, 65536, (20, 30), dtype="uint16"))
    image.save(root / "a.jpg")
    image.save(root / "b.jpg", exif=turned)
    image.convert("L").save(root / "c.jpg")
    image.resize((7, 5)).save(root / "d.png")
    clear.save(root / "e.png")
    deep.save(root / "f.png")
    return sorted(map(str, root.iterdir()))


def test_it_runs_where_neither_kerastl_nor_keras_can_be_imported(model, folder, files, tmp_path):
    np.save(tmp_path / "images.npy", patches(5))
    command = [sys.executable, "-I", "-c", ALONE, folder, tmp_path / "images.npy", *files]
    ran = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    made, read = json.loads(ran.stdout)
    expected, frame = KerasPredictor(model).predict(patches(5)), predict(model, files)
    assert set(made) == set(read) == {t.name for t in TASKS}
    assert (frame["error"] == "").all()
    for task in TASKS:
        np.testing.assert_allclose(made[task.name], expected[task.name], atol=1e-5)
        told = frame[score_columns(task)].to_numpy("float64")
        assert np.ptp(told, axis=0).max() > 1e-3  # the files differ, so the test can tell
        np.testing.assert_allclose(read[task.name], told, atol=1e-5)


def test_a_binary_head_has_a_score_per_class(folder):
    calls = tf.saved_model.load(str(folder)).signatures
    for call in (calls["serving_default"], calls["serve_bytes"]):
        sizes = {name: spec.shape[-1] for name, spec in call.structured_outputs.items()}
        assert sizes == {"zone": 3, "alarm": 2, "marks": 2}


def test_every_weight_is_stored_once(model, folder):
    stored = tf.train.list_variables(str(folder / "variables" / "variables"))
    weights = [shape for name, shape in stored if name.endswith("VARIABLE_VALUE")]
    assert sorted(map(tuple, weights)) == sorted(tuple(v.shape) for v in model.variables)
    graph = (folder / "saved_model.pb").read_bytes()
    kernel = next(v for v in model.variables if len(v.shape) == 4)
    assert kernel.numpy().tobytes() not in graph


def test_a_bad_picture_is_told(folder):
    call = tf.saved_model.load(str(folder)).signatures["serve_bytes"]
    with pytest.raises(tf.errors.InvalidArgumentError, match="Expected JPEG or PNG bytes"):
        call(encoded=tf.constant([b"GIF89a"]))


def test_each_output_has_its_tasks_name_and_scores(tmp_path):
    names = ["images", "encoded", 'it\'s, a "b"', "größe in cm", "缺陷", "a:0"]
    model = tiny([Task(name, ["a", "b"]) for name in names])
    for number, head in enumerate(model.layers[-len(names) :]):
        head.bias.assign([0.0, number - 2.5])
    write_saved_model(model, tmp_path / "saved_model")
    call = tf.saved_model.load(str(tmp_path / "saved_model")).signatures["serve_bytes"]
    image = patches(1)
    made = call(encoded=tf.io.encode_png(image[0])[None])
    assert set(made) == set(names)
    for name, scores in KerasPredictor(model).predict(image).items():
        np.testing.assert_allclose(made[name], scores, atol=1e-5)
