"""Attribution names the stage with the planted fault and its cost, and accuses no other."""

from __future__ import annotations

import numpy as np
import pytest

from kerastl.errors import InputError
from kerastl.pipelines.attribution import attribute
from kerastl.pipelines.pipeline import Pipeline
from kerastl.pipelines.stages import Stage
from kerastl.pipelines.types import ArrayType
from tests.support.digit_scenes import (
    CLASSES,
    CROP,
    TEST,
    corner,
    finder,
    places,
    reader,
    scenes,
    window,
)

NUMBER = ArrayType((), "int64")
FIND, CLEAN, READ = (lambda x: x + 1), (lambda x: x * 3), (lambda x: x - 7)


def numbers(n=300, seed=0):
    data = np.random.default_rng(seed).integers(0, 1000, n)
    return data, {"find": data + 1, "clean": (data + 1) * 3, "read": (data + 1) * 3 - 7}


def faulty(call, share, seed):
    """The same stage, wrong by one for a share of all numbers, drawn by `seed`."""
    wrong = np.random.default_rng([seed, 9]).random(4096) < share
    return lambda x: call(x) + wrong[x % 4096]


def chain(seed=0, **shares):
    calls = {"find": FIND, "clean": CLEAN, "read": READ}
    return Pipeline([
        Stage(name, faulty(call, shares[name], seed) if name in shares else call, NUMBER, NUMBER)
        for name, call in calls.items()
    ])  # fmt: skip


def right(truths):
    return lambda outputs: [a is not None and a == b for a, b in zip(outputs, truths, strict=True)]


def attributed(pipeline, data, truths, leave_out=False, final=None, **more):
    score = right(truths["read"] if final is None else final)
    return attribute(pipeline, data, truths, score, leave_out=leave_out, **more)


@pytest.mark.parametrize("planted", ["find", "clean", "read"])
def test_the_planted_stage_is_named_with_its_cost_and_no_other(planted):
    """60 draws of data and faults: the cost within the interval, the others not accused."""
    held = accused = named = 0
    for seed in range(60):
        data, truths = numbers(100, seed)
        found = attributed(chain(seed, **{planted: 0.2}), data, truths)
        cost = found[planted].cost
        held += cost.low <= 0.2 <= cost.high
        named += found.verdict.startswith(f"The stage {planted!r} costs")
        accused += sum(c.cost.real for c in found.costs if c.name != planted)
    assert held >= 56
    assert named == 60
    assert accused == 0


def test_two_faulty_stages_cost_what_each_was_planted_to():
    """`read` alone costs 0.2; `find` costs where `read` would have been right: 0.3 x 0.8."""
    data, truths = numbers(1000)
    found = attributed(chain(find=0.3, read=0.2), data, truths)
    assert found.score == pytest.approx(0.7 * 0.8, abs=0.04)
    assert found["read"].cost.value == pytest.approx(0.2, abs=0.04)
    assert found["find"].cost.value == pytest.approx(0.3 * 0.8, abs=0.04)
    assert not found["clean"].cost.real
    total = sum(c.cost.value for c in found.costs)
    assert total == pytest.approx(1 - found.score)
    assert found["read"].gain.value == pytest.approx(total)


def test_nothing_is_accused_where_nothing_is_wrong():
    data, truths = numbers()
    found = attributed(chain(), data, truths)
    assert found.verdict == ("No stage's cost is outside the noise; the score is 1.000 (n = 300).")
    assert all(c.cost.low < 0 < c.cost.high for c in found.costs)


def test_a_stage_without_truths_shares_the_cost_of_the_next():
    data, truths = numbers()
    some = {name: truths[name] for name in ("find", "read")}
    found = attributed(chain(clean=0.2), data, some)
    assert found["clean"].cost is None
    assert found["clean"].verdict == "no truths"
    assert found["read"].together == ("clean",)
    assert found["read"].cost.verdict == "better"
    assert "The stages 'clean' and 'read' together cost 0." in found.verdict
    last = attributed(chain(read=0.2), data, {"find": truths["find"]}, final=truths["read"])
    assert last.verdict.startswith("No stage's cost is outside the noise; the score is 0.")
    assert last.verdict.endswith("What 'clean' and 'read' cost is not known: no truths were given.")


