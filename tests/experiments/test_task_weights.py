import json

import numpy as np
import pandas as pd
import pytest

from kerastl.data.manifest import Manifest
from kerastl.errors import InputError
from kerastl.experiments.task_weights import COLUMNS, _chosen, tune_task_weights
from tests.support.two_tasks import SHADE, WAY, striped_manifest

QUICK = {"batch_size": 16, "engine": "keras", "dropout": 0.0, "head_epochs": 1}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return striped_manifest(tmp_path_factory.mktemp("weights"), train=48, val=32, test=0)


def changed(name, weight, way, shade):
    rows = []
    for task, (apart, verdict) in (("way", way), ("shade", shade)):
        rows.append((name, weight, task, "auc", 0.9, apart, apart, apart, 30, verdict))
    return rows


SAME, UP, DOWN = (0.001, "no difference"), (0.05, "better"), (-0.05, "worse")


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ([*changed("way", 4.0, SAME, SAME)], {"way": 1.0, "shade": 1.0}),
        ([*changed("way", 4.0, UP, DOWN)], {"way": 1.0, "shade": 1.0}),
        ([*changed("way", 4.0, UP, SAME)], {"way": 4.0, "shade": 1.0}),
        (
            [*changed("way", 4.0, UP, SAME), *changed("shade", 0.25, (0.09, "better"), SAME)],
            {"way": 1.0, "shade": 0.25},
        ),
    ],
)
def test_a_weight_moves_only_where_it_helps_and_harms_none(found, expected):
    chosen = _chosen((WAY, SHADE), pd.DataFrame(found, columns=list(COLUMNS)))
    assert chosen.weights == expected
    assert chosen.notes[0].startswith("All weights stay 1" if set(expected.values()) == {1.0} else
                                      next(n for n, w in expected.items() if w != 1))  # fmt: skip


def test_networks_are_trained_compared_and_kept(network, data, tmp_path):
    seen = []
    options = {"trainable": "stage1", "repeats": 1, "epochs": 1, "cache": tmp_path, **QUICK}
    found = tune_task_weights(
        network(), data, candidates=(1.0, 4.0), progress=lambda *s: seen.append(s), **options
    )
    assert [s[0] for s in seen] == ["all weights 1", "way x 4", "shade x 4"]
    assert seen[-1][1:] == (3, 3)
    assert found.frame[["changed", "task"]].to_numpy().tolist() == [
        ["way", "way"], ["way", "shade"], ["shade", "way"], ["shade", "shade"],
    ]  # fmt: skip
    assert found.frame["n"].tolist() == [32] * 4
    assert (found.frame["difference"] != 0).any(), "a weight changes what is learnt"
    assert len(list(tmp_path.glob("scores/*.npz"))) == 3
    assert json.loads(json.dumps(found.to_dict()))["weights"] == dict(found.weights)
    assert "way x 4" in str(found)


def test_every_fault_is_named_at_once(network, data):
    alone = Manifest(data.frame[data.frame["split"] == "train"], (WAY,))
    with pytest.raises(InputError) as caught:
        tune_task_weights(
            network(), alone, candidates=(0, np.inf), repeats=0, trainable=False,
            loss_weights={"way": 2.0},
        )  # fmt: skip
    assert str(caught.value).splitlines() == [
        "The tasks' weights cannot be tuned.",
        "  expected at least 2 tasks, received 1 (way)",
        "  expected a val part; there is none",
        "  candidates: expected positive numbers, received 0",
        "  candidates: expected positive numbers, received inf",
        "  repeats: expected at least 1, received 0",
        "  trainable=False: heads alone do not touch each other, so their weights do not matter",
        "  loss_weights= is what is looked for here: leave it out",
    ]


def test_only_a_manifest_will_do(network):
    with pytest.raises(InputError, match="Expected a Manifest. Received: list."):
        tune_task_weights(network(), [])
