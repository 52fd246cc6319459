"""The library's messages as each verb says them: every option that is named is one it has."""

import re

import pytest
import typer

from kerastl.cli.main import app
from kerastl.cli.words import translated, words_of

VERBS = typer.main.get_command(app).commands

ONE = "flowers.csv has only one column, 'a'. Try sep=';'."
ROOM = (
    "The features take 5.0 MB, and the budget is 1.0 MB. Choose a later cut or a larger budget. "
    "Or give fewer views=, or cache=False: every epoch then runs the whole network."
)
INT8 = (
    "Expected calibration= pictures for int8, such as the training data. Received: none. Give "
    "them, or leave int8 out: formats=('saved_model', 'float32')."
)
AGAIN = "work is damaged. Begin anew with overwrite=True (--overwrite)."
TAGS = "read as tags with ';' between them: a. Give a Task in tasks=[...] to have it otherwise"
COLUMNS = "they are labels of one task: a. Name them (tasks=[...], --task) to have a task each"


@pytest.mark.parametrize(
    ("verb", "text", "said"),
    [
        ("train", ONE, "flowers.csv has only one column, 'a'."),
        ("train", ROOM, "The features take 5.0 MB, and the budget is 1.0 MB. Choose a later cut or "
         "a larger budget."),
        ("export", INT8, "Expected DATA pictures for int8, such as the training data. Received: "
         "none. Give them, or leave int8 out: --formats saved_model,float32."),
        ("search", AGAIN, "work is damaged. Begin anew with --overwrite."),
        ("search", "A whole grid needs lists of values, or give trials=.",
         "A whole grid needs lists of values, or give --trials."),
        ("labels", TAGS, "read as tags with ';' between them: a."),
        ("labels", COLUMNS, "they are labels of one task: a. Name them (--task) to have a task "
         "each"),
        ("train", "Expected metric= of f1, accuracy. Received: 'f2'.",
         "Expected --thresholds of f1, accuracy. Received: 'f2'."),
        ("train", "Use engine='keras', or engine='auto', which then takes Keras.",
         "Use --engine keras, or --engine auto, which then takes Keras."),
        ("train", "use weights=None (`--weights none`) to train from random weights",
         "use --weights none to train from random weights"),
        ("predict", "ray= needs Ray: pip install 'kerastl[ray]'.",
         "--ray needs Ray: pip install 'kerastl[ray]'."),
        ("policies", "give repeats=3 or more", "give --repeats 3 or more"),
    ],
)  # fmt: skip
def test_messages(verb, text, said):
    assert translated(text, words_of(VERBS[verb])) == said


@pytest.mark.parametrize("verb", VERBS)
def test_no_verb_names_an_option_that_it_has_not_got(verb):
    words = words_of(VERBS[verb])
    for text in (ONE, ROOM, AGAIN, "Fine. Give budget=5, or views=2. Give seed=3 or more."):
        said = translated(text, words)
        assert set(re.findall(r"--[a-z-]+", said)) <= {*words.values(), "--overwrite"}
        assert "views=" not in said
        assert "sep=" not in said


def test_a_users_words_stay_as_they_are():
    words = words_of(VERBS["train"])
    for text in ("defect=0.5 is no weight (of defect=1).", "no file a--b=c.png", "x=, y=1"):
        assert translated(text, words) == text


def test_in_python_nothing_is_translated():
    assert translated(ROOM.partition(" Or ")[0], {}) == ROOM.partition(" Or ")[0]
