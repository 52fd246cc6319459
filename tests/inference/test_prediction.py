"""Prediction: the same table from every form of a model; a row for every picture."""

from __future__ import annotations

import os
import shutil

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from kerastl.errors import InputError
from kerastl.inference.answers import escaped, score_columns
from kerastl.inference.prediction import find_pictures, load_predictor, predict
from kerastl.models.spec import spec_of, with_spec
from tests.support.tiny_models import TASKS, on_disk, patches, tiny

COLUMNS = """
    image zone/predicted zone/score/a zone/score/b zone/score/c
    alarm/predicted alarm/score/no alarm/score/yes
    marks/predicted marks/score/u marks/score/v error
"""


@pytest.fixture
def model(tiny_run):
    return tiny_run[0]


@pytest.fixture
def folder(tiny_run):
    return tiny_run[2]


@pytest.fixture
def pictures(tmp_path):
    return on_disk(tmp_path / "pictures", n=18)


FORMS = ["", "model.keras", "saved_model", "model_float32.tflite"]


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_table(model, folder, pictures, form):
    made, expected = predict(folder / form, pictures, batch_size=4), predict(model, patches(18))
    assert list(made) == COLUMNS.split()
    assert made["image"].tolist() == pictures.frame["image"].tolist()
    for task in TASKS:
        answers = f"{task.name}/predicted"
        assert made[answers].tolist() == expected[answers].tolist()
        scores = score_columns(task)
        np.testing.assert_allclose(made[scores].to_numpy(), expected[scores].to_numpy(), atol=1e-5)
    assert load_predictor(folder / form).tasks == TASKS


def test_int8_gives_nearly_the_same(model, folder):
    made, expected = predict(folder / "model_int8.tflite", patches()), predict(model, patches())
    assert np.mean(made["zone/predicted"] == expected["zone/predicted"]) > 0.8
    assert load_predictor(folder / "model_int8.tflite").image_size == (16, 16)


def test_the_answers_are_those_of_the_scores(model):
    frame = predict(model, patches())
    zone = frame[["zone/score/a", "zone/score/b", "zone/score/c"]].to_numpy().argmax(axis=1)
    assert frame["zone/predicted"].tolist() == [TASKS[0].classes[i] for i in zone]
    assert (
        (frame["alarm/predicted"] == "yes") == (frame["alarm/score/yes"] > frame["alarm/score/no"])
    ).all()
    for row in frame.to_dict("records"):
        assert row["marks/predicted"] == ";".join(c for c in "uv" if row[f"marks/score/{c}"] >= 0.5)


def test_the_answers_are_decided_at_the_models_thresholds():
    model = tiny()
    before = predict(model, patches())
    names = ("alarm/score/yes", "marks/score/u", "marks/score/v")
    at = {t: float(before[t].median()) for t in names}
    thresholds = {
        "alarm": [at["alarm/score/yes"]],
        "marks": [at["marks/score/u"], at["marks/score/v"]],
    }
    with_spec(model, spec_of(model), thresholds=thresholds)
    frame = predict(model, patches())
    assert (
        (frame["alarm/predicted"] == "yes") == (frame["alarm/score/yes"] >= at["alarm/score/yes"])
    ).all()
    assert (frame["alarm/predicted"] == "yes").sum() == 20
    for row in frame.to_dict("records"):
        assert row["marks/predicted"] == ";".join(
            c for c in "uv" if row[f"marks/score/{c}"] >= at[f"marks/score/{c}"]
        )
    assert frame["zone/predicted"].equals(before["zone/predicted"])


def test_a_picture_that_cannot_be_read_has_its_row_and_cause(model, pictures, tmp_path):
    paths = pictures.frame["image"].tolist()[:6]
    open(paths[2], "w").close()
    with open(paths[4], "w") as file:
        file.write("no picture at all")
    frame = predict(model, [*paths, tmp_path / "gone.png"], batch_size=3)
    assert frame["image"].tolist() == [*paths, str(tmp_path / "gone.png")]
    causes = ["", "", "empty file", "", "not a picture", "", "no such file"]
    assert frame["error"].tolist() == causes
    bad = frame[frame["error"] != ""]
    assert bad.drop(columns=["image", "error"]).isna().all(axis=None)
    assert frame["zone/score/a"][frame["error"] == ""].notna().all()
    every = predict(model, [paths[2]])
    assert (every["error"].tolist(), every["zone/predicted"].isna().all()) == (["empty file"], True)


def test_folders_are_searched_below_in_order_and_mix_with_files(tmp_path):
    for name in ("b/2.png", "b/10.JPG", "a/x.webp", "notes.txt", "c.bmp"):
        path = tmp_path / "all" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    found = find_pictures([tmp_path / "all" / "notes.txt", tmp_path / "all"])
    names = [p.replace(str(tmp_path / "all"), "")[1:].replace("\\", "/") for p in found]
    assert names == ["notes.txt", "c.bmp", "a/x.webp", "b/10.JPG", "b/2.png"]


