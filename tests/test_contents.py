"""Files of identical content."""

from kerastl.contents import same_content


def test_copies_share_a_number_and_nothing_else_does(tmp_path):
    contents = [b"abc", b"abd", b"abc", b"longer", b"", b"", b"abc"]
    paths = [str(tmp_path / str(i)) for i in range(len(contents))]
    for path, content in zip(paths, contents, strict=True):
        with open(path, "wb") as file:
            file.write(content)
    gone = [str(tmp_path / "gone"), str(tmp_path / "away")]
    assert same_content(paths + gone).tolist() == [0, 1, 0, 3, 4, 5, 0, 7, 8]


def test_a_difference_behind_the_first_block_is_seen(tmp_path):
    for name, end in (("a", b"x"), ("b", b"y"), ("c", b"x")):
        (tmp_path / name).write_bytes(bytes(1 << 20) + end)
    assert same_content([str(tmp_path / n) for n in "abc"]).tolist() == [0, 1, 0]


def test_files_that_cannot_be_read_are_nobodys_copy(unprivileged):
    paths = [unprivileged / n for n in "ab"]
    for path in paths:
        path.write_bytes(b"same")
    assert same_content([str(p) for p in paths]).tolist() == [0, 0]
    for path in paths:
        path.chmod(0)
    assert same_content([str(p) for p in paths]).tolist() == [0, 1]
