"""The label report: its counts against an oracle, its notes and its words."""

import json
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kerastl.data.labels import COLUMNS, label_report, positive_weights
from kerastl.data.manifest import Manifest
from kerastl.data.tasks import Task
from kerastl.errors import InputError

KIND = Task("kind", ["x", "y", "z"])
DEFECT = Task("defect", ["fine", "broken"], kind="binary")
SCENE = Task("scene", ["sea", "hill"], kind="multilabel")
TASKS = (KIND, DEFECT, SCENE)
NAMES = ["split", "kind", "defect", "scene.sea", "scene.hill"]

yes_no = st.sampled_from([-2, -1, 0, 0.25, 0.5, 1])
rows = st.tuples(st.sampled_from(["train", "val", "test"]), st.integers(-2, 2), *[yes_no] * 3)


def manifest(rows, **options):
    frame = pd.DataFrame(rows, columns=NAMES).assign(image=[f"{i}.png" for i in range(len(rows))])
    return Manifest(frame, TASKS, **options)


def oracle(rows):
    """Every count, one label at a time, in plain Python."""
    found = Counter()
    for split, kind, *others in rows:
        for code, label in enumerate(KIND.classes):
            found[("kind", label, split, "known")] += kind >= 0
            found[("kind", label, split, "positive")] += kind == code
            found[("kind", label, split, "unannotated")] += kind == -1
            found[("kind", label, split, "uncertain")] += kind == -2
        names = [("defect", "broken"), ("scene", "sea"), ("scene", "hill")]
        for name, code in zip(names, others, strict=True):
            found[(*name, split, "known")] += code not in (-1, -2)
            found[(*name, split, "positive")] += code in (0.5, 1)
            found[(*name, split, "unannotated")] += code == -1
            found[(*name, split, "uncertain")] += code == -2
    return {key: n for key, n in found.items() if n}


@settings(deadline=None, max_examples=50)
@given(st.lists(rows, min_size=1, max_size=30), st.sampled_from(["ignore", "positive", 0.5]))
def test_the_counts_are_the_oracles(rows, policy):
    data = manifest(rows).with_uncertain(policy)
    frame = label_report(data).frame
    assert tuple(frame.columns) == COLUMNS
    assert len(frame) == 6 * len(data.splits)
    found = {
        (r["task"], r["label"], r["split"], what): r[what]
        for r in frame.to_dict("records")
        for what in COLUMNS[3:]
        if r[what]
    }
    assert found == oracle(rows)
    sizes = frame["split"].map(data.frame["split"].value_counts())
    assert (frame["known"] + frame["unannotated"] + frame["uncertain"] == sizes).all()


def small():
    codes = [
        ("train", 0, 1, 1, -1),
        ("train", 1, 0, 1, -1),
        ("train", 1, -2, 0, -2),
        ("val", 2, 1, 1, 1),
        ("test", 0, 1, -1, 1),
        ("test", -1, -2, 0, 0),
    ]
    return manifest(codes)


def test_notes_name_task_label_and_numbers():
    assert label_report(small()).notes == (
        "kind: cannot be learnt, without a known positive in train: z (0 of 3 known)",
        "kind: cannot be scored, without a known positive in test: y (0 of 1 known), "
        "z (0 of 1 known)",
        "kind: cannot be scored, without a known negative in test: x (1 of 1 known)",
        "kind: fewer than 10 positives in train: x (1 of 3 known), y (2 of 3 known)",
        "defect: cannot be scored, without a known negative in test: broken (1 of 1 known)",
        "defect: fewer than 10 positives in train: broken (1 of 2 known)",
        "defect: fewer than 10 negatives in train: fine (1 of 2 known)",
        "scene: cannot be learnt, without a known positive in train: hill (0 of 0 known)",
        "scene: cannot be scored, without a known positive in test: sea (0 of 1 known)",
        "scene: fewer than 10 positives in train: sea (2 of 3 known)",
    )


def test_a_policy_is_noted_and_can_make_a_label_learnable():
    notes = label_report(small().with_uncertain({"defect": 0, "hill": "positive"})).notes
    assert "1 uncertain label of defect trains as 0" in notes
    assert "1 uncertain label of scene.hill trains as 1" in notes
    learnt = [n for n in notes if "scene: cannot be learnt" in n]
    assert learnt == [
        "scene: cannot be learnt, without a known negative in train: hill (1 of 1 known)"
    ]
    twice = manifest([("train", 0, -2, 0, 1)] * 12).with_uncertain({"defect": 0.5})
    assert "12 uncertain labels of defect train as 0.5" in label_report(twice).notes


def test_nothing_to_note_where_there_is_enough():
    many = [("train", i % 3, i % 2, i % 2, (i + 1) % 2) for i in range(60)]
    held_out = [("val", i % 3, i % 2, i % 2, i % 2) for i in range(6)]
    assert label_report(manifest(many + held_out)).notes == ()
    few = many[:57] + held_out
    assert label_report(manifest(few)).notes == ()


