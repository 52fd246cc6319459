"""Data that a command names; and through the front door: what is said to be held out.

A figure said to be held out is of pictures that the run never saw.
"""

import json
import shutil

import pandas as pd
import pytest
from PIL import Image

from kerastl.cli.opening import list_pictures, open_data
from kerastl.data.readers.folder import read_folder
from kerastl.errors import InputError
from kerastl.inference.evaluation import evaluate
from tests.support.networks import small_network, stripes


@pytest.fixture
def work(tmp_path):
    """Pictures in class folders and a network to train."""
    return with_pictures(tmp_path)


def with_pictures(folder):
    pictures(folder / "pictures", 40, seed=0)
    small_network().save(folder / "own.keras")
    return folder


def pictures(root, count, seed):
    for number, (image, code) in enumerate(zip(*stripes(count, seed), strict=True)):
        folder = root / ("down" if code else "across")
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / f"{seed}-{number:03}.png")


def train(work, inside, data, *options, backbone="own.keras", new=0):
    if new:
        pictures(work / data, new, seed=5)
    return inside("train", data, "--backbone", backbone, "--trainable", "heads", "--epochs", "1",
                  *options, cwd=work)  # fmt: skip


def parts(run, column="content"):
    """The part of each picture of a run, or of each group."""
    rows = pd.read_csv(run / "division.csv", keep_default_na=False)
    return {row[column]: row["split"] for _, row in rows.iterrows() if row[column]}


def table(path, rows):
    path.write_text("\n".join(["image,kind,group", *rows, ""]))


@pytest.fixture(scope="module")
def once(tmp_path_factory):
    """A folder in which the first test that needs it trains a run with a seed of its own."""
    return with_pictures(tmp_path_factory.mktemp("held_out"))


@pytest.fixture
def trained(once, work, inside):
    """What training said of the pictures it held out; its run lies in `work`, with its pictures."""
    if not (once / "run").exists():
        train(once, inside, "pictures", "--seed", "3", "--out", "run")
    shutil.copytree(once / "run", work / "run")
    report = work / "run/report.json"
    report.write_text(report.read_text().replace(str(once), str(work)))
    return json.loads(report.read_text())


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


def test_in_python_a_run_knows_what_it_saw(work, trained):
    first = next(r for r in trained["scores"]["scores"] if r["metric"] == "accuracy")
    scores = evaluate(work / "run", read_folder(work / "pictures", seed=9))
    assert scores.get("label", "accuracy") == pytest.approx(first["value"])
    assert f"not counted: {40 - first['n']}." in scores.notes[-1]


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
    told = inside("evaluate", "run", cwd=work)
    assert "None of the 40 pictures is held out: all were trained or tuned on." in told
    assert "Scores on validation pictures, which also chose the epoch" in told
    assert "Nothing was held out: all pictures were trained or tuned on." in told
    (work / "run/division.csv").write_text(table.replace(",val", ",train"))
    told = inside("evaluate", "run", cwd=work, code=2)
    assert "All 40 pictures were trained or tuned on" in told
    told = inside("export", "run", "--formats", "float32", "--no-latency", cwd=work)
    assert "random images" in told


def test_a_folder_that_grew_is_trained_on_anew_with_the_old_parts(work, trained, inside):
    before = parts(work / "run")
    pictures(work / "pictures", 40, seed=1)
    train(work, inside, "pictures", "--seed", "3", "--out", "again")
    after = parts(work / "again")
    assert len(after) == 80
    moved = [content for content, part in before.items() if after[content] != part]
    assert len(moved) <= 1  # a class that was brought into a part
    assert not any(after[content] == "test" for content in moved)


def test_a_network_that_saw_a_picture_is_never_scored_on_it(work, trained, inside):
    """Its run is named as the backbone of another, under another seed."""
    before = parts(work / "run")
    told = train(work, inside, "pictures", "--seed", "8", "--out", "next",
                 backbone="run/model.keras")  # fmt: skip
    assert "pictures were trained or tuned on before: they are not held out." in told
    after = parts(work / "next")
    held_out = {content for content, part in after.items() if part == "test"}
    assert held_out == {content for content, part in before.items() if part == "test"}
    train(work, inside, "later", "--out", "third", backbone="next/model.keras", new=30)
    assert set(parts(work / "third")) > set(after)


