"""What an export's report says, line by line, and that it is plain JSON.

Agreement: what differs is seen, whatever the kind of the task.

What breaks a contract, what does not, and in which words.
"""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from kerastl.data.batches import Batch
from kerastl.deploy.contract import (
    Accuracy,
    Agreement,
    ExportedFile,
    ExportReport,
    RefusedExport,
    accuracies,
    agreement,
    breaches,
    run_all,
)
from kerastl.deploy.formats import FORMATS
from kerastl.deploy.tflite_facts import Latency, TFLiteFacts
from kerastl.errors import InputError
from kerastl.scoring.differences import Difference
from tests.support.tiny_models import TASKS

NONE = Accuracy(None, None, None, 0)
GOOD = Accuracy(0.875, 0.75, 0.96875, 32)
LOST = Difference(-0.125, -0.25, 0.0, ours=0.75, theirs=0.875, n=32, repeats=1)
ALIKE = Agreement(0.96875, 0.00123, 32, replace(GOOD, value=0.75), LOST)
FACTS = TFLiteFacts({"CONV_2D": 3}, {"CONV_2D": 1}, (), (), 1, 0.96)
TIMES = (Latency(1, 2.34, 2.2, 2.5, 30), Latency(2, 1.26, 1.2, 1.3, 30))


def file(**changes):
    plain = ExportedFile("float32", "model_float32.tflite", 2048, {"zone": ALIKE})
    return replace(plain, **changes)


def told(*files, keras=GOOD, aside=()):
    """The lines of a report."""
    report = ExportReport("held-out pictures", 32, {"zone": keras}, files, aside)
    return str(report).splitlines()


def test_a_good_file_is_told_whole():
    assert told(file(facts=FACTS, latency=TIMES)) == [
        "checked on 32 held-out pictures",
        "  zone          accuracy in Keras  0.8750 [0.7500, 0.9688] of 32",
        "model_float32.tflite  2.0 KiB, 2.3 ms with 1 thread, 1.3 ms with 2 threads, "
        "XNNPACK 96% in 1 part",
        "  zone          same answer 96.88%, largest difference 0.0012",
        "                accuracy 0.7500 [0.7500, 0.9688] of 32, -0.125 [-0.250, +0.000] of Keras'",
    ]


def test_a_refused_file_and_a_waived_one_say_why_below_their_name():
    cause = "float32: zone has a score that differs by 0.25; 0.001 is allowed"
    refused, waived = file(cause=cause), file(cause=cause, waived=True)
    assert (refused.refused, waived.refused, file().refused) == (True, False, False)
    assert told(refused)[2:4] == ["model_float32.tflite  2.0 KiB", f"  refused: {cause}"]
    assert told(waived)[2:4] == ["model_float32.tflite  2.0 KiB", f"  waived: {cause}"]
    assert not [line for line in told(file()) if "refused" in line or "waived" in line]


def test_a_file_that_was_not_made_has_its_cause_and_no_task():
    assert told(file(tasks={}, size=0, cause="the converter refuses the model: no"))[2:] == [
        "model_float32.tflite  0.0 KiB",
        "  refused: the converter refuses the model: no",
    ]


def test_scores_that_are_nan_are_called_so():
    lines = told(file(tasks={"zone": Agreement(0.25, None, 32, NONE)}))
    assert lines[3] == "  zone          same answer 25.00%, largest difference NaN"


def test_without_labels_there_is_agreement_alone():
    lines = told(file(tasks={"zone": Agreement(1.0, 0.0, 32, NONE)}), keras=NONE)
    assert lines[1] == "  zone          accuracy in Keras  no labels"
    assert lines[3:] == ["  zone          same answer 100.00%, largest difference 0"]


def test_without_a_comparison_there_is_accuracy_alone():
    lines = told(file(tasks={"zone": Agreement(None, None, 32, GOOD)}))
    assert lines[3:] == ["  zone          accuracy 0.8750 [0.7500, 0.9688] of 32"]


