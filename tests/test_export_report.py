"""What an export's report says, line by line, and that it is plain JSON."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from kerastl.differences import Difference
from kerastl.export_report import Accuracy, Agreement, ExportedFile, ExportReport, RefusedExport
from kerastl.latency import Latency
from kerastl.tflite_file import TFLiteFacts

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