def test_in_words():
    text = str(label_report(small()))
    assert text.splitlines()[:7] == [
        "task    label   train  val  test  unannotated  uncertain",
        "kind    x         1/3  0/1   1/1            1          0",
        "kind    y         2/3  0/1   0/1            1          0",
        "kind    z         0/3  1/1   0/1            1          0",
        "defect  broken    1/2  1/1   1/1            0          2",
        "scene   sea       2/3  1/1   0/1            1          0",
        "scene   hill      0/0  1/1   1/2            2          1",
    ]
    assert text.splitlines()[7].startswith("note: kind: cannot be learnt")


def test_many_labels_are_cut_short():
    task = Task("t", [f"c{i}" for i in range(100)])
    frame = pd.DataFrame({"image": [str(i) for i in range(100)], "t": np.arange(100)})
    lines = str(label_report(Manifest(frame, task))).splitlines()
    assert lines[61] == "... and 40 more"
    assert lines[62].endswith("c9 (1 of 100 known), ... and 90 more")


@pytest.mark.parametrize("splits", [True, False])
def test_as_json(splits):
    data = small()
    data = data if splits else Manifest(data.frame.drop(columns="split"), TASKS)
    report = label_report(data)
    back = json.loads(json.dumps(report.to_dict()))
    pd.testing.assert_frame_equal(pd.DataFrame(back["labels"]), report.frame, check_dtype=False)
    assert tuple(back["notes"]) == report.notes
    assert set(report.frame["split"]) == ({"train", "val", "test"} if splits else {"all"})


MARKS = Task("marks", ["u", "v"], "multilabel")
ALARM = Task("alarm", ["no", "yes"], "binary")
ZONE = Task("zone", ["a", "b", "c"])


def striped(**columns):
    frame = pd.DataFrame(columns)
    return Manifest(frame.assign(image=[f"{i}.png" for i in frame.index]), (ALARM, ZONE))


def test_counts_the_train_part_only():
    data = striped(
        split=["train"] * 5 + ["test"] * 3, alarm=[1, 0, 0, 0, -1, 1, 1, 1], zone=[0] * 8
    )
    assert positive_weights(data) == {"alarm": [3.0]}
    assert positive_weights(data.split("test")) == {"alarm": [1.0]}


def test_without_splits_all_rows_count():
    assert positive_weights(striped(alarm=[1, 0, 0], zone=[0, 1, 2])) == {"alarm": [2.0]}


def test_a_soft_label_counts_as_its_share():
    weights = positive_weights({"alarm": [0.25, 0.25, 1.0, -1.0]}, tasks=ALARM)
    assert weights == {"alarm": [1.0]}
    weights = positive_weights({"alarm": [0.25, 0.25]}, tasks=ALARM)
    assert weights == {"alarm": [3.0]}


@pytest.mark.parametrize("column", [[0, 0, 0], [1, 1, 1], [-1, -1, -1], [1, -1, 1]])
def test_one_side_alone_weighs_1(column):
    assert positive_weights({"alarm": column}, tasks=[ALARM]) == {"alarm": [1.0]}


def test_rare_positives_weigh_at_most_most():
    labels = {"alarm": np.r_[1, np.zeros(99)]}
    assert positive_weights(labels, tasks=ALARM) == {"alarm": [20.0]}
    assert positive_weights(labels, tasks=ALARM, most=1000) == {"alarm": [99.0]}


@given(st.integers(0, 10**6))
@settings(max_examples=50, deadline=None, derandomize=True)
def test_both_sides_then_weigh_the_same(seed):
    draw = np.random.default_rng(seed)
    labels = draw.choice([-1.0, np.nan, 0.0, 0.5, 1.0], (40, 2))
    found = positive_weights({"marks": labels}, tasks=MARKS, most=1e6)["marks"]
    for column, weight in zip(labels.T, found, strict=True):
        seen = column[column >= 0]
        assert weight * seen.sum() == pytest.approx((1 - seen).sum())


@pytest.mark.parametrize(
    ("data", "options", "words"),
    [
        ({"alarm": [1]}, {}, "label arrays by task name and their tasks=. Received: no tasks"),
        ([1, 0], {"tasks": ALARM}, "Expected a Manifest.*Received: list"),
        ({}, {"tasks": ALARM}, "alarm: there are no labels"),
        ({"marks": [[0, 1, 1]]}, {"tasks": MARKS}, r"labels of marks.* as \[1, 2\]"),
        ({"alarm": [2]}, {"tasks": ALARM}, "labels of alarm .*2"),
        ({"alarm": [1]}, {"tasks": ALARM, "most": 0.5}, "most as a number of at least 1"),
        ({"alarm": [1]}, {"tasks": ALARM, "most": float("nan")}, "Received: nan"),
    ],
)
def test_what_does_not_fit(data, options, words):
    with pytest.raises(InputError, match=f"(?s){words}"):
        positive_weights(data, **options)
