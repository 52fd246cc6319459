"""Jobs one at a time: each result once, whatever dies, and no process left behind."""

from __future__ import annotations

import functools
import gc
import os
import signal
import subprocess
import sys
import time

import pytest

from kerastl.distributed.blocks import TRIES
from kerastl.distributed.pool import open_pool
from kerastl.errors import InputError
from tests.support.jobs import drained, endless, gone, session
from tests.support.two_nodes import importable, ray_warnings, two_nodes, unused_port

pytestmark = ray_warnings


def note(folder, name):
    with open(folder / name, "a") as file:
        file.write("x")


def awaited(path):
    end = time.monotonic() + 60
    while not path.exists() and time.monotonic() < end:
        time.sleep(0.05)
    return path.exists()


def meeting(folder):
    """A worker whose first jobs end only when two of them run at the same time."""
    note(folder, f"{os.getpid()}.made")

    def work(job):
        if job in ("a", "b"):
            (folder / job).touch()
            assert awaited(folder / "a")
            assert awaited(folder / "b")
        return os.getpid(), os.environ.get("TF_NUM_INTRAOP_THREADS")

    return work


def faulty(folder):
    def work(job):
        note(folder, job)
        if job == "bad":
            raise InputError("Expected a cat. Received: a dog.", ["line 2: dog"])
        if job == "full":
            raise OSError(28, "No space left on device")
        return job.upper()

    return work


def deadly(folder):
    """A worker whose process is killed by some jobs: by one always, by one the first time."""

    def work(job):
        note(folder, job)
        if job == "always" or (job == "once" and (folder / job).read_text() == "x"):
            os.kill(os.getpid(), signal.SIGKILL)
        return job

    return work


def on_its_node(folder, node):
    """A worker that waits on `node` until the process ends, and elsewhere for that."""
    import ray

    here, reached = ray.get_runtime_context().get_node_id(), folder / "reached"

    def work(job):
        note(folder, f"{job}.begun")
        if here == node:
            reached.touch()
            time.sleep(600)
        assert awaited(reached)
        return job * job

    return work


def test_here_jobs_are_done_in_order_by_one_worker():
    made = []

    def make():
        made.append(True)
        return lambda job: -job

    with open_pool(make) as pool:
        assert (pool.free, made) == (1, [])
        pool.submit(3)
        assert (pool.free, made) == (0, [])
        found = [pool.next(), *drained(pool, [1, 2])]
    assert [(f.job, f.result, f.error) for f in found] == [(3, -3, None), (1, -1, None),
                                                          (2, -2, None)]  # fmt: skip
    assert len(made) == 1


def test_here_an_error_comes_as_it_is_and_the_next_job_is_done(tmp_path):
    with open_pool(functools.partial(faulty, tmp_path), workers=1) as pool:
        bad, full, good = drained(pool, ["bad", "full", "good"])
    assert isinstance(bad.error, InputError)
    assert isinstance(full.error, OSError)
    assert (bad.result, full.result, good.result) == (None, None, "GOOD")


def test_here_a_broken_off_job_is_broken_off():
    def work(job):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), open_pool(lambda: work) as pool:
        list(drained(pool, [1]))


def test_nothing_under_way_is_an_error_and_no_endless_wait(ray):
    for workers in (1, 2):
        with open_pool(lambda: abs, workers=workers) as pool, pytest.raises(IndexError):
            pool.next()


def test_two_workers_run_side_by_side_and_are_made_once(ray, tmp_path):
    with open_pool(functools.partial(meeting, tmp_path), workers=2) as pool:
        found = list(drained(pool, "abcdefgh"))
    assert sorted(f.job for f in found) == list("abcdefgh")
    assert [f.error for f in found] == [None] * 8
    pids = {pid for pid, _ in (f.result for f in found)}
    assert len(pids) == 2
    assert {p.name: p.read_text() for p in tmp_path.glob("*.made")} == {
        f"{pid}.made": "x" for pid in pids
    }
    assert {threads for _, threads in (f.result for f in found)} == {"1"}
    assert ray.is_initialized()


def test_a_process_ends_after_so_many_jobs(ray, tmp_path, monkeypatch):
    monkeypatch.setattr("kerastl.distributed.pool.CALLS", 2)
    for name in "ab":
        (tmp_path / name).touch()
    with open_pool(functools.partial(meeting, tmp_path), ray="auto") as pool:
        pids = [f.result[0] for f in drained(pool, range(9))]
    assert len(pids) == 9
    assert max(pids.count(pid) for pid in pids) == 2
    assert gone(pids[0])


def test_an_error_comes_once_with_its_own_words(ray, tmp_path):
    with open_pool(functools.partial(faulty, tmp_path), workers=2) as pool:
        found = {f.job: f for f in drained(pool, ["bad", "full", "good"])}
    assert isinstance(found["bad"].error, InputError)
    assert found["bad"].error.faults == ("line 2: dog",)
    assert str(found["full"].error).endswith("No space left on device")
    assert "in work" in str(found["full"].error.__cause__)
    assert (found["good"].result, found["good"].error) == ("GOOD", None)
    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == dict.fromkeys(found, "x")


