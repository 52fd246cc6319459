"""Two processes and one folder: each has its own, or the second is told who is there."""

import os
import signal
import subprocess
import sys

import pytest

from kerastl.cli.claims import CLAIM, claim, claim_next, release_all
from kerastl.errors import DiskError, InputError
from tests.support.commands import ROOT

ENV = {**os.environ, "PYTHONPATH": str(ROOT)}
NEXT = """
import sys
from pathlib import Path
from kerastl.cli.claims import claim_next, release_all
sys.stdin.readline()
print(claim_next(Path(sys.argv[1]), 1).name, flush=True)
sys.stdin.readline()
release_all()
"""
HOLD = """
import sys
from kerastl.cli.claims import claim
claim(sys.argv[1])
print("there", flush=True)
sys.stdin.readline()
"""


def started(code, folder):
    return subprocess.Popen(
        [sys.executable, "-c", code, str(folder)], env=ENV, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip


def test_runs_begun_together_have_a_number_each(tmp_path):
    processes = [started(NEXT, tmp_path / "runs") for _ in range(4)]
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()
    numbers = [process.stdout.readline().strip() for process in processes]
    for process in processes:
        process.communicate("\n")
    assert sorted(numbers) == ["1", "2", "3", "4"]
    assert not list((tmp_path / "runs").glob("*")), "nothing was written to them"


def test_a_folder_in_use_is_refused_and_that_of_a_killed_process_is_not(tmp_path):
    process = started(HOLD, tmp_path / "run")
    assert process.stdout.readline() == "there\n"
    with pytest.raises(InputError, match=f"^Process {process.pid} on .* is at work in .*run"):
        claim(tmp_path / "run")
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert (tmp_path / "run" / CLAIM).exists()
    assert claim(tmp_path / "run") == tmp_path / "run"
    assert claim(tmp_path / "run") == tmp_path / "run", "the same process has it already"
    release_all()
    assert not list((tmp_path / "run").iterdir())


def test_a_folder_is_given_free_and_goes_where_nothing_was_written_to_it(tmp_path):
    (tmp_path / "mine").mkdir()
    claim(tmp_path / "mine")
    claim_next(tmp_path / "a" / "b", 1)
    claim_next(tmp_path / "runs", 1)
    (claim_next(tmp_path / "runs", 1) / "model.keras").touch()
    release_all()
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["2", "mine", "model.keras", "runs"]


def test_a_place_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="Expected a folder. Received: .*file, which is a file"):
        claim(tmp_path / "file" / "run")
    with pytest.raises(DiskError, match="Nothing can be written to .*: file name too long"):
        claim(tmp_path / ("long" * 99))
