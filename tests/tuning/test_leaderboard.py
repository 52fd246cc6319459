"""The leaderboard: order, intervals, the one-standard-error choice and what is said of it."""

import math
import re
import time

import numpy as np
import pandas as pd
import pytest

from kerastl.errors import InputError
from kerastl.tuning.leaderboard import TrialRecord, leaderboard, trial_score
from tests.support.trial_records import DEFECT, KIND, TAGS, drawn_labels, drawn_scores, record

TASKS = (DEFECT, KIND)
LABELS = drawn_labels(TASKS)
TRUTH = {"kind": np.arange(400) % 3}


def right(count, n=400):
    """Scores of one execution that are right on the first `count` of n pictures."""
    truth = np.arange(n) % 3
    guess = np.where(np.arange(n) < count, truth, (truth + 1) % 3)
    return ({"kind": np.eye(3)[guess]},)


def search(*counts, words=(("heads", 0), ("stage5", 9), ("20", 20), ("all", 154))):
    """A board of one trial for each depth, each right on so many of 400 pictures."""
    trials = [
        record(f"{i:02d}", *depth, right(c))
        for i, (depth, c) in enumerate(zip(words, counts, strict=False))
    ]
    return leaderboard(trials, KIND, TRUTH)


@pytest.fixture(scope="module")
def board():
    """Seven trials of three depths and two tasks; one of them failed."""
    skills = [0.5, 0.7, 1.38, 1.2, 1.4, 1.3]
    depths = [("heads", 0), ("heads", 0), ("9", 9), ("9", 9), ("all", 154), ("all", 154)]
    records = [
        record(f"{i:04d}", *depth, [drawn_scores(TASKS, LABELS, skill, noise=i)], rate=10**-skill)
        for i, (depth, skill) in enumerate(zip(depths, skills, strict=True))
    ]
    records.insert(2, record("0009", "9", 9, failure="the loss is not finite\nTraceback ..."))
    return leaderboard(records, TASKS, LABELS)


def test_a_row_for_each_trial_best_first_and_failed_last(board):
    frame = board.frame
    assert list(frame) == [
        "trial", "trainable", "layers", "learning_rate", "score", "standard_error", "low", "high",
        "n", "executions", "defect AUC", "kind accuracy", "epochs", "seconds", "status",
    ]  # fmt: skip
    assert frame["score"].iloc[:-1].is_monotonic_decreasing
    assert list(frame["status"]) == ["done"] * 6 + ["failed: the loss is not finite"]
    assert frame["trial"].iloc[0] == "0004"
    assert math.isnan(frame["score"].iloc[-1])


def test_values_are_the_objective_and_its_parts(board):
    row = board.frame.set_index("trial").loc["0004"]
    scores = drawn_scores(TASKS, LABELS, 1.4, noise=4)
    assert row["score"] == pytest.approx(trial_score(TASKS, LABELS, scores))
    assert row["defect AUC"] == pytest.approx(trial_score(DEFECT, LABELS, scores))
    assert row["kind accuracy"] == pytest.approx(trial_score(KIND, LABELS, scores))
    assert row["low"] < row["score"] < row["high"]
    assert row["n"] == ((LABELS["defect"] >= 0) | (LABELS["kind"] >= 0)).sum()
    assert row["standard_error"] == pytest.approx((row["high"] - row["low"]) / 3.92, rel=0.1)


def test_a_row_for_each_depth(board):
    depths = board.depths
    assert list(depths["trainable"]) == ["heads", "9", "all"]
    assert list(depths["layers"]) == [0, 9, 154]
    assert list(depths["trials"]) == [2, 2, 2]
    assert list(depths["trial"]) == ["0001", "0002", "0004"]
    assert list(depths["verdict"]) == ["worse", "no difference", "best"]
    best = depths.iloc[-1]
    assert (best["difference"], best["difference_low"], best["difference_high"]) == (0, 0, 0)
    np.testing.assert_allclose(depths["difference"], depths["score"] - best["score"], atol=1e-12)


def test_the_choice_and_its_sentence(board):
    assert board.chosen == "0002"
    number = r"[+-]?\d\.\d{3}"
    assert re.fullmatch(
        rf"Unfreeze the last 9 layers \(trial 0002\): mean of AUC of defect and accuracy of kind "
        rf"{number} on \d+ pictures is within one standard error \({number}\) of the best, "
        rf"{number} with all 154 layers; the difference {number} \[{number}, {number}\] is no "
        rf"difference\.",
        board.sentence,
    )
    assert board.notes == (
        "Failed: trial 0009: the loss is not finite.",
        "The best of 6 trials looks better on val than it is: score the chosen model on the "
        "test part.",
    )
    text = str(board)
    assert text.splitlines()[0].split() == [
        "trainable", "layers", "trials", "score", "to", "the", "best", "verdict",
    ]  # fmt: skip
    assert board.sentence in text
    assert text.endswith(board.notes[-1])


