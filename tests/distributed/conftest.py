"""A Ray cluster for each file of this room."""

import pytest

from tests.support.two_nodes import importable


@pytest.fixture(scope="module")
def ray():
    """A cluster of this machine, opened by the caller, as a user's program may."""
    with importable():
        import ray

        ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False)
        yield ray
        ray.shutdown()
