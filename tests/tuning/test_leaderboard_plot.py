"""The picture of a search: one PNG for any names, and what it shows is what the table says."""

import itertools
import math

import numpy as np
import pytest
from PIL import Image

from kerastl.data.tasks import Task
from kerastl.errors import InputError
from kerastl.tuning.leaderboard import leaderboard
from kerastl.tuning.leaderboard_plot import _figure, plot_leaderboard
from tests.support.trial_records import DEFECT, KIND, drawn_labels, drawn_scores, record

DEPTHS = [("heads", 0), ("9", 9), ("stage4", 54), ("all", 154)]


def searched(count, depths=DEPTHS, tasks=(DEFECT,), failed=(), rates=(1e-4, 1e-3, 1e-2), **values):
    labels = drawn_labels(tasks, n=80)
    trials = []
    for i in range(count):
        depth, rate = depths[i % len(depths)], rates[i // len(depths) % len(rates)]
        scores = [drawn_scores(tasks, labels, 0.5 + 0.2 * (i % len(depths)), noise=i)]
        failure = "the loss is not finite" if i in failed else ""
        given = () if failure else scores
        trials.append(record(f"{i:02d}", *depth, given, failure, rate, **values))
    return leaderboard(trials, tasks, labels, draws=30)


def drawn(board):
    return _figure(board.frame, board.depths, board.measure)


def names(figure):
    return [t.get_text() for t in figure.axes[0].get_xticklabels()]


ODD = [("$x^2", 1), ("a_{b}_\\frac", 2), ("大きい", 3), ("a layer name that is far too long", 4)]


@pytest.mark.parametrize(
    "board",
    [
        searched(1),
        searched(12),
        searched(60, [(f"block_{j}_expand_relu", j) for j in range(12)]),
        searched(8, ODD, (Task("$odd$ 大 " * 9, ["a", "b"]), DEFECT, KIND), backbone="$net_1$"),
        searched(12, failed={3, 7, 11, 2}),
        searched(8, rates=[1e-3]),
    ],
    ids=["one", "twelve", "sixty", "odd", "failed", "one rate"],
)
def test_any_search_is_drawn_without_a_warning(board, tmp_path):
    path = plot_leaderboard(board.frame, board.depths, board.measure, tmp_path / "board.png")
    with Image.open(path) as image:
        image.load()
        assert image.format == "PNG"
        assert min(image.size) > 600
        assert len(set(image.convert("L").resize((200, 100)).tobytes())) > 20
    assert [p.name for p in tmp_path.iterdir()] == ["board.png"]


def test_every_trial_with_a_score_is_a_dot_over_its_depth():
    board = searched(12, failed={5})
    figure = drawn(board)
    assert names(figure) == ["heads\n0 layers", "9 layers", "stage4\n54 layers", "all\n154 layers"]
    places, scores = figure.axes[0].collections[0].get_offsets().data.T
    done = board.frame[board.frame["status"] == "done"]
    np.testing.assert_allclose(np.sort(scores), np.sort(done["score"]))
    depth = dict(zip(scores.round(9), places.round().astype(int), strict=True))
    layers = [DEPTHS[depth[round(s, 9)]][1] for s in done["score"]]
    assert layers == list(done["layers"])
    assert len(set(places)) == len(done)


def test_dots_of_a_depth_stand_in_the_order_of_their_rates():
    board = searched(12)
    places, scores = drawn(board).axes[0].collections[0].get_offsets().data.T
    of = dict(zip(scores.round(9), places, strict=True))
    for _, part in board.frame.groupby("trainable"):
        ordered = part.sort_values("learning_rate")
        across = [of[round(s, 9)] for s in ordered["score"]]
        assert across == sorted(across)
        assert np.mean(across) == pytest.approx(round(np.mean(across)))


def test_the_choice_is_ringed_and_the_strip_is_one_standard_error():
    board = searched(12)
    axes = drawn(board).axes[0]
    ring = axes.collections[-1].get_offsets().data[0]
    row = board.frame.set_index("trial").loc[board.chosen]
    assert ring[1] == pytest.approx(row["score"])
    best = board.frame.iloc[0]
    [strip] = axes.patches
    assert strip.get_y() == pytest.approx(best["score"] - best["standard_error"])
    assert strip.get_y() + strip.get_height() == pytest.approx(best["score"])
    bold = [t.get_text() for t in axes.get_xticklabels() if t.get_fontweight() == "bold"]
    chosen = board.depths[board.depths["trial"] == board.chosen]["layers"].iloc[0]
    assert bold[0].endswith(f"{chosen} layers")


def test_axes_say_what_and_of_how_many():
    board = searched(4)
    figure = drawn(board)
    n = board.frame["n"].iloc[0]
    assert figure.axes[0].get_ylabel() == f"AUC, {n} pictures of val"
    assert figure.axes[0].get_title(loc="left").startswith(("Unfreeze", "Train"))
    several = drawn(searched(4, tasks=(DEFECT, KIND))).axes[0].get_ylabel()
    assert several.split("\n") == [
        "mean of AUC of defect and accuracy of kind", several.rsplit("\n", 1)[1],
    ]  # fmt: skip


def test_the_bar_of_rates_is_there_where_rates_differ():
    figure = drawn(searched(12))
    assert [a.get_ylabel() for a in figure.axes[1:]] == ["learning rate"]
    ticks = [t.get_text() for t in figure.axes[1].get_yticklabels()]
    assert (ticks[0], ticks[-1]) == ("1.0e-04", "1.0e-02")
    assert len(drawn(searched(12, rates=[1e-3])).axes) == 1


def test_a_depth_without_a_trial_is_named_failed():
    board = searched(4, failed={1})
    assert names(drawn(board))[1] == "9 layers\nfailed"
    assert math.isnan(board.depths["score"].iloc[1])


def test_many_or_long_names_are_slanted():
    def turn(board):
        return drawn(board).axes[0].get_xticklabels()[0].get_rotation()

    assert turn(searched(4)) == 0
    assert turn(searched(8, [(str(j), j) for j in range(1, 9)])) > 0
    assert turn(searched(2, [("heads", 0), ("block_expand_relu", 9)])) > 0


def test_no_words_overlap():
    for board in (searched(12), searched(9, [(f"block_{j}_expand_relu", j) for j in range(9)])):
        figure = drawn(board)
        figure.draw_without_rendering()
        axes = figure.axes[0]
        if not axes.get_xticklabels()[0].get_rotation():
            boxes = [t.get_window_extent() for t in axes.get_xticklabels()]
            assert all(a.x1 < b.x0 for a, b in itertools.pairwise(boxes))
        words = [axes.title, axes.xaxis.label, axes.yaxis.label, *axes.get_xticklabels()]
        for box in (t.get_window_extent() for t in words):
            assert figure.bbox.x0 <= box.x0
            assert box.x1 <= figure.bbox.x1
            assert figure.bbox.y0 <= box.y0
            assert box.y1 <= figure.bbox.y1


def test_another_ending_is_refused(tmp_path):
    board = searched(1)
    with pytest.raises(InputError, match=r"ends in .png"):
        plot_leaderboard(board.frame, board.depths, board.measure, tmp_path / "board.pdf")