def test_on_a_plateau_the_shallowest_is_chosen():
    for best, share, told in (
        (304, "0.760", "-0.010 [-0.022, +0.001] is no difference."),
        (307, "0.767", "-0.017 [-0.032, -0.004] is real, but smaller than that error."),
    ):
        board = search(300, 301, 302, best)
        assert board.chosen == "00"
        assert board.sentence == (
            "Train the heads alone (trial 00): accuracy 0.750 on 400 pictures is within one "
            f"standard error ({board.depths['standard_error'].iloc[-1]:.3f}) of the best, {share} "
            f"with all 154 layers; the difference {told}"
        )


def test_where_depth_helps_the_deepest_is_chosen():
    board = search(240, 280, 320, 380)
    assert board.chosen == "03"
    assert list(board.depths["within"]) == [False, False, False, True]
    assert board.sentence.startswith(
        "Unfreeze all 154 layers (trial 03): accuracy 0.950 on 400 pictures is the best, and no "
        "shallower depth is within one standard error (0.011) of it; the nearest has 0.800 with "
        "the last 20 layers, and the difference -0.150 ["
    )
    assert board.sentence.endswith("] is real.")


def test_between_them_the_edge_is_one_standard_error():
    """Of 400 pictures at 0.8 the standard error is 0.02: 8 pictures."""
    best = search(0, 0, 0, 320).depths["standard_error"].iloc[-1]
    assert best == pytest.approx(0.02, rel=0.1)
    assert search(200, 313, 315, 320).chosen == "01"
    assert search(200, 305, 315, 320).chosen == "02"


def test_a_best_that_is_the_shallowest():
    board = search(310, 305)
    assert board.sentence == (
        "Train the heads alone (trial 00): accuracy 0.775 on 400 pictures is the best, and no "
        "depth that was tried is shallower."
    )


def test_the_words_for_a_depth():
    def begin(word, layers):
        return search(300, words=[(word, layers)]).sentence.split(":")[0]

    assert begin("stage5", 9) == "Unfreeze the last 9 layers (after stage5, trial 00)"
    assert begin("0.25", 40) == "Unfreeze the last 40 layers (0.25 of them, trial 00)"
    assert begin("1", 1) == "Unfreeze the last layer (trial 00)"
    assert begin("all", 9) == "Unfreeze all 9 layers (trial 00)"


def test_one_depth_only():
    board = search(300)
    assert board.sentence == (
        "Train the heads alone (trial 00): accuracy 0.750 on 400 pictures is the only trial; no "
        "other depth was tried."
    )
    assert board.notes == ()
    trials = [record("a", "9", 9, right(300)), record("b", "9", 9, right(310)),
              record("c", "all", 90, failure="stopped")]  # fmt: skip
    board = leaderboard(trials, KIND, TRUTH)
    assert board.sentence.endswith("is the best of 2 trials; no other depth has a finished trial.")
    assert list(board.depths["verdict"]) == ["best", "failed"]
    assert list(board.depths["trials"]) == [2, 0]


def test_of_as_many_layers_the_better_backbone_is_chosen():
    trials = [
        record("a", "9", 9, right(300), backbone="MobileNetV2"),
        record("b", "9", 9, right(301), backbone="EfficientNetB0"),
        record("c", "all", 90, right(302), backbone="MobileNetV2"),
    ]
    board = leaderboard(trials, KIND, TRUTH)
    assert list(board.depths["backbone"]) == ["EfficientNetB0", "MobileNetV2", "MobileNetV2"]
    assert board.chosen == "b"
    assert board.sentence.startswith("Unfreeze the last 9 layers of EfficientNetB0 (trial b): ")
    assert "with all 90 layers of MobileNetV2;" in board.sentence
    assert "EfficientNetB0 9 " in str(board)


def test_of_equal_trials_the_shallower_is_the_best():
    board = search(300, 300, 300)
    assert list(board.frame["trial"]) == ["00", "01", "02"]
    assert list(board.depths["verdict"]) == ["best", "no difference", "no difference"]


def test_names_that_a_tuner_keeps_for_itself_are_left_out():
    trial = record("a", "heads", 0, right(300), **{"tuner/epochs": 3, "dropout": 0.1})
    frame = leaderboard([trial], KIND, TRUTH).frame
    assert "tuner/epochs" not in frame
    assert frame["dropout"].iloc[0] == 0.1


