"""A search over several processes: each trial finished once, whatever is killed."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time

import pytest

from kerastl import search
from tests.support.jobs import gone, session
from tests.support.searches import OPTIONS, finished
from tests.support.two_nodes import importable, ray_warnings, two_nodes
from tests.support.two_tasks import backbone, striped_manifest

pytestmark = [pytest.mark.slow, ray_warnings]

TRIALS = {(depth, rate) for depth in ("heads", "4") for rate in (1e-3, 1e-2)}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    return tmp_path_factory.mktemp("stripes")


@pytest.fixture(scope="module")
def data(pictures):
    return striped_manifest(pictures)


@pytest.fixture(scope="module")
def alone(data, tmp_path_factory):
    """The same search in one process."""
    return search(backbone(), data, folder=tmp_path_factory.mktemp("alone"), **OPTIONS)


def same_trials(found, alone):
    """Assert that the trials are those of one process: each once, with its score."""
    ours, theirs = (
        {(row.trainable, row.learning_rate): row.score for row in r.leaderboard.frame.itertuples()}
        for r in (found, alone)
    )
    assert set(ours) == TRIALS
    assert len(found.leaderboard.frame) == len(TRIALS)
    assert set(found.leaderboard.frame["status"]) == {"done"}
    assert ours == pytest.approx(theirs, abs=1e-3)


def under_way(folder):
    """Trials whose fit has left a state and that are not finished."""
    begun = {path.parent.name for path in folder.glob("trials/trial_*/state*")}
    return begun - set(finished(folder))


def until(condition):
    """Wait for it; tell whether it came."""
    end = time.monotonic() + 120
    while not condition() and time.monotonic() < end:
        time.sleep(0.02)
    return bool(condition())


def test_two_processes_do_what_one_does(data, alone, tmp_path):
    with importable():
        found = search(backbone(), data, folder=tmp_path, workers=2, **OPTIONS)
    same_trials(found, alone)


def test_a_node_dies_with_a_trial_and_each_is_finished_once(data, alone, tmp_path):
    told, held = [], []
    with two_nodes() as (address, kill):

        def kill_while_both_work():
            if until(lambda: len(under_way(tmp_path)) == 2):
                held.append(sorted(under_way(tmp_path)))
                kill()

        watcher = threading.Thread(target=kill_while_both_work)
        watcher.start()
        found = search(
            backbone(), data, folder=tmp_path, ray=address, progress=told.append, **OPTIONS
        )
        watcher.join()
    assert len(held) == 1
    assert [t.done for t in told if t.stage == "trials"] == list(range(len(TRIALS) + 1))
    same_trials(found, alone)


# In a process of its own, which is killed.
CALL = """
import sys
from pathlib import Path
from tests.support.searches import OPTIONS
from tests.support.two_tasks import backbone, striped_manifest
from kerastl import search
pictures, folder = map(Path, sys.argv[1:])
print(search(backbone(), striped_manifest(pictures), folder=folder, workers=2, **OPTIONS))
"""


@contextlib.contextmanager
def started(*arguments):
    with importable():
        env = dict(os.environ)
    with subprocess.Popen(
        [sys.executable, "-c", CALL, *map(str, arguments)], env=env, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, start_new_session=True,
    ) as call:  # fmt: skip
        try:
            yield call
        finally:
            call.kill()


def test_the_caller_is_killed_and_called_again(pictures, data, alone, tmp_path):
    with started(pictures, tmp_path) as call:
        assert until(lambda: finished(tmp_path) and under_way(tmp_path))
        processes = session(call.pid)
        call.kill()
    assert [pid for pid in processes if not gone(pid)] == []
    before = finished(tmp_path)
    assert 1 <= len(before) < len(TRIALS)
    found = search(backbone(), data, folder=tmp_path, **OPTIONS)
    after = finished(tmp_path)
    assert {trial: after[trial] for trial in before} == before
    assert len(after) == len(TRIALS)
    same_trials(found, alone)
