"""Faults of a table: each is found, all at once, with its place.

Whether every class is where it has to be.
"""

import pandas as pd
import pytest

from kerastl.data.readers.cells import Words
from kerastl.data.readers.table import Columns, Table, check_table, class_rows, coverage_faults
from kerastl.data.tasks import Task
from kerastl.errors import InputError

COLUMNS = Columns("image", "split", "group")
DEFECT = Task("defect", ["fine", "broken"], kind="binary")


@pytest.fixture
def check(tmp_path):
    """Check rows of text, with pictures a.png to f.png in the folder."""
    for name in "abcdef":
        (tmp_path / f"{name}.png").write_bytes(name.encode())
    (tmp_path / "deep").mkdir()

    def run(header, *rows, tasks=None, uncertain="ignore", **words):
        text = pd.DataFrame([r.split(",") for r in rows], columns=header.split(","), dtype=object)
        places = [f"line {i + 2}" for i in range(len(rows))]
        table = Table("t.csv", text, places, str(tmp_path))
        return check_table(table, COLUMNS, tasks, Words(**words), uncertain)

    return run


def faults(check, *args, **options):
    with pytest.raises(InputError) as caught:
        check(*args, **options)
    return list(caught.value.faults)


def test_a_good_table(check):
    found = check("image,label", "a.png,cat", "./b.png,dog", "c.png,?", "d.png,")
    assert found.frame["label"].tolist() == [0, 1, -2, -1]
    assert [p[-6:] for p in found.frame["image"]] == ["/a.png", "/b.png", "/c.png", "/d.png"]
    assert found.names == ["a.png", "./b.png", "c.png", "d.png"]
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
    assert faults(check, "thing,defect", "a.png,x", "b.png,y", tasks="defect") == [
        "column 'image' is missing; the columns are thing, defect."
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
        "defect is never positive: none of its 2 known labels is 'broken'"
    ]
    scene = Task("scene", ["sea", "hill"], kind="multilabel")
    assert faults(check, "image,sea,hill", "a.png,1,0", "b.png,0,?", tasks=scene) == [
        "hill of scene is never positive: none of its 1 known labels is a yes"
    ]
    assert faults(check, "image,sea,hill", "a.png,1,", "b.png,0,?", tasks=scene) == [
        "hill of scene is never known: each of its labels is blank or uncertain"
    ]
    assert faults(check, "image,sea,hill", "a.png,,", "b.png,?,-1", tasks=scene) == [
        "scene has no known label"
    ]


def test_a_policy_can_give_a_label_its_yes(check):
    scene = Task("scene", ["sea", "hill"], kind="multilabel")
    rows = ["a.png,1,0", "b.png,0,?"]
    for policy, value in (("positive", 1), ({"hill": 0.5}, 0.5)):
        found = check("image,sea,hill", *rows, tasks=scene, uncertain=policy)
        assert found.frame["scene.hill"].tolist() == [0, -2]
        assert found.uncertain["scene.hill"] == value
    assert faults(check, "image,sea,hill", *rows, tasks=scene, uncertain={"hill": 0.4}) == [
        "hill of scene is never positive: none of its 2 known labels is a yes"
    ]
    held_out = ["a.png,1,0,train", "b.png,0,?,test", "c.png,1,0,train"]
    assert faults(check, "image,sea,hill,split", *held_out, tasks=scene, uncertain=1) == [
        "hill of scene is never positive: none of its 2 known labels is a yes"
    ]
    assert faults(check, "image,sea,hill", *rows, tasks=scene, uncertain={"hil": 1}) == [
        "'hil' is no task or label; there are: scene, scene.sea, scene.hill, sea, hill."
        " Did you mean hill?",
        "hill of scene is never positive: none of its 1 known labels is a yes",
    ]


