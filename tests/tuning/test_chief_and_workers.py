"""KerasTuner's own chief and two workers search together, one of them killed on the way."""

import os
import subprocess
import sys
import time

import pytest

from kerastl import image_dataset
from kerastl.data.manifest import Manifest
from kerastl.features.store.upkeep import list_store
from tests.support.chief_or_worker import EPOCHS, HEADS, MOST, TRIALS, tuner
from tests.support.commands import ROOT
from tests.support.two_nodes import unused_port
from tests.support.two_tasks import SHADE, striped_manifest

pytestmark = [
    pytest.mark.slow,
    # KerasTuner's own, in its oracles.
    pytest.mark.filterwarnings("ignore:currentThread:DeprecationWarning"),
]


class Team:
    """Processes that search in one folder, each under an id of its own."""

    def __init__(self, folder, data):
        self.folder, self.table, self.started = folder, folder / "pictures.csv", []
        self.data = data
        data.frame.to_csv(self.table, index=False)
        self.port = str(unused_port())

    def start(self, tuner_id, *stops):
        env = {
            **os.environ, "PYTHONPATH": str(ROOT),
            "KERASTUNER_ORACLE_IP": "127.0.0.1", "KERASTUNER_ORACLE_PORT": self.port,
            "KERASTUNER_TUNER_ID": tuner_id, "no_proxy": "127.0.0.1",
        }  # fmt: skip
        command = [sys.executable, "-W", "ignore", str(ROOT / "tests/support/chief_or_worker.py")]
        with open(self.folder / f"{tuner_id}.log", "ab") as log:
            process = subprocess.Popen(
                [*command, str(self.table), str(self.folder), *stops],
                env=env, stdout=log, stderr=log,
            )  # fmt: skip
        self.started.append(process)
        return process

    def told(self):
        """What went wrong, for a test that fails."""
        return "\n".join(f"{p.name}: {p.read_text()[-3000:]}" for p in self.folder.glob("*.log"))

    def end(self):
        for process in self.started:
            process.kill()
            process.wait()


@pytest.fixture
def team(tmp_path):
    (tmp_path / "pictures").mkdir()
    data = striped_manifest(tmp_path / "pictures", test=1)
    found = Team(tmp_path, Manifest(data.frame.drop(columns="way"), (SHADE,)))
    yield found
    found.end()


def awaited(path, process, team):
    end = time.monotonic() + MOST
    while not path.exists():
        assert process.poll() is None, team.told()
        assert time.monotonic() < end
        time.sleep(0.1)
    return path.read_text()


def test_each_trial_is_finished_once_though_a_worker_is_killed(team):
    chief, worker = team.start("chief"), team.start("tuner0")
    doomed = team.start("tuner1", "stops")
    stopped = awaited(team.folder / "stopped", doomed, team)
    doomed.kill()
    doomed.wait()
    again = team.start("tuner1")
    assert [p.wait(MOST) for p in (worker, again, chief)] == [0, 0, 0], team.told()

    epochs = [line.split() for line in (team.folder / "epochs").read_text().splitlines()]
    found = tuner(team.folder)
    trials = found.oracle.trials
    assert len(trials) == TRIALS
    assert {t.status for t in trials.values()} == {"COMPLETED"}
    # No epoch was run twice: the killed worker's trial went on from its second.
    last = {"stage1": EPOCHS, "heads": HEADS + EPOCHS}
    once = [
        (name, epoch)
        for name, trial in trials.items()
        for epoch in range(last[trial.hyperparameters["trainable"]])
    ]
    assert sorted((name, int(epoch)) for _, name, epoch in epochs) == sorted(once)
    assert {who for who, name, _ in epochs if name == stopped} == {"tuner1"}
    assert {who for who, *_ in epochs} == {"tuner0", "tuner1"}
    assert not list((team.folder / "features" / "trials").iterdir())
    # One store for each of the two cuts, and the best network is what it was said to be.
    assert len(list_store(team.folder / "features")) == 2
    images = image_dataset(team.data.split("val"), image_size=16, batch_size=16)
    best = found.get_best_models(1)[0].evaluate(images, verbose=0, return_dict=True)
    assert best["loss"] == pytest.approx(found.oracle.get_best_trials(1)[0].score, abs=1e-4)