def test_notes_come_last_under_their_file_and_what_went_aside_after_all():
    other = file(file="model_int8.tflite", notes=())
    lines = told(file(notes=("slow", "few pictures")), other, aside=("saved_model",))
    at = lines.index("model_int8.tflite  2.0 KiB")
    assert lines[at - 2 : at] == ["  note: slow", "  note: few pictures"]
    assert lines[-1] == (
        "saved_model.older was saved_model, of an earlier export that model.json does not describe"
    )


@pytest.mark.parametrize(
    ("size", "words"),
    [(0, "0.0 KiB"), (1536, "1.5 KiB"), (2**20 - 1, "1024.0 KiB"), (2**20, "1.0 MiB")],
)
def test_sizes(size, words):
    assert told(file(size=size))[2] == f"model_float32.tflite  {words}"


def test_one_time_alone_and_parts_in_the_plural():
    several = replace(FACTS, partitions=3, delegated=0.5)
    assert told(file(latency=TIMES[1:], facts=several))[2] == (
        "model_float32.tflite  2.0 KiB, 1.3 ms with 2 threads, XNNPACK 50% in 3 parts"
    )


def test_what_xnnpack_takes_is_left_out_where_the_interpreter_does_not_tell():
    silent = replace(FACTS, flex=("FlexErfinv",), partitions=None, delegated=None)
    assert told(file(facts=silent))[2] == "model_float32.tflite  2.0 KiB"


def test_to_dict_is_strict_json_and_holds_every_figure():
    files = (
        file(facts=FACTS, latency=TIMES, notes=("slow",)),
        file(tasks={"zone": Agreement(0.25, None, 32, NONE)}, cause="NaN", waived=True),
    )
    plain = ExportReport("random images", 32, {"zone": NONE}, files, ("saved_model",)).to_dict()
    read = json.loads(json.dumps(plain, allow_nan=False))
    assert set(read) == {"source", "pictures", "keras", "files", "aside"}
    assert read["keras"] == {"zone": {"value": None, "low": None, "high": None, "n": 0}}
    first, second = read["files"]
    assert first["facts"]["operators"] == {"CONV_2D": 3}
    assert [(one["threads"], one["median"]) for one in first["latency"]] == [(1, 2.34), (2, 1.26)]
    assert first["tasks"]["zone"]["difference"]["low"] == -0.25
    assert (second["cause"], second["waived"]) == ("NaN", True)
    assert second["tasks"]["zone"]["largest"] is None
    assert read["aside"] == ["saved_model"]


def test_the_interval_of_the_same_answers_holds_their_share():
    low, high = ALIKE.same_interval
    assert 0 < low < ALIKE.same < high < 1
    assert Agreement(1.0, 0.0, 32, NONE).same_interval[1] == 1.0


def test_a_refusal_brings_its_report():
    report = ExportReport("random images", 1, {}, (file(cause="no"),))
    error = RefusedExport("1 of 1 files were not kept.", ["model_float32.tflite: no"], report)
    assert error.report is report
    assert str(error) == "1 of 1 files were not kept.\n  model_float32.tflite: no"


NONE = Accuracy(None, None, None, 0)


class Constant:
    """A predictor that gives every picture the same scores."""

    tasks, image_size = TASKS, (8, 8)

    def __init__(self, value):
        self.value = value

    def predict(self, images):
        """Scores by task."""
        return {t.name: np.full((len(images), len(t.classes)), self.value) for t in TASKS}


def test_a_multilabel_task_agrees_label_by_label():
    ours, theirs = np.array([[0.9, 0.4]]), np.array([[0.6, 0.6]])
    made = agreement(TASKS[2], ours, theirs, NONE)
    assert (made.same, made.n) == (0.5, 1)
    assert made.largest == pytest.approx(0.3)


