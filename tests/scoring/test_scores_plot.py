"""The picture of the scores: one PNG for any names, and no warning from any of them."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from kerastl.data.tasks import Task
from kerastl.errors import InputError
from kerastl.scoring.scores import score
from kerastl.scoring.scores_plot import MOST_CLASSES, _classes, _figure, plot_scores

ODD = [
    "$x^2",
    "a $",
    "$",
    "\\frac{1}{2}",
    "大きい",
    "عربي",
    "a name that is far too long for a tick",
]


def scored(task, n=60, draws=20, known=True):
    rng = np.random.default_rng(0)
    k = len(task.classes)
    if task.kind == "multilabel":
        labels, given = rng.integers(-1, 2, (n, k)).astype("float32"), rng.random((n, k))
    else:
        labels, given = rng.integers(0, k, n), rng.dirichlet(np.ones(k), n)
    labels = labels if known else np.full_like(labels, -1)
    return score(task, {task.name: labels}, {task.name: given}, draws=draws)


@pytest.mark.parametrize("kind", ["multiclass", "multilabel"])
def test_any_name_is_drawn_without_a_warning(tmp_path, kind):
    path = plot_scores(scored(Task("$odd$ 大 " * 9, ODD, kind)), tmp_path / "scores.png")
    with Image.open(path) as image:
        image.load()
        assert image.format == "PNG"
        assert min(image.size) > 300
        assert len(set(image.convert("L").resize((200, 60)).tobytes())) > 20
    assert [p.name for p in tmp_path.iterdir()] == ["scores.png"]


def test_a_task_without_labels_or_intervals_is_drawn(tmp_path):
    plot_scores(scored(Task("t", ["a", "b"]), known=False), tmp_path / "none.png")
    plot_scores(scored(Task("t", ["a", "b"], "binary"), draws=0), tmp_path / "few.png")
    assert len(list(tmp_path.glob("*.png"))) == 2


def test_the_figure_shows_the_counts_and_the_values():
    scores = scored(Task("t", ["cat", "dog"], "binary"))
    [row] = _figure(scores).subfigs
    matrix, bars, reliability = row.axes
    counts = scores.confusion["t"].to_numpy()
    assert sorted(int(t.get_text()) for t in matrix.texts) == sorted(counts[counts > 0].tolist())
    assert [t.get_text() for t in bars.get_yticklabels()] == ["cat", "dog"]
    widths = [patch.get_width() for patch in bars.patches]
    assert widths == pytest.approx([scores.get("t", "f1", c) for c in ("cat", "dog")])
    assert len(reliability.lines[1].get_xdata()) == len(scores.reliability["t"])


def test_of_many_classes_the_most_frequent_are_drawn():
    scores = scored(Task("t", [f"c{i}" for i in range(MOST_CLASSES + 5)]), n=400, draws=0)
    shown = _classes(scores.frame)
    assert len(shown) == MOST_CLASSES
    positives = scores.frame.drop_duplicates("class").set_index("class")["positives"].drop("")
    assert positives[shown].min() >= positives.drop(shown).max()
    assert "5 rarer classes left out" in _figure(scores).subfigs[0].axes[1].get_title(loc="left")


def test_another_ending_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"ends in \.png"):
        plot_scores(scored(Task("t", ["a", "b"])), tmp_path / "scores.pdf")


def test_a_folder_that_is_not_there_is_made(tmp_path):
    assert plot_scores(scored(Task("t", ["a", "b"])), tmp_path / "new" / "s.png").is_file()
