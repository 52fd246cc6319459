"""A run's division: what was trained or tuned on is never held out, wherever it turns up."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from kerastl.data.division import Division
from kerastl.data.manifest import Manifest
from kerastl.data.readers.assembly import assemble
from kerastl.data.splits import split_frame
from kerastl.data.tasks import Task
from kerastl.errors import InputError

TASK = Task("t", ["x", "y"])


def pictures(folder, contents):
    """Files of these contents, in a new folder and under new names, and their labels."""
    folder.mkdir()
    paths = [folder / f"{n:03}.png" for n in range(len(contents))]
    for path, content in zip(paths, contents, strict=True):
        path.write_text(str(content))
    codes = np.arange(len(contents)) % 2
    return pd.DataFrame({"image": list(map(str, paths)), "t": codes})


def drawn(frame, seed):
    split = split_frame(frame, (TASK,), seed=seed)
    return Manifest(frame.assign(split=split), TASK, drawn=True)


def contents(manifest, *parts):
    frame = manifest.frame[manifest.frame["split"].isin(parts)]
    return {Path(path).read_text() for path in frame["image"]}


@pytest.mark.parametrize("seed", range(20))
def test_what_was_seen_is_never_held_out(seed, tmp_path):
    """Under another seed, with pictures added, left out, copied, renamed and in another folder."""
    rng = np.random.default_rng(seed)
    run = drawn(pictures(tmp_path / "run", range(40)), seed)
    Division.of(run).write(tmp_path / "division.csv")
    division = Division.read(tmp_path / "division.csv")
    others = [*rng.choice(40, 30), *rng.choice(40, 5), *range(100, 100 + rng.integers(9))]
    data = drawn(pictures(tmp_path / "data", rng.permutation(others)), seed + 1)
    found, seen = division.applied(data)
    trained = contents(run, "train", "val")
    assert not contents(found, "test") & trained
    assert contents(found, "test") == contents(data, "train", "val", "test") - trained
    assert seen == sum(Path(path).read_text() in trained for path in data.frame["image"])


def test_the_runs_own_pictures_are_divided_as_they_were(tmp_path):
    run = drawn(pictures(tmp_path / "run", range(40)), 3)
    found, seen = Division.of(run).applied(drawn(run.frame.drop(columns="split"), 0))
    assert found.frame["split"].tolist() == run.frame["split"].tolist()
    assert seen == len(run.split("train")) + len(run.split("val"))


def test_data_with_a_division_of_their_own_keep_it_for_what_is_new(tmp_path):
    run = drawn(pictures(tmp_path / "run", range(40)), 0)
    (known, *_) = contents(run, "train")
    frame = pictures(tmp_path / "data", [known, "new", "newer"])
    found, seen = Division.of(run).applied(
        Manifest(frame.assign(split=["test", "train", "test"]), TASK)
    )
    assert (found.frame["split"].tolist(), seen) == (["train", "train", "test"], 1)


def test_a_copy_in_two_parts_counts_for_the_one_that_training_saw(tmp_path):
    frame = pictures(tmp_path / "run", ["same", "same", "other"])
    run = Manifest(frame.assign(split=["test", "train", "test"]), TASK)
    found, _ = Division.of(run).applied(run)
    assert found.frame["split"].tolist() == ["train", "train", "test"]


@pytest.mark.parametrize("text", ["", "content\nab\n", "content,split\nab,tset\n", "\x00"])
def test_a_damaged_division_is_no_division(tmp_path, text):
    (tmp_path / "division.csv").write_text(text)
    with pytest.raises(InputError, match="division.csv"):
        Division.read(tmp_path / "division.csv")


def test_a_file_that_cannot_be_read_is_in_no_part(tmp_path):
    frame = pictures(tmp_path / "run", ["a", "b"])
    run = Manifest(frame.assign(split=["train", "test"]), TASK)
    (tmp_path / "run" / "000.png").unlink()
    assert list(Division.of(run).parts.values()) == ["test"]


def words(paths):
    return [Path(path).read_text() for path in paths]


@pytest.mark.parametrize("seed", range(40))
def test_no_picture_or_group_that_was_seen_is_held_out_whatever_happens(seed, tmp_path):
    """Runs one after another, each upon the last, on a folder or table that goes on changing."""
    rng = np.random.default_rng(seed)
    grouped, given = rng.random() < 0.6, rng.random() < 0.3
    division, seen, seen_groups = Division({}), set(), set()
    numbers = rng.choice(300, rng.integers(8, 60), replace=False)
    for step in range(4):
        frame = pictures(tmp_path / f"{seed}-{step}", rng.permutation(numbers))  # all renamed
        frame["t"] = rng.integers(-1, 2, len(frame))
        if grouped and step:  # some pictures of no group; at first nobody knew of groups
            frame["group"] = [
                f"g{int(w) % 23}" if int(w) % 5 else "" for w in words(frame["image"])
            ]
        if given:
            frame["split"] = rng.choice(["train", "val", "test"], len(frame), p=[0.6, 0.2, 0.2])
        data = assemble(frame, [TASK], seed=int(rng.integers(5)))
        scored, _ = division.applied(data)
        held_out = scored.frame[scored.frame["split"] == "test"]
        assert not set(words(held_out["image"])) & seen
        data, _ = division.spared(data)
        for found in (held_out, data.frame[data.frame["split"] == "test"]):
            assert not set(words(found["image"])) & seen
            assert not set(found.get("group", [])) & seen_groups - {""}
        trained = data.frame[data.frame["split"] != "test"]
        seen |= set(words(trained["image"]))
        seen_groups |= set(trained.get("group", []))
        tests = data.frame[data.frame["split"] == "test"]
        assert not set(words(tests["image"])) & set(words(trained["image"]))
        assert not set(tests.get("group", [])) & set(trained.get("group", [])) - {""}
        division = Division.of(data).with_earlier(division)
        division.write(tmp_path / "division.csv")
        division = Division.read(tmp_path / "division.csv")
        kept = rng.choice(numbers, rng.integers(len(numbers) // 2, len(numbers)), replace=False)
        numbers = np.concatenate([kept, rng.choice(300, 20), rng.choice(kept, 3)])