def test_what_is_no_picture_is_counted_and_logged(tmp_path, caplog):
    for name in ("1.png", "a.txt", "b.txt", "c.txt", "d.txt", "Thumbs.db"):
        (tmp_path / name).touch()
    (tmp_path / "round").symlink_to(tmp_path)
    with caplog.at_level("INFO", logger="kerastl"):
        assert find_pictures(tmp_path) == [str(tmp_path / "1.png")]
    told = [message.replace(f"{tmp_path}/", "") for message in caplog.messages]
    assert told == [
        "4 files are no pictures: a.txt, b.txt, c.txt, ... and 1 more.",
        "1 link leads to what is read already, or to a folder above: round.",
    ]


def test_pictures_of_a_kind_that_is_not_read_have_their_rows(model, tmp_path):
    Image.fromarray(patches(1)[0]).save(tmp_path / "a.png")
    (tmp_path / "b.PSD").write_bytes(b"8BPS")
    (tmp_path / "c.jpg").symlink_to(tmp_path / "gone")
    assert predict(model, tmp_path)["error"].tolist() == [
        "", "Photoshop: not read, convert it to JPEG or PNG", "a link to nothing",
    ]  # fmt: skip


def test_names_that_are_no_utf_8(model, tmp_path):
    name = os.path.join(tmp_path, os.fsdecode(b"caf\xe9.png"))
    Image.fromarray(patches(1)[0]).save(name)
    frame = predict(model, tmp_path, cache=tmp_path / "kept")
    assert frame["image"].tolist() == [name]
    assert frame["error"].tolist() == [""]
    assert escaped(frame)["image"].tolist() == [f"{tmp_path}/caf\\xe9.png"]


def test_pictures_are_resized_to_the_models_size(model, tmp_path):
    Image.fromarray(patches(1)[0]).resize((64, 48)).save(tmp_path / "large.png")
    assert predict(model, tmp_path)["error"].tolist() == [""]


def test_nothing_to_predict_is_refused(model, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "notes.txt").touch()
    with pytest.raises(InputError, match=r"(?s)folders with pictures.*empty; 1 file is no pic"):
        predict(model, [tmp_path / "empty"])
    with pytest.raises(InputError, match="at least one picture"):
        predict(model, [])
    with pytest.raises(InputError, match=r"pixels\. Received: 8x8"):
        predict(model, np.zeros((1, 8, 8, 3), "uint8"))
    with pytest.raises(InputError, match="files, folders"):
        predict(model, [patches(1)[0]])
    with pytest.raises(InputError, match="batch_size"):
        predict(model, patches(1), batch_size=0)


def test_what_is_no_model_gets_one_clear_sentence(folder, tmp_path):
    text, fake = tmp_path / "notes.txt", tmp_path / "model.keras"
    text.write_text("hello")
    fake.write_text("hello")
    broken = tmp_path / "broken" / "saved_model"
    broken.mkdir(parents=True)
    shutil.copy(folder / "model.json", broken.parent)
    (broken / "saved_model.pb").write_bytes(b"\x00garbage")
    for path, told in [
        (text, "a file of another kind"),
        (tmp_path / "gone", "which is nothing"),
        (tmp_path, r"not a whole \.keras file"),
        (fake, r"not a whole \.keras file"),
        (broken, "Expected a whole SavedModel folder"),
        (broken.parent, "Expected a whole SavedModel folder"),
    ]:
        with pytest.raises(InputError, match=told):
            load_predictor(path)
    fake.unlink()
    with pytest.raises(InputError, match=r"a folder with none of saved_model\.pb, "):
        load_predictor(tmp_path)


def test_a_file_without_its_labels_or_with_others_is_refused(folder, tmp_path):
    file = shutil.copy(folder / "model_float32.tflite", tmp_path)
    with pytest.raises(InputError, match=r"model\.json, which names the classes"):
        load_predictor(file)
    told = (folder / "model.json").read_text()
    (tmp_path / "model.json").write_text(told.replace('"zone"', '"area"'))
    with pytest.raises(InputError, match="do not belong together"):
        load_predictor(file)


def test_the_table_survives_csv(model, pictures, tmp_path):
    frame = predict(model, pictures)
    frame.to_csv(tmp_path / "predictions.csv", index=False)
    read = pd.read_csv(tmp_path / "predictions.csv", keep_default_na=False)
    assert read["zone/predicted"].tolist() == frame["zone/predicted"].tolist()
    assert set(read["error"]) == {""}


def test_progress_is_told_without_a_cache(model, pictures):
    told = []
    predict(model, pictures, batch_size=8, progress=lambda *n: told.append(n))
    assert told == [(8, 18), (16, 18), (18, 18)]
