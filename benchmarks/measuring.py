"""What the benchmarks share: a fresh process for each measurement, and one form of row."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

HEADER = "| | kerastl | against | times | target |\n|---|---|---|---|---|"


def seconds(work):
    """The seconds that a call takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def row(what, ours, against, times, target=""):
    """A row of the one table: what was measured, both sides, their ratio, what was aimed at."""
    ratio = f"{times:.0f}" if times >= 100 else f"{times:.2f}" if times < 10 else f"{times:.1f}"
    return f"| {what} | {ours} | {against} | {ratio} | {target} |"


def show(rows, *notes):
    """Print rows as a Markdown table, and under it what has to be known to read it."""
    print(HEADER, *rows, sep="\n")
    print("", *notes, sep="\n")


def fresh(script, *arguments, cache=None):
    """What a script prints last, as JSON, in a process of its own.

    With `cache`, kerastl keeps converted networks in that folder and not in the user's.
    """
    env = {"TF_CPP_MIN_LOG_LEVEL": "3", **os.environ}
    env |= {} if cache is None else {"XDG_CACHE_HOME": str(cache)}
    command = [sys.executable, str(Path(__file__).parent / script), *map(str, arguments)]
    found = subprocess.run(command, env=env, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(found.stdout.splitlines()[-1])
