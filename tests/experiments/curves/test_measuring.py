"""learning_curve: the parts that candidates get, what is kept, resumed and refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from kerastl import learning_curve
from kerastl.errors import InputError
from tests.support.tiny_models import TASKS, on_disk

SIZES = [50, 100, 200, 400]


def examples(n=600):
    return list(range(n))


def falling(alpha, eta, noise=0.02):
    """A candidate of a known curve, its noise drawn by its seed and the size."""

    def candidate(part, seed):
        rng = np.random.default_rng([seed, len(part)])
        error = alpha + eta * len(part) ** -0.5 + noise * rng.standard_normal()
        return float(np.clip(1 - error, 0, 1))

    return candidate


def test_two_known_curves_are_told_apart_and_their_crossing_found():
    candidates = {"stages": falling(0.25, 0.5), "end to end": falling(0.0, 4.5)}
    found = learning_curve(candidates, examples(4000), [100, 200, 400, 800, 1600], 6)
    assert found.candidates == ["stages", "end to end"]
    assert len(found.frame) == 60
    [one] = found.crossings
    assert one.size.low < 256 < one.size.high
    assert found.verdict.startswith("stages is better below ")
    assert found.verdict.endswith("examples, end to end above.")


def test_every_candidate_gets_the_same_nested_parts():
    seen = {}

    def noted(name):
        def candidate(part, seed):
            seen[name, len(part), seed] = set(part)
            return 0.5

        return candidate

    learning_curve(
        {"a": noted("a"), "b": noted("b")}, examples(), SIZES, {50: 3, 100: 3, 200: 2, 400: 1}
    )
    assert len(seen) == 2 * 9
    for (name, size, seed), part in seen.items():
        assert part == seen["a", size, seed]
        larger = [
            other for (n, s, k), other in seen.items() if n == name and k == seed and s > size
        ]
        assert all(part < other for other in larger)
    assert seen["a", 50, 0] != seen["a", 50, 1]


def test_by_default_small_sizes_have_more_repeats():
    found = learning_curve({"a": falling(0.1, 1)}, examples(), SIZES)
    assert found.frame.groupby("size").size().to_dict() == {50: 8, 100: 6, 200: 5, 400: 3}


@pytest.mark.parametrize(
    ("data", "length"),
    [
        (np.arange(600), len),
        (pd.DataFrame({"x": np.arange(600)}), len),
        ((np.arange(600), np.arange(600) * 2), lambda part: len(part[0])),
    ],
    ids=["array", "frame", "tuple"],
)
def test_data_of_any_kind_are_divided(data, length):
    lengths = []

    def candidate(part, seed):
        if isinstance(part, tuple):
            np.testing.assert_array_equal(part[1], 2 * part[0])
        lengths.append(length(part))
        return 0.5

    learning_curve({"a": candidate}, data, SIZES, 1)
    assert lengths == SIZES


def test_a_manifest_keeps_its_other_parts_and_every_class(tmp_path):
    data, seen = on_disk(tmp_path / "pictures", n=60), []

    def candidate(part, seed):
        seen.append(part)
        return np.full(16, 0.5)

    found = learning_curve({"a": candidate}, data, [8, 20, 44], 2)
    assert found.frame["n"].unique().tolist() == [16]
    whole = data.split("train").labels()
    for part, size in zip(seen, found.frame["size"], strict=True):
        assert len(part.split("train")) == size
        assert part.tasks == TASKS
        pd.testing.assert_frame_equal(
            part.split("test").frame.reset_index(drop=True),
            data.split("test").frame.reset_index(drop=True),
        )
        labels = part.split("train").labels()
        assert set(labels["zone"]) >= set(whole["zone"]) - {-1}
        assert set(labels["alarm"].ravel()) >= {0, 1}


def test_a_trial_that_fails_is_recorded_and_the_rest_goes_on():
    def weak(part, seed):
        if len(part) == 50:
            raise RuntimeError("too little\nto learn from")
        return 0.9

    found = learning_curve({"weak": weak, "odd": lambda *_: 1.5, "a": falling(0.1, 1)},
                           examples(), SIZES, 3)  # fmt: skip
    failed = found.frame[found.frame["failed"] != ""]
    assert set(failed[failed["candidate"] == "weak"]["failed"]) == {"too little"}
    assert set(failed[failed["candidate"] == "weak"]["size"]) == {50}
    odd = found.frame[found.frame["candidate"] == "odd"]
    assert odd["failed"].str.startswith("Expected a score from 0 to 1").all()
    assert sorted(found.fits) == ["a", "weak"]
    assert "weak failed with 50 examples (seed 0): too little" in str(found)


def test_where_a_trial_failed_is_told_once_for_each_cause(caplog):
    def buggy(part, seed):
        raise RuntimeError("of one size" if len(part) == 50 else "of the others")

    def refused(part, seed):
        raise InputError("Nothing can be learnt.")

    candidates = {"buggy": buggy, "refused": refused, "a": falling(0.1, 1)}
    found = learning_curve(candidates, examples(), SIZES, 2)
    assert (found.frame["failed"] != "").sum() == 16
    assert [record.getMessage() for record in caplog.records] == [
        "buggy failed with 50 examples (seed 0).", "buggy failed with 100 examples (seed 0).",
    ]  # fmt: skip
    assert all(record.exc_info for record in caplog.records)


def test_where_nothing_succeeds_the_causes_are_told():
    def bad(part, seed):
        raise KeyError("gone")

    with pytest.raises(InputError, match="No trial succeeded") as error:
        learning_curve({"bad": bad}, examples(), SIZES, 1)
    assert error.value.faults == ("bad: 'gone'",)


def test_interrupted_it_goes_on_and_computes_nothing_twice(tmp_path):
    calls = []

    def candidate(part, seed):
        calls.append((len(part), seed))
        if len(calls) == 5:
            raise KeyboardInterrupt
        return falling(0.1, 1)(part, seed)

    with pytest.raises(KeyboardInterrupt):
        learning_curve({"a": candidate}, examples(), SIZES, 2, folder=tmp_path)
    assert len(pd.read_csv(tmp_path / "kept.csv")) == 4
    found = learning_curve({"a": candidate}, examples(), SIZES, 2, folder=tmp_path)
    assert len(calls) == 9
    assert len(set(calls)) == 8
    whole = learning_curve({"a": falling(0.1, 1)}, examples(), SIZES, 2)
    pd.testing.assert_frame_equal(
        found.frame.drop(columns="seconds"), whole.frame.drop(columns="seconds")
    )


def test_sizes_seeds_and_candidates_are_added_to_what_is_there(tmp_path, capsys):
    calls = []

    def noted(name):
        def candidate(part, seed):
            calls.append((name, len(part), seed))
            return falling(0.1, 1)(part, seed)

        return candidate

    learning_curve({"a": noted("a")}, examples(), SIZES, 2, folder=tmp_path)
    more = {"a": noted("a"), 'b, or "c"': noted("b")}
    capsys.readouterr()
    found = learning_curve(more, examples(), [*SIZES, 500], 3, folder=tmp_path)
    assert len(set(calls)) == len(calls) == 2 * 5 * 3
    assert len(found.frame) == 30
    told = capsys.readouterr().err
    assert [n for n in range(1, 31) if f"trial {n} of 30: " in told] == list(range(9, 31))
    assert 'trial 30 of 30: b, or "c", 500 examples, 0.' in told
    assert {p.name for p in tmp_path.iterdir()} == {
        "settings.json", "kept.csv", "trials.csv", "summary.csv", "verdict.json", "curves.png",
    }  # fmt: skip
    few = learning_curve({"a": noted("a")}, examples(), SIZES[:3], 2, folder=tmp_path)
    assert len(few.frame) == len(pd.read_csv(tmp_path / "trials.csv")) == 6
    assert len(pd.read_csv(tmp_path / "kept.csv")) == 30


def test_a_folder_of_other_data_is_refused(tmp_path):
    learning_curve({"a": falling(0.1, 1)}, examples(), SIZES, 2, folder=tmp_path)
    with pytest.raises(InputError, match=r"holds a learning curve of other data.*kept\.csv") as no:
        learning_curve({"a": falling(0.1, 1)}, examples(601), SIZES, 2, folder=tmp_path)
    assert [fault.partition(":")[0] for fault in no.value.faults] == ["data"]
    (tmp_path / "kept.csv").write_text("odd\n1\n")
    with pytest.raises(InputError, match="holds trials that cannot be read"):
        learning_curve({"a": falling(0.1, 1)}, examples(), SIZES, 2, folder=tmp_path)
    (tmp_path / "settings.json").write_text("{")
    with pytest.raises(InputError, match="holds trials that cannot be read"):
        learning_curve({"a": falling(0.1, 1)}, examples(), SIZES, 2, folder=tmp_path)


def test_other_settings_are_named_and_a_call_that_failed_locks_nothing(tmp_path):
    def call(**options):
        options = {"sizes": SIZES, "settings": {"epochs": 5}, **options}
        candidates = {"a": falling(0.1, 1)}
        return learning_curve(
            candidates, examples(), seeds=2, folder=tmp_path, verbose=0, **options
        )

    with pytest.raises(InputError, match="5000: there are only"):
        call(sizes=[5000], settings={"epochs": 9})
    call()
    with pytest.raises(InputError, match="other data or settings") as caught:
        call(settings={"epochs": 6, "rate": 0.1})
    assert caught.value.faults == ("epochs: 5 there, 6 here", "rate: not given there, 0.1 here")


def test_without_verbose_nothing_is_shown(capsys):
    learning_curve({"a": falling(0.1, 1)}, examples(), SIZES, 1, verbose=0)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"candidates": {}}, "Expected candidates= callables by name"),
        ({"candidates": {"a": 3}}, "a: 3 cannot be called"),
        ({"candidates": {" ": len}}, "' ': expected a name"),
        ({"sizes": [50, 700]}, "700: there are only 600 examples"),
        ({"sizes": []}, "Expected sizes from 1 to 600"),
        ({"sizes": 700}, "700: there are only 600 examples"),
        ({"sizes": [50, "a"]}, "'a': expected a whole number"),
        ({"sizes": [1], "strata": [0, 1] * 300}, "1: too small for every class"),
        ({"seeds": 0}, "Expected seeds= how many repeats"),
        ({"seeds": {50: 2}}, "100: received 0"),
        ({"data": None}, "Expected data= a Manifest, a list, an array"),
        ({"folder": __file__}, "Expected a folder. Received: .*, which is a file"),
        ({"strata": [1]}, "Expected strata= for 600 examples. Received: 1"),
    ],
)
def test_what_will_not_do_is_told_before_any_trial(given, told):
    def never(part, seed):
        raise AssertionError

    options = {"candidates": {"a": never}, "data": examples(), "sizes": SIZES, "seeds": 2}
    with pytest.raises(InputError, match=told):
        learning_curve(**{**options, **given})


def graded(part, seed):
    """A score for each of ten test examples."""
    return (np.random.default_rng([seed, len(part)]).random(10) < 0.7).astype("float64")


def test_the_scores_of_each_test_example_are_kept_with_the_trial(tmp_path):
    whole = learning_curve({"a": graded}, examples(), SIZES, 2)

    def never(part, seed):
        raise AssertionError

    learning_curve({"a": graded}, examples(), SIZES, 2, folder=tmp_path)
    kept = learning_curve({"a": never}, examples(), SIZES, 2, folder=tmp_path)
    assert set(kept.scores) == set(whole.scores) == {("a", n, k) for n in SIZES for k in (0, 1)}
    for trial, scores in whole.scores.items():
        np.testing.assert_array_equal(kept.scores[trial], scores)
    for row in kept.frame.itertuples():
        assert row.score == kept.scores[row.candidate, row.size, row.seed].mean()


@pytest.mark.parametrize("harm", [lambda path: path.unlink(), lambda path: path.write_bytes(b"x")])
def test_a_trial_whose_scores_are_gone_is_run_again(tmp_path, harm):
    calls = []

    def counted(part, seed):
        calls.append((len(part), seed))
        return graded(part, seed)

    learning_curve({"a": counted}, examples(), SIZES, 2, folder=tmp_path)
    files = sorted((tmp_path / "scores").iterdir())
    assert len(files) == len(calls) == 8
    harm(files[3])
    learning_curve({"a": counted}, examples(), SIZES, 2, folder=tmp_path)
    assert len(calls) == 9
    assert len(set(calls)) == 8


def test_what_failed_is_tried_again(tmp_path):
    calls = []

    def weak(part, seed):
        calls.append(len(part))
        if calls.count(50) == 1 and len(part) == 50:
            raise RuntimeError("for once")
        return falling(0.1, 1)(part, seed)

    first = learning_curve({"weak": weak}, examples(), SIZES, 1, folder=tmp_path)
    again = learning_curve({"weak": weak}, examples(), SIZES, 1, folder=tmp_path)
    assert (first.frame["failed"] != "").tolist() == [True, False, False, False]
    assert (again.frame["failed"] == "").all()
    assert calls == [*SIZES, 50]


def test_errors_that_rise_or_fall_late_are_compared_by_their_means():
    def late(part, seed):
        share = {50: 0.0, 100: 0.02, 200: 0.4, 400: 0.99}[len(part)]
        noise = 0.01 * np.random.default_rng([seed, len(part)]).random()
        return abs(share - noise)

    def rising(part, seed):
        return 0.9 - len(part) / 1000 + 0.01 * np.random.default_rng([seed, len(part)]).random()

    found = learning_curve({"late": late, "rising": rising}, examples(), SIZES, 4)
    assert found.fits == {}
    assert found.verdict == (
        "rising is better at 50 examples, late at 400: their means cross between 200 and 400."
    )
    assert "late: The errors do not fall as a power law does" in str(found)
