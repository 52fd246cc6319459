"""Blocks of work: the same results here and on a cluster, each once, whatever dies."""

from __future__ import annotations

import functools
import os
import time
from collections import Counter

import numpy as np
import pytest

from kerastl.distributed.blocks import TRIES, run_blocks
from kerastl.errors import InputError
from tests.support.two_nodes import call, ray_warnings, slow_square, teller, unused_port

pytestmark = ray_warnings

BLOCKS = [{"n": 0}, [1, "one"], (2.5,), "", None, np.arange(6).reshape(2, 3)]


def faulty():
    def work(block):
        if block == "bad input":
            raise InputError("Expected a cat. Received: a dog.", ["line 2: dog", "line 5: dog"])
        raise OSError(28, "No space left on device")

    return work


def unready():
    raise InputError("Expected a model. Received: none.")


def deadly(folder):
    def work(block):
        with open(folder / block, "a") as file:
            file.write("x")
        if block == "bad":
            os._exit(1)

    return work


def test_the_plain_loop_keeps_order_and_makes_one_worker():
    made = []

    def make():
        made.append(True)
        return lambda block: -block

    results = run_blocks(make, [3, 1, 2])
    assert (next(results), len(made)) == (-3, 1)
    assert (list(results), len(made)) == ([-1, -2], 1)
    assert list(run_blocks(make, [])) == list(run_blocks(make, [], ray="local")) == []
    assert len(made) == 1


def test_in_this_process_an_error_comes_as_it_is():
    with pytest.raises(OSError, match="No space left"):
        list(run_blocks(faulty, [1]))


def test_a_cluster_gives_what_the_loop_gives_and_stays_open(ray):
    found = list(run_blocks(teller, BLOCKS, ray="auto"))
    assert Counter(found) == Counter(run_blocks(teller, BLOCKS))
    assert ray.is_initialized()


def test_input_errors_come_through_with_their_faults(ray):
    with pytest.raises(InputError, match="a cat. Received: a dog") as caught:
        list(run_blocks(faulty, ["bad input"], ray="auto"))
    assert caught.value.faults == ("line 2: dog", "line 5: dog")
    with pytest.raises(InputError, match="Expected a model"):
        list(run_blocks(unready, [1], ray="auto"))


def test_other_errors_come_through_with_text_and_trace(ray):
    with pytest.raises(RuntimeError, match="^OSError: .*No space left on device$") as caught:
        list(run_blocks(faulty, [1], ray="auto"))
    assert "in work" in str(caught.value.__cause__)


@pytest.mark.slow
def test_a_block_that_ends_its_process_is_not_tried_for_ever(ray, tmp_path):
    make = functools.partial(deadly, tmp_path)
    with pytest.raises(RuntimeError, match=f"Block 1 was begun {TRIES} times"):
        list(run_blocks(make, ["good", "bad"], ray="auto"))
    assert (tmp_path / "bad").read_text() == "x" * TRIES


def test_a_loop_left_early_leaves_nothing_running(ray, tmp_path):
    results = run_blocks(functools.partial(slow_square, tmp_path), range(40), ray="auto")
    next(results)
    results.close()
    end = time.monotonic() + 20
    while ray.available_resources().get("CPU") != 2.0 and time.monotonic() < end:
        time.sleep(0.2)
    assert ray.available_resources()["CPU"] == 2.0
    assert len(list(tmp_path.iterdir())) < 40


@pytest.mark.parametrize("form", ["{}", "ray://{}"])
def test_a_dead_address_is_told_quickly(form):
    address, begun = form.format(f"127.0.0.1:{unused_port()}"), time.monotonic()
    found = call(address)
    assert time.monotonic() - begun < 20
    assert f"No Ray cluster answers at {address!r}" in found.stdout
    assert "ray start --head" in found.stdout
    assert "refused" in found.stdout
    assert found.stderr == ""


def test_what_is_no_address_or_no_ray_is_told():
    assert '"auto", "local", "HOST:PORT" or "ray://HOST:PORT". Received: \'gpu7\'' in (
        call("gpu7").stdout
    )
    told = call("auto", "import sys; sys.modules['ray'] = None\n")
    assert "pip install 'kerastl[ray]'" in told.stdout


@pytest.mark.slow
def test_a_cluster_of_this_machine_is_started_and_ended_without_a_word():
    found = call("local")
    assert found.stderr == ""
    assert found.stdout == f"{sorted(run_blocks(teller, [1, 2, 3]))}\n"
