import json
import math

import pandas as pd
import pytest

from kerastl.manifest import Manifest
from kerastl.policy_report import COLUMNS, PolicyReport
from kerastl.tasks import Task

SCENE = Task("scene", ["sea", "hill", "road"], "multilabel")


def rows(label, *found):
    return [
        ("scene", label, f"scene.{label}", policy, 0.8 + apart, 0.7, apart, apart - 0.01,
         apart + 0.01, 90, 40, 5, verdict)
        for policy, apart, verdict in [("ignore", 0.0, "reference"), *found]
    ]  # fmt: skip


@pytest.fixture
def report():
    found = [
        *rows("sea", ("negative", 0.03, "better"), ("soft", 0.05, "better"),
              ("positive", 0.09, "no difference")),
        *rows("hill", ("negative", -0.05, "worse"), ("self-trained", 0.02, "better")),
        *rows("road", ("negative", 0.005, "no difference")),
    ]  # fmt: skip
    shares = {"scene.sea": 0.25, "scene.hill": 0.5, "scene.road": 0.1}
    return PolicyReport(pd.DataFrame(found, columns=list(COLUMNS)), shares, {"rain": "no val"})


def test_the_best_real_policy_is_chosen_else_ignore(report):
    assert report.chosen == {
        "scene.sea": "soft", "scene.hill": "self-trained", "scene.road": "ignore", "rain": "ignore",
    }  # fmt: skip
    assert report.self_trained == ("scene.hill",)


def test_a_manifest_takes_the_choice(report):
    frame = pd.DataFrame({"image": ["a"], **{c: [-2.0] for c in (*SCENE.columns, "rain")}})
    data = Manifest(frame, (SCENE, Task("rain", ["no", "yes"], "binary")))
    chosen = data.with_uncertain(report.uncertain())
    assert chosen.uncertain == {"scene.sea": 0.25}
    assert chosen.labels()["scene"].tolist() == [[0.25, -1.0, -1.0]]


def test_the_notes_say_what_was_chosen_and_what_was_not(report):
    assert report.notes[:4] == (
        "scene.sea: soft is chosen; it is really better than ignore.",
        "scene.hill: self-trained is chosen; it is really better than ignore.",
        "scene.road: ignore is kept; no policy is really better: no difference.",
        "rain: ignore is kept; not compared: no val.",
    )
    assert report.notes[4].startswith("Assumed: labels are uncertain at random given the picture.")


def test_it_reads_as_a_table_a_label(report):
    assert str(report).splitlines()[:5] == [
        "scene.sea: scored on 90 known labels of val, 40 positive; 5 repeats; intervals 95 %",
        "  policy        AUC    AP     AUC to ignore            verdict",
        "  ignore        0.800  0.700                           reference",
        "  negative      0.830  0.700  +0.030 [+0.020, +0.040]  better",
        "  soft          0.850  0.700  +0.050 [+0.040, +0.060]  better",
    ]


def test_it_is_plain_json(report):
    report.frame.loc[0, "auc"] = math.nan
    plain = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert plain["policies"][0]["auc"] is None
    assert plain["chosen"]["scene.sea"] == "soft"
    assert plain["uncertain"]["scene.sea"] == 0.25
