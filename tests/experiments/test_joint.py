import json

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, roc_auc_score

from kerastl.data.manifest import Manifest
from kerastl.data.tasks import Task
from kerastl.errors import InputError
from kerastl.experiments.joint import COLUMNS, JointReport, joint_or_separate
from kerastl.experiments.trials import Settings, Trials
from tests.support.two_tasks import SHADE, WAY, striped_manifest

QUICK = {"batch_size": 16, "engine": "keras", "dropout": 0.0}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return striped_manifest(tmp_path_factory.mktemp("joint"))


def few(data, task, left):
    """The same data with `left` training labels of a task, and some "?" in every part."""
    frame = data.frame.copy()
    train = np.flatnonzero(frame["split"] == "train")
    frame.loc[train[left:], task] = -1
    frame.loc[[50, 70, 71], task] = -2
    return Manifest(frame, data.tasks)


def test_the_report_is_that_of_the_networks_it_trained(network, data, tmp_path):
    """Each figure is scikit-learn's, on the known labels, of the networks in the cache."""
    holes, seen = few(data, "way", 20), []
    options = {"trainable": "stage1", "repeats": 2, "epochs": 2, "cache": tmp_path, **QUICK}
    report = joint_or_separate(
        network(), holes, progress=lambda *step: seen.append(step), **options
    )
    assert [s[0] for s in seen] == ["joint"] * 2 + ["way"] * 2 + ["shade"] * 2
    assert [s[1:] for s in seen] == [(i, 6) for i in range(1, 7)]
    rows = report.frame.set_index("task")
    assert rows["metric"].tolist() == ["auc", "accuracy"]
    assert rows["n"].tolist() == [30, 32]
    assert rows["known_train"].tolist() == [20, 48]
    settings = Settings(network(), "stage1", epochs=2, options=QUICK)
    with Trials(settings, holes, tmp_path) as trials:
        for way, tasks in (("joint", (WAY, SHADE)), ("separate", (WAY,))):
            found = [trials.run(tasks, seed, "test") for seed in (0, 1)]
            truth = found[0].labels["way"].ravel()
            ok = truth >= 0
            each = [roc_auc_score(truth[ok], f.scores["way"][ok, 1]) for f in found]
            assert rows.loc["way", way] == pytest.approx(np.mean(each))
        found = [trials.run((SHADE,), seed, "test") for seed in (0, 1)]
        each = [accuracy_score(f.labels["shade"], f.scores["shade"].argmax(1)) for f in found]
        assert rows.loc["shade", "separate"] == pytest.approx(np.mean(each))
    assert len(list(tmp_path.glob("scores/*.npz"))) == 6, "nothing was trained twice"
    again = joint_or_separate(network(), holes, **options)
    pd.testing.assert_frame_equal(again.frame, report.frame)


def test_heads_on_shared_features_do_not_differ(network, data):
    """A head sees nothing of the other: joint or separate is the same training."""
    report = joint_or_separate(
        network(), data, trainable=False, repeats=2, epochs=4, equal="compute", **QUICK
    )
    assert report.negative_transfer == ()
    assert set(report.frame["verdict"]) <= {"no difference", "better", "too few"}
    assert report.notes[0].endswith("the same steps for both ways in all.")


def row(task, apart, verdict, known=1000):
    low, high = apart - 0.01, apart + 0.01
    return (task, "auc", 0.9 + apart, 0.9, apart, low, high, 400, known, verdict)


def test_the_table_is_plain_and_names_negative_transfer():
    rows = [row("defect", -0.02, "worse"), row("type", 0.001, "no difference")]
    report = JointReport(pd.DataFrame(rows, columns=list(COLUMNS)), 3, "test", ("Scored.",))
    assert report.negative_transfer == ("defect",)
    assert str(report).splitlines() == [
        "task    metric    joint  separate  difference                   n  train  verdict",
        "defect  auc       0.880     0.900  -0.020 [-0.030, -0.010]   400   1000  worse",
        "type    auc       0.901     0.900  +0.001 [-0.009, +0.011]   400   1000  no difference",
        "",
        "Scored.",
    ]
    plain = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert plain["negative_transfer"] == ["defect"]
    assert plain["tasks"][0]["separate"] == 0.9


def test_what_is_undefined_is_none_in_json():
    undefined = ("way", "auc", *[float("nan")] * 5, 0, 20, "undefined")
    report = JointReport(pd.DataFrame([undefined], columns=list(COLUMNS)), 3, "val")
    assert report.to_dict()["tasks"][0]["joint"] is None
    assert "undefined" in str(report)


def test_unequal_amounts_of_data_are_named(network, data):
    report = joint_or_separate(
        network(), few(data, "way", 4), trainable=False, repeats=1, epochs=1, **QUICK
    )
    notes = "\n".join(report.notes)
    assert "as a share of the largest task's: way 8%, shade 100%." in notes
    assert "less than a tenth of the largest: way." in notes
    assert "One network of each kind does not tell how training varies" in notes


def test_val_is_scored_where_there_is_no_test(network, data):
    rest = data.take(np.flatnonzero(data.frame["split"] != "test"))
    report = joint_or_separate(network(), rest, trainable=False, repeats=1, epochs=1, **QUICK)
    assert (report.part, report.frame["n"].tolist()) == ("val", [16, 16])


def test_every_fault_is_named_at_once(network, data):
    alone = Manifest(data.frame[data.frame["split"] == "train"], (WAY,))
    with pytest.raises(InputError) as caught:
        joint_or_separate(network(), alone, repeats=0, equal="time")
    assert str(caught.value).splitlines() == [
        "Joint and separate networks cannot be compared.",
        "  expected at least 2 tasks, received 1 (way): give a table with a column for each "
        "task, or name them with tasks=",
        "  expected a train part and a test or val part, received: train",
        "  repeats: expected at least 1, received 0",
        "  equal: expected epochs or compute, received 'time'",
    ]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"bach_size": 3}, "there is no option 'bach_size'. Did you mean batch_size?"),
        ({"epochs": 0}, "epochs: expected at least 1, received 0"),
    ],
)
def test_a_wrong_option_is_refused_before_anything_runs(network, data, wrong, message):
    with pytest.raises(InputError, match=message.replace("?", r"\?")):
        joint_or_separate(network(), data, **wrong)


def test_a_task_without_a_training_label_is_refused(network, data):
    frame = data.frame.copy()
    frame.loc[frame["split"] == "train", "way"] = -1
    with pytest.raises(InputError, match="way: no label is known in the train part"):
        joint_or_separate(network(), Manifest(frame, data.tasks))


def test_only_a_manifest_will_do(network):
    with pytest.raises(InputError, match="Expected a Manifest. Received: ndarray."):
        joint_or_separate(network(), np.zeros(3))


def test_the_labels_of_one_multilabel_task_are_a_task_each(network, data):
    frame = data.frame.assign(**{"marks.u": data.frame["way"], "marks.v": data.frame["shade"] % 2})
    marks = Manifest(frame, Task("marks", ["u", "v"], "multilabel")).with_uncertain({"u": 0.5})
    report = joint_or_separate(network(), marks, trainable=False, repeats=1, epochs=1, **QUICK)
    assert report.frame["task"].tolist() == ["marks.u", "marks.v"]
    assert set(report.frame["metric"]) == {"auc"}
