"""Faults of a table: each is found, all at once, with its place."""

import pandas as pd
import pytest

from kerastl.errors import InputError
from kerastl.tables import Columns, Table, check_table
from kerastl.tasks import Task

COLUMNS = Columns("image", "split", "group")
DEFECT = Task("defect", ["fine", "broken"], kind="binary")


@pytest.fixture
def check(tmp_path):
    """Check rows of text, with pictures a.png to f.png in the folder."""
    for name in "abcdef":
        (tmp_path / f"{name}.png").write_bytes(name.encode())
    (tmp_path / "deep").mkdir()

    def run(header, *rows, tasks=None, unknown=("?",)):
        text = pd.DataFrame([r.split(",") for r in rows], columns=header.split(","), dtype=object)
        places = [f"line {i + 2}" for i in range(len(rows))]
        table = Table("t.csv", text, places, str(tmp_path))
        return check_table(table, COLUMNS, tasks, unknown)

    return run


def faults(check, *args, **options):
    with pytest.raises(InputError) as caught:
        check(*args, **options)
    return list(caught.value.faults)


def test_a_good_table(check):
    found = check("image,label", "a.png,cat", "./b.png,dog", "c.png,?")
    assert found.frame["label"].tolist() == [0, 1, -1]
    assert [p[-6:] for p in found.frame["image"]] == ["/a.png", "/b.png", "/c.png"]
    assert found.names == ["a.png", "./b.png", "c.png"]
    assert found.notes == []


def test_all_faults_in_the_order_of_the_table(check):
    assert faults(
        check,
        "image,defect,split,note",
        "a.png,broken,train,",
        "x.png,fine,train,",
        "c.png,brokn,tst,",
        "a.png,fine,train,",
        "deep,fine,train,",
        ",fine,train,",
        tasks=[DEFECT, Task("kind", ["x", "y"])],
    ) == [
        "column 'kind' is missing; the columns are image, defect, split, note.",
        "line 3: no file x.png",
        "line 4: defect is 'brokn', expected one of fine, broken, or a number from 0 to 1."
        " Did you mean broken?",
        "line 4: split is 'tst', expected train, val or test. Did you mean test?",
        "line 5: picture a.png is listed again with other labels (first at line 2)",
        "line 6: deep is a folder, expected a picture",
        "line 7: the image is empty, expected a path",
    ]


def test_the_title_counts_the_faults(check):
    with pytest.raises(InputError, match=r"^t\.csv has 1 fault\.\n  line 2: no file x\.png$"):
        check("image,label", "x.png,cat", "a.png,dog")
    with pytest.raises(InputError, match=r"^t\.csv has 2 faults\."):
        check("image,label", "x.png,cat", "y.png,dog")


def test_a_misspelt_column(check):
    assert faults(check, "image,defect", "a.png,x", "b.png,y", tasks="defct") == [
        "column 'defct' is missing; the columns are image, defect. Did you mean defect?"
    ]
    assert faults(check, "picture,defect", "a.png,x", "b.png,y", tasks="defect") == [
        "column 'image' is missing; the columns are picture, defect."
    ]


def test_only_one_class_and_no_known_label(check):
    assert faults(check, "image,a,b", "a.png,x,?", "b.png,x,") == [
        "a has only one class, 'x'; expected two or more",
        "b has no known label",
    ]
    assert faults(check, "image,defect", "a.png,?", "b.png,-1", tasks=DEFECT) == [
        "defect has no known label"
    ]
    assert faults(check, "image", "a.png", "b.png") == [
        "there is no column of labels beside the image"
    ]


def test_empty_classes(check):
    task = Task("kind", ["x", "y", "z"])
    assert faults(check, "image,kind", "a.png,x", "b.png,y", tasks=task) == [
        "class 'z' of kind has no picture"
    ]
    assert faults(check, "image,defect", "a.png,0.2", "b.png,fine", tasks=DEFECT) == [
        "class 'broken' of defect has no picture"
    ]
    scene = Task("scene", ["sea", "hill"], kind="multilabel")
    assert faults(check, "image,sea,hill", "a.png,1,0", "b.png,0,?", tasks=scene) == [
        "class 'hill' of scene has no picture"
    ]


def test_a_class_that_train_lacks(check):
    rows = ["a.png,x,train", "b.png,y,train", "c.png,z,val", "d.png,z,test", "e.png,x,val"]
    assert faults(check, "image,kind,split", *rows) == [
        "line 4: class 'z' of kind is in val and test, but never in train"
    ]


def test_no_train(check):
    assert "column 'split' has no train, so nothing to learn from" in faults(
        check, "image,kind,split", "a.png,x,val", "b.png,y,test"
    )


def test_a_group_in_two_splits(check):
    rows = ["a.png,x,train,p1", "b.png,y,train,", "c.png,y,test,p1", "d.png,x,test,"]
    assert faults(check, "image,kind,split,group", *rows) == [
        "line 4: group 'p1' is in test, but in train at line 2"
    ]


def test_repeated_pictures(check):
    found = check("image,kind", "a.png,x", "b.png,y", "./a.png,x", "deep/../a.png,x")
    assert len(found.frame) == 2
    assert found.notes == ["2 rows repeat a picture with the same labels; kept once"]
    rows = ["a.png,x,train", "b.png,y,train", "a.png,x,test"]
    assert faults(check, "image,kind,split", *rows) == [
        "line 4: picture a.png is listed again with another split (first at line 2)"
    ]


def test_several_tasks_of_all_kinds(check):
    scene = Task("scene", ["sea", "hill"], kind="multilabel")
    found = check(
        "image,scene.sea,hill,defect,kind",
        "a.png,yes,0,fine,10",
        "b.png,0.5,TRUE,0.75,9",
        "c.png,?,no,broken,?",
        tasks=[scene, DEFECT, "kind"],
    )
    assert found.tasks == (scene, DEFECT, Task("kind", ["9", "10"]))
    codes = found.frame[["scene.sea", "scene.hill", "defect", "kind"]].to_numpy().tolist()
    assert codes == [[1, 0, 0, 1], [0.5, 1, 0.75, 0], [-1, 0, 1, -1]]


def test_words_that_look_like_nothing_stay_words(check):
    found = check("image,kind", "a.png,NA", "b.png,None", "c.png,null")
    assert found.tasks[0].classes == ("NA", "None", "null")
    found = check("image,kind", "a.png,NA", "b.png,None", "c.png,null", unknown=["null"])
    assert found.frame["kind"].tolist() == [0, 1, -1]


def test_minus_one_is_noted(check):
    found = check("image,mood", "a.png,-1", "b.png,0", "c.png,1")
    assert found.tasks[0].classes == ("0", "1")
    assert found.notes == ["mood: -1 was read as unknown"]


def test_tasks_that_cannot_be(check):
    rows = ["a.png,x", "b.png,y"]
    assert faults(check, "image,kind", *rows, tasks=["kind", "kind"]) == [
        "task 'kind' is given 2 times"
    ]
    assert faults(check, "file,image", *rows, tasks="image")[0] == (
        "a task cannot be called 'image': the manifest has a column of that name"
    )


def test_paths_that_no_file_can_have(check):
    assert faults(check, "image,kind", "a\0.png,x", "b.png,y") == ["line 2: no file 'a\\x00.png'"]
