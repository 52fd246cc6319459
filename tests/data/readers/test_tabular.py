"""CSV files and frames: lines, encodings, and the manifest that comes out."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kerastl.data.manifest import Manifest
from kerastl.data.readers.cells import share
from kerastl.data.readers.tabular import read_csv, read_frame
from kerastl.data.tasks import Task
from kerastl.errors import InputError


@pytest.fixture
def write(tmp_path):
    """Write a CSV beside pictures a.png to f.png and number 0.png to 39.png."""
    for name in [*"abcdef", *range(40)]:
        (tmp_path / f"{name}.png").write_bytes(str(name).encode())

    def run(text, encoding="utf-8"):
        path = tmp_path / "labels.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode(encoding))
        return path

    return run


def error(path, **options):
    with pytest.raises(InputError) as caught:
        read_csv(path, **options)
    return str(caught.value).replace(str(path.parent), "DIR")


def big(*extra):
    return "\n".join(["image,kind", *(f"{i}.png,{'xy'[i % 2]}" for i in range(40)), *extra])


def test_a_csv_becomes_a_split_manifest(write):
    manifest = read_csv(write(big()))
    assert manifest.frame["split"].value_counts().to_dict() == {"train": 29, "val": 7, "test": 4}
    assert manifest.tasks == (Task("kind", ["x", "y"]),)
    assert manifest.notes == ()
    counts = pd.crosstab(manifest.frame["kind"], manifest.frame["split"])
    assert counts.to_numpy().tolist() == [[2, 15, 3], [2, 14, 4]]


def test_the_split_depends_on_names_not_on_rows_or_folders(write, tmp_path):
    lines = big().splitlines()
    first = read_csv(write("\n".join(lines))).frame
    again = read_csv(write("\n".join([lines[0], *reversed(lines[1:])]))).frame
    by_image = dict(zip(again["image"], again["split"], strict=True))
    assert [by_image[p] for p in first["image"]] == first["split"].tolist()
    moved = tmp_path / "moved"
    moved.mkdir()
    for i in range(40):
        (tmp_path / f"{i}.png").rename(moved / f"{i}.png")
    there = read_csv(write("\n".join(lines)), images=moved).frame
    assert there["split"].tolist() == first["split"].tolist()


def test_given_splits_and_groups_come_through(write):
    text = "image,kind,split,group\na.png,x,train,1\nb.png,y,train,1\nc.png,x,valid,\nd.png,y,TEST,"
    frame = read_csv(write(text)).frame
    assert frame["split"].tolist() == ["train", "train", "val", "test"]
    assert frame["group"].tolist() == ["1", "1", "", ""]


def test_an_empty_split_column_is_none(write):
    manifest = read_csv(write("image,kind,split\na.png,x,\nb.png,y,\nc.png,x,\nd.png,y,"))
    assert manifest.tasks == (Task("kind", ["x", "y"]),)
    assert manifest.has("train")


def test_groups_are_kept_together(write):
    rows = [f"{i}.png,{'xy'[i % 2]},g{i // 4}" for i in range(40)]
    frame = read_csv(write("\n".join(["image,kind,group", *rows]))).frame
    assert frame.groupby("group")["split"].nunique().max() == 1
    assert set(frame["split"]) == {"train", "val", "test"}


def test_lines_are_the_files_own(write):
    text = 'image,kind,note\n\na.png,x,"two\nlines"\n"b.png",y,"a, b"\n\nx.png,x,z\nd.png,y\n'
    assert error(write(text), tasks="kind") == (
        "DIR/labels.csv has 2 faults.\n  line 7: no file x.png\n  line 8: 2 cells, expected 3"
    )


def test_the_first_line_of_a_row_of_several_lines_counts(write):
    text = 'image,kind,note\na.png,x,\nx.png,y,"two\nlines"\nz.png,y,\n'
    assert "line 3: no file x.png\n  line 5: no file z.png" in error(write(text), tasks="kind")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_utf8_with_and_without_mark(write, encoding):
    manifest = read_csv(write("image,kind\r\na.png,Äpfel\r\nb.png,日本\r\n", encoding))
    assert manifest.tasks[0].classes == ("Äpfel", "日本")


def test_files_that_are_no_table(write, tmp_path):
    assert error(write("")).startswith("DIR/labels.csv has no rows, expected")
    assert error(write("image,kind\n")).startswith("DIR/labels.csv has no rows, expected")
    wide = "image,kind\na.png," + "x" * 200_000
    assert "is no CSV file: line 2: field larger than field limit" in error(write(wide))
    assert error(tmp_path / "label.csv") == (
        "There is no file DIR/label.csv. Did you mean labels.csv?"
    )
    (tmp_path / "folder.csv").mkdir()
    assert error(tmp_path / "folder.csv") == "DIR/folder.csv cannot be read: is a directory."


def test_another_separator(write):
    path = write("image;kind\na.png;x\nb.png;y\n")
    assert error(path, sep=",") == (
        "DIR/labels.csv has only one column, 'image;kind'. Try sep=';'."
    )
    assert len(read_csv(path, sep=";")) == 2
    assert read_csv(path).notes[0] == "read with ';' between the cells"


def test_columns_of_the_same_name(write):
    text = "image,kind,kind\na.png,x,y\nb.png,y,x\n"
    assert "column 'kind' is there 2 times" in error(write(text))


def test_a_column_without_a_name_is_passed_over(write):
    manifest = read_csv(write(",image,kind\n0,a.png,x\n1,b.png,y\n"))
    assert manifest.tasks == (Task("kind", ["x", "y"]),)


def test_leading_zeros_and_other_columns(write):
    text = "file,part,where\na.png,007,train\nb.png,7,train\n"
    manifest = read_csv(write(text), image="file", split="where", fractions=(1, 0, 0))
    assert manifest.tasks == (Task("part", ["007", "7"]),)
    assert manifest.frame["split"].tolist() == ["train", "train"]


def test_fractions_are_checked_first(write):
    assert error(write("image\n"), fractions=(1, 1, 1)).startswith("Expected fractions=")


def test_leakage_is_a_note(write, tmp_path):
    (tmp_path / "b.png").write_bytes(b"a")
    text = "image,kind,split\na.png,x,train\nb.png,y,test\nc.png,y,train\nd.png,x,val\n"
    notes = read_csv(write(text)).notes
    assert notes[0] == "leakage, counted for train: a.png is in train and test as b.png"
    assert notes[1] == "the same picture has contradictory labels: a.png and b.png"


def test_a_frame_reads_like_its_csv(write, tmp_path):
    path = write(big())
    typed = pd.read_csv(path)
    pd.testing.assert_frame_equal(read_frame(typed, images=tmp_path).frame, read_csv(path).frame)


def test_a_frames_numbers_and_gaps(write, tmp_path):
    defect = Task("defect", ["fine", "broken"], kind="binary")
    frame = pd.DataFrame(
        {
            "image": [tmp_path / f"{n}.png" for n in "abcd"],
            "defect": [0, 1, None, 1 / 3],
            "kind": [2, 10, np.nan, 2],
            "scene.sea": [True, False, None, True],
        }
    )
    scene = Task("scene", ["sea"], kind="multilabel")
    manifest = read_frame(frame, tasks=[defect, "kind", scene])
    assert manifest.tasks[1].classes == ("2", "10")
    assert manifest.frame["defect"].tolist() == [0, 1, -1, 1 / 3]
    assert manifest.frame["kind"].tolist() == [0, 1, -1, 0]
    assert manifest.frame["scene.sea"].tolist() == [1, 0, -1, 1]


def test_a_frames_rows_are_named_by_position_and_index(write, tmp_path):
    frame = pd.DataFrame({"image": ["a.png", "x.png"], "kind": ["x", "y"]}, index=["p", "q"])
    with pytest.raises(InputError, match=r"row 1 \(index 'q'\): no file x\.png"):
        read_frame(frame, images=tmp_path)
    with pytest.raises(InputError, match=r"row 1: no file x\.png"):
        read_frame(frame.reset_index(drop=True), images=tmp_path)


def test_frames_that_are_none():
    with pytest.raises(InputError, match=r"^Expected a pandas frame\. Received: dict\.$"):
        read_frame({"image": []})
    with pytest.raises(InputError, match=r"^The frame has no rows\.$"):
        read_frame(pd.DataFrame({"image": [], "kind": []}))


def test_the_two_kinds_of_unknown_are_kept_apart(write):
    text = "image,kind\na.png,x\nb.png,y\nc.png,?\nd.png,\ne.png,NA\nf.png,hm"
    options = {"unknown": "NA", "unsure": ["?", "hm"], "fractions": (1, 0, 0)}
    assert read_csv(write(text), **options).frame["kind"].tolist() == [0, 1, -2, -1, -1, -2]
    plain = read_csv(write(text), fractions=(1, 0, 0))
    assert plain.tasks[0].classes == ("hm", "x", "y")
    assert plain.notes == ("kind ('NA'): read as unknown; rename what is a class",)
    turned = read_csv(write(text), unknown=["?", "NA", "hm"], fractions=(1, 0, 0))
    assert turned.frame["kind"].tolist() == [0, 1, -1, -1, -1, -1]


def test_a_table_after_chexpert(write):
    text = "image,edema,nodule\na.png,1.0,0.0\nb.png,-1.0,\nc.png,0.0,1.0\nd.png,,-1.0"
    path, options = write(text), {"unsure": ("-1", "-1.0"), "fractions": (1, 0, 0)}
    manifest = read_csv(path, uncertain={"edema": "positive", "nodule": 0.25}, **options)
    assert manifest.tasks == (Task("labels", ("edema", "nodule"), "multilabel"),)
    columns = manifest.frame[["labels.edema", "labels.nodule"]]
    assert columns.to_numpy().tolist() == [[1, 0], [-2, -1], [0, 1], [-1, -2]]
    assert manifest.labels()["labels"].tolist() == [[1, 0], [1, -1], [0, 1], [-1, 0.25]]
    assert manifest.certain().labels()["labels"].tolist() == [[1, 0], [-1, -1], [0, 1], [-1, -1]]
    typed = pd.read_csv(path)
    typed["image"] = [str(path.parent / p) for p in typed["image"]]
    pd.testing.assert_frame_equal(read_frame(typed, **options).frame, manifest.frame)


def test_a_policy_that_is_none_is_told_with_the_faults_of_the_table(write):
    message = error(write("image,kind\na.png,x\nx.png,y\n"), uncertain="yes")
    assert message == (
        "DIR/labels.csv has 2 faults.\n"
        "  uncertain: expected ignore, positive, negative or a number from 0 to 1, "
        "received 'yes'.\n  line 3: no file x.png"
    )


def test_tags_and_their_separator(write):
    text = 'image,pets\na.png,"cat, dog"\nb.png,cow\nc.png,cat\nd.png,"dog,cow?"\n'
    manifest = read_csv(write(text), tags=",", fractions=(1, 0, 0))
    assert manifest.tasks == (Task("pets", ("cat", "cow", "dog"), "multilabel"),)
    columns = ["pets.cat", "pets.cow", "pets.dog"]
    assert manifest.frame[columns].to_numpy().tolist() == [
        [1, 0, 1],
        [0, 1, 0],
        [1, 0, 0],
        [0, -2, 1],
    ]
    assert manifest.notes[0].startswith("pets: read as tags with ',' between them")


# Words that a table can hold as they are: not blank, no blanks around, none of an unknown label.
words = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=6)
words = words.filter(lambda w: w not in {"?", "-1", "-1.0", "nan", "NaN"} and share(w) is None)
kinds = st.lists(words, min_size=3, max_size=5, unique=True)
yes_no_codes = st.sampled_from([-2, -1, 0, 1]) | st.floats(0, 1)


@settings(
    deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(kinds, kinds, kinds, st.data())
def test_what_is_written_is_read_back(tmp_path, classes, labels, pair, data):
    tasks = [
        Task("colour", classes),
        Task("defect", pair[:2], "binary"),
        Task("scene", labels, "multilabel"),
    ]
    rows = [(0.0, 0.0, *[0.0] * len(labels)), (1.0, 1.0, *[1.0] * len(labels))]
    rows += [(float(i), -1.0, *[-2.0] * len(labels)) for i in range(2, len(classes))]
    colours = st.integers(-2, len(classes) - 1).map(float)
    row = st.tuples(colours, *[yes_no_codes] * (1 + len(labels)))
    rows += data.draw(st.lists(row, min_size=1, max_size=6))
    frame = pd.DataFrame(rows, columns=[c for t in tasks for c in t.columns])
    paths = [str(tmp_path / f"{i}.png") for i in range(len(rows))]
    for path in paths:
        Path(path).write_bytes(path.encode())
    manifest = Manifest(frame.assign(image=paths, split="train"), tasks)
    manifest.to_csv(tmp_path / "all.csv")
    back = read_csv(tmp_path / "all.csv", tasks=tasks, fractions=(1, 0, 0))
    columns = ["image", *frame.columns]
    pd.testing.assert_frame_equal(back.frame[columns], manifest.frame[columns])
