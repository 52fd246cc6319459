"""Files as programs write them: encodings, separators, lines, and what is no table."""

import pytest

from kerastl.data.readers.csv_file import csv_table
from kerastl.errors import InputError

TEXT = "image,kind\r\na.png,Äpfel\r\nb.png,bars\r\n"


@pytest.fixture
def read(tmp_path):
    def run(text, encoding="utf-8", name="t.csv", sep=None):
        path = tmp_path / name
        path.write_bytes(text.encode(encoding))
        return csv_table(str(path), sep, "")

    return run


def fault(read, *args, **options):
    with pytest.raises(InputError) as caught:
        read(*args, **options)
    return str(caught.value).rpartition("/")[2]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_encodings(read, encoding):
    table = read(TEXT, encoding)
    assert table.text.to_dict("list") == {"image": ["a.png", "b.png"], "kind": ["Äpfel", "bars"]}
    assert table.notes == (
        ["not UTF-8 (byte 0xc4 in line 2), so read as cp1252, as Windows writes it: 'Äpfel'"]
        if encoding == "cp1252"
        else []
    )


def test_bytes_that_are_no_text(read):
    assert fault(read, "image,kind\na.png,\x81\n", "latin-1") == (
        "t.csv is not UTF-8 (byte 0x81 in line 2). Save it as UTF-8."
    )
    assert fault(read, "image,kind\na.png,x\n\0\0\0\n") == (
        "t.csv holds NUL bytes from line 3 on: it is damaged, or no text. Delete what is no text, "
        "or save it as UTF-8."
    )
    assert "holds NUL bytes from line 1 on" in fault(read, TEXT, "utf-16-le")


@pytest.mark.parametrize("sep", [";", "\t", "|"])
def test_separators_are_seen(read, sep):
    table = read(TEXT.replace(",", sep))
    assert list(table.text) == ["image", "kind"]
    assert table.notes == [f"read with {sep!r} between the cells"]
    assert read(TEXT.replace(",", sep), sep=sep).notes == []


def test_the_usual_one_goes_first(read):
    assert list(read("image,a;b\nx.png,1\n").text) == ["image", "a;b"]
    assert read("image\tkind\nx.png\t1\n", name="t.tsv").notes == []
    assert read(TEXT, name="t.tsv").notes == ["read with ',' between the cells"]


def test_blank_lines_and_cells_behind_the_last_column(read):
    table = read("image,kind,,\n\na.png,x,,\n,,,\nb.png,y,,\n")
    assert table.text.to_dict("list") == {"image": ["a.png", "b.png"], "kind": ["x", "y"]}
    assert table.places == ["line 3", "line 5"]
    assert table.faults == table.notes == []
    assert read("image,kind\na.png,x,\nb.png,y,,\n").faults == []
    assert read("image,kind\na.png,x,z\n").faults == [(0, "3 cells, expected 2")]


def test_columns_without_a_name_are_said(read):
    assert read(",image,kind\n0,a.png,x\n").notes == ["a column without a name passed over"]
    assert read(",image,\n0,a.png,x\n").notes == ["2 columns without a name passed over"]


def test_a_first_line_that_is_no_header(read):
    assert fault(read, "a.png,x\nb.png,y\n") == (
        "t.csv begins with a picture, a.png. Expected a first line with the names of the columns, "
        "such as image,label."
    )


def test_a_name_twice_and_what_cannot_be_seen_in_names(read):
    assert read("image,kind,kind\na.png,x,y\n").faults == [
        (-1, "column 'kind' is there 2 times; rename one")
    ]
    assert list(read("image\u200b, kind \na.png,x\n").text) == ["image", "kind"]
