"""Every kind of network in every format: the contract is held, or its breach is told."""

from __future__ import annotations

import keras
import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from kerastl.exporting import export
from kerastl.formats import FORMATS
from kerastl.images import image_dataset
from kerastl.manifest import Manifest
from kerastl.models import create_model
from kerastl.predictors import KerasPredictor
from kerastl.solar_cells import read_solar_cells
from kerastl.spec import spec_of

VANISHING = ["MobileNetV2", "MobileNetV3Small"]
"""Those whose activations, with random weights, vanish below what float16 can hold."""

RANDOM = [*VANISHING, "EfficientNetV2B0", "ResNet50"]


@pytest.fixture(scope="module")
def cells():
    """160 solar cells to fit and calibrate on, 128 others to score."""
    whole = read_solar_cells()
    parts = [
        whole.split(split).frame.assign(split=split).sample(n, random_state=0)
        for split, n in (("train", 160), ("test", 128))
    ]
    return Manifest(pd.concat(parts, ignore_index=True), whole.tasks)


def settled(model, images):
    """The same network, its BatchNorm statistics those of the images."""
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    before = [(norm.momentum, norm.trainable) for norm in norms]
    for norm in norms:
        norm.momentum, norm.trainable = 0.0, True
    model(images, training=True)
    for norm, (momentum, trainable) in zip(norms, before, strict=True):
        norm.momentum, norm.trainable = momentum, trainable
    return model


def fitted(model, images, labels):
    """The same network, its heads fitted by logistic regression on its features."""
    spec = spec_of(model)
    body = keras.Model(model.input, model.get_layer(spec.features).output)
    features = body.predict(images, verbose=0)
    mean, scale = features.mean(0), features.std()
    for task in spec.tasks:
        known = labels[task.name].ravel().astype(int)
        found = LogisticRegression(C=0.001).fit((features - mean) / scale, known)
        kernel, bias = found.coef_.T / scale, found.intercept_ - mean @ (found.coef_.T / scale)
        if task.units == 2:
            kernel, bias = np.hstack([-kernel / 2, kernel / 2]), np.hstack([-bias / 2, bias / 2])
        model.get_layer(task.name).set_weights([kernel, bias])
    return model


def made(backbone, cells, tasks, size, weights):
    model = create_model(backbone, tasks, weights=weights, image_size=size)
    cells = Manifest(cells.frame, tasks)
    batches = list(image_dataset(cells.split("train"), size, 32))
    images = np.concatenate([images.numpy() for images, _ in batches])
    named = [y if isinstance(y, dict) else {tasks[0].name: y} for _, y in batches]
    labels = {t.name: np.concatenate([y[t.name].numpy() for y in named]) for t in tasks}
    if backbone in VANISHING:
        settled(model, images)
    fitted(model, images, labels)
    scores = KerasPredictor(model).predict(images)
    assert all(np.ptp(s, axis=0).max() > 0.2 for s in scores.values())  # the answers differ
    return model, cells


def broken(model, data, formats, folder):
    """The sentence on each format that breaks its contract; the others are seen to hold it."""
    quantised = [name for name in formats if FORMATS[name].quantised]
    report = export(model, folder, formats, calibration=data, waive=quantised, latency=False)
    assert [file.format for file in report.files] == list(formats)
    assert report.pictures == 128
    for file in report.files:
        form = FORMATS[file.format]
        assert (folder / form.file).exists()
        assert set(file.tasks) == {task.name for task in data.tasks}
        if form.tflite:
            assert file.facts.operators
            assert (file.facts.flex, file.facts.custom) == ((), ())
        if not file.cause:
            assert all(agreed.same >= form.same for agreed in file.tasks.values())
    return {file.format: file.cause for file in report.files if file.cause}


@pytest.mark.slow
@pytest.mark.parametrize("backbone", RANDOM)
def test_several_heads_in_every_format(backbone, cells, tmp_path):
    """Random weights need not survive 8 bits; whatever is exact, and float16, is not waived."""
    model, data = made(backbone, cells, cells.tasks, 64, None)
    for name, cause in broken(model, data, list(FORMATS), tmp_path).items():
        assert FORMATS[name].quantised
        assert any(task.name in cause for task in data.tasks)


@pytest.mark.slow
@pytest.mark.parametrize("number", [None, 0, 1], ids=["both", "defect", "type"])
def test_trained_weights_hold_every_contract(number, cells, tmp_path):
    tasks = cells.tasks if number is None else (cells.tasks[number],)
    model, data = made("EfficientNetLite0", cells, tasks, 96, "imagenet")
    formats = list(FORMATS) if number is None else ["saved_model", "float32", "int8"]
    assert broken(model, data, formats, tmp_path) == {}


@pytest.mark.slow
@pytest.mark.parametrize("backbone", VANISHING)
def test_one_head(backbone, cells, tmp_path):
    model, data = made(backbone, cells, (cells.tasks[1],), 64, None)
    assert not set(broken(model, data, ["float32", "int8"], tmp_path)) - {"int8"}
