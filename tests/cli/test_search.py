"""The search on the command line: from pictures to the chosen model's run, interrupted or not."""

import json
import os
import re
import signal
import subprocess
import sys
import time

import pandas as pd
import pytest

from kerastl.cli import search
from kerastl.cli.console import goes_on
from kerastl.cli.options import number_range, picture_sizes
from kerastl.cli.search import search_folder
from kerastl.errors import InputError
from kerastl.tuning.loop import SearchProgress
from tests.support.commands import ROOT, SCRIPT, kerastl
from tests.support.networks import small_network

SMALL = [
    "--backbone", "own.keras", "--depths", "heads,4", "--tuner", "grid", "--epochs", "2",
    "--head-epochs", "1", "--learning-rate", "1e-3,1e-2", "--depth-decay", "0.7",
    "--dropout", "0", "--weight-decay", "1e-4",
]  # fmt: skip


@pytest.fixture(scope="module")
def work(stripes_folder):
    """The folder that holds own.keras and the pictures."""
    small_network().save(stripes_folder.parent / "own.keras")
    return stripes_folder.parent


@pytest.fixture(scope="module")
def found(work, stripes_folder):
    """A finished search in the folder that is chosen by default, and what it printed."""
    told = kerastl("search", stripes_folder.name, *SMALL, cwd=work)
    return work / "saved_models" / stripes_folder.name / "1", told


def records(folder):
    """When each finished trial's record was written."""
    return {p.parent.name: p.stat().st_mtime_ns for p in folder.glob("trials/trial_*/record.json")}


def test_every_trial_is_told_as_it_finishes(found):
    _, told = found
    lines = re.findall(r"trial (\d) of 4: (heads|4), rate (0.001|0.01): [01]\.\d{4}", told)
    assert [number for number, *_ in lines] == ["1", "2", "3", "4"]
    assert {tuple(values) for _, *values in lines} == {
        (depth, rate) for depth in ("heads", "4") for rate in ("0.001", "0.01")
    }
    assert re.search(r"features \S+ 106/106 ", told), "53 pictures, two depths"
    assert re.search(r"trials \S+ 4/4 .*best [01]\.\d{4} \(", told)


def test_the_table_the_sentence_the_plan_and_what_to_type_next(found):
    folder, told = found
    board = pd.read_csv(folder / "leaderboard.csv")
    table = told.partition("Trials, best first")[2].splitlines()
    best = board.iloc[0]
    assert table[1].split()[:4] == ["trial", "trainable", "layers", "learning_rate"]
    assert table[2].split()[1] == best["trainable"]
    assert f"{best['score']:.3f} [{best['low']:.3f}, {best['high']:.3f}]" in table[2]
    for words in ("How many layers to unfreeze", "on 8 pictures", "What trains in the chosen",
                  "Scores on held-out pictures",
                  f"Next:  kerastl export saved_models/{folder.parent.name}/1"):  # fmt: skip
        assert words in told


def test_the_chosen_model_is_a_run(found, inside):
    folder, _ = found
    names = {"model.keras", "predictions.csv", "scores.png", "report.json", "leaderboard.csv",
             "depths.csv", "leaderboard.png", "search.json", "trials"}  # fmt: skip
    assert names <= {p.name for p in folder.iterdir()}
    report = json.loads((folder / "report.json").read_text())
    assert report["training"]["depths"] == "heads,4"
    assert report["training"]["values"]["trainable"] in ("heads", "4")
    [row] = [r for r in report["scores"]["scores"] if r["metric"] == "accuracy"]
    told = inside("evaluate", folder, folder.parent.name, cwd=folder.parents[2])
    words = f"{row['value']:.3f} [{row['low']:.3f}, {row['high']:.3f}]    n = 7"
    assert words in next(line for line in told.splitlines() if "accuracy" in line)


def test_called_again_in_its_folder_nothing_runs_twice(found, work, inside):
    folder, _ = found
    before = records(folder)
    told = inside("search", folder.parent.name, *SMALL, "--out", folder, cwd=work)
    assert len(before) == 4
    assert records(folder) == before
    assert "How many layers to unfreeze" in told