def test_executions_widen_the_interval():
    seeds = [[drawn_scores([TAGS], drawn_labels([TAGS]), s)] for s in (0.6, 1.0, 1.4)]
    labels = drawn_labels([TAGS])
    runs = [run for [run] in seeds]
    frame = leaderboard([record("a", "9", 9, runs)], TAGS, labels).frame
    alone = leaderboard([record("a", "9", 9, [runs[1]])], TAGS, labels).frame
    assert frame["executions"].iloc[0] == 3
    each = [trial_score(TAGS, labels, run) for run in runs]
    assert frame["score"].iloc[0] == pytest.approx(np.mean(each))
    assert frame["standard_error"].iloc[0] > np.std(each, ddof=1) / math.sqrt(3)
    assert frame["standard_error"].iloc[0] > alone["standard_error"].iloc[0]


def test_a_net_that_diverged_in_one_execution_failed():
    whole, odd = right(300)[0], {"kind": np.full((400, 3), np.nan)}
    trials = [record("a", "9", 9, [whole, whole]), record("b", "9", 9, [whole, odd])]
    frame = leaderboard(trials, KIND, TRUTH).frame
    assert list(frame["status"]) == ["done", "failed: its scores are not finite"]


def test_what_has_no_part_in_the_score_is_told():
    labels = {**LABELS, "defect": np.zeros(200, int)}
    board = leaderboard([record("a", "9", 9, [drawn_scores(TASKS, LABELS)])], TASKS, labels)
    assert board.measure == "accuracy of kind"
    assert board.notes[0].startswith("defect: not both classes are known in val")
    assert math.isnan(board.frame["defect AUC"].iloc[0])


def test_a_perfect_best_has_no_error_to_speak_of():
    p = np.arange(40) / 40
    scores = {"defect": np.stack([1 - p, p], axis=1)}
    labels = {"defect": (p >= 0.5).astype(int)}
    board = leaderboard([record("a", "9", 9, [scores])], DEFECT, labels, draws=50)
    assert board.notes == (
        "The best has the same score in every draw of pictures: val cannot tell its error.",
    )


def test_the_same_seed_gives_the_same_board(board):
    trials = [record("a", "9", 9, [drawn_scores(TASKS, LABELS)])]
    one, same, other = (leaderboard(trials, TASKS, LABELS, draws=50, seed=s) for s in (0, 0, 1))
    pd.testing.assert_frame_equal(one.frame, same.frame)
    assert one.sentence == same.sentence
    assert one.frame["low"].iloc[0] != other.frame["low"].iloc[0]


def test_where_all_trials_failed_the_reasons_are_grouped():
    trials = [record("a", "9", 9, failure="out of memory."), record("b", "9", 9, failure="odd"),
              record("c", "all", 90, failure="out of memory")]  # fmt: skip
    with pytest.raises(InputError, match="No trial has a score") as error:
        leaderboard(trials, KIND, TRUTH)
    assert error.value.faults == ("trial a, c: out of memory", "trial b: odd")


def test_labels_that_nothing_can_be_scored_on():
    with pytest.raises(InputError, match="No trial has a score") as error:
        leaderboard([record("a", "9", 9, right(300))], KIND, {"kind": np.full(400, -1)})
    assert error.value.faults == (
        "trial a: its score is undefined: no task has the known labels in val that it needs",
    )


def test_faults_are_told_at_once():
    trials = [record("a", "9", 9, right(5, n=9)), record("b", "9", 9, right(300) * 2),
              TrialRecord("c", {"trainable": "9"}, 9, 0, 0.0)]  # fmt: skip
    with pytest.raises(InputError, match="no leaderboard of these trials") as error:
        leaderboard(trials, KIND, TRUTH, draws=0)
    assert error.value.faults == (
        "draws: expected at least 1, received 0",
        "trial a: kind: expected scores [400, 3], received [9, 3]",
        "trial c: expected scores or a failure, received neither",
        "expected as many executions of each trial, received [0, 1, 2]",
    )
    with pytest.raises(InputError, match="at least one trial, received none"):
        leaderboard([], KIND, TRUTH)


def test_files(board, tmp_path):
    board.write(tmp_path / "new")
    assert sorted(p.name for p in (tmp_path / "new").iterdir()) == [
        "depths.csv", "leaderboard.csv", "leaderboard.png",
    ]  # fmt: skip
    frame = pd.read_csv(tmp_path / "new" / "leaderboard.csv", dtype={"trial": str})
    pd.testing.assert_frame_equal(frame, board.frame, check_dtype=False)
    depths = pd.read_csv(tmp_path / "new" / "depths.csv", dtype={"trial": str})
    pd.testing.assert_frame_equal(depths, board.depths, check_dtype=False)


def test_sixty_trials_take_seconds():
    labels = drawn_labels(TASKS, n=400)
    trials = [record(str(i), "9", 9, [drawn_scores(TASKS, labels, noise=i)]) for i in range(60)]
    start = time.perf_counter()
    leaderboard(trials, TASKS, labels)
    assert time.perf_counter() - start < 10
