"""MediaPipe Tasks, the runtime's API on Android and iOS, loads the files as they are."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_sample_images

from kerastl.exporting import export
from kerastl.models import create_model
from kerastl.predictors import KerasPredictor
from kerastl.tasks import Task

pytestmark = pytest.mark.slow

SIZE, N = 224, 200
ONE = (Task("zone", list("abcde")),)
THREE = (*ONE, Task("alarm", ["no", "yes"], "binary"), Task("size", ["klein, 1", "groß"]))


def crops(n=N):
    """Crops of scikit-learn's two photographs, at the model's size."""
    draw, images = np.random.default_rng(0), load_sample_images().images
    found = []
    for number in range(n):
        image = images[number % 2]
        top, left = (draw.integers(0, side - SIZE + 1) for side in image.shape[:2])
        found.append(image[top : top + SIZE, left : left + SIZE])
    return np.stack(found)


@pytest.fixture(scope="module", params=[ONE, THREE], ids=["one head", "three heads"])
def exported(request, tmp_path_factory):
    """A network with packaged weights whose heads answer differently from crop to crop."""
    model = create_model("EfficientNetLite0", request.param, image_size=SIZE)
    images, draw = crops(), np.random.default_rng(1)
    for task in request.param:
        layer = model.get_layer(task.name)
        kernel, bias = layer.get_weights()
        layer.set_weights([draw.normal(0, 0.3, kernel.shape), bias])
    centre(model, images, request.param)
    folder = tmp_path_factory.mktemp("exported")
    export(model, folder, ["float32", "int8"], calibration=images[:100],
           evaluation=images[:8], waive=["int8"], latency=False)  # fmt: skip
    return folder, request.param, KerasPredictor(model).predict(images)


def centre(model, images, tasks):
    """Move the biases so that no class wins everywhere."""
    logits = model.predict(images[:40], verbose=0)
    logits = logits if isinstance(logits, dict) else {tasks[0].name: logits}
    for task in tasks:
        layer = model.get_layer(task.name)
        kernel, bias = layer.get_weights()
        layer.set_weights([kernel, bias - logits[task.name].mean(axis=0)])


@pytest.mark.parametrize(("form", "least"), [("float32", 0.99), ("int8", 0.8)])
def test_mediapipe_gives_the_keras_answer_of_every_head(exported, form, least, monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy"):  # it would send usage metrics
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    import mediapipe
    from mediapipe.tasks.python import vision
    from mediapipe.tasks.python.core.base_options import BaseOptions

    folder, tasks, ours = exported
    data = (folder / f"model_{form}.tflite").read_bytes()
    options = vision.ImageClassifierOptions(BaseOptions(model_asset_buffer=data))
    same = {task.name: [] for task in tasks}
    with vision.ImageClassifier.create_from_options(options) as classifier:
        for number, image in enumerate(crops()):
            picture = mediapipe.Image(mediapipe.ImageFormat.SRGB, np.ascontiguousarray(image))
            found = {
                c.head_name: c.categories for c in classifier.classify(picture).classifications
            }
            assert len(found) == len(tasks)
            for task in tasks:
                heads = found[task.name] if len(tasks) > 1 else next(iter(found.values()))
                assert len(heads) == len(task.classes)
                top = task.classes[ours[task.name][number].argmax()]
                same[task.name].append(heads[0].category_name == top)
    for task in tasks:
        assert len({row.argmax() for row in ours[task.name]}) > 1
        assert np.mean(same[task.name]) >= least, (task.name, np.mean(same[task.name]))
