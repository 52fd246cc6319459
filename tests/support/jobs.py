"""Workers for a pool of jobs, and whether their processes have ended."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path


def drained(pool, jobs):
    """Hand out all jobs, as many as there is room for, and return what is finished."""
    jobs, under_way = list(jobs), 0
    while jobs or under_way:
        while jobs and pool.free:
            pool.submit(jobs.pop(0))
            under_way += 1
        yield pool.next()
        under_way -= 1


def gone(pid):
    """Whether a process ends within some seconds."""
    for _ in range(200):
        try:
            with open(f"/proc/{pid}/stat") as file:
                if file.read().rpartition(")")[2].split()[0] == "Z":
                    return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.1)
    return False


def endless(folder):
    def work(job):
        if job == "short":
            return job
        (folder / f"{job}.new").write_text(str(os.getpid()))
        os.replace(folder / f"{job}.new", folder / f"{job}.pid")
        time.sleep(600)

    return work


def session(leader):
    """Ids of the processes that a session's leader began, but for Ray's two agents.

    After a SIGKILL these look for their server for a minute before they end.
    """
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            told = Path("/proc", name, "cmdline").read_bytes()
            if os.getsid(int(name)) == leader != int(name) and b"Agent" not in told:
                found.append(int(name))
    return found
