"""A file that is not what was trained is caught by its contract, whichever way it went wrong."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from tiny_models import SIZE, patches, tiny

from kerastl import conversion
from kerastl.errors import InputError
from kerastl.exporting import export
from kerastl.spec import spec_of, with_spec
from kerastl.tasks import Task

TASKS = (Task("zone", ["a", "b", "c"]), Task("side", ["l", "m", "r"]))
N = 200
FORMATS = ["float32", "float16", "dynamic", "int8"]


def plain(tasks=TASKS):
    """A model whose scores differ much from picture to picture."""
    model = tiny(tasks)
    for layer in model.layers[-len(tasks) :]:
        kernel, bias = layer.get_weights()
        layer.set_weights([kernel * 8, bias])
    return model


def perturbed():
    model = plain()
    draw = np.random.default_rng(0)
    model.set_weights([w + draw.normal(0, 0.5, w.shape) for w in model.get_weights()])
    return model


def swapped():
    """The outputs of two heads change their names."""
    model = plain()
    one, other = model.layers[-2:]
    first, second = one.get_weights(), other.get_weights()
    one.set_weights(second)
    other.set_weights(first)
    return model


def reversed_classes():
    model = plain()
    head = model.layers[-2]
    head.set_weights([w[..., ::-1] for w in head.get_weights()])
    return model


def twice_prepared():
    """What brings grey levels to -1..1 is done again."""
    model = plain()
    x = keras.Input((SIZE, SIZE, 3), dtype="uint8")
    h = keras.layers.Rescaling(1 / 127.5, -1)(x)
    again = keras.Model(x, model(h))
    return with_spec(again, spec_of(model))


@pytest.mark.parametrize("make", [perturbed, swapped, reversed_classes, twice_prepared])
def test_it_is_caught_in_every_format(make, tmp_path, monkeypatch):
    broken = make()
    for form in FORMATS:
        true = getattr(conversion, f"to_{form}")
        monkeypatch.setattr(
            conversion, f"to_{form}", lambda model, *given, true=true: true(broken, *given)
        )
    images = patches(N)
    with pytest.raises(InputError) as error:
        export(
            plain(), tmp_path, FORMATS, calibration=images, evaluation=images, latency=False
        )  # fmt: skip
    assert [fault.partition(":")[0] for fault in error.value.faults] == [
        f"model_{form}.tflite" for form in FORMATS
    ]
    assert sorted(p.name for p in tmp_path.glob("*.tflite*")) == sorted(
        f"model_{form}.tflite.rejected" for form in FORMATS
    )


def test_what_is_whole_is_kept(tmp_path):
    images = patches(N)
    report = export(
        plain(), tmp_path, FORMATS, calibration=images, evaluation=images, latency=False
    )  # fmt: skip
    assert [file.cause for file in report.files] == [""] * len(FORMATS)
