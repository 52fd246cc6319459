"""A small network and a small picture folder that many tests share."""

from __future__ import annotations

import gc
import os
import shutil
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
if "PYTEST_XDIST_WORKER" in os.environ:  # one of two processes on two cores
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
from PIL import Image
from xdist.scheduler import LoadScopeScheduling

from kerastl.cli.main import main
from kerastl.deploy.exporting import export
from kerastl.deploy.formats import DEFAULT
from kerastl.models.saving import save_model
from tests.support.networks import small_network, stripes
from tests.support.tiny_models import on_disk, tiny

NOBODY = 65534

PROCESSES = (
    "tests/distributed/", "tests/features/test_blocks.py", "tests/training/test_killed.py",
    "tests/tuning/test_chief_and_workers.py", "tests/tuning/test_search_on_ray.py",
)  # fmt: skip
"""Tests that start and kill processes of their own: they wait for each other."""


class ByFile(LoadScopeScheduling):
    """Each file's tests go to one process, those of `PROCESSES` one after the other."""

    def _split_scope(self, nodeid):
        file = nodeid.partition("::")[0]
        return "processes" if file.startswith(PROCESSES) else file


def pytest_xdist_make_scheduler(config, log):
    return ByFile(config, log)


def pytest_collection_finish():
    """What is loaded by now stays: garbage collections need not look at it again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


@pytest.fixture
def network():
    return small_network


@pytest.fixture
def striped():
    return stripes


@pytest.fixture
def inside(monkeypatch, capsys):
    """The same entry point in this process, which has loaded Keras already."""

    def call(*args, cwd, code=0):
        monkeypatch.chdir(cwd)
        monkeypatch.setattr(sys, "argv", ["kerastl", *map(str, args)])
        with pytest.raises(SystemExit) as ended:
            main()
        found = capsys.readouterr()
        assert (ended.value.code or 0) == code, found.out + found.err
        return found.out + found.err

    return call


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory):
    """The tiny model, its pictures, and the folder of its export: to be read, never written to."""
    model = tiny()
    manifest = on_disk(tmp_path_factory.mktemp("data") / "pictures")
    folder = tmp_path_factory.mktemp("tiny") / "1"
    export(model, folder, DEFAULT, calibration=manifest, latency=False, waive=["int8"])
    save_model(model, folder / "model.keras")
    return model, manifest, folder


@pytest.fixture
def unprivileged():
    """A folder, and a user whom permissions bind: where that is root, it is nobody meanwhile."""
    folder = Path(tempfile.mkdtemp(prefix="kerastl-"))
    root = os.geteuid() == 0
    try:
        if root:
            folder.chmod(0o777)
            _become_nobody()
        yield folder
    finally:
        if root:
            os.seteuid(0)
        shutil.rmtree(folder)


def _become_nobody():
    try:
        os.seteuid(NOBODY)
    except OSError:
        pytest.skip("root may not change its user here, and permissions do not bind it")


@pytest.fixture(scope="session")
def stripes_folder(tmp_path_factory):
    """Sixty pictures in the class folders `across` and `down`."""
    root = tmp_path_factory.mktemp("stripes")
    images, codes = stripes(60)
    for number, (image, code) in enumerate(zip(images, codes, strict=True)):
        folder = root / ("down" if code else "across")
        folder.mkdir(exist_ok=True)
        Image.fromarray(image).save(folder / f"{number:03}.png")
    return root
