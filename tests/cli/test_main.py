"""The command line through its front door: a process, its output, its exit code."""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import typer
from PIL import Image

from kerastl.cli.main import app
from kerastl.errors import InputError
from tests.support.commands import ROOT, SCRIPT, kerastl
from tests.support.networks import small_network, stripes


@pytest.fixture(scope="module")
def odd_folder(tmp_path_factory):
    """Good pictures, odd ones that can be read, and three that cannot."""
    root = tmp_path_factory.mktemp("odd") / "pictures"
    images, codes = stripes(48)
    for number, (image, code) in enumerate(zip(images, codes, strict=True)):
        folder = root / ("down" if code else "across")
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / f"{number:03}.png")
    large = Image.fromarray(np.kron(images[0], np.ones((4, 4, 1), "uint8")))
    large.convert("CMYK").save(root / "down" / "cmyk.jpg")
    deep = np.asarray(large.convert("L")).astype("uint16") * 257
    Image.fromarray(deep).save(root / "down" / "deep16.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    large.save(root / "across" / "phone.jpg", exif=exif)
    whole = root / "across" / "phone.jpg"
    (root / "across" / "truncated.jpg").write_bytes(whole.read_bytes()[:900])
    (root / "across" / "text.jpg").write_text("this is no picture")
    (root / "down" / "empty.png").touch()
    return root


@pytest.fixture(scope="module")
def run(odd_folder):
    """A run trained by the command on the odd folder, and what it printed."""
    work = odd_folder.parent
    small_network().save(work / "own.keras")
    told = kerastl(
        "train", "pictures", "--backbone", "own.keras", "--trainable", "stage1", "--epochs", "2",
        cwd=work,
    )  # fmt: skip
    return work / "saved_models" / "pictures" / "1", told


def test_train_lists_exactly_the_bad_pictures(run, odd_folder):
    folder, told = run
    report = json.loads((folder / "report.json").read_text())
    bad = {Path(p).name: cause for p, cause in report["data"]["skipped"].items()}
    assert set(bad) == {"truncated.jpg", "text.jpg", "empty.png"}
    assert bad["truncated.jpg"].startswith("truncated")
    assert bad["text.jpg"] == "not a picture"
    assert bad["empty.png"] == "empty file"
    assert "Skipped: 3 files\n" in told
    assert len(pd.read_csv(folder / "predictions.csv")) == 54


def test_random_weights_train_whole_unless_layers_are_given(
    stripes_folder, tmp_path, inside, monkeypatch
):
    def stop(*_, trainable, train_batch_norm=False, **__):
        raise InputError(f"{trainable}, BatchNorm {train_batch_norm}")

    monkeypatch.setattr("kerastl.models.factories.create_model", stop)
    words = "Random weights: all layers train, BatchNorm too, from the first epoch on."
    args = ["train", stripes_folder, "--weights", "none"]
    told = inside(*args, cwd=tmp_path, code=2)
    assert words in told
    assert "Error: True, BatchNorm True" in told
    told = inside(*args, "--trainable", "stage4", cwd=tmp_path, code=2)
    assert words not in told
    assert "Error: stage4, BatchNorm False" in told


def test_train_shows_the_plan_the_scores_and_what_to_type_next(run):
    _, told = run
    for words in ("What trains", "frozen", "0 of", "accuracy", "Next:  kerastl export"):
        assert words in told


def test_a_killed_run_goes_on_where_it_was(run, odd_folder, tmp_path):
    """kill -9 after the first epochs; the same command with --resume finishes the run."""
    args = ["train", odd_folder, "--backbone", odd_folder.parent / "own.keras",
            "--trainable", "stage1", "--epochs", "30", "--out", tmp_path / "run"]  # fmt: skip
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    state = tmp_path / "run" / ".fit" / "fit-state.npz"
    command = [sys.executable, "-c", SCRIPT, *map(str, args)]
    away = subprocess.DEVNULL
    with subprocess.Popen(command, env=env, stdout=away, stderr=away) as process:
        while not state.exists() and process.poll() is None:
            time.sleep(0.05)
        process.kill()
    assert not (tmp_path / "run" / "model.keras").exists()
    with np.load(state, allow_pickle=False) as kept:
        done = json.loads(str(kept["about"]))["epoch"]
    told = kerastl(*args, "--resume", cwd=tmp_path)
    history = pd.read_csv(tmp_path / "run" / "history.csv")
    assert len(history) > done >= 1
    assert set(history["phase"]) == {"heads", "tail"}
    assert "Scores on held-out pictures" in told
    assert not state.exists()


def test_evaluate(run, odd_folder, tmp_path, inside):
    folder, _ = run
    told = inside("evaluate", folder, odd_folder, "--out", tmp_path, cwd=odd_folder.parent)
    assert "accuracy" in told
    assert {"scores.csv", "scores.png"} == {p.name for p in tmp_path.iterdir()}


def test_predict_writes_json_and_prints_csv(run, odd_folder, tmp_path, inside):
    folder, _ = run
    picture = odd_folder / "down" / "cmyk.jpg"
    inside("predict", folder, picture, "--out", "p.json", cwd=tmp_path)
    assert json.loads((tmp_path / "p.json").read_text())[0]["image"] == str(picture)
    assert "image,label/predicted,label/score/across,label/score/down,error" in kerastl(
        "predict", folder, picture, cwd=tmp_path
    )


def test_predict_keeps_what_is_done(run, odd_folder, tmp_path, inside):
    folder, _ = run
    args = ["predict", folder, odd_folder, "--cache", "work"]
    told = inside(*args, "--out", "first.csv", cwd=tmp_path)
    assert "51 pictures predicted, 3 could not be read. Written to first.csv" in told
    *_, shown = (line for line in told.splitlines() if "/54" in line)
    assert "pictures" in shown
    assert "54/54" in shown  # the bar, on standard error
    assert "1 could not be read: empty file." in told.splitlines()
    files = [p for p in (tmp_path / "work").rglob("*") if p.is_file() and p.name != "used"]
    before = {p: p.stat().st_mtime_ns for p in files}
    assert before
    inside(*args, "--out", "second.csv", cwd=tmp_path)
    assert before == {p: p.stat().st_mtime_ns for p in before}
    assert (tmp_path / "first.csv").read_bytes() == (tmp_path / "second.csv").read_bytes()


def test_cuts_and_backbones(run, odd_folder, inside):
    told = inside("cuts", "own.keras", "--all", cwd=odd_folder.parent)
    assert "stage1" in told
    assert "branch" not in told
    told = inside("backbones", "--like", "lite", cwd=odd_folder.parent)
    assert "EfficientNetLite0" in told
    assert "224 x 224" in told


def test_recipes(tmp_path, inside):
    told = inside("recipes", cwd=tmp_path)
    assert "quickstart" in told
    assert "own_task_a" in told
    inside("recipes", "quickstart", "--out", "mine.py", cwd=tmp_path)
    assert (tmp_path / "mine.py").read_text() == (ROOT / "recipes/quickstart.py").read_text()
    assert "Did you mean quickstart" in inside("recipes", "quickstrat", cwd=tmp_path, code=2)


def verbs():
    """Every verb, and every one below it, as it is typed."""
    top = typer.main.get_command(app)
    for name, command in top.commands.items():
        yield from ([name, below] for below in getattr(command, "commands", {}))
        yield [name]


@pytest.mark.parametrize("verb", list(verbs()), ids=" ".join)
def test_help_shows_an_example_and_what_each_option_takes(verb, tmp_path, inside):
    told = inside(*verb, "--help", cwd=tmp_path)
    assert f"Example: kerastl {' '.join(verb)}" in told
    # A newcomer reads FOLDER or N, not a Python type.
    assert not re.search(r"--\S+ +<(str|int|float|path|list)", told)


def test_every_verb_is_tested():
    assert sorted(" ".join(verb) for verb in verbs()) == sorted([
        "train", "search", "evaluate", "predict", "export", "check", "try", "labels", "policies",
        "joint-or-separate", "curve", "extract", "cache", "cache list", "cache verify",
        "cache prune", "cuts", "backbones", "recipes", "demo",
    ])  # fmt: skip


OWN = ["--backbone", "own.keras"]


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["train", "nothing"], "nothing"),
        (["train", "empty"], "empty"),
        (["train", "one_class"], "class"),
        (["train", "wrong.csv"], "column 'image' is missing"),
        (["train", "test_only.csv"], "train"),
        (["train", "pictures", "--backbone", "MobilNetV2"], "Did you mean MobileNetV2"),
        (["train", "pictures", "--backbone", "Xception", "--weights", "none", "--image-size", "16"],
         "cannot take pictures of 16 x 16"),
        (["train", "pictures", *OWN, "--trainable", "stage9"], "Did you mean stage"),
        (["train", "pictures", *OWN, "--resume"], "no interrupted run"),
        (["train", "pictures", "--backbone", "gone.keras"], "no model file gone.keras"),
        (["predict", "wrong.csv", "pictures"], "wrong.csv"),
        (["export", "wrong.csv"], "wrong.csv"),
        (["predict", "own.keras", "nothing.png"], "without kerastl's tasks"),
    ],
)  # fmt: skip
def test_bad_input_is_one_sentence_and_exit_code_2(args, words, run, odd_folder, inside):
    work = odd_folder.parent
    (work / "empty").mkdir(exist_ok=True)
    (work / "one_class" / "only").mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (16, 16)).save(work / "one_class" / "only" / "a.png")
    (work / "wrong.csv").write_text("thing,label\na.png,x\n")
    lines = ["image,label,split"]
    for number, path in enumerate(sorted((odd_folder / "down").glob("0*.png"))[:8]):
        label, split = [("x", "train"), ("y", "train"), ("z", "test")][number % 3]
        lines.append(f"{path},{label},{split}")
    (work / "test_only.csv").write_text("\n".join(lines))
    before = sorted(p for p in (work / "saved_models").rglob("*"))
    told = inside(*args, cwd=work, code=2)
    assert "Error: " in told
    assert words in told
    assert sorted(p for p in (work / "saved_models").rglob("*")) == before