def test_another_search_in_its_folder_is_refused(found, work, inside):
    folder, _ = found
    args = ["search", folder.parent.name, *SMALL, "--executions", "2", "--out", folder]
    told = inside(*args, cwd=work, code=2)
    assert "executions: 1 there, 2 here" in told
    assert "--overwrite" in told


def test_interrupted_the_same_command_goes_on(work, stripes_folder, tmp_path):
    """Ctrl-C after the first trial; the same command, in the folder that it finds by itself."""
    own = ["--backbone", work / "own.keras", "--learning-rate", "1e-4,1e-3,1e-2"]
    args = ["search", stripes_folder, *SMALL, *own]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", SCRIPT, *map(str, args)]
    folder = tmp_path / "saved_models" / stripes_folder.name / "1"
    with subprocess.Popen(command, env=env, cwd=tmp_path, stdout=subprocess.DEVNULL,
                          stderr=subprocess.PIPE, text=True) as process:  # fmt: skip
        while not records(folder) and process.poll() is None:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        told = process.communicate()[1]
    assert process.returncode == 130, told
    assert told.splitlines()[-1].startswith("Interrupted. The same command goes on from what is")
    before = records(folder)
    assert 1 <= len(before) < 6
    kerastl(*args, cwd=tmp_path)
    after = records(folder)
    assert {trial: after[trial] for trial in before} == before
    assert len(after) == len(pd.read_csv(folder / "leaderboard.csv")) == 6
    assert (folder / "model.keras").is_file()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_interruption_that_a_destructor_swallows_is_heard_with_the_next_news(tmp_path):
    class Last:
        def __del__(self):
            signal.raise_signal(signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    with (
        pytest.raises(SystemExit) as ended,
        goes_on(tmp_path) as asked,
        search._shown(asked) as show,
    ):
        Last()  # gone at once
        show(SearchProgress("trials", 1, 2))
    assert ended.value.code == 130
    assert signal.getsignal(signal.SIGINT) is before


def test_where_a_search_is_kept(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    home = tmp_path / "saved_models" / "flowers"

    def kept(out=None):
        return search_folder("flowers", out).resolve()

    assert kept() == home / "1"
    (home / "1" / "search.json").touch()
    assert kept() == home / "1", "it is not whole"
    (home / "1" / "report.json").touch()
    assert kept() == home / "2", "it is whole"
    (home / "1" / "model.keras").touch()
    assert kept(home / "1") == home / "1", "named, it goes on"
    (home / "2" / "model.keras").touch()
    with pytest.raises(InputError, match="holds a model already"):
        kept(home / "2")


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--learning-rate", "fast"], "Expected --learning-rate with a number, values with"),
        (["--learning-rate", "1e-3..1e-5"], "learning_rate: expected a tuple (lowest, highest)"),
        (["--dropout", "0,1.5"], "dropout: expected numbers from 0 to below 1, received 1.5"),
        (["--image-size", "0"], "Expected --image-size in pixels"),
        (["--depths", "heads,stage9"], "Did you mean stage"),
        (["--tuner", "best"], "tuner: expected bayesian, random, hyperband, grid"),
        (["--budget", "much"], "Expected --budget with a size"),
        (["--thresholds", "f2"], "f1, accuracy"),
        (["--task-weight", "label"], "--task-weight NAME=VALUE"),
        (["--backbone", "gone.keras"], "no model file gone.keras"),
    ],
)
def test_options_that_do_not_fit(args, words, work, stripes_folder, inside):
    told = inside("search", stripes_folder.name, *SMALL, *args, "--out", "none", cwd=work, code=2)
    assert words in told
    assert not (work / "none").exists()


@pytest.mark.parametrize("text", ["", "a", "1,", "1..2..3", "..", "1..2,3"])
def test_words_that_are_no_range(text):
    with pytest.raises(InputError, match="--dropout with a number, values with commas between, or"):
        number_range(text, "--dropout")


@pytest.mark.parametrize("text", ["", "0", "-1", "1.5", "96,", "large"])
def test_words_that_are_no_picture_size(text):
    with pytest.raises(InputError, match="Expected --image-size in pixels"):
        picture_sizes(text)