def test_a_stage_that_hurts_is_told():
    data, truths = numbers()
    score = right(truths["read"])
    noise = faulty(lambda x: x, 0.25, 3)
    stages = [*chain().stages[:2], Stage("noise", noise, NUMBER, NUMBER), chain().stages[2]]
    truths = {**truths, "noise": truths["clean"]}
    found = attribute(Pipeline(stages), data, truths, score)
    assert [c.name for c in found.costs if c.hurts] == ["noise"]
    assert found["noise"].without.value == pytest.approx(found["noise"].cost.value)
    assert found["noise"].verdict == "costs, hurts"
    assert "The stage 'noise' hurts: without it the score is higher by 0.2" in found.verdict
    assert found["find"].without.value < 0


def test_only_stages_whose_types_allow_it_are_left_out():
    pair = ArrayType((2,), "int64")
    stages = [
        Stage("pair", lambda x: np.stack([x, x], 1), NUMBER, pair),
        Stage("turn", lambda x: x[:, ::-1], pair, pair),
        Stage("open", lambda x: x),
        Stage("sum", lambda x: x.sum(axis=1), pair, NUMBER),
    ]
    data = np.arange(60)
    found = attribute(Pipeline(stages), data, {"sum": data * 2}, right(data * 2))
    assert [c.name for c in found.costs if c.without] == ["turn", "open"]
    alone = attribute(Pipeline(stages[:1]), data, {"pair": np.stack([data] * 2, 1)},
                      lambda outputs: [1] * 60)  # fmt: skip
    assert alone["pair"].without is None


def test_open_types_that_do_not_fit_after_all_are_no_fault():
    any_pair, pair = ArrayType((None,), "int64"), ArrayType((2,), "int64")
    cut = Stage("cut", lambda x: x[:, :2], any_pair, pair)
    last = Stage("last", lambda x: x[:, 0], pair, NUMBER)
    data = np.arange(90).reshape(30, 3)
    found = attribute(Pipeline([cut, last]), data, {"last": data[:, 0]}, right(data[:, 0]))
    assert found["cut"].without is None


def test_later_stages_that_do_worse_on_the_truth_are_told():
    data, _ = numbers()
    learnt = Stage("read", lambda x: x - 8, NUMBER, NUMBER)
    pipeline = Pipeline([Stage("find", lambda x: x + 1, NUMBER, NUMBER), learnt])
    found = attribute(pipeline, data, {"find": data}, right(data - 7), leave_out=False)
    assert found["find"].verdict == "gains"
    assert "With the truths of 'find' it scores lower by 1.000" in found.verdict


def test_examples_without_a_known_truth_are_left_out_everywhere():
    data, truths = numbers(200)
    whole = attributed(chain(read=0.3), data[:150], {n: t[:150] for n, t in truths.items()})
    holes = {n: list(t) for n, t in truths.items()}
    holes["find"][150:180] = holes["read"][180:] = [None] * 30
    holes["read"] = holes["read"][:180] + [None] * 20
    found = attributed(chain(read=0.3), data, holes, final=truths["read"])
    assert (found.n, found.left_out) == (150, 50)
    assert found["read"].cost.value == pytest.approx(whole["read"].cost.value, abs=0.1)
    assert found.verdict.endswith("50 examples without a known truth were left out.")


def test_examples_for_which_a_stage_has_nothing_are_scored_and_counted():
    data, truths = numbers(100)
    blind = Stage("find", lambda x: [None if v % 4 == 0 else v + 1 for v in x], NUMBER, NUMBER)
    found = attributed(Pipeline([blind, *chain().stages[1:]]), data, truths)
    lost = int((data % 4 == 0).sum())
    assert found["find"].skipped == lost
    assert found["find"].cost.value == pytest.approx(lost / 100)
    assert list(found.frame["skipped"]) == [lost, 0, 0]


