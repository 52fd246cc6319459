"""A small network and a small picture folder that many tests share."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import pytest
from PIL import Image

from kerastl.cli.main import main
from tests.support.networks import small_network, stripes

NOBODY = 65534


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