def test_numbers_outside_0_to_1_are_said_so(check):
    scene = Task("scene", ["sea", "hill"], kind="multilabel")
    assert faults(check, "image,sea,hill", "a.png,1.5,0", "b.png,0,maybe", tasks=scene) == [
        "line 2: sea is '1.5', outside 0 to 1, expected yes, no, or a number from 0 to 1",
        "line 3: hill is 'maybe', expected yes, no, or a number from 0 to 1",
    ]


def test_tags_in_one_column(check):
    scene = Task("scene", ["sea", "hill", "fog"], kind="multilabel")
    rows = ["a.png,hill; sea", "b.png,fog?;hill", "c.png,", "d.png,?", "e.png,none", "f.png,fog"]
    found = check("image,scene", *rows, tasks=scene)
    columns = ["scene.sea", "scene.hill", "scene.fog"]
    assert found.frame[columns].to_numpy().tolist() == [
        [1, 1, 0],
        [0, 1, -2],
        [-1, -1, -1],
        [-2, -2, -2],
        [0, 0, 0],
        [0, 0, 1],
    ]
    assert found.tasks == (scene,)
    bad = ["a.png,hil;sea;bog", "b.png,hill;?", "c.png,;", "d.png,none;sea", "e.png,sea"]
    assert faults(check, "image,scene", *bad, tasks=scene) == [
        "line 2: scene is 'hil;sea;bog', 'hil' is no label of scene. Did you mean hill?; "
        "'bog' is no label of scene. Did you mean fog?",
        "line 3: scene is 'hill;?', '?' stands alone in a cell, or not at all",
        "line 4: scene is ';', expected tags with ';' between them",
        "line 5: scene is 'none;sea', 'none' stands alone in a cell, or not at all",
    ]


def test_columns_of_yes_and_no_become_one_task(check):
    found = check(
        "image,fog,kind,sea,scene",
        "a.png,0,x,yes,mud;ice",
        "b.png,1,y,no,ice",
        "c.png,?,x,0.5,",
        "d.png,0.25,x,TRUE,dew?",
        "e.png,,y,,dew",
    )
    assert found.tasks == (
        Task("labels", ("fog", "sea"), "multilabel"),
        Task("kind", ("x", "y")),
        Task("scene", ("dew", "ice", "mud"), "multilabel"),
    )
    assert found.frame["labels.fog"].tolist() == [0, 1, -2, 0.25, -1]
    assert found.frame["labels.sea"].tolist() == [1, 0, 0.5, 1, -1]
    assert found.frame["scene.dew"].tolist() == [0, 0, -1, -2, 1]
    assert len(found.notes) == 2


def test_named_columns_of_yes_and_no_are_a_task_each(check):
    found = check("image,fog,sea", "a.png,0,yes", "b.png,1,no", tasks=["sea", "fog"])
    assert found.tasks == (
        Task("sea", ("no", "yes"), "binary"),
        Task("fog", ("0", "1"), "binary"),
    )
    assert found.frame[["sea", "fog"]].to_numpy().tolist() == [[1, 0], [0, 1]]


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
    assert codes == [[1, 0, 0, 1], [0.5, 1, 0.75, 0], [-2, 0, 1, -2]]


def test_words_that_look_like_nothing_stay_words(check):
    found = check("image,kind", "a.png,NA", "b.png,None", "c.png,null")
    assert found.tasks[0].classes == ("NA", "None", "null")
    found = check("image,kind", "a.png,NA", "b.png,None", "c.png,null", unknown={"null"})
    assert found.frame["kind"].tolist() == [0, 1, -1]


def test_minus_one_is_noted(check):
    found = check("image,mood", "a.png,-1", "b.png,0", "c.png,1")
    assert found.tasks == (Task("mood", ("0", "1"), "binary"),)
    assert found.notes == [
        "mood: -1 was read as unknown, like a blank; --unsure -1 (unsure=) reads it as unsure, "
        "which it is in CheXpert"
    ]
    found = check("image,mood", "a.png,-1", "b.png,0", "c.png,1", unsure={"-1"})
    assert found.frame["mood"].tolist() == [-2, 0, 1]
    assert found.notes == []


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


