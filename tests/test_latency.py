"""A file's time for a picture, with an interval."""

from __future__ import annotations

import pytest

from kerastl import conversion
from kerastl.errors import InputError
from kerastl.latency import measure_latency
from tests.support.tiny_models import tiny


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("file") / "model.tflite"
    path.write_bytes(conversion.to_float32(tiny()))
    return path


@pytest.mark.parametrize("runs", [6, 7, 30])
def test_the_median_lies_in_its_interval(path, runs):
    found = measure_latency(path, 1, runs=runs)
    assert 0 < found.low <= found.median <= found.high
    assert (found.threads, found.runs) == (1, runs)
    assert str(found) == f"{found.median:.1f} ms"


def test_too_few_runs_have_no_interval(path):
    with pytest.raises(InputError, match="at least 6 runs"):
        measure_latency(path, 1, runs=5)


def test_a_file_that_is_none_is_refused(tmp_path):
    with pytest.raises(InputError, match="which is no file"):
        measure_latency(tmp_path / "model.tflite", 1)
