"""A question to Ray is answered, fails in its own words, or finds the cluster lost."""

from __future__ import annotations

import time
from types import SimpleNamespace

import pytest

from kerastl import ray_answers
from kerastl.ray_answers import answer
from tests.support.two_nodes import importable, ray_warnings, unused_port

pytestmark = ray_warnings


@pytest.fixture(scope="module")
def ray():
    with importable():
        import ray

        ray.init("local", num_cpus=1, include_dashboard=False, log_to_driver=False)
        yield ray
        ray.shutdown()


def test_what_is_returned_or_raised_comes_as_it_is(ray, monkeypatch):
    monkeypatch.setattr(ray_answers, "LOOK", 0.05)
    assert answer(ray.nodes)[0]["Alive"]
    assert answer(lambda: time.sleep(0.3) or "late") == "late"
    with pytest.raises(TimeoutError, match="my own"):
        answer(lambda: (_ for _ in ()).throw(TimeoutError("my own")))


def test_silence_of_a_lost_cluster_ends_after_three_looks(ray, monkeypatch):
    monkeypatch.setattr(ray_answers, "LOOK", 0.05)
    gone = SimpleNamespace(gcs_address=f"127.0.0.1:{unused_port()}")
    monkeypatch.setattr(ray, "get_runtime_context", lambda: gone)
    assert answer(lambda: 1) == 1
    with pytest.raises(ConnectionError, match="connection refused"):
        answer(lambda: time.sleep(5))