def test_a_group_is_held_out_as_a_whole(work, inside):
    pictures(work / "pictures", 20, seed=1)
    names = sorted(p.relative_to(work).as_posix() for p in work.glob("pictures/*/*"))
    rows = [f"{name},{name.split('/')[1]},p{n % 20}" for n, name in enumerate(names)]
    table(work / "all.csv", rows)
    table(work / "first.csv", rows[::2])
    train(work, inside, "first.csv", "--seed", "1", "--out", "run")
    told = inside("evaluate", "run", "all.csv", "--out", "scores", cwd=work)
    kept = parts(work / "run", "group")
    assert set(kept.values()) == {"train", "val", "test"}
    seen = sum(part != "test" for part in kept.values())  # of 10 groups, each with 3 of 60 pictures
    assert f"60 pictures, {3 * seen} of them were trained or tuned on: left out." in told


def test_train_and_val_without_test_say_what_was_scored(work, inside):
    for part, seed in (("train", 0), ("val", 1)):
        pictures(work / "parted" / part, 16, seed)
    words = "validation pictures, which also chose the epoch"
    assert f"Scores on {words}" in train(work, inside, "parted", "--out", "run")
    told = inside("export", "run", "--formats", "float32", "--no-latency", cwd=work)
    assert f"Checked on 16 {words}." in told
    assert json.loads((work / "run/model.json").read_text())["scored_on"] == words


def test_six_pictures_are_trained_on_and_have_no_score_of_their_own(work, inside):
    pictures(work / "six", 6, seed=0)
    told = train(work, inside, "six", "--out", "run")
    assert "nothing is held out: 6 pictures are too few" in told
    assert "Scores on pictures that were trained on" in told
    assert "held-out pictures" not in told


def test_a_folder_without_one_of_the_classes_is_scored(work, trained, inside):
    pictures(work / "later", 12, seed=1)
    shutil.rmtree(work / "later/across")
    n, _, told = scored(work, inside, "later")
    assert n == len(list((work / "later/down").iterdir()))
    (work / "later/down").rename(work / "later/dawn")
    told = inside("evaluate", "run", "later", cwd=work, code=2)
    assert "later/dawn is none of the model's classes. Did you mean down?" in told


def test_of_a_model_without_a_run_nothing_is_claimed(work, trained, inside):
    shutil.copy(work / "run/model.keras", work / "alone.keras")
    told = inside("evaluate", "alone.keras", "pictures", "--seed", "9", cwd=work)
    assert "Nothing tells which pictures alone.keras was trained on: 40 of 40 are scored" in told
    assert "Scores on pictures" in told
    told = inside("evaluate", "alone.keras", "pictures", "--seed", "3", cwd=work)
    assert "Scores on held-out pictures" in told  # divided as they were when it was trained


def test_predict_and_check_know_the_runs_own_pictures(work, trained, inside):
    n = trained["data"]["splits"]["test"]
    told = inside("predict", "run", "--out", "p.csv", cwd=work)
    assert "40 pictures predicted" in told
    assert "left out" not in told
    inside("export", "run", "--formats", "float32", "--no-latency", cwd=work)
    told = inside("check", "run/model_float32.tflite", "--no-latency", cwd=work)
    assert f"Checked on {n} held-out pictures." in told
    shutil.copy(work / "run/model.keras", work / "alone.keras")
    told = inside("predict", "alone.keras", cwd=work, code=2)
    assert "Expected PICTURES: files and folders. Received: none." in told


def test_open_data(stripes_folder, tmp_path):
    assert len(open_data(str(stripes_folder))) == 60
    frame = read_folder(stripes_folder).decoded()[["image", "label"]]
    frame.to_csv(tmp_path / "labels.csv", index=False)
    frame.to_csv(tmp_path / "labels.tsv", index=False, sep="\t")
    assert len(open_data(str(tmp_path / "labels.csv"), tasks=["label"])) == 60
    assert len(open_data(str(tmp_path / "labels.tsv"))) == 60
    with pytest.raises(InputError, match="A folder's classes are its folders"):
        open_data(str(stripes_folder), tasks=["label"])