def test_a_typo_in_a_verb_is_exit_code_2(tmp_path, inside):
    told = inside("trian", cwd=tmp_path, code=2)
    assert "No such command 'trian'. Did you mean 'train'?" in told


def test_a_typo_in_an_option_is_exit_code_2(tmp_path, inside):
    assert "--epochs" in inside("train", "pictures", "--epohcs", "3", cwd=tmp_path, code=2)


def test_max_pixels_lets_larger_pictures_be_read(run, odd_folder, tmp_path, inside, monkeypatch):
    monkeypatch.setenv("KERASTL_MAX_PIXELS", "255")  # and is set back after the test
    folder, picture = run[0], next((odd_folder / "down").glob("0*.png"))
    told = inside("predict", folder, picture, cwd=tmp_path)
    cause = "too large: 0.000256 megapixels, limit 0.000255 (--max-pixels raises it)"
    assert f"1 could not be read: {cause}." in told
    told = inside("predict", folder, picture, "--max-pixels", "256", cwd=tmp_path)
    assert "could not be read" not in told


def test_what_is_no_picture_is_counted(run, tmp_path, inside):
    Image.new("RGB", (16, 16)).save(tmp_path / "a.png")
    for name in ("notes.txt", "b.csv", "Thumbs.db", ".DS_Store"):
        (tmp_path / name).touch()
    (tmp_path / "c.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
    told = inside("predict", run[0], ".", "--out", tmp_path / "p.json", cwd=tmp_path)
    assert "1 pictures predicted, 1 could not be read." in told
    assert "1 could not be read: HEIC: needs the package pillow-heif" in told
    assert "2 files are no pictures: ./b.csv, ./notes.txt." in told


@pytest.mark.slow
def test_names_that_are_no_utf_8_and_a_terminal_in_ascii(run, tmp_path):
    """The scores stay, in each form of the table and on a terminal that has no such letters."""
    folder = tmp_path / "new"
    folder.mkdir()
    file = os.path.join(os.fsencode(folder), b"caf\xe9.png")
    with open(file, "wb") as opened:
        Image.new("RGB", (16, 16)).save(opened, "PNG")
    open(os.path.join(os.fsencode(folder), b"note\xe9.txt"), "wb").close()
    code = (
        "import sys\nfrom kerastl.cli.main import main\n"
        "for out in ([], ['--out', 'p.csv'], ['--out', 'p.json']):\n"
        f"    sys.argv = ['kerastl', 'predict', {str(run[0])!r}, 'new', *out]\n"
        "    try: main()\n    except SystemExit as end: assert not end.code, end.code\n"
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT), "LC_ALL": "C", "PYTHONUTF8": "0",
           "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "ascii"}  # fmt: skip
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=env, capture_output=True, check=True
    )
    assert b"new/caf\\xe9.png," in ran.stdout
    assert rb"1 file is no picture: new/note\xe9.txt." in ran.stderr
    assert pd.read_csv(tmp_path / "p.csv")["image"].tolist() == [r"new/caf\xe9.png"]
    [row] = json.loads((tmp_path / "p.json").read_text("utf-8"))
    assert (row["image"], row["error"]) == (r"new/caf\xe9.png", "")
