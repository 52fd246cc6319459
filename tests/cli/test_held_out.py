"""Through the front door: a figure said to be held out is of pictures that the run never saw."""

import json
import shutil

import pytest
from PIL import Image

from tests.support.networks import small_network, stripes


@pytest.fixture
def work(tmp_path):
    """Pictures in class folders and a network to train."""
    pictures(tmp_path / "pictures", 40, seed=0)
    small_network().save(tmp_path / "own.keras")
    return tmp_path


def pictures(root, count, seed):
    for number, (image, code) in enumerate(zip(*stripes(count, seed), strict=True)):
        folder = root / ("down" if code else "across")
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / f"{seed}-{number:03}.png")


@pytest.fixture
def trained(work, inside):
    """What training with a seed of its own said of the pictures it held out."""
    inside("train", "pictures", "--backbone", "own.keras", "--trainable", "heads", "--epochs", "1",
           "--seed", "3", "--out", "run", cwd=work)  # fmt: skip
    return json.loads((work / "run/report.json").read_text())


def scored(work, inside, *data):
    """How many pictures are scored, and their accuracy, by `evaluate`."""
    told = inside("evaluate", "run", *data, "--out", "scores", cwd=work)
    (line,) = [n for n in (work / "scores/scores.csv").read_text().splitlines()
               if n.startswith("label,,accuracy")]  # fmt: skip
    words = line.split(",")
    return int(float(words[6])), float(words[3]), told


def test_a_run_needs_no_data_and_gives_its_own_figures_again(work, trained, inside):
    first = next(r for r in trained["scores"]["scores"] if r["metric"] == "accuracy")
    n, accuracy, told = scored(work, inside)
    assert (n, accuracy) == (first["n"], pytest.approx(first["value"]))
    assert f"40 pictures, {40 - n} of them were trained or tuned on: left out." in told
    assert scored(work, inside, "pictures", "--seed", "9")[:2] == (n, accuracy)


def test_the_printed_export_checks_on_the_same_pictures(work, trained, inside):
    n = trained["data"]["splits"]["test"]
    for data in ((), ("pictures",)):
        told = inside("export", "run", *data, "--formats", "float32", "--no-latency", cwd=work)
        assert f"Checked on {n} held-out pictures." in told
    told = inside("check", "run/model_float32.tflite", "pictures", "--no-latency", cwd=work)
    assert f"Checked on {n} held-out pictures." in told


def test_files_that_were_exported_elsewhere_know_what_was_seen(work, trained, inside):
    n = trained["data"]["splits"]["test"]
    inside("export", "run", "--formats", "float32,openvino", "--no-latency", "--out", "far",
           cwd=work)  # fmt: skip
    for file in ("far/model_float32.tflite", "far/model_openvino/model.xml"):
        told = inside("evaluate", file, "pictures", "--seed", "9", cwd=work)
        assert f"40 pictures, {40 - n} of them were trained or tuned on: left out." in told


def test_pictures_that_come_later_and_a_folder_of_others_are_all_scored(work, trained, inside):
    n = trained["data"]["splits"]["test"]
    pictures(work / "later", 12, seed=1)
    assert scored(work, inside, "later")[0] == 12
    shutil.copytree(work / "later", work / "pictures", dirs_exist_ok=True)
    shutil.move(work / "pictures", work / "renamed")
    assert scored(work, inside, "renamed")[0] == n + 12


def test_what_is_not_there_is_named(work, trained, inside):
    assert "There is no model runn." in inside("evaluate", "runn", cwd=work, code=2)
    assert "There is no folder pics" in inside("evaluate", "run", "pics", cwd=work, code=2)
    shutil.move(work / "pictures", work / "moved")
    told = inside("evaluate", "run", cwd=work, code=2)
    assert "Expected DATA: labelled pictures. Those that run was made from are not there." in told


def test_nothing_held_out_is_one_sentence(work, trained, inside):
    table = (work / "run/division.csv").read_text().replace(",test", ",train")
    (work / "run/division.csv").write_text(table)
    told = inside("evaluate", "run", cwd=work, code=2)
    assert "All 40 pictures were trained or tuned on" in told
    told = inside("export", "run", "--formats", "float32", "--no-latency", cwd=work)
    assert "random images" in told
