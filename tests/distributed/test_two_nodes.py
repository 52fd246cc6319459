"""A cluster that loses one of its two nodes: everything once, as if nothing had happened."""

from __future__ import annotations

import functools
import gc

import pandas as pd
import pytest

from kerastl.distributed.blocks import run_blocks
from kerastl.inference import blocks
from kerastl.inference.prediction import predict
from tests.support.tiny_models import on_disk, tiny
from tests.support.two_nodes import (
    call,
    ray_warnings,
    square_while_one_dies,
    teller,
    two_nodes,
    unused_port,
)

pytestmark = [pytest.mark.slow, ray_warnings]


def test_a_node_dies_and_every_result_comes_once(tmp_path):
    numbers, found = list(range(24)), []
    with two_nodes() as (address, kill):
        make = functools.partial(square_while_one_dies, tmp_path, kill.node)
        for result in run_blocks(make, numbers, ray=address):
            found.append(result)
            if len(found) == 1:
                kill()
    assert sorted(found) == list(run_blocks(lambda: lambda n: n * n, numbers))
    # What the dead node had begun was done by the other one.
    assert any(len(p.read_text()) > 1 for p in tmp_path.glob("*.begun"))


def test_a_node_dies_and_the_predictions_are_those_of_one_process(tmp_path, monkeypatch):
    monkeypatch.setattr(blocks, "BLOCK", 2)
    model, pictures = tiny(), on_disk(tmp_path / "pictures", n=80)
    told = []
    with two_nodes() as (address, kill):

        def watch(done, total):
            told.append((done, total))
            if done == 20:
                kill()

        found = predict(model, pictures, cache=tmp_path / "cache", ray=address, progress=watch)
    assert told == [(n, 80) for n in range(2, 81, 2)]
    pd.testing.assert_frame_equal(found, predict(model, pictures), check_exact=True)
    again = predict(model, pictures, cache=tmp_path / "cache", ray="nobody:1")
    pd.testing.assert_frame_equal(again, found, check_exact=True)


# Ray leaves the log files of its server for clients open.
@pytest.mark.filterwarnings("ignore:.*ray_client_server:pytest.PytestUnraisableExceptionWarning")
def test_a_client_outside_the_cluster_gets_the_same():
    port = unused_port()
    with two_nodes(ray_client_server_port=port):
        found = call(f"ray://127.0.0.1:{port}")
    gc.collect()
    assert (found.stdout, found.stderr) == (f"{sorted(run_blocks(teller, [1, 2, 3]))}\n", "")
