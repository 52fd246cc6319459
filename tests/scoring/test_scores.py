"""Scores against scikit-learn on the known entries, their intervals and their reasons."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest
from sklearn import metrics as sk

from kerastl.data.tasks import Task
from kerastl.errors import InputError
from kerastl.scoring.scores import score

SKY = Task("sky", ["grey", "blue", "red"])
DEFECT = Task("defect", ["no", "yes"], kind="binary")
SCENE = Task("scene", ["sea", "hill", "town"], kind="multilabel")


def softmax(logits):
    e = np.exp(logits)
    return e / e.sum(axis=1, keepdims=True)


@pytest.fixture(scope="module")
def multiclass():
    rng = np.random.default_rng(0)
    codes = rng.integers(-1, 3, 300).astype("int32")
    given = softmax(rng.normal(size=(300, 3)) + 1.5 * np.eye(3)[codes])
    return codes, np.round(given, 2)  # rounded, so that there are ties


def test_multiclass_equals_scikit_learn(multiclass):
    codes, given = multiclass
    given = given / given.sum(axis=1, keepdims=True)
    s = score(SKY, {"sky": codes}, {"sky": given}, draws=0)
    y, p = codes[codes >= 0], given[codes >= 0]
    assert s.get("sky", "accuracy") == pytest.approx(sk.accuracy_score(y, p.argmax(1)))
    assert s.get("sky", "macro_f1") == pytest.approx(sk.f1_score(y, p.argmax(1), average="macro"))
    assert s.get("sky", "auc") == pytest.approx(sk.roc_auc_score(y, p, multi_class="ovr"))
    assert s.get("sky", "log_loss") == pytest.approx(sk.log_loss(y, p))
    precision, recall, f1, positives = sk.precision_recall_fscore_support(y, p.argmax(1))
    for i, name in enumerate(SKY.classes):
        assert s.get("sky", "precision", name) == pytest.approx(precision[i])
        assert s.get("sky", "recall", name) == pytest.approx(recall[i])
        assert s.get("sky", "f1", name) == pytest.approx(f1[i])
        assert s.get("sky", "auc", name) == pytest.approx(sk.roc_auc_score(y == i, p[:, i]))
    rows = s.frame[s.frame["class"] != ""]
    assert set(rows["n"]) == {len(y)}
    assert rows.groupby("class")["positives"].first()[list(SKY.classes)].tolist() == [*positives]
    assert (s.confusion["sky"].to_numpy() == sk.confusion_matrix(y, p.argmax(1))).all()


def test_multilabel_equals_scikit_learn_on_the_known_entries():
    rng = np.random.default_rng(1)
    labels = rng.choice([-1.0, 0.0, 0.3, 0.6, 1.0], size=(200, 3)).astype("float32")
    given = np.round(np.clip(rng.random((200, 3)) * 0.6 + 0.4 * (labels >= 0.5), 0, 1), 2)
    s = score(SCENE, {"scene": labels}, {"scene": given}, draws=0)
    right = []
    for i, name in enumerate(SCENE.classes):
        seen = labels[:, i] >= 0
        y, p = labels[seen, i] >= 0.5, given[seen, i]
        right += (y == (p >= 0.5)).tolist()
        assert s.get("scene", "auc", name) == pytest.approx(sk.roc_auc_score(y, p))
        assert s.get("scene", "f1", name) == pytest.approx(sk.f1_score(y, p >= 0.5))
        expected = pytest.approx(sk.average_precision_score(y, p))
        assert s.get("scene", "average_precision", name) == expected
        assert s.frame[s.frame["class"] == name]["n"].unique() == [seen.sum()]
    assert s.get("scene", "accuracy") == pytest.approx(np.mean(right))
    assert s.frame["n"].iloc[0] == len(right)
    assert "scene" not in s.confusion


@pytest.mark.parametrize("seed", range(8))
def test_every_measure_equals_scikit_learn_under_random_holes_and_thresholds(seed):
    rng = np.random.default_rng(seed)
    names = ["a", "b", "c", "never", "always", "unknown"]
    task, at = Task("m", names, kind="multilabel"), rng.uniform(0.2, 0.8, 6)
    labels = np.where(
        rng.random((120, 6)) < rng.uniform(0.1, 0.8), -1, rng.integers(0, 2, (120, 6))
    )
    labels[:, 3] = np.minimum(labels[:, 3], 0)
    labels[:, 4] = np.where(labels[:, 4] < 0, -1, 1)
    labels[:, 5] = -1
    given = np.round(rng.random((120, 6)) * 0.7 + 0.3 * (labels == 1), 2)
    s = score(task, {"m": labels}, {"m": given}, thresholds={"m": at}, draws=0)
    hits, losses, gaps, each = [], [], [], {"f1": [], "auc": [], "average_precision": []}
    for i, name in enumerate(names):
        seen = labels[:, i] >= 0
        y, p = labels[seen, i], given[seen, i]
        rows = s.frame[s.frame["class"] == name]
        assert set(rows["n"]) == {seen.sum()}
        assert set(rows["positives"]) == {(y == 1).sum()}
        if not seen.any():
            assert rows["value"].isna().all()
            continue
        told, options = p >= at[i], {"zero_division": np.nan}
        expected = {
            "precision": sk.precision_score(y, told, **options),
            "recall": sk.recall_score(y, told, **options),
            "f1": sk.f1_score(y, told, **options),
        }
        if len(set(y)) == 2:
            expected["auc"] = sk.roc_auc_score(y, p)
            expected["average_precision"] = sk.average_precision_score(y, p)
            for metric, values in each.items():
                values.append(expected[metric])
        for metric, value in expected.items():
            assert s.get("m", metric, name) == pytest.approx(value, nan_ok=True), (name, metric)
        hits += (told == y).tolist()
        clipped = np.clip(p, 1e-15, 1 - 1e-15)
        losses += np.where(y == 1, -np.log(clipped), -np.log(1 - clipped)).tolist()
        bins = np.clip(np.ceil(p * 15) - 1, 0, 14)
        gaps.append(sum(abs((p - y)[bins == b].sum()) for b in range(15)) / len(y))
    assert len(each["f1"]) == 3
    assert s.get("m", "accuracy") == pytest.approx(np.mean(hits))
    assert s.get("m", "macro_f1") == pytest.approx(np.mean(each["f1"]))
    assert s.get("m", "auc") == pytest.approx(np.mean(each["auc"]))
    expected = np.mean(each["average_precision"])
    assert s.get("m", "average_precision") == pytest.approx(expected)
    assert s.get("m", "calibration_error") == pytest.approx(np.mean(gaps))
    assert s.get("m", "log_loss") == pytest.approx(np.mean(losses))
    assert "m: the averages (macro F1, AUC and average precision) leave out never, always, " \
        "unknown." in s.notes  # fmt: skip


def test_what_is_unknown_changes_no_figure_and_no_label_touches_another():
    rng = np.random.default_rng(5)
    labels, given = rng.integers(-1, 2, (80, 3)), rng.random((80, 3))
    other = np.where(labels < 0, rng.random((80, 3)), given)
    frames = [score(SCENE, {"scene": labels}, {"scene": g}, draws=30).frame for g in (given, other)]
    pd.testing.assert_frame_equal(*frames)
    changed = given.copy()
    changed[:, 2] = 1 - changed[:, 2]
    frame = score(SCENE, {"scene": labels}, {"scene": changed}, draws=30).frame
    for name, same in (("sea", True), ("hill", True), ("town", False)):
        mine, before = (f[f["class"] == name].reset_index() for f in (frame, frames[0]))
        assert mine.equals(before) is same


@pytest.mark.parametrize("at", [0.2, 0.5, 0.77])
def test_a_binary_task_is_decided_at_its_threshold(at):
    rng = np.random.default_rng(6)
    codes, p = rng.integers(-1, 2, 150), np.round(rng.random(150), 2)
    given = {"defect": np.c_[1 - p, p]}
    s = score(DEFECT, {"defect": codes}, given, thresholds={"defect": [at]}, draws=0)
    y, told = codes[codes >= 0], p[codes >= 0] >= at
    assert s.get("defect", "accuracy") == pytest.approx(sk.accuracy_score(y, told))
    assert s.get("defect", "macro_f1") == pytest.approx(sk.f1_score(y, told, average="macro"))
    for i, name in enumerate(DEFECT.classes):
        assert s.get("defect", "recall", name) == pytest.approx(
            sk.recall_score(y, told, pos_label=i)
        )
    assert (s.confusion["defect"].to_numpy() == sk.confusion_matrix(y, told)).all()
    half = score(DEFECT, {"defect": codes}, given, draws=0)
    for metric in ("auc", "log_loss", "calibration_error"):  # of scores, not of decisions
        assert s.get("defect", metric) == half.get("defect", metric)
    moved = f"defect: decided at a score of yes {at:.3f}; 0.5 where none is named."
    assert (moved in s.notes) is (at != 0.5)


def test_a_share_has_the_exact_interval_and_is_too_few_of_nothing():
    labels = np.array([[1, 1, 0]] * 10 + [[0, 1, -1]] * 5)
    given = np.array([[0.9, 0.1, 0.1]] * 10 + [[0.2, 0.1, 0.9]] * 5)
    s = score(SCENE, {"scene": labels}, {"scene": given}, draws=50)

    def ends(metric, name=""):
        rows = s.frame[(s.frame["metric"] == metric) & (s.frame["class"] == name)]
        return rows[["low", "high"]].to_numpy()[0]

    def expected(hits, n):
        found = binomtest(hits, n).proportion_ci(method="exact")
        return pytest.approx([found.low, found.high])

    assert ends("precision", "sea") == expected(10, 10)
    assert ends("recall", "sea") == expected(10, 10)
    assert ends("recall", "hill") == expected(0, 15)
    assert np.isnan(ends("precision", "hill")).all()
    assert 0 < ends("accuracy")[0] < s.get("scene", "accuracy") < ends("accuracy")[1] < 1
    whole = score(DEFECT, {"defect": np.ones(20)}, {"defect": np.eye(2)[[1] * 20]}, draws=50).frame
    assert whole[["low", "high"]].to_numpy()[0] == expected(20, 20)
    assert whole["interval"].iloc[0] == "95 %"
    none = score(DEFECT, {"defect": np.ones(20)}, {"defect": np.eye(2)[[1] * 20]}, draws=0).frame
    assert (none["interval"] == "").all()
    assert none["low"].isna().all()


def test_thresholds_that_do_not_fit_are_refused():
    given = {"defect": np.array([[1.0, 0.0]])}
    with pytest.raises(InputError, match="defect: expected 1 thresholds, received 2"):
        score(DEFECT, {"defect": np.zeros(1)}, given, thresholds={"defect": [0.5, 0.5]})


def test_a_binary_task_has_two_classes_and_takes_soft_labels():
    labels = np.array([[0.2], [0.7], [1.0], [-1.0], [0.0]], "float32")
    p = np.array([0.1, 0.8, 0.4, 0.9, 0.2])
    s = score(DEFECT, {"defect": labels}, {"defect": np.c_[1 - p, p]}, draws=0)
    assert s.get("defect", "accuracy") == 0.75
    assert s.get("defect", "recall", "yes") == 0.5
    assert s.get("defect", "auc") == 1.0
    assert s.confusion["defect"].to_numpy().tolist() == [[2, 0], [1, 1]]


def test_the_calibration_error_is_the_mean_gap_of_the_bins():
    p = np.array([0.95, 0.95, 0.95, 0.95, 0.75, 0.75])
    labels = np.array([[1], [1], [1], [0], [1], [0]], "float32")
    s = score(DEFECT, {"defect": labels}, {"defect": np.c_[1 - p, p]}, draws=0)
    expected = (4 * abs(0.95 - 0.75) + 2 * abs(0.75 - 0.5)) / 6
    assert s.get("defect", "calibration_error") == pytest.approx(expected)
    assert s.reliability["defect"]["n"].tolist() == [2, 4]


def test_with_many_pictures_the_interval_of_the_auc_is_that_of_a_bootstrap(multiclass):
    codes, given = (np.tile(each, reps) for each, reps in zip(multiclass, (5, (5, 1)), strict=True))
    row = score(SKY, {"sky": codes}, {"sky": given}).frame
    row = row[(row["metric"] == "auc") & (row["class"] == "blue")].iloc[0]
    y, p = codes[codes >= 0] == 1, given[codes >= 0][:, 1]
    rng = np.random.default_rng(9)
    by_hand = [sk.roc_auc_score(y[i], p[i]) for i in rng.integers(0, len(y), (200, len(y)))]
    expected = np.percentile(by_hand, [2.5, 97.5])
    assert [row["low"], row["high"]] == pytest.approx(expected, abs=0.2 * np.ptp(expected))


def test_three_pictures_claim_no_certainty():
    """All right of three: a share may be 0.29, and of the rest nothing is known."""
    truth = np.array([0, 1, 0])
    s = score(DEFECT, {"defect": truth}, {"defect": 0.8 * np.eye(2)[truth] + 0.1})
    assert str(s).splitlines()[1:6] == [
        "  accuracy           1.000 [0.292, 1.000]    n = 3",
        "  macro_f1           1.000 [too few]         n = 3",
        "  auc                1.000 [too few]         n = 3",
        "  calibration_error  0.100 [too few]         n = 3",
        "  log_loss           0.105 [too few]         n = 3",
    ]
    told = s.to_dict()["scores"][2]
    assert (told["low"], told["high"], told["interval"]) == (None, None, "too few")


def test_groups_count_as_one_and_have_to_fit():
    rng = np.random.default_rng(3)
    truth = rng.integers(2, size=60)
    p = 1 / (1 + np.exp(-(2 * truth - 1 + rng.normal(size=60))))
    given, of = np.c_[1 - p, p], np.repeat(np.arange(60), 8)
    alone = score(DEFECT, {"defect": truth}, {"defect": given}).frame
    many = {"defect": np.repeat(truth, 8)}, {"defect": np.repeat(given, 8, axis=0)}
    grouped = score(DEFECT, *many, groups=of).frame
    for frame in (alone, grouped):
        frame["width"] = frame["high"] - frame["low"]
    some = ~alone["metric"].isin(["calibration_error"])
    assert grouped["width"][some].to_numpy() == pytest.approx(alone["width"][some], rel=0.2)
    few = score(DEFECT, *many, groups=of // 15).frame.set_index(["class", "metric"])["interval"]
    assert few["", "accuracy"] == few["", "auc"] == few["yes", "recall"] == "too few"
    with pytest.raises(InputError, match="expected a group for each of 480 pictures: 60 given"):
        score(DEFECT, *many, groups=of[:60])


def test_the_draws_repeat_and_follow_the_seed(multiclass):
    codes, given = multiclass
    frames = [score(SKY, {"sky": codes}, {"sky": given}, draws=50, seed=s).frame for s in (3, 3, 4)]
    assert frames[0].equals(frames[1])
    assert not frames[0]["low"].equals(frames[2]["low"])


def test_no_known_label_is_undefined_and_says_so():
    tasks = [SKY, DEFECT, SCENE]
    labels = {"sky": np.full(4, -1), "defect": np.full((4, 1), -1.0), "scene": -np.ones((4, 3))}
    given = {
        "sky": np.full((4, 3), 1 / 3),
        "defect": np.full((4, 2), 0.5),
        "scene": np.ones((4, 3)),
    }
    s = score(tasks, labels, given)
    assert s.frame["value"].isna().all()
    assert s.frame["low"].isna().all()
    assert set(s.frame["n"]) == {0}
    assert "sky: no known label, so nothing could be scored." in s.notes
    assert "undefined" in str(s)
    nothing = score(SKY, {"sky": np.zeros(0, int)}, {"sky": np.zeros((0, 3))})
    assert {"accuracy", "auc"} <= set(nothing.frame["metric"])
    assert nothing.frame["value"].isna().all()


def test_one_class_only_leaves_the_auc_out_and_names_the_classes():
    s = score(SKY, {"sky": np.zeros(5, int)}, {"sky": np.eye(3)[[0, 0, 0, 1, 1]]})
    assert s.get("sky", "accuracy") == 0.6
    assert math.isnan(s.get("sky", "auc"))
    assert math.isnan(s.get("sky", "precision", "red"))
    assert "sky: no known positive of blue, red: recall and AUC are undefined." in s.notes
    assert "sky: no known negative of grey: AUC is undefined." in s.notes
    left_out = "sky: the averages (macro F1 and AUC) leave out grey, blue, red."
    assert left_out in s.notes
    assert math.isnan(s.get("sky", "macro_f1"))
    assert "sky: red was never predicted: precision is undefined." in s.notes


def test_the_averages_are_over_the_classes_with_positives_and_negatives():
    codes = np.array([0, 0, 1, 1] * 5)
    given = softmax(np.random.default_rng(4).normal(size=(20, 3)))
    s = score(SKY, {"sky": codes}, {"sky": given}, draws=0)
    for whole, metric in (("auc", "auc"), ("macro_f1", "f1")):
        expected = np.mean([s.get("sky", metric, "grey"), s.get("sky", metric, "blue")])
        assert s.get("sky", whole) == pytest.approx(expected)
    assert "sky: the averages (macro F1 and AUC) leave out red." in s.notes


def test_to_dict_is_json_and_str_names_every_class(multiclass):
    codes, given = multiclass
    s = score(SKY, {"sky": codes}, {"sky": given}, draws=20)
    read = json.loads(json.dumps(s.to_dict(), allow_nan=False))
    assert read["scores"][0]["value"] == s.get("sky", "accuracy")
    assert read["scores"][0]["positives"] is None
    assert read["confusion"]["sky"]["classes"] == ["grey", "blue", "red"]
    undefined = score(SKY, {"sky": codes[:0]}, {"sky": given[:0]}).to_dict()
    assert undefined["scores"][0]["value"] is None
    assert all(name in str(s) for name in SKY.classes)


def test_what_does_not_fit_is_named_all_at_once():
    labels = {"sky": np.array([0, 7]), "scene": np.zeros((2, 2))}
    given = {
        "sky": np.full((2, 3), 0.3),
        "scene": np.full((2, 3), np.nan),
        "defect": np.ones((2, 2)),
    }
    with pytest.raises(InputError) as error:
        score([SKY, SCENE, DEFECT], labels, given, draws=-1)
    assert error.value.faults == (
        "sky: expected labels up to 2. Received: 7.",
        "scene: expected scores in [0, 1]. Received values outside, or NaN.",
        "scene: expected labels of shape [2, 3]. Received: [2, 2].",
        "defect: no labels.",
        "Expected draws of 0 or more. Received: -1.",
    )


def test_a_row_that_is_not_there_is_an_input_error():
    s = score(DEFECT, {"defect": np.zeros((1, 1))}, {"defect": np.array([[1.0, 0.0]])}, draws=0)
    with pytest.raises(InputError, match="defect: accuracy"):
        s.get("defect", "acuracy")