def test_open_data_takes_the_columns_of_a_table_and_the_groups_of_a_folder(tmp_path):
    rows = ["file;pets;owner"]
    for i in range(24):
        for place in (f"p{i}.png", f"{'xy'[i % 2]}/owner{i // 4:02}/{i}.png"):
            (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / place).write_bytes(place.encode())
        rows.append(f"p{i}.png;{['cat dog', 'cow', 'dog cow'][i % 3]};{i // 2}")
    (tmp_path / "t.csv").write_text("\n".join(rows))
    found = open_data(str(tmp_path / "t.csv"), image="file", group="owner", tags=" ")
    assert [(t.kind, t.classes) for t in found.tasks] == [("multilabel", ("cat", "cow", "dog"))]
    assert found.frame["group"].nunique() == 12
    assert len(list_pictures(str(tmp_path / "t.csv"))) == 24
    (tmp_path / "t.csv").unlink()
    for i in range(24):
        (tmp_path / f"p{i}.png").unlink()
    assert open_data(str(tmp_path), group="owner*").frame["group"].nunique() == 6
    with pytest.raises(InputError, match=r"^--tags: only a \.csv table has such columns"):
        open_data(str(tmp_path), group="owner*", tags=" ")


def test_a_table_of_one_class_or_of_a_test_part_alone_is_scored(work, inside):
    names = sorted(p.relative_to(work).as_posix() for p in work.glob("pictures/*/*"))
    rows = [f"{name},{name.split('/')[1]},p{n % 13}" for n, name in enumerate(names)]
    table(work / "all.csv", rows)
    train(work, inside, "all.csv", "--out", "run")
    pictures(work / "later", 12, seed=1)
    later = sorted(p.relative_to(work).as_posix() for p in work.glob("later/down/*"))
    (work / "later.csv").write_text("\n".join(["image,kind", *(f"{p},DOWN" for p in later)]))
    told = inside("evaluate", "run", "later.csv", "--out", "scores", cwd=work)
    assert f"n = {len(later)}" in told
    (work / "later.csv").write_text(
        "\n".join(["image,kind,split", *(f"{p},down,test" for p in later)])
    )
    assert f"n = {len(later)}" in inside("evaluate", "run", "later.csv", cwd=work)


def test_a_group_of_the_run_that_others_lack_is_done_without(work, inside):
    pictures(work / "pictures", 20, seed=2)
    names = sorted(p.relative_to(work).as_posix() for p in work.glob("pictures/*/*"))
    lines = [f"{name},{name.split('/')[1]},p{n % 20}" for n, name in enumerate(names)]
    (work / "all.csv").write_text("\n".join(["image,kind,patient", *lines]))
    train(work, inside, "all.csv", "--group", "patient", "--out", "run")
    pictures(work / "later", 12, seed=1)
    shutil.rmtree(work / "run/.fit", ignore_errors=True)
    plain = [f"{p},{p.split('/')[1]}" for p in
             sorted(p.relative_to(work).as_posix() for p in work.glob("later/*/*"))]  # fmt: skip
    (work / "later.csv").write_text("\n".join(["image,kind", *plain]))
    told = inside("evaluate", "run", "later.csv", cwd=work)
    assert "later.csv is read without --group patient, with which the run read its own" in told
    assert "n = 12" in told
    split = ["train" if n else "test" for n in range(len(lines))]  # a patient in two parts
    seen = 3 * sum(part != "test" for part in parts(work / "run", "group").values())
    parted = [f"{line},{part}" for line, part in zip(lines, split, strict=True)]
    (work / "parted.csv").write_text("\n".join(["image,kind,patient,split", *parted]))
    told = inside("evaluate", "run", "parted.csv", cwd=work)
    assert "read without" not in told  # the groups are there, and hold
    assert f"60 pictures, {seen} of them were trained or tuned on: left out." in told


def test_files_of_a_model_without_a_run_take_no_other_runs_division(work, trained, inside):
    formats = ["--formats", "float32", "--no-latency", "--out", "far"]
    inside("export", "run", *formats, cwd=work)
    assert (work / "far/division.csv").is_file()
    assert json.loads((work / "far/report.json").read_text())["training"]["data"]
    shutil.copy(work / "run/model.keras", work / "alone.keras")
    inside("export", "alone.keras", "pictures", *formats, cwd=work)
    assert not (work / "far/division.csv").exists()


def test_files_are_not_exported_into_another_run(work, trained, inside):
    shutil.copytree(work / "run", work / "other")
    before = (work / "other/division.csv").read_bytes()
    (work / "alone").mkdir()
    shutil.copy(work / "run/model.keras", work / "alone")
    for model in ("run", "alone/model.keras"):
        told = inside("export", model, "pictures", "--formats", "float32", "--out", "other",
                      cwd=work, code=2)  # fmt: skip
        assert "Received: other, which is another run's" in told
    assert (work / "other/division.csv").read_bytes() == before