def test_answers_are_compared_at_the_thresholds():
    ours, theirs = np.array([[0.9, 0.1], [0.6, 0.4]]), np.array([[0.9, 0.1], [0.8, 0.2]])
    at = [agreement(TASKS[1], ours, theirs, NONE, t).same for t in (None, [0.3], [0.05])]
    assert at == [1.0, 0.5, 1.0]
    assert agreement(TASKS[2], ours, theirs, NONE, [0.7, 0.3]).same == 0.5
    zone = agreement(TASKS[0], np.eye(3), np.eye(3)[[0, 1, 1]], NONE)
    assert zone.same == pytest.approx(2 / 3)
    labels, scores = {"alarm": np.array([0, 1])}, {"alarm": ours}
    options = {"draws": 20, "seed": 0}
    half = accuracies(TASKS[1:2], labels, scores, **options)
    moved = accuracies(TASKS[1:2], labels, scores, thresholds={"alarm": [0.3]}, **options)
    assert (half["alarm"].value, moved["alarm"].value) == (0.5, 1.0)


def test_nan_is_no_agreement():
    made = agreement(TASKS[1], np.array([[0.9, 0.1]]), np.full((1, 2), np.nan), NONE)
    assert made.largest is None
    assert accuracies(TASKS, None, {}, draws=10, seed=0)["zone"] == NONE


def test_all_predictors_see_the_same_pictures_once():
    batches = iter([Batch(np.zeros((n, 8, 8, 3), "uint8"), None, np.arange(n)) for n in (4, 2)])
    made, labels, _ = run_all({"a": Constant(0.1), "b": Constant(0.7)}, batches)
    assert labels is None
    assert made["a"]["zone"].shape == made["b"]["zone"].shape == (6, 3)
    with pytest.raises(InputError, match="at least one evaluation picture"):
        run_all({"a": Constant(0.1)}, [])


NONE = Accuracy(None, None, None, 0)


def kept(form, facts=None, **found):
    task = {"same": 1.0, "largest": 0.0, "n": 1000, "accuracy": NONE, **found}
    return ExportedFile(form, "file", 1, {"defect": Agreement(**task)}, facts=facts)


def broken(form, facts=None, **found):
    return breaches(FORMATS[form], kept(form, facts, **found))


def lost(value, half, n=1000):
    return Difference(value, value - half, value + half, ours=0.8, theirs=0.8, n=n, repeats=1)


def test_what_is_the_same_holds_every_contract():
    assert [broken(form) for form in FORMATS] == [[]] * len(FORMATS)


@pytest.mark.parametrize("form", ["saved_model", "float32", "onnx", "openvino"])
def test_an_exact_file_may_not_differ(form):
    assert broken(form, largest=9e-4) == []
    assert broken(form, largest=0.25) == [
        f"{form}: defect has a score that differs by 0.25; 0.001 is allowed"
    ]


def test_nan_breaks_every_contract():
    for form in FORMATS:
        assert broken(form, largest=None) == [f"{form}: defect has scores that are NaN"]


def test_answers_are_held_where_the_pictures_are_enough_to_tell():
    assert broken("int8", same=0.5) == [
        "int8: defect gives the Keras model's answer 50.0% [46.9%, 53.1%] of the time (n = 1000); "
        "90% is the least"
    ]
    assert broken("int8", same=0.89) == []
    assert broken("int8", same=0.5, n=2) == []


def test_a_loss_is_a_breach_only_outside_the_noise():
    assert broken("int8", difference=lost(-0.06, 0.02)) == [
        "int8: defect loses 0.060 [0.040, 0.080] of accuracy (n = 1000); 0.03 may be lost"
    ]
    assert broken("int8", difference=lost(-0.06, 0.04)) == []
    assert broken("int8", difference=lost(-0.02, 0.005)) == []
    assert broken("int8", difference=lost(0.2, 0.01)) == []


def test_operators_that_phones_lack_are_named():
    facts = TFLiteFacts({}, {}, ("FlexErfinv",), ("Mine",), None, None)
    assert broken("float32", facts) == [
        "float32: needs TensorFlow's own operators, which no phone has: FlexErfinv",
        "float32: needs operators that are not built in: Mine",
    ]


def test_every_task_is_held():
    one = kept("float32", largest=0.5)
    both = replace(one, tasks={"a": one.tasks["defect"], "b": one.tasks["defect"]})
    assert [b.split(" has")[0] for b in breaches(FORMATS["float32"], both)] == [
        "float32: a",
        "float32: b",
    ]