KIND = Task("kind", ["x", "y"])
DEFECT = Task("defect", ["fine", "broken"], kind="binary")
SCENE = Task("scene", ["sea", "hill"], kind="multilabel")
PLACES = [f"line {i + 2}" for i in range(4)]


def faults_of(task, uncertain=None, **columns):
    return list(coverage_faults(pd.DataFrame(columns), [task], PLACES, uncertain or {}))


def test_rows_of_each_class():
    frame = pd.DataFrame({"defect": [0.5, 0.49, -1, 1], "kind": [1, -1, 0, 1]})
    rows = {name: r.tolist() for name, r in class_rows(frame, DEFECT).items()}
    assert rows == {"fine": [1], "broken": [0, 3]}
    rows = {name: r.tolist() for name, r in class_rows(frame, KIND).items()}
    assert rows == {"x": [2], "y": [0, 3]}
    frame = pd.DataFrame({"scene.sea": [1, 0, -1], "scene.hill": [0.7, 0, 0.2]})
    rows = {name: r.tolist() for name, r in class_rows(frame, SCENE).items()}
    assert rows == {"sea": [0], "hill": [0]}


def test_nothing_at_fault():
    split = ["train", "train", "val", "test"]
    assert faults_of(KIND, kind=[0, 1, 0, -1], split=split, group=["a", "a", "b", ""]) == []


def test_a_class_without_a_picture_is_a_fault_of_the_whole_table():
    assert faults_of(KIND, kind=[0, 0, -1, 0]) == [(-1, "class 'y' of kind has no picture")]
    assert faults_of(KIND, kind=[-1, -2, -1, -1]) == [(-1, "kind has no known label")]


def test_labels_never_positive_and_never_known_have_their_own_words():
    never = "defect is never {}: none of its 3 known labels is '{}'"
    codes = {"split": ["train"] * 4}
    assert faults_of(DEFECT, defect=[0, 0.4, -1, 0], **codes) == [
        (-1, never.format("positive", "broken"))
    ]
    assert faults_of(DEFECT, defect=[1, 0.5, -2, 1]) == [(-1, never.format("negative", "fine"))]
    columns = {"scene.sea": [-1, -2, -1, -1], "scene.hill": [0, 0, 0.2, -2]}
    assert faults_of(SCENE, **columns) == [
        (-1, "sea of scene is never known: each of its labels is blank or uncertain"),
        (-1, "hill of scene is never positive: none of its 3 known labels is a yes"),
    ]
    assert faults_of(SCENE, {"scene.sea": 0.6, "scene.hill": 1.0}, **columns) == []


def test_a_policy_is_of_train_alone():
    split = ["train", "train", "val", "test"]
    assert faults_of(DEFECT, {"defect": 1.0}, defect=[0, 0, -2, -2], split=split) == [
        (-1, "defect is never positive: none of its 2 known labels is 'broken'")
    ]
    assert faults_of(DEFECT, {"defect": 1.0}, defect=[0, -2, 1, -2], split=split) == []


def test_a_class_that_train_lacks_is_placed_where_it_is_first_seen():
    words = "class 'y' of kind is in test, but never in train"
    assert faults_of(KIND, kind=[0, 0, 0, 1], split=["train", "train", "val", "test"]) == [
        (3, words)
    ]


def test_a_class_in_a_split_that_is_at_fault_is_not_blamed_as_well():
    assert faults_of(KIND, kind=[0, 0, 0, 1], split=["train", "train", "val", None]) == []


def test_a_group_in_two_splits_is_told_once():
    columns = {"kind": [0, 1, 0, 1], "split": ["train", "train", "val", "val"]}
    words = "group 'g' is in val, but in train at line 2"
    assert faults_of(KIND, **columns, group=["g", "", "g", "g"]) == [(2, words)]
