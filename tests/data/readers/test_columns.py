"""Tables as people have them: which column is what, and what is said of it."""

import pandas as pd
import pytest

from kerastl.data.readers.tabular import picture_paths, read_csv
from kerastl.data.tasks import Task
from kerastl.errors import InputError


@pytest.fixture
def table(tmp_path):
    """Write a table of pictures p00.png and on: a header, and each line by its number."""

    def run(header, line, n=40):
        for i in range(n):
            (tmp_path / f"p{i:02}.png").write_bytes(str(i).encode())
        lines = [header, *(f"p{i:02}.png,{line(i)}" for i in range(n))]
        (tmp_path / "t.csv").write_text("\n".join(lines))
        return tmp_path / "t.csv"

    return run


def error(path, **options):
    with pytest.raises(InputError) as caught:
        read_csv(path, **options)
    return list(caught.value.faults)


def kind(i):
    return "xy"[i % 2]


KIND = (Task("kind", ("x", "y")),)


def test_columns_that_are_no_labels_are_left_out_and_said(table):
    path = table(
        "image,id,kind,note,date,camera",
        lambda i: f"{1000 + i},{kind(i)},by day {i},2024-01-{i % 28 + 1:02},nikon",
    )
    found = read_csv(path)
    assert found.tasks == KIND
    assert found.notes == (
        "columns that are no labels were left out: id, note (hardly a value occurs twice); date "
        "(dates); camera (only 'nikon'). Name a column (tasks=[...], --task) to take it all the "
        "same",
    )
    assert {s: len(found.split(s)) for s in found.splits} == {"train": 29, "val": 7, "test": 4}


def test_a_named_column_without_classes(table):
    path = table("image,id,near,kind", lambda i: f"{1000 + i},{i % 35},{kind(i)}")
    assert error(path, tasks="id") == [
        "id has 40 classes for 40 known labels: no class occurs twice, so none can be learnt"
    ]
    assert read_csv(path, tasks="near").notes[0] == (
        "near (35 classes for 40 known labels): hardly a class occurs twice, so few can be learnt"
    )


def test_nothing_left(table):
    path = table("image,patient,weight", lambda i: f"{i // 4},{i * 1.37:.2f}")
    assert error(path) == [
        "patient is left out (groups of pictures): name it to take it all the same (tasks=[...], "
        "--task)",
        "weight is left out (measured numbers, no classes): name it to take it all the same "
        "(tasks=[...], --task)",
    ]
    assert read_csv(path, tasks="patient").tasks[0].units == 10


def test_the_only_column_is_meant_though_it_looks_like_ids(table):
    assert read_csv(table("image,Id", lambda i: f"w_{i // 4:03}")).tasks[0].units == 10
    rare = read_csv(table("image,face", lambda i: f"{'abc'[i % 3]}{i % 30}n"))
    assert rare.tasks[0].units == 30
    assert rare.notes[0].startswith("face (30 classes for 40 known labels): hardly a class")


