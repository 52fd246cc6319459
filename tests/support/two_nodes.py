"""A Ray cluster of two nodes on this machine, one of which can be killed, and work for it."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# Ray warns of its own settings when it makes its own context.
ray_warnings = pytest.mark.filterwarnings("ignore::DeprecationWarning:ray.data.context")


@contextlib.contextmanager
def importable():
    """Let the processes that are started meanwhile find kerastl and the tests' modules."""
    with pytest.MonkeyPatch.context() as patch:
        places = [str(ROOT), *sys.path]
        patch.setenv("PYTHONPATH", os.pathsep.join(places))
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        # Else gRPC may end the process that a cluster forks for a client from outside.
        patch.setenv("GRPC_ENABLE_FORK_SUPPORT", "false")
        patch.setenv("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
        patch.delenv("RAY_ADDRESS", raising=False)
        yield


@contextlib.contextmanager
def two_nodes(**head):
    """The address of a cluster of two nodes, and a function that kills the second, its `node`."""
    with importable():
        import ray
        from ray.cluster_utils import Cluster

        ray.shutdown()  # run_blocks would use a connection that is open
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, **head})
        second = cluster.add_node(num_cpus=1)

        def kill():
            cluster.remove_node(second, allow_graceful=False)

        kill.node, kill.cluster = second.node_id, cluster
        try:
            yield cluster.address, kill
        finally:
            cluster.shutdown()


def teller():
    return lambda block: (repr(block), type(block).__name__)


def slow_square(folder):
    """A worker that takes its time, and notes what it has begun."""

    def work(number):
        with open(folder / f"{number}.begun", "a") as file:
            file.write("x")
        time.sleep(0.4)
        return number * number

    return work


def square_while_one_dies(folder, node):
    """A worker that notes what it has begun; on `node` it takes long, elsewhere it awaits that."""
    import ray

    here, reached = ray.get_runtime_context().get_node_id(), folder / "reached"

    def work(number):
        with open(folder / f"{number}.begun", "a") as file:
            file.write("x")
        if here == node:
            reached.touch()
            time.sleep(20)
        for _ in range(600):
            if not reached.exists():
                time.sleep(0.1)
        return number * number

    return work


def unused_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


# In a process of its own: in this one an open connection would serve.
CALL = """
import sys
from kerastl.distributed.blocks import run_blocks
from kerastl.errors import InputError
from tests.support.two_nodes import teller
try:
    print(sorted(run_blocks(teller, [1, 2, 3], ray=sys.argv[1])))
except InputError as error:
    print(error)
"""


def call(address, before=""):
    with importable():
        env = dict(os.environ)
    return subprocess.run(
        [sys.executable, "-c", before + CALL, address],
        env=env, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
