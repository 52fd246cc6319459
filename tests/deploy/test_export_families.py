"""Every kind of network in every format: the contract is held, or its breach is told."""

from __future__ import annotations

import keras
import numpy as np
import pandas as pd
import pytest

from kerastl.data.manifest import Manifest
from kerastl.data.pictures import load_picture
from kerastl.data.readers.solar_cells import DEFECT, TYPE, read_solar_cells
from kerastl.deploy.exporting import export
from kerastl.deploy.formats import FORMATS
from kerastl.inference.predictors import KerasPredictor
from kerastl.models.factories import create_model
from tests.support.exports import fitted

pytestmark = pytest.mark.slow

TASKS = (DEFECT, TYPE)
EVERY = list(FORMATS)

VANISHING = ["MobileNetV2", "MobileNetV3Small"]
"""Those whose activations, with random weights, vanish below what float16 can hold."""

RANDOM = [*VANISHING, "EfficientNetV2B0", "ResNet50"]

MANY, FEW = {"train": 160, "test": 128}, {"train": 64, "test": 96}
"""Solar cells to fit and calibrate on, and others to score."""


def cells(counts):
    """So many solar cells of each part."""
    whole = read_solar_cells()
    parts = [
        whole.split(split).frame.assign(split=split).sample(n, random_state=0)
        for split, n in counts.items()
    ]
    return Manifest(pd.concat(parts, ignore_index=True), TASKS)


def examples(data, size):
    """The cells to fit on as images of one size, and their labels by task."""
    train = data.split("train")
    images = [load_picture(path, (size, size)) for path in train.frame["image"]]
    return np.stack(images), train.labels()


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


def made(backbone, data, size, weights):
    model = create_model(backbone, data.tasks, weights=weights, image_size=size)
    images, labels = examples(data, size)
    if backbone in VANISHING:
        settled(model, images)
    fitted(model, images, labels)
    scores = KerasPredictor(model).predict(images)
    assert all(np.ptp(s, axis=0).max() > 0.2 for s in scores.values())  # the answers differ
    return model


def exported(model, data, folder, formats=EVERY):
    """The report on a model in some formats, each of whose files is there and needs no Flex."""
    quantised = [name for name in formats if FORMATS[name].quantised]
    report = export(model, folder, formats, calibration=data, waive=quantised, latency=False)
    assert [file.format for file in report.files] == formats
    assert report.pictures == len(data.split("test"))
    for file in report.files:
        assert (folder / file.file).exists()
        assert set(file.tasks) == {task.name for task in data.tasks}
        if FORMATS[file.format].tflite:
            assert file.facts.operators
            assert (file.facts.flex, file.facts.custom) == ((), ())
    return report


@pytest.mark.parametrize("backbone", RANDOM)
def test_random_weights_in_every_format(backbone, tmp_path):
    """They need not survive 8 bits; whatever is exact, and float16, is not waived."""
    data = cells(FEW)
    for file in exported(made(backbone, data, 32, None), data, tmp_path).files:
        if FORMATS[file.format].quantised:
            assert not file.cause or any(task.name in file.cause for task in TASKS)
        else:
            assert file.cause == ""


@pytest.mark.parametrize(
    ("tasks", "formats"),
    [(TASKS, EVERY), ((DEFECT,), ["saved_model", "float32", "int8"])],
    ids=["both", "one"],
)
def test_trained_weights_hold_every_contract(tasks, formats, tmp_path):
    data = Manifest(cells(MANY).frame, tasks)
    model = made("EfficientNetLite0", data, 96, "imagenet")
    for file in exported(model, data, tmp_path, formats).files:
        assert file.cause == ""
        assert all(a.same >= FORMATS[file.format].same for a in file.tasks.values())
