import json
import math

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from kerastl.data.manifest import Manifest
from kerastl.data.tasks import Task
from kerastl.errors import InputError
from kerastl.experiments.policies import (
    COLUMNS,
    POLICIES,
    PolicyReport,
    _hidden,
    _study,
    _train,
    compare_policies,
)
from kerastl.models.factories import create_model
from tests.support.two_tasks import colour_network, coloured_frame

HOT = Task("hot", ["no", "yes"], "binary")
QUICK = {"repeats": 4, "epochs": 60}


@pytest.fixture(scope="module")
def colours(tmp_path_factory):
    """Pictures of drawn colours and the truth, hot where there is more red, noisily."""
    frame = coloured_frame(tmp_path_factory.mktemp("colours"))
    noise = np.random.default_rng(3).normal(0, 0.7, len(frame))
    return frame, (frame["red"] + noise > 0).to_numpy("float64")


@pytest.fixture(scope="module")
def model():
    return create_model(colour_network(), HOT)


def with_unsure(colours, unsure, codes=None):
    frame, truth = colours
    codes = np.where(np.asarray(unsure), -2, truth if codes is None else codes)
    return Manifest(frame[["image", "split"]].assign(hot=codes), (HOT,))


def clear_negatives(colours):
    frame, truth = colours
    return (
        (truth == 0) & (frame["red"] < -0.5) & (np.random.default_rng(4).random(len(frame)) < 0.8)
    )


def verdicts(report):
    return dict(zip(report.frame["policy"], report.frame["verdict"], strict=True))


def test_negatives_in_truth(colours, model):
    """The annotators skipped what was plainly a no: calling it a yes must be found out."""
    seen = []
    report = compare_policies(
        model, with_unsure(colours, clear_negatives(colours)), **QUICK,
        progress=lambda *step: seen.append(step),
    )  # fmt: skip
    found = verdicts(report)
    assert found["negative"] in ("no difference", "better")
    assert found["positive"] == "worse"
    assert report.level == pytest.approx(0.9875)
    assert seen == [("policies", i, 4) for i in range(1, 5)]


def test_few_known_labels_and_many_plain_negatives(colours, model):
    """With next to nothing known, to call them a no is really better, and is chosen."""
    frame, truth = colours
    unsure = clear_negatives(colours) & (frame["split"] == "train")
    codes, train = truth.copy(), np.flatnonzero((frame["split"] == "train") & ~unsure)
    codes[np.random.default_rng(0).permutation(train)[12:]] = -1
    data = with_unsure(colours, unsure, codes)
    report = compare_policies(model, data, policies=["negative"], repeats=16, epochs=40)
    assert report.chosen == {"hot": "negative"}
    assert report.uncertain() == {"hot": "negative"}


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_pure_chance_gives_nothing_to_choose(colours, model, seed):
    unsure = np.random.default_rng([9, seed]).random(len(colours[1])) < 0.3
    report = compare_policies(model, with_unsure(colours, unsure), **QUICK, seed=seed)
    assert "better" not in verdicts(report).values()
    assert report.chosen == {"hot": "ignore"}
    assert "no difference" in report.notes[0]


def test_the_figures_are_scikit_learns_on_vals_known_labels(colours, model):
    data = with_unsure(colours, clear_negatives(colours))
    report = compare_policies(model, data, repeats=2, epochs=5)
    study, _ = _study(model, data, None)
    scores = _train(study, POLICIES, 2, 5, 0, 0.2, None)
    truth = data.split("val").frame["hot"].to_numpy()
    seen = truth >= 0
    for r in report.frame.itertuples():
        each = scores[r.policy][:, seen, 0]
        assert r.auc == pytest.approx(np.mean([roc_auc_score(truth[seen], s) for s in each]))
        precision = [average_precision_score(truth[seen], s) for s in each]
        assert r.average_precision == pytest.approx(np.mean(precision))
        assert (r.n, r.positives, r.repeats) == (seen.sum(), truth[seen].sum(), 2)
    assert report.shares["hot"] == data.split("train").frame["hot"].loc[lambda c: c >= 0].mean()