def test_a_killed_process_costs_its_own_job_only(ray, tmp_path):
    jobs = ["1", "once", "2", "always", "3"]
    with open_pool(functools.partial(deadly, tmp_path), workers=2) as pool:
        found = {f.job: f for f in drained(pool, jobs)}
    assert sorted(found) == sorted(jobs)
    assert all(found[job].result == job for job in ("1", "2", "3", "once"))
    assert f"'always' was begun {TRIES} times" in str(found["always"].error)
    begun = {p.name: len(p.read_text()) for p in tmp_path.iterdir()}
    assert begun == {"1": 1, "2": 1, "3": 1, "once": 2, "always": TRIES}


def test_leaving_the_block_ends_the_jobs_but_not_the_callers_ray(ray, tmp_path):
    make = functools.partial(endless, tmp_path)
    with pytest.raises(ZeroDivisionError), open_pool(make, workers=2) as pool:
        pool.submit("long")
        pool.submit("short")
        assert pool.next().job == "short"
        assert awaited(tmp_path / "long.pid")
        raise ZeroDivisionError
    assert gone(int((tmp_path / "long.pid").read_text()))
    assert ray.is_initialized()


def test_what_cannot_be_sent_is_told(ray):
    class Unsendable:
        def __reduce__(self):
            raise InputError("Expected a folder that lasts. Received: a temporary one.")

    make = functools.partial(faulty, Unsendable())
    with pytest.raises(InputError, match="a folder that lasts"), open_pool(make, workers=2):
        pass


# In a process of its own: in this one an open connection would serve.
CALL = """
import functools, pathlib, sys
from kerastl.distributed.pool import open_pool
from kerastl.distributed import ray as ray_answers
from tests.support.jobs import drained, endless
BEFORE
ray, folder, jobs = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3:]
workers = None if ray else 2
with open_pool(functools.partial(endless, folder), workers=workers, ray=ray or None) as pool:
    print(sorted(f.job for f in drained(pool, jobs)), flush=True)
"""


def started(ray, folder, *jobs, before=""):
    with importable():
        env = dict(os.environ)
    return subprocess.Popen(
        [sys.executable, "-c", CALL.replace("BEFORE", before), ray, str(folder), *jobs],
        env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_a_call_that_is_broken_off_leaves_no_process(tmp_path, how):
    call = started("", tmp_path, "long")
    assert awaited(tmp_path / "long.pid")
    pids = {int((tmp_path / "long.pid").read_text()), *session(call.pid)}
    assert len(pids) > 3
    call.send_signal(how)
    assert call.wait(60) != 0
    assert [pid for pid in pids if not gone(pid)] == []
    told = call.communicate()[1]
    assert told.strip().endswith("KeyboardInterrupt" if how == signal.SIGINT else "")


@pytest.mark.slow
def test_a_node_dies_and_every_job_is_finished_once(tmp_path):
    with two_nodes() as (address, kill):
        make = functools.partial(on_its_node, tmp_path, kill.node)
        with open_pool(make, ray=address) as pool:
            found = []
            for finished in drained(pool, range(12)):
                found.append((finished.job, finished.result, finished.error))
                if len(found) == 1:
                    kill()
    assert sorted(found) == [(n, n * n, None) for n in range(12)]
    begun = [len(p.read_text()) for p in tmp_path.glob("*.begun")]
    assert sorted(begun) == [1] * 11 + [2]


@pytest.mark.slow
def test_a_cluster_that_is_lost_is_told(tmp_path):
    with two_nodes() as (address, kill):
        # One on each node: Ray asks the lost cluster about the one whose process died with it.
        call = started(address, tmp_path, "long", "longer", before="ray_answers.LOOK = 1.0")
        assert awaited(tmp_path / "long.pid")
        assert awaited(tmp_path / "longer.pid")
        kill.cluster.remove_node(kill.cluster.head_node, allow_graceful=False)
        try:
            told = call.communicate(timeout=240)[1]
        finally:
            call.kill()
    assert told.strip().endswith(
        "RuntimeError: The connection to the Ray cluster was lost (connection refused). Jobs that "
        "were finished stay so: start the same again."
    )


# Ray leaves the log files of its server for clients open.
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*ray_client_server:pytest.PytestUnraisableExceptionWarning")
def test_a_client_outside_the_cluster_has_a_pool_too(tmp_path):
    port = unused_port()
    with two_nodes(ray_client_server_port=port):
        call = started(f"ray://127.0.0.1:{port}", tmp_path, "short", "short")
        told = call.communicate(timeout=240)
    gc.collect()
    assert told == ("['short', 'short']\n", ""), told[1]
