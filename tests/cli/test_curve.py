"""Learning curves on the command line: made, added to, and refused in a sentence."""

from __future__ import annotations

import json
import signal

import pandas as pd
import pytest

from kerastl.experiments.curves import candidates
from tests.support.networks import small_network

SMALL = ("--backbone", "own.keras", "--weights", "none", "--epochs", "1", "--seeds", "1")


@pytest.fixture(scope="module")
def work(stripes_folder):
    """The folder that holds own.keras and the pictures."""
    small_network().save(stripes_folder.parent / "own.keras")
    return stripes_folder.parent


def test_curves_are_made_and_added_to(inside, work, stripes_folder, tmp_path):
    call = ("curve", stripes_folder.name, *SMALL, "--out", str(tmp_path / "made"))
    told = inside(*call, "--candidates", "transfer", "--sizes", "8,16", cwd=work)
    assert "trial 2 of 2: transfer, 16 examples, " in told
    assert "There is nothing to compare: there is one candidate." in told
    trials = pd.read_csv(tmp_path / "made" / "trials.csv")
    again = inside(*call, "--candidates", "transfer,scratch", "--sizes", "8,16", cwd=work)
    more = pd.read_csv(tmp_path / "made" / "trials.csv")
    assert "trial 4 of 4: scratch, 16 examples, " in again
    assert "transfer, 8 examples" not in again
    kept = more[more["candidate"] == "transfer"].reset_index(drop=True)
    pd.testing.assert_frame_equal(kept, trials)
    assert (tmp_path / "made" / "curves.png").is_file()
    assert json.loads((tmp_path / "made" / "settings.json").read_text())["epochs"] == "1"
    other = inside(*call[:-2], "--epochs", "2", *call[-2:], cwd=work, code=2)
    assert "holds a learning curve of other data or settings" in other
    assert "epochs: 1 there, 2 here" in other


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (("--candidates", "transfr"), "Did you mean transfer?"),
        (("--sizes", "8,many"), "Expected --sizes whole numbers"),
        (("--sizes", "8,5000"), "5000: there are only"),
        (("--sizes", "1"), "1: too small for every class"),
        (("--sizes", "8", "--out", "own.keras"), "Expected a folder. Received: own.keras, which"),
    ],
)
def test_what_will_not_do_is_one_sentence(inside, work, stripes_folder, tmp_path, given, told):
    out = ("--out", str(tmp_path / "made"))
    heard = inside("curve", stripes_folder.name, *SMALL, *out, *given, cwd=work, code=2)
    assert told in " ".join(heard.split())


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_interruption_that_a_destructor_swallows_ends_it_after_the_trial(
    inside, work, stripes_folder, tmp_path, monkeypatch,
):  # fmt: skip
    class Last:
        def __del__(self):
            signal.raise_signal(signal.SIGINT)

    def train(part, seed):
        Last()  # gone at once
        return [1.0, 0.0]

    monkeypatch.setattr(candidates, "transfer", lambda *_, **__: train)
    out = tmp_path / "made"
    call = ("--out", str(out), "--candidates", "transfer", "--sizes", "8,16,32")
    told = inside("curve", stripes_folder.name, *SMALL, *call, cwd=work, code=130)
    assert f"Interrupted. The same command goes on from what is done, in {out}." in told
    assert pd.read_csv(out / "kept.csv")["size"].tolist() == [8]