def test_a_policy_speaks_for_the_hidden_and_the_uncertain_only():
    codes = np.array([[0.0], [1.0], [0.0], [1.0], [-1.0], [-2.0], [-2.0]])
    visible, asked = _hidden(codes, [np.full(7, 0.3)], [0, 0])
    assert asked[5:].all()
    assert not asked[4]
    assert asked[:4].sum() == 2, "as many are hidden as are uncertain"
    assert (visible[asked] == -1).all()
    assert visible[4] == -1
    kept = ~asked & (codes >= 0)
    assert (visible[kept] == codes[kept]).all()


def test_each_label_is_compared_by_itself(colours):
    """A multilabel and a multiclass task beside each other; two labels with "?"."""
    frame, truth = colours
    draw = np.random.default_rng(5)
    columns = {f"is.{c}": truth for c in ("red", "warm", "sure")}
    data = frame[["image", "split"]].assign(**columns, kind=0)
    for column in ("is.red", "is.warm", "kind"):
        data.loc[draw.random(len(data)) < 0.2, column] = -2
    tasks = (Task("is", ["red", "warm", "sure"], "multilabel"), Task("kind", ["a", "b"]))
    net = create_model(colour_network(), tasks)
    report = compare_policies(net, Manifest(data, tasks), policies=["soft"], repeats=1, epochs=1)
    assert report.frame["column"].tolist() == ["is.red"] * 2 + ["is.warm"] * 2
    assert report.frame["policy"].tolist() == ["ignore", "soft"] * 2
    assert report.level == 0.95


def test_a_label_that_cannot_be_scored_is_left_out_and_named(colours, model):
    frame, truth = colours
    codes = np.where((frame["split"] == "val") & (truth == 1), -1, truth)
    data = with_unsure(colours, (frame["split"] == "train") & (frame["red"] > 1), codes)
    report = compare_policies(model, data, **QUICK)
    assert report.chosen == {"hot": "ignore"}
    assert report.frame.empty
    negatives = ((frame["split"] == "val") & (truth == 0)).sum()
    assert str(report) == (
        "hot: ignore is kept; not compared: its val part has 0 known positives and "
        f"{negatives} known negatives; at least 1 of each are needed."
    )


def test_features_are_kept_in_the_cache(colours, model, tmp_path):
    data = with_unsure(colours, clear_negatives(colours))
    options = {"repeats": 1, "epochs": 1, "cache": tmp_path}
    first = compare_policies(model, data, **options)
    assert len(list(tmp_path.glob("*/*.npy"))) == 2
    pd.testing.assert_frame_equal(first.frame, compare_policies(model, data, **options).frame)


def test_every_fault_is_named_at_once(colours, model):
    data = with_unsure(colours, clear_negatives(colours)).split("train")
    with pytest.raises(InputError) as caught:
        compare_policies(model, data, policies=("negativ",), repeats=0, epochs=0)
    assert str(caught.value).splitlines() == [
        "The policies for uncertain labels cannot be compared.",
        "  there is no policy 'negativ'; there are: ignore, negative, positive, soft, "
        "self-trained. Did you mean negative?",
        "  repeats: expected at least 1, received 0",
        "  epochs: expected at least 1, received 0",
        "  expected a train and a val part, received: train",
    ]


def test_nothing_uncertain_is_said_so(colours, model):
    frame, _ = colours
    only_val = frame["split"] == "val"
    with pytest.raises(InputError, match=r'expected uncertain labels \("\?"\) of a binary'):
        compare_policies(model, with_unsure(colours, only_val))


def test_multiclass_alone_is_said_so(colours):
    frame, truth = colours
    kind = Task("kind", ["a", "b"])
    data = Manifest(frame[["image", "split"]].assign(kind=np.where(truth, -2, 0)), (kind,))
    net = create_model(colour_network(), kind)
    with pytest.raises(InputError, match=r"received multiclass only \(kind\)"):
        compare_policies(net, data)


def test_other_tasks_and_other_data_are_refused(colours, model):
    other = Task("cold", ["no", "yes"], "binary")
    frame = colours[0][["image", "split"]].assign(cold=-2)
    with pytest.raises(InputError, match="The data's tasks are not the model's"):
        compare_policies(model, Manifest(frame, (other,)))
    with pytest.raises(InputError, match="Expected a Manifest. Received: tuple."):
        compare_policies(model, ())


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
