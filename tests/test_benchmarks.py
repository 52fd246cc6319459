"""The benchmarks through their front door, small: that they run, not how fast."""

import os
import subprocess
import sys

import pytest

from tests.support.commands import ROOT

SCRIPTS = sorted(p.name for p in (ROOT / "benchmarks").glob("*.py"))
HELPERS = {"measuring.py"}

pytestmark = pytest.mark.slow


def run(script, *args, cwd):
    env = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"}
    command = [sys.executable, ROOT / "benchmarks" / script, *args]
    found = subprocess.run(command, cwd=cwd, env=env, text=True, capture_output=True, check=False)
    assert found.returncode == 0, found.stderr
    return found.stdout


def test_there_are_the_scripts_that_are_tested():
    measured = {"frozen.py", "tails.py", "large_pictures.py", "imports.py", "memory.py"}
    search = {"unfreezing.py", "unfreezing_runs.py"}
    assert set(SCRIPTS) == {*HELPERS, *measured, *search, "all.py", "frozen_runs.py", "engines.py"}


HELP = """
import runpy, sys
for script in sys.argv[1:]:
    sys.argv = [script, "--help"]
    try:
        runpy.run_path(script, run_name="__main__")
    except SystemExit as ended:
        assert not ended.code, script
"""


def test_every_script_says_what_it_does(tmp_path):
    """In one process: each would load Keras for itself."""
    scripts = [ROOT / "benchmarks" / name for name in sorted({*SCRIPTS} - HELPERS)]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "benchmarks")])}
    told = subprocess.run(
        [sys.executable, "-c", HELP, *scripts], cwd=tmp_path, env=env, text=True,
        capture_output=True, check=True,
    ).stdout  # fmt: skip
    for script in scripts:
        assert f"usage: {script.name}" in told


def test_all_together_make_one_table_between_the_markers(tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text("Above.\n<!-- measured: begin -->\nold\n<!-- measured: end -->\nBelow.\n")
    told = run("all.py", "--small", "--write", readme, cwd=tmp_path)
    text = readme.read_text("utf-8")
    assert text.startswith("Above.\n<!-- measured: begin -->\n")
    assert text.endswith("\n<!-- measured: end -->\nBelow.\n")
    assert told.strip() in text
    assert "old" not in text
    for what in ("2 frozen epochs, against", "again, on stored features", "above the floor",
                 "last 30 layers", "12-megapixel JPEGs", "`import kerastl`", "peak memory",
                 "OpenVINO"):  # fmt: skip
        assert what in text
    _, *tables = text.split("| | kerastl | against | times | target |\n|---|---|---|---|---|\n")
    assert len(tables) == 1
    rows = tables[0].partition("\n\n")[0].splitlines()
    assert len(rows) == 3 + 1 + 5 + 2 + 1
    assert all(float(row.split("|")[4]) > 0 for row in rows)


def test_a_search_against_plain_keras_tuner(tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text("Above.\n<!-- search: begin -->\n<!-- search: end -->\nBelow.\n")
    run("all.py", "--small", "--search", "--write", readme, cwd=tmp_path)
    text = readme.read_text("utf-8")
    assert "a search of 2 trials, against plain KerasTuner" in text
    assert "Spearman's" in text
    for row in ("| heads 0.001 |", "| 9 0.001 |"):
        assert row in text
    assert text.endswith("<!-- search: end -->\nBelow.\n")
