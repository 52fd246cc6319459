"""A question to Ray is answered, fails in its own words, or finds the cluster lost.

Cores and GPUs among workers: nobody too many on a node, and room for all that were asked for.
"""

from __future__ import annotations

import time
from types import SimpleNamespace

import pytest

from kerastl.distributed import ray as ray_answers
from kerastl.distributed.ray import answer, shares, threads
from kerastl.errors import InputError
from tests.support.two_nodes import ray_warnings, unused_port

pytestmark = ray_warnings


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


@pytest.mark.parametrize(
    ("cores", "count", "each"),
    [([1, 1], 2, 1), ([2, 2], 2, 2), ([16, 16, 16], 3, 9), ([4, 64], 22, 3), ([0, 8], 1, 5)],
)
def test_a_worker_has_its_node_to_itself(cores, count, each):
    nodes = [{"Alive": True, "Resources": {"CPU": float(n)} if n else {}} for n in cores]
    dead = {"Alive": False, "Resources": {"CPU": 1.0}}
    assert shares([*nodes, dead]) == (count, {"num_cpus": each})


def test_there_is_a_worker_for_each_gpu_and_none_without_a_core():
    node = {"Alive": True, "Resources": {"CPU": 32.0, "GPU": 4.0}}
    assert shares([node, node]) == (8, {"num_cpus": 1, "num_gpus": 1})
    with pytest.raises(InputError, match="at least one core"):
        shares([{"Alive": True, "Resources": {}}])


def machines(*cores):
    return [{"Alive": True, "Resources": {"CPU": float(n)}} for n in cores]


@pytest.mark.parametrize(
    ("cores", "workers", "each", "limit"),
    [([8], 1, 5, None), ([8], 2, 4, 4), ([8], 3, 2, 2), ([2], 2, 1, 1), ([2], 4, 0.5, 1),
     ([2], 5, 0.3333, 1), ([4, 64], 1, 33, None), ([4, 64], 2, 3, None), ([4, 64], 4, 16, 17)],
)  # fmt: skip
def test_so_many_workers_as_were_asked_for_fit(cores, workers, each, limit):
    assert shares(machines(*cores), workers) == (workers, {"num_cpus": each})
    assert sum(int(n / each) for n in cores) >= workers
    assert threads(machines(*cores), workers) == limit


def test_workers_share_gpus_only_where_there_are_too_few():
    nodes = [{"Alive": True, "Resources": {"CPU": 32.0, "GPU": 4.0}}]
    assert shares(nodes, 2) == (2, {"num_cpus": 1, "num_gpus": 1})
    assert shares(nodes, 8) == (8, {"num_cpus": 1, "num_gpus": 0.5})
    assert threads(nodes) == 8
