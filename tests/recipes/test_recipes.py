"""The recipes through their front doors, as a user runs them."""

import os
import runpy
import subprocess
import sys
import warnings

import pandas as pd
import pytest

from tests.support.commands import ROOT

RECIPES = sorted((ROOT / "recipes").glob("*.py"))


def run(recipe, *args, cwd):
    env = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"}
    found = subprocess.run([sys.executable, recipe, *args], cwd=cwd, env=env, text=True,
                           capture_output=True, check=False)  # fmt: skip
    assert found.returncode == 0, found.stderr
    return found.stdout


@pytest.fixture
def here(monkeypatch, capsys):
    """The same in this process, which has loaded Keras already."""

    def run(recipe, *args, cwd):
        monkeypatch.chdir(cwd)
        monkeypatch.setattr(sys, "argv", [str(recipe), *args])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            runpy.run_path(str(recipe), run_name="__main__")
        return capsys.readouterr().out

    return run


def test_there_are_the_recipes_that_are_tested():
    names = {
        "quickstart", "own_task_a", "unknown_labels", "joint_or_separate", "unfreeze_search",
        "export_for_mobile", "transfer_or_scratch", "find_then_read", "translation",
        "face_recognition",
    }  # fmt: skip
    assert {p.stem for p in RECIPES} == names


def test_quickstart(tmp_path):
    told = run(ROOT / "recipes/quickstart.py", "--smoke", cwd=tmp_path)
    assert "frozen weights moved" in told
    assert "accuracy" in told
    written = {p.name for p in (tmp_path / "saved_models/quickstart/1").iterdir()}
    assert {"model.keras", "saved_model", "model_float32.tflite", "model_int8.tflite"} <= written


@pytest.mark.slow
def test_own_task_a(here, tmp_path):
    told = here(ROOT / "recipes/own_task_a.py", "--smoke", cwd=tmp_path)
    assert "transfer, last stage minus scratch" in told


@pytest.mark.slow
def test_unknown_labels(here, tmp_path):
    told = here(ROOT / "recipes/unknown_labels.py", "--smoke", cwd=tmp_path)
    assert told.count("complete rows only") == 3
    assert told.count("? = no") == 4


@pytest.mark.slow
def test_joint_or_separate(here, tmp_path):
    told = here(ROOT / "recipes/joint_or_separate.py", "--smoke", cwd=tmp_path)
    assert "90% of the training labels of defect hidden" in told
    assert told.count("networks of each kind") == 2


@pytest.mark.slow
def test_unfreeze_search(here, tmp_path):
    told = here(ROOT / "recipes/unfreeze_search.py", "--smoke", "--folder", "found", cwd=tmp_path)
    table = pd.read_csv(tmp_path / "found/leaderboard.csv")
    assert sorted(set(table["trainable"])) == ["4", "heads"]
    assert len(table) == 2
    assert (tmp_path / "found/leaderboard.png").read_bytes().startswith(b"\x89PNG")
    assert "The chosen network on 40 held-out cells" in told
    assert {"model.keras", "leaderboard.png"} <= {p.name for p in (tmp_path / "found").iterdir()}


@pytest.mark.slow
def test_transfer_or_scratch(here, tmp_path):
    told = here(
        ROOT / "recipes/transfer_or_scratch.py", "--smoke", "--folder", "made", cwd=tmp_path
    )
    assert "Mean error on the same 1,000 test examples (lowest to highest" in told
    assert told.count("test examples (lowest to highest of the repeats, how many)") == 2
    assert "from A with 200 and from A with 100: " in told
    trials = [pd.read_csv(tmp_path / "made" / part / "trials.csv", keep_default_na=False)
              for part in ("cells", "digits")]  # fmt: skip
    assert [len(one) for one in trials] == [6, 12]
    assert [set(one["failed"]) for one in trials] == [{""}, {""}]


@pytest.mark.slow
def test_find_then_read(here, tmp_path):
    told = here(ROOT / "recipes/find_then_read.py", "--smoke", "--folder", "made", cwd=tmp_path)
    trials = pd.read_csv(tmp_path / "made/trials.csv", keep_default_na=False)
    assert trials.groupby("candidate").size().to_dict() == {"in stages": 4, "end to end": 4}
    assert set(trials["failed"]) == {""}
    assert "What each stage costs, trained on 160 scenes" in told
    assert (tmp_path / "made/curves.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_translation(here, tmp_path):
    told = here(ROOT / "recipes/translation.py", "--smoke", "--folder", "made", cwd=tmp_path)
    trials = pd.read_csv(tmp_path / "made/trials.csv", keep_default_na=False)
    assert set(trials["failed"]) == {""}
    stages = trials[trials["candidate"] == "in stages"]
    assert stages.groupby("size")["score"].mean().is_monotonic_increasing
    assert stages["score"].max() > 0.5
    assert "sunday april 7 1957: dimanche 7 avril 1957 (dimanche 7 avril 1957)" in told


@pytest.mark.slow
def test_face_recognition(here, tmp_path):
    told = here(ROOT / "recipes/face_recognition.py", "--smoke", "--folder", "made", cwd=tmp_path)
    assert "4 people are known; 32 photographs are asked about, 16 of them of strangers." in told
    assert "What each stage costs, trained on 8 photographs" in told
    assert "over 6 folds, 864 pairs of 12 people" in told
    trials = pd.read_csv(tmp_path / "made/trials.csv", keep_default_na=False)
    assert trials.groupby("candidate").size().to_dict() == {"in stages": 2, "end to end": 2}
    assert set(trials["failed"]) == {""}


@pytest.mark.slow
def test_export_for_mobile(here, tmp_path):
    told = here(ROOT / "recipes/export_for_mobile.py", "--smoke", "--formats", "float32", "dynamic",
               "--out", "made", cwd=tmp_path)  # fmt: skip
    written = {p.name for p in (tmp_path / "made").iterdir()}
    assert {"model.keras", "model_float32.tflite", "model_dynamic.tflite"} <= written
    [shipped] = [line for line in told.splitlines() if line.startswith("Ship model_")]
    assert "MiB" in shipped
    assert "minus Keras" in told


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda p: p.stem)
def test_a_recipe_uses_public_names_only(recipe):
    import ast

    import kerastl

    tree = ast.parse(recipe.read_text("utf-8"))
    used = {n.attr for n in ast.walk(tree) if isinstance(n, ast.Attribute)
            and isinstance(n.value, ast.Name) and n.value.id == "kerastl"}  # fmt: skip
    assert used
    assert used <= set(kerastl.__all__)
    inner = [n for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)
             and (n.module or "").startswith("kerastl")]  # fmt: skip
    assert inner == []
