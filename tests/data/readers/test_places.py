"""Files under names other than the table's: what is clear is found, what is not stays missing."""

import os

import pytest

from kerastl.data.readers.places import locate, picture_column


@pytest.fixture
def find(tmp_path):
    """Lay empty files and find names: what was found, and the note."""

    def run(there, names):
        for name in there:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        found = locate(names, str(tmp_path))
        paths = [os.path.relpath(p, tmp_path).replace(os.sep, "/") for p in found.paths]
        return [p if (tmp_path / p).is_file() else None for p in paths], found.note

    return run


def test_as_written(find, tmp_path):
    assert find(["a.png"], ["a.png", "b.png", str(tmp_path / "a.png")]) == (
        ["a.png", None, "a.png"],
        "",
    )


def test_backslashes(find):
    assert find(["in/a.png"], ["in\\a.png"]) == (
        ["in/a.png"],
        "1 picture was found with '/' for '\\'",
    )


def test_ids_without_suffix(find):
    there = ["a.png", "b.jpg", "b.txt", "c.png", "c.jpg"]
    found, note = find(there, ["a", "b", "c", "a.png"])
    assert found == ["a.png", "b.jpg", None, "a.png"], "c is two pictures"
    assert note == "2 pictures were found with a suffix added"


def test_below_the_folder(find):
    there = ["x/a.png", "y/deep/b.png"]
    assert find(there, ["a.png", "b"]) == (
        ["x/a.png", "y/deep/b.png"],
        "2 pictures were found by the ends of their paths, as a.png at x/a.png",
    )


@pytest.mark.parametrize(
    "names", [["pictures/A.PNG", "pictures/B.PNG"], ["C:\\me\\pictures\\a.png", "C:\\me\\b.png"]]
)
def test_other_cases_and_other_machines(find, names):
    found, note = find(["pictures/a.png", "pictures/b.png"], names)
    same = names[0].startswith("pictures")
    assert found == (["pictures/a.png", "pictures/b.png"] if same else [None, None])
    assert bool(note) == same, "the second names lie in two folders of which one is here"


def test_the_longest_end_counts_and_a_prefix_is_left_out(find):
    there = [f"train/patient{i}/view1.jpg" for i in range(3)]
    names = [f"CheXpert-v1.0-small/{path}" for path in there]
    assert find(there, names)[0] == there


def test_what_is_not_clear_is_not_guessed(find):
    assert find(["x/a.png", "y/a.png"], ["a.png"])[0] == [None], "two of the name"
    assert find(["x/b.png", "y/c.png"], ["b.png", "gone.png"])[0] == [None, None], "one is gone"
    assert find(["d.png", "y/e.png"], ["d.png", "e.png"])[0] == ["d.png", None], "one is there"
    two = ["one/f.png", "two/g.png"]
    assert find(["p/f.png", "q/g.png"], two)[0] == [None, None], "moved to two places"


def test_hidden_files_are_no_pictures_to_find(find):
    assert find([".old/a.png", "x/.b.png"], ["a.png"])[0] == [None]


def test_columns_that_name_pictures(tmp_path):
    for name in "abc":
        (tmp_path / f"{name}.png").touch()
    files = ["a.png", "b.png", "c.png"]
    columns = {"Path": files, "image_id": ["a", "b", "c"], "label": files, "file": ["x"] * 3}
    assert picture_column(columns, str(tmp_path)) == ["Path"], "both name the same files"
    columns["mask file"], columns["file name"] = files, files[::-1]
    assert picture_column(columns, str(tmp_path)) == ["Path", "file name"]
