"""A fit that is killed again and again ends as one that never was, whatever else goes wrong."""

import contextlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.support.commands import ROOT
from tests.support.killed_fit import EPOCHS

KILLS = 5
MOST = 120.0
"""Seconds that one process may take before the test fails."""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Three hundred striped pictures in two class folders, all different."""
    from tests.support.networks import stripes

    root = tmp_path_factory.mktemp("pictures")
    images, codes = stripes(300)
    for number, (image, code) in enumerate(zip(images, codes, strict=True)):
        folder = root / ("down" if code else "across")
        folder.mkdir(exist_ok=True)
        Image.fromarray(image).save(folder / f"{number:03}.png")
    return root


class Fit:
    """A fit with its state, features and result in a folder, run in processes of its own."""

    def __init__(self, pictures, root, name, views):
        self.folder, self.out = root / name, root / f"out-{name}"
        self.features = root / f"features-{name.partition('-')[0]}"
        self.given = [str(pictures), str(self.folder), str(self.out), str(views)]

    def start(self):
        env = {**os.environ, "PYTHONPATH": str(ROOT)}
        command = [
            sys.executable,
            "-W",
            "ignore",
            str(ROOT / "tests/support/killed_fit.py"),
            *self.given,
        ]
        with open(f"{self.out}.log", "ab") as log:
            return subprocess.Popen(command, env=env, stdout=log, stderr=log)

    def finish(self, process):
        """Weights and history, once the process has ended by itself."""
        assert process.wait(MOST) == 0, Path(f"{self.out}.log").read_text()
        with np.load(f"{self.out}.npz") as found:
            weights = [found[name] for name in sorted(found.files) if name != "history"]
            return weights, json.loads(str(found["history"]))

    def shards(self):
        """The finished shards, each with the time at which it was written."""
        found = {}
        for path in self.features.glob("*/*.json"):
            # A broken shard is taken away while we look.
            with contextlib.suppress(FileNotFoundError):
                found[path] = path.stat().st_mtime_ns
        return found

    def epochs(self):
        """Epochs that are done and saved; one done twice counts twice."""
        path = Path(f"{self.out}.epochs")
        return len(path.read_text().splitlines()) if path.exists() else 0

    def kill_at(self, moment, wait):
        """Run until so many shards and epochs are there, and a little longer, then kill -9."""
        process, deadline = self.start(), time.monotonic() + MOST
        try:
            while len(self.shards()) + self.epochs() < moment:
                assert process.poll() is None, Path(f"{self.out}.log").read_text()
                assert time.monotonic() < deadline
                time.sleep(0.001)
            time.sleep(wait)
            assert process.poll() is None, "It had finished before it was killed."
        finally:
            process.kill()
            process.wait()


@pytest.fixture(scope="module", params=[1, 2], ids=["as-they-are", "two-views"])
def undisturbed(request, pictures, tmp_path_factory):
    """What a fit that nothing disturbs gives, with its views."""
    fit = Fit(pictures, tmp_path_factory.mktemp("undisturbed"), "fit", request.param)
    return request.param, fit, fit.finish(fit.start())


def same(found, true):
    """Weights and history within 1e-6, which is float32's own rounding in other batches."""
    for one, other in zip(found[0], true[0], strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-6)
    assert found[1].keys() == true[1].keys()
    assert found[1]["phase"] == true[1]["phase"]
    for name in found[1].keys() - {"phase"}:
        np.testing.assert_allclose(found[1][name], true[1][name], rtol=0, atol=1e-6, err_msg=name)


def moments(shards, epochs, seed):
    """Five random moments: two while features are made, three in training."""
    draw = np.random.default_rng(seed)
    early = draw.choice(np.arange(1, shards), 2, replace=False)
    late = shards + draw.choice(np.arange(epochs - 4), 3, replace=False)
    return list(zip(sorted([*early, *late]), draw.uniform(0, 0.03, KILLS), strict=True))


def flip(path):
    """Change one bit in the middle of a file, and leave its time as it was."""
    data, times = bytearray(path.read_bytes()), path.stat()
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def test_killed_five_times_with_a_flipped_bit_is_as_if_nothing_happened(
    undisturbed, pictures, tmp_path
):
    views, whole, true = undisturbed
    count, epochs = len(whole.shards()), sum(EPOCHS.values())
    assert count > 8
    assert whole.epochs() == epochs
    fit = Fit(pictures, tmp_path, "fit", views)
    broken, kept = None, {}
    for number, (moment, wait) in enumerate(moments(count, epochs, seed=views)):
        fit.kill_at(moment, wait)
        there = fit.shards()
        assert all(there.get(path) == written for path, written in kept.items())
        kept = there
        if number == 1:
            broken = sorted(kept)[len(kept) // 2]
            flip(broken.with_suffix(".npy"))
            del kept[broken]
    found = fit.finish(fit.start())
    same(found, true)
    assert all(fit.shards()[path] == written for path, written in kept.items())
    assert fit.epochs() <= epochs + KILLS  # at most the one that was under way
    assert "made anew" in Path(f"{fit.out}.log").read_text()


def test_two_processes_at_once_on_one_cache(undisturbed, pictures, tmp_path):
    views, _, true = undisturbed
    fits = [Fit(pictures, tmp_path, name, views) for name in ("both-1", "both-2")]
    assert fits[0].features == fits[1].features
    processes = [fit.start() for fit in fits]
    for fit, process in zip(fits, processes, strict=True):
        same(fit.finish(process), true)
