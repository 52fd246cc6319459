"""The command line on a table with unknown labels: from the report before to the export after."""

import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from kerastl.experiments import policies
from kerastl.experiments.policies import COLUMNS, PolicyReport
from tests.support.commands import kerastl
from tests.support.networks import small_network, stripes

OWN = ["--backbone", "own.keras"]
TRAIN = [*OWN, "--trainable", "stage1", "--epochs", "2"]


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """A folder with own.keras and findings.csv: two labels, some blank, some in doubt."""
    root = tmp_path_factory.mktemp("labels")
    small_network().save(root / "own.keras")
    images, codes = stripes(120)
    draw = np.random.default_rng(0)
    bright = (draw.random(120) < 0.4).astype(int)
    rows = []
    for number, (image, code, light) in enumerate(zip(images, codes, bright, strict=True)):
        Image.fromarray(image // 2 + 100 * light.astype("uint8")).save(root / f"{number:03}.png")
        words = [str(code), str(light)]
        words[number % 2] = ["", "?", words[number % 2]][number % 3]
        rows.append([f"{number:03}.png", *words])
    pd.DataFrame(rows, columns=["image", "down", "bright"]).to_csv(
        root / "findings.csv", index=False
    )
    return root


@pytest.fixture(scope="module")
def run(work):
    told = kerastl("train", "findings.csv", *TRAIN, "--balance", "--uncertain", "down=0.5",
                   "--out", "run", cwd=work)  # fmt: skip
    return work / "run", told


def test_labels_counts_the_known_and_the_two_kinds_of_unknown(work, inside):
    told = inside("labels", "findings.csv", cwd=work)
    frame = pd.read_csv(work / "findings.csv", dtype=str, keep_default_na=False)
    rows = {
        line.split()[1]: line.split() for line in told.splitlines() if line.startswith("labels ")
    }
    for label in ("down", "bright"):
        blank, unsure = (frame[label] == "").sum(), (frame[label] == "?").sum()
        assert rows[label][-2:] == [str(blank), str(unsure)]
        known = sum(int(cell.split("/")[1]) for cell in rows[label][2:5])
        assert known == len(frame) - blank - unsure


def test_train_shows_the_labels_and_the_thresholds(run):
    folder, told = run
    assert "positive/known" in told
    assert "Decision thresholds, tuned on val" in told
    report = json.loads((folder / "report.json").read_text())
    assert report["training"]["balance"] is True
    assert report["training"]["uncertain"] == {"down": 0.5}
    assert {row["label"] for row in report["thresholds"]} == {"down", "bright"}


def test_thresholds_reach_every_file(run, work, inside):
    folder, _ = run
    inside("export", "run", "findings.csv", "--no-latency", cwd=work)
    [task] = json.loads((folder / "model.json").read_text())["tasks"]
    chosen = {r["label"]: r["threshold"] for r in json.loads(
        (folder / "report.json").read_text())["thresholds"]}  # fmt: skip
    assert task["thresholds"] == pytest.approx([chosen[c] for c in task["classes"]])
    told = {form: inside("evaluate", f"run/{form}", "findings.csv", cwd=work)
            for form in ("model.keras", "model_float32.tflite")}  # fmt: skip
    assert told["model.keras"] == told["model_float32.tflite"]


def test_a_question_mark_is_never_scored(run, work):
    report = json.loads((run[0] / "report.json").read_text())
    [down] = [r for r in report["scores"]["scores"] if (r["class"], r["metric"]) == ("down", "f1")]
    table = pd.read_csv(run[0] / "predictions.csv", dtype=str, keep_default_na=False)
    test = table[table["split"] == "test"]
    column = next(c for c in table if c.endswith("/truth/down"))
    assert down["n"] == test[column].isin(["0", "1"]).sum()
    assert (test[column] == "?").any()
    known = test[column].isin(["0", "1"])
    assert (known == (test[column.replace("truth", "correct")] != "")).all()


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--uncertain", "maybe"], "'maybe'"),
        (["--uncertain", "down=1.5"], "1.5"),
        (["--uncertain", "dwon=positive"], "Did you mean down"),
        (["--uncertain", "positive", "--uncertain", "down=0"], "--uncertain NAME=VALUE"),
        (["--task-weight", "labels"], "--task-weight NAME=VALUE"),
        (["--task-weight", "label=2"], "label"),
        (["--thresholds", "f2"], "f1, accuracy"),
    ],
)
def test_options_that_do_not_fit(args, words, work, inside):
    told = inside("train", "findings.csv", *TRAIN, *args, "--out", "none", cwd=work, code=2)
    assert words in told
    assert not (work / "none" / "model.keras").exists()


def test_a_value_outside_is_named_with_label_and_line(work, inside):
    lines = (work / "findings.csv").read_text().splitlines()
    lines[3], lines[7] = "002.png,1.5,1", "006.png,0,yess"
    (work / "odd.csv").write_text("\n".join(lines))
    told = inside("train", "odd.csv", *TRAIN, "--out", "none", cwd=work, code=2)
    assert "odd.csv has 2 faults." in told
    assert "line 4: down is '1.5', outside 0 to 1, expected yes, no" in told
    assert "line 8: bright is 'yess', expected yes, no" in told


def test_joint_or_separate(work, inside):
    told = inside("joint-or-separate", "findings.csv", "--task", "down", "--task", "bright",
                  *TRAIN[:4], "--epochs", "1", "--repeats", "2", "--equal", "compute",
                  cwd=work)  # fmt: skip
    assert "the same steps for both ways in all." in told
    for words in ("joint", "separate", "difference", "down", "bright"):
        assert words in told


def test_policies(work, inside):
    told = inside("policies", "findings.csv", *OWN, "--repeats", "2", cwd=work)
    for words in ("ignore", "self-trained", "down", "bright"):
        assert words in told


def test_policies_says_what_to_type_where_one_is_really_better(work, inside, monkeypatch):
    rows = [
        ("labels", label, f"labels.{label}", policy, 0.8, 0.7, apart, apart, apart, 9, 4, 5, word)
        for label, best in (("down", "soft"), ("bright", "self-trained"))
        for policy, apart, word in (("ignore", 0.0, "reference"), (best, 0.1, "better"))
    ]
    shares = {"labels.down": 0.25, "labels.bright": 0.4}
    report = PolicyReport(pd.DataFrame(rows, columns=list(COLUMNS)), shares)
    monkeypatch.setattr(policies, "compare_policies", lambda *args, **options: report)
    told = inside("policies", "findings.csv", *OWN, "--unknown", "n/a", "--seed", "3", cwd=work)
    (line,) = [line for line in told.splitlines() if line.startswith("Next:")]
    assert line.startswith("Next:  kerastl train findings.csv --unknown n/a --seed 3 --backbone ")
    assert line.endswith(" --uncertain labels.down=0.25")
    assert "labels.bright: kerastl.self_train, in Python" in told
