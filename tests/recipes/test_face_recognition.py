"""The face recipe: who is learnt from and who is asked about, thresholds, pairs, and the finder."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
from PIL import Image
from skimage import data

from kerastl.errors import InputError
from tests.support.commands import ROOT

spec = importlib.util.spec_from_file_location("faces", ROOT / "recipes/face_recognition.py")
faces = importlib.util.module_from_spec(spec)
spec.loader.exec_module(faces)

NAMES = np.repeat([f"p{number:02}" for number in range(40)], 5)


def test_the_face_of_a_real_photograph_is_found_and_none_where_there_is_none():
    row, column, side = faces.find_face(data.astronaut())["box"]
    assert row < 115 < row + side  # her nose
    assert column < 222 < column + side
    assert 60 < side < 200
    assert faces.find_face(data.brick()[..., None].repeat(3, axis=-1)) is None


def test_a_crop_has_the_face_and_a_margin_also_at_the_edge():
    photo = np.zeros((100, 120, 3), "uint8")
    photo[10:60, 30:80] = 200
    found = faces.crop({"photo": photo, "box": np.array([10, 30, 50])})
    assert found.shape == (faces.FACE, faces.FACE, 3)
    edge = round(faces.FACE * 5 / 60)  # 5 pixels of 60 around the box
    assert found[edge + 2 : -edge - 2, edge + 2 : -edge - 2].min() == 200
    assert found[: edge - 2].max() == found[:, : edge - 2].max() == 0
    beyond = faces.crop({"photo": photo, "box": np.array([80, 100, 40])})
    assert beyond.shape == found.shape


def test_the_threshold_is_the_best_of_all():
    rng = np.random.default_rng(0)
    for _ in range(20):
        sure, right = rng.random(30).round(1), rng.random(30) < 0.6
        refused = ~right & (rng.random(30) < 0.7)
        least = faces.best_threshold(sure, right, refused)

        def share(t, sure=sure, right=right, refused=refused):
            return sum(r if s >= t else n for s, r, n in zip(sure, right, refused, strict=True))

        assert share(least) == max(share(t) for t in [*sure, 2])


def test_nobody_is_in_two_folds_and_both_kinds_are_as_many():
    first, second, same, fold = faces.pairs(NAMES)
    assert set(fold) == set(range(10))
    people = {f: {*NAMES[first[fold == f]], *NAMES[second[fold == f]]} for f in set(fold)}
    assert sum(map(len, people.values())) == len(set.union(*people.values())) == 40
    for f in set(fold):
        assert same[fold == f].sum() * 2 == (fold == f).sum() > 0
    np.testing.assert_array_equal(same, NAMES[first] == NAMES[second])
    assert (first != second).all()


def test_perfect_vectors_verify_all_and_random_ones_half():
    codes = np.unique(NAMES, return_inverse=True)[1]
    shares, accepted, count = faces.verify(list(np.eye(40)[codes]), NAMES)
    assert (shares.tolist(), accepted) == ([1.0] * 10, {0.1: 1.0})  # 400 others: no 1 %
    assert count == len(faces.pairs(NAMES)[0])
    rng = np.random.default_rng(0)
    shares, accepted, _ = faces.verify(list(rng.normal(size=(200, 64))), NAMES)
    assert shares.mean() == pytest.approx(0.5, abs=0.06)
    assert accepted[0.1] == pytest.approx(0.1, abs=0.06)


def test_a_photograph_without_a_face_is_never_the_same():
    codes = np.unique(NAMES, return_inverse=True)[1]
    vectors = [None if row % 5 == 0 else v for row, v in enumerate(np.eye(40)[codes])]
    shares, accepted, _ = faces.verify(vectors, NAMES)
    first, second, same, _ = faces.pairs(NAMES)
    lost = same & ((first % 5 == 0) | (second % 5 == 0))
    assert shares.mean() == pytest.approx(1 - lost.mean(), abs=0.01)
    assert accepted[0.1] == pytest.approx(1 - lost.sum() / same.sum(), abs=0.01)


def test_a_hundredth_is_told_where_there_are_a_thousand_others():
    names = np.repeat([f"p{number:02}" for number in range(40)], 9)
    codes = np.unique(names, return_inverse=True)[1]
    assert faces.verify(list(np.eye(40)[codes]), names)[1] == {0.1: 1.0, 0.01: 1.0}


def test_people_with_a_photograph_each_cannot_be_verified():
    with pytest.raises(InputError, match=r"in 2 folds or more. Received: 0 such pairs of 12"):
        faces.verify(list(np.eye(12)), np.array([f"p{number:02}" for number in range(12)]))


def test_what_is_accepted_is_counted_above_the_share_of_the_others():
    others, ours = np.arange(100) / 100, np.array([0.5, 0.895, 0.905, 0.985, 0.995])
    likeness = np.concatenate([others, ours])
    same = np.arange(105) >= 100
    assert faces.accepted_at(likeness, same, 0.1) == 4 / 5  # above 0.89 are ten others
    assert faces.accepted_at(likeness, same, 0.01) == 2 / 5


def test_nobody_but_the_known_is_in_two_parts():
    names = np.repeat([f"p{number:02}" for number in range(50)], 9)
    rows = faces.divided(names)
    assert len(np.unique(np.concatenate(list(rows.values())))) == sum(map(len, rows.values()))
    known = set(names[rows["learn"]])
    strangers = {part: set(names[rows[part]]) - known for part in ("val", "test")}
    teachers = set(names[rows["teach"]])
    assert len(known) == 10
    assert len(strangers["val"]) == len(strangers["test"]) == 10
    assert not strangers["val"] & strangers["test"]
    assert not teachers & (known | strangers["val"] | strangers["test"])
    for part, held in faces.HELD.items():
        assert all((names[rows[part]] == name).sum() == held for name in known)


def test_too_few_people_are_told():
    with pytest.raises(InputError, match=r"Expected 4 people or more.*Received: 3 people, 1 of"):
        faces.divided(np.array(["a"] * 9 + ["b"] * 7 + ["c"]))


def test_a_folder_of_people_is_read_and_what_is_no_picture_left_out(tmp_path, capsys):
    for name, size in (("ann", (40, 20)), ("bob <b>", (20, 30))):
        (tmp_path / name).mkdir()
        Image.new("RGB", size, (200, 10, 10)).save(tmp_path / name / "1.png")
    (tmp_path / "ann" / "2.jpg").write_bytes(b"no picture")
    (tmp_path / "ann" / "notes.txt").write_text("about Ann")
    photos, names = faces.read_people(tmp_path)
    assert names.tolist() == ["ann", "bob <b>"]
    assert photos.shape == (2, faces.SIDE, faces.SIDE, 3)
    assert photos[0][0].max() == 0  # wider than high: black above
    assert photos[0][faces.SIDE // 2].min(axis=0).tolist() == [200, 10, 10]
    told = capsys.readouterr().err
    assert "2.jpg" in told
    assert "notes.txt" in told


def test_images_become_photographs_of_one_size_with_their_names():
    tall = Image.new("L", (10, 20), 90)
    photos, names = faces.as_photographs(iter([(tall, "ann"), (tall.rotate(90), "bob")]))
    assert photos.shape == (2, faces.SIDE, faces.SIDE, 3)
    assert photos.dtype == "uint8"
    assert photos[0][:, 0].max() == 0  # higher than wide: black beside
    assert photos[0][:, faces.SIDE // 2].min() == 90
    assert names.tolist() == ["ann", "bob"]


def test_the_stages_know_whom_they_learnt_and_refuse_strangers():
    photos, names, boxes = faces.made_people(6, 10)
    assert len(np.unique(names)) == 6
    assert (boxes[:, :2] + boxes[:, 2:] <= faces.SIDE).all()

    def embed(crops):
        return np.asarray(crops, "float32")[:, ::4, ::4, 0].reshape(len(crops), -1) - 128

    known = np.isin(names, names[:40])
    right = np.where(known, names, faces.UNKNOWN)
    learn, val = known & (np.arange(60) % 10 < 6), np.arange(60) % 10 >= 6
    asked = []

    def embedder_of(seed):
        asked.append(seed)
        return embed

    train = faces.in_stages(embedder_of, (photos[val], right[val]))
    pipeline = train((photos[learn], names[learn]), 3)
    assert asked == [3]  # each repeat has an embedder of its own
    answers = np.array(pipeline(photos), dtype=object)
    found = answers != None  # noqa: E711
    assert found.mean() > 0.7
    assert (answers[learn & found] == names[learn & found]).all()
    assert set(answers[found]) <= {*names[:40], faces.UNKNOWN}
    assert pipeline.one(np.zeros((192, 192, 3), "uint8")) is None
    blank = np.full((1, faces.FACE, faces.FACE, 3), 128, "uint8")
    blank[0, 0, 0] = 255
    assert pipeline["name"](embed(blank)) == [faces.UNKNOWN]


def test_photographs_without_any_face_are_told():
    photos, names, _ = faces.made_people(2, 3)
    blank = np.zeros_like(photos)
    for learn, val, use in ((blank, photos, "to learn from"), (photos, blank, "for the threshold")):
        train = faces.in_stages(lambda seed: lambda crops: np.ones((len(crops), 2)), (val, names))
        with pytest.raises(InputError, match=f"No face was found in any photograph {use}."):
            train((learn, names), 0)
