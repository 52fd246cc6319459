"""The solar cells: the doubtful ones as uncertain labels."""

import pytest

from kerastl.data.readers.solar_cells import read_solar_cells
from kerastl.errors import InputError

pytest.importorskip("elpv_dataset")


def test_doubtful_cells_are_uncertain_and_train_as_the_policy_says():
    cells = read_solar_cells(doubtful="unknown", uncertain={"defect": 0.5})
    assert cells.frame["defect"].value_counts().to_dict() == {0: 1508, 1: 715, -2: 401}
    assert cells.uncertain == {"defect": 0.5}
    train = cells.split("train")
    doubtful = train.frame["defect"] == -2
    assert (train.labels()["defect"][doubtful, 0] == 0.5).all()
    assert (cells.split("test").labels()["defect"] != 0.5).all()
    assert read_solar_cells(doubtful="unknown").uncertain == {}


def test_a_policy_that_is_none():
    with pytest.raises(InputError, match="'type' is multiclass: its uncertain labels"):
        read_solar_cells(doubtful="unknown", uncertain={"type": 1})