def test_a_column_that_repeats_like_a_patient(table):
    path = table("image,kind,Patient ID", lambda i: f"{kind(i)},{i // 2}")
    found = read_csv(path)
    assert found.tasks == KIND
    parts = found.frame.assign(patient=[i // 2 for i in range(40)]).groupby("patient")["split"]
    assert found.notes[-1].startswith(
        f"Patient ID groups pictures: {(parts.nunique() > 1).sum()} of its 20 groups lie in more"
    )
    grouped = read_csv(path, group="Patient ID")
    assert grouped.notes == ()
    assert grouped.frame.groupby("group")["split"].nunique().max() == 1
    assert error(path, group="patient") == [
        "column 'patient' is missing; the columns are image, kind, Patient ID. "
        "Did you mean Patient ID?"
    ]


def test_nothing_is_proposed_beside_a_group_or_for_a_task(table):
    path = table("image,kind,patient,group", lambda i: f"{kind(i)},{i // 2},{i // 4}")
    assert [n for n in read_csv(path).notes if "groups pictures" in n] == []
    path = table("image,site", lambda i: "abc"[i % 3])
    assert read_csv(path, tasks=Task("site", ["a", "b", "c"])).notes == ()


def test_folders_of_patients(tmp_path):
    lines = ["Path,kind"]
    for i in range(40):
        path = tmp_path / f"patient{i // 4:05}" / "study1" / f"{i % 4}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(str(i).encode())
        lines.append(f"rays/patient{i // 4:05}/study1/{i % 4}.png,{kind(i)}")
    (tmp_path / "t.csv").write_text("\n".join(lines))
    found = read_csv(tmp_path / "t.csv")
    assert found.notes[0] == "the column 'Path' was read as the pictures"
    assert found.notes[1].startswith("40 pictures were found by the ends of their paths, as rays/")
    assert found.notes[2].startswith("patient* groups pictures: ")
    assert found.notes[2].endswith("--group 'patient*' (group=) keeps each in one")
    frame = read_csv(tmp_path / "t.csv", group="patient*").frame
    assert frame.groupby("group")["split"].nunique().tolist() == [1] * 10
    assert error(tmp_path / "t.csv", group="px*") == [
        "no folder in the paths of the pictures is as 'px*'"
    ]


@pytest.mark.parametrize("name", ["Image", "filename", "image_name", "Image Index", "id_code"])
def test_the_pictures_under_another_name(table, name):
    path = table(f"{name},kind", kind)
    found = read_csv(path)
    assert found.tasks == KIND
    assert found.notes == (f"the column {name!r} was read as the pictures",)
    assert [p[-7:] for p in picture_paths(path)][:2] == ["p00.png", "p01.png"]


def test_two_columns_of_pictures(table):
    path = table("file,path,kind", lambda i: f"p{39 - i:02}.png,{kind(i)}")
    assert error(path)[0] == "'file' and 'path' both name pictures: say which (image=, --image)"
    assert read_csv(path, image="path", tasks="kind").notes == ()
    with pytest.raises(InputError, match="both name pictures"):
        picture_paths(path)


def test_a_column_of_splits_under_another_name(table):
    word = ["Training", "Training", "Validation", "testing"]
    found = read_csv(table("image,kind,subset", lambda i: f"{kind(i)},{word[i // 2 % 4]}"))
    assert found.tasks == KIND
    assert found.notes == ("the column 'subset' was read as the splits",)
    assert {s: len(found.split(s)) for s in found.splits} == {"train": 20, "val": 10, "test": 10}
    named = read_csv(table("image,Split,Group,kind", lambda i: f"train,{i // 2},{kind(i)}"))
    assert named.tasks == KIND
    assert "group" in named.frame
    assert named.frame["split"].isin(["train", "val"]).all()


def test_words_that_occur_nowhere(table):
    path = table("image,kind,rust", lambda i: f"{['x', 'y', 'Maybe'][i % 3]},{i % 3}.0")
    told = read_csv(path, unsure=["?", "maybe"], unknown=["n.a.", "0"]).notes
    assert "'n.a.' is given as unknown, but occurs nowhere in the labels." in told
    assert (
        "'maybe' is given as unsure, but occurs nowhere in the labels. Did you mean Maybe?" in told
    )
    assert not [note for note in told if note.startswith("'0")]


def test_minus_one_as_a_number(table):
    path = table("image,kind,rust", lambda i: f"{kind(i)},{['1.0', '0.0', '-1.0', ''][i % 4]}")
    assert read_csv(path).frame["rust"].tolist()[:4] == [1, 0, -1, -1]
    assert read_csv(path).notes == (
        "rust: -1 was read as unknown, like a blank; --unsure -1 (unsure=) reads it as unsure, "
        "which it is in CheXpert",
    )
    for word in ("-1", "-1.0"):
        assert read_csv(path, unsure=["?", word]).frame["rust"].tolist()[:4] == [1, 0, -2, -1]


def test_a_row_a_label_is_one_fault(tmp_path):
    for i in range(8):
        (tmp_path / f"{i}.png").write_bytes(str(i).encode())
    rows = [f"{i}.png,{word}" for i in range(8) for word in ("disc", "outdoor")]
    (tmp_path / "t.csv").write_text("\n".join(["image,label", *rows]))
    assert error(tmp_path / "t.csv") == [
        "8 rows list a picture again with other labels: expected a row a picture. Several labels "
        "stand in one cell, as 'disc;outdoor', or in a column each of yes and no",
        "line 3: picture 0.png is listed again with other labels (first at line 2)",
    ]


def test_no_picture_is_there(table, tmp_path):
    path = table("image,kind", lambda i: f"{kind(i)}")
    for i in range(40):
        (tmp_path / f"p{i:02}.png").unlink()
    assert error(path)[0].startswith("none of the pictures is there, seen from ")


def test_a_table_from_nih(table):
    found = read_csv(
        table(
            "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,View Position,"
            "OriginalImage[Width,Height],",
            lambda i: (
                f"{['No Finding', 'Mass|Node', 'Mass', 'Node'][i % 4]},{i % 3},{i // 3},"
                f"0{20 + i}Y,{'PA' if i % 3 else 'AP'},2682,2749,"
            ),
        )
    )
    assert [(t.name, t.kind, t.classes) for t in found.tasks] == [
        ("Finding Labels", "multilabel", ("Mass", "Node")),
        ("View Position", "multiclass", ("AP", "PA")),
    ]
    columns = ["Finding Labels.Mass", "Finding Labels.Node"]
    assert found.frame[columns].to_numpy()[:4].tolist() == [[0, 0], [1, 1], [1, 0], [0, 1]]
    assert "--group 'Patient ID'" in found.notes[-1]


@pytest.mark.parametrize(
    "words",
    [
        ["disc", "DISC", " bars", "Bars", "bars?"],
        ["0", "1.0", "2", "1", "2.0"],
        ["yes", "No", "N/A", "unknown"],
        ["0", "1", "0,5", "0,25"],
        ["a|b", "a", "b", "c", "b|c?"],
        ["['a', 'b']", "['b']", "['c']", "[]"],
        ["a, b", "a", "b", "b, A"],
        ["bars", "disc", "N/A", "NULL", "none"],
        ["Mass|Effusion", "Mass", "Effusion", "No Finding"],
        ["bars\u200b", "bars", "disc"],
    ],
)
def test_a_table_is_read_alike_for_a_model_that_knows_its_classes(table, words):
    """As for `evaluate` of a run that was trained on it, and for a part of it."""
    path = table("image,kind", lambda i: f'"{words[i % len(words)]}"')
    first = read_csv(path)
    again = read_csv(path, tasks=list(first.tasks))
    columns = [c for task in first.tasks for c in task.columns]
    pd.testing.assert_frame_equal(again.frame[columns], first.frame[columns])
