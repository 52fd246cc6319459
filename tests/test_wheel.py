"""The wheel as a user has it: in a new environment, without extras, away from the sources."""

import os
import shutil
import subprocess
import sys
import venv

import pytest

import kerastl
from tests.support.commands import ROOT

pytestmark = pytest.mark.slow

SOURCES = ("kerastl", "recipes", "setup.py", "pyproject.toml", "README.md", "LICENSE")
PAGE = ("index.html", "try.css", "try.js")

NAMES = """
import sys
import kerastl
assert sys.argv[1] in kerastl.__file__, kerastl.__file__
missing = [name for name in sys.argv[2:] if not hasattr(kerastl, name)]
assert sorted(kerastl.__all__) == sorted(sys.argv[2:]) and not missing, missing
print(len(kerastl.__all__), "names")
"""


def run(*command, cwd):
    """What a command printed, in a process that knows nothing of the sources."""
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    env |= {"COLUMNS": "100", "TF_CPP_MIN_LOG_LEVEL": "3"}
    found = subprocess.run(
        [*map(str, command)], cwd=cwd, env=env, capture_output=True, text=True, timeout=900
    )
    assert found.returncode == 0, found.stdout + found.stderr
    return found.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The folder of an environment that has the wheel and what it depends on, nothing else."""
    root = tmp_path_factory.mktemp("wheel")
    sources, made = root / "sources", root / "environment"
    sources.mkdir()
    for name in SOURCES:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, sources / name)
    run(sys.executable, "-m", "pip", "wheel", "--no-deps", "--wheel-dir", root, sources, cwd=root)
    shutil.rmtree(sources)
    venv.create(made, with_pip=True)
    (wheel,) = root.glob("kerastl-*.whl")
    run(made / "bin/python", "-m", "pip", "install", "--quiet", wheel, cwd=root)
    return made


def test_the_command_runs(installed, tmp_path):
    told = run(installed / "bin/kerastl", "--help", cwd=tmp_path)
    assert all(verb in told for verb in ("train", "search", "export", "cuts", "recipes"))
    assert "EfficientNetLite0" in run(installed / "bin/kerastl", "backbones", cwd=tmp_path)


def test_every_public_name_loads(installed, tmp_path):
    names = kerastl.__all__
    told = run(installed / "bin/python", "-c", NAMES, installed, *names, cwd=tmp_path)
    assert told == f"{len(names)} names\n"


def test_the_files_that_are_no_code_are_there(installed, tmp_path):
    (package,) = installed.glob("lib/python*/site-packages/kerastl")
    assert (package / "py.typed").is_file()
    there = {path.name for path in package.rglob("page/*")}
    assert there == set(PAGE)
    assert not list(package.parent.glob("tests")), "the tests are no part of the package"
    told = run(installed / "bin/kerastl", "recipes", cwd=tmp_path)
    for recipe in sorted((ROOT / "recipes").glob("*.py")):
        assert recipe.stem in told
        assert (installed / "share/kerastl/recipes" / recipe.name).is_file()
