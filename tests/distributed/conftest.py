"""One Ray cluster for the tests of this room."""

import pytest

from tests.support.two_nodes import importable


@pytest.fixture(scope="package")
def opened():
    """Ray, whose connection is closed when the last test of this room has ended."""
    with importable():
        import ray

        yield ray
        ray.shutdown()


@pytest.fixture
def ray(opened):
    """A cluster of this machine, opened by the caller, as a user's program may.

    All tests share it, but for one that comes after `two_nodes`, which closes it.
    """
    if not opened.is_initialized():
        opened.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    return opened