def test_the_frame_has_every_figure():
    data, truths = numbers()
    found = attributed(chain(clean=0.2), data, truths, leave_out=True)
    frame = found.frame.set_index("stage")
    assert list(frame.index) == ["find", "clean", "read"]
    for name in frame.index:
        cost = found[name].cost
        assert tuple(frame.loc[name, ["cost", "cost_low", "cost_high"]]) == (
            cost.value, cost.low, cost.high,
        )  # fmt: skip
    assert set(frame["n"]) == {300}
    assert list(frame["verdict"]) == ["no difference", "costs", "no difference"]


@pytest.mark.parametrize(
    ("truths", "told"),
    [
        ({}, "truths of at least one stage of find, clean, read"),
        ([1, 2], "truths as a dict by stage. Received: Pipeline and list"),
        ({"reed": np.arange(300)}, "reed: there is no such stage. Did you mean read"),
        ({"read": np.arange(299)}, "read: expected 300 values, one for each example; received 299"),
        ({"read": [None] * 300}, "at least one example with a known truth .*\n.*read: 0 known"),
        ({"read": ["a"] * 300}, "Expected int64 .. from what is given for 'read'.*Received: 'a'"),
    ],
    ids=range(6),
)
def test_truths_that_do_not_fit_are_refused(truths, told):
    with pytest.raises(InputError, match=told):
        attribute(chain(), numbers()[0], truths, right(numbers()[1]["read"]))


@pytest.mark.parametrize(
    ("score", "told"),
    [
        (lambda outputs: 0.9, r"one number for each of 300 .* Received, as it is: float64 \[\]"),
        (lambda outputs: ["right"] * 300, "Received, as it is: <U5"),
        (lambda outputs: [float("nan")] * 300, "finite scores. Received, as it is: nan .example 0"),
    ],
    ids=range(3),
)
def test_scores_that_are_none_are_refused(score, told):
    data, truths = numbers()
    with pytest.raises(InputError, match=told):
        attribute(chain(), data, truths, score)


@pytest.mark.slow
def test_a_random_stage_is_seldom_the_fault_of_another():
    """A stage that rolls dice anew in each run: of the others at most one in twenty is accused."""
    accused = 0
    for seed in range(200):
        data, truths = numbers(100, seed)
        draw = np.random.default_rng(seed)
        dice = Stage("read", lambda x, d=draw: x - 7 + (d.random(len(x)) < 0.2), NUMBER, NUMBER)
        found = attributed(Pipeline([*chain().stages[:2], dice]), data, truths)
        accused += found["find"].cost.real + found["clean"].cost.real
    assert accused <= 20


@pytest.fixture(scope="module")
def read():
    return Stage("read", reader(), answers="classes")


@pytest.mark.slow
def test_find_then_read_on_real_digits(read):
    """The network does not read every digit; the finder, as it is, costs nothing."""
    images, crops, codes = scenes(TEST)
    names = [CLASSES[c] for c in codes]
    found = attribute(Pipeline([finder(), read]), images, {"find": crops, "read": names},
                      right(names))  # fmt: skip
    assert found.score > 0.75
    assert not found["find"].cost.real
    assert found["read"].cost.value == pytest.approx(1 - found.score, abs=0.02)
    assert found.verdict.startswith("The stage 'read' costs")


@pytest.mark.slow
def test_a_finder_that_is_often_beside_the_digit_is_named(read):
    """In every third scene it looks at another place: what that costs is counted by hand."""
    images, crops, codes = scenes(TEST)
    names = [CLASSES[c] for c in codes]
    at = places(len(images))

    def astray(stack):
        corners = [((a + 8) % 17) if i % 3 == 0 else a for i, a in enumerate(at)]
        return [window(scene, c) for scene, c in zip(stack, corners, strict=True)]

    find = Stage("find", astray, finder().takes, CROP)
    pipeline = Pipeline([find, read])
    found = attribute(pipeline, images, {"find": crops, "read": names}, right(names))
    there = np.array(read.run(list(crops))) == names
    astray_too = np.array(read.run(astray(images))) == names
    planted = there.mean() - astray_too.mean()
    assert planted > 0.2
    assert found["find"].cost.value == pytest.approx(planted, abs=1e-9)
    assert found.verdict.startswith("The stage 'find' costs")
    assert (corner(images[1]) == at[1]).all()
