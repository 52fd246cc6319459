"""The way through folders: everything is in one of the lists, once."""

import os

import pytest

from kerastl.data.walking import level, named, walk
from kerastl.errors import InputError


def lay(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    return root


def told(root, paths):
    return [os.path.relpath(path, root).replace(os.sep, "/") for path in paths]


def test_files_come_before_folders_in_the_order_of_names(tmp_path):
    lay(tmp_path, "b/2.png", "b/10.JPG", "a/x.webp", "c.bmp", "a.d/y.png", "a/z/1.heic")
    found = walk(tmp_path)
    assert told(tmp_path, found.pictures) == [
        "c.bmp", "a/x.webp", "a/z/1.heic", "a.d/y.png", "b/10.JPG", "b/2.png",
    ]  # fmt: skip
    assert told(tmp_path, walk(f"{tmp_path}/").pictures) == told(tmp_path, found.pictures)


def test_what_is_hidden_or_the_systems_is_passed_over(tmp_path):
    lay(tmp_path, "a.png", ".DS_Store", "._a.png", "Thumbs.db", "sub/desktop.ini", "sub/b.png")
    lay(tmp_path, ".ipynb_checkpoints/a-checkpoint.png", "sub/.git/c.png", "@eaDir/a.png")
    lay(tmp_path, "__MACOSX/sub/._b.png", "$RECYCLE.BIN/d.png", "sub/Icon\r")
    found = walk(tmp_path)
    assert told(tmp_path, found.pictures) == ["a.png", "sub/b.png"]
    assert (found.skipped, level(tmp_path).folders) == ({}, ["sub"])
    assert len(walk(tmp_path / "sub" / ".git").pictures) == 1  # it was asked for


def test_what_gives_no_picture_is_listed_with_its_cause(tmp_path):
    lay(tmp_path, "a.png", "notes.TXT", "LICENSE", "b.heic")
    (tmp_path / "b.heic").write_bytes(b"8BPS")
    (tmp_path / "gone.jpg").symlink_to(tmp_path / "nowhere.jpg")
    (tmp_path / "folder").symlink_to(tmp_path / "nowhere")
    found = walk(tmp_path)
    assert told(tmp_path, found.pictures) == ["a.png", "b.heic", "gone.jpg"]
    assert {os.path.basename(p): cause for p, cause in found.skipped.items()} == {
        "b.heic": "Photoshop: not read, convert it to JPEG or PNG",
        "gone.jpg": "a link to nothing",
        "LICENSE": "not a picture: no suffix",
        "folder": "a link to nothing",
        "notes.TXT": "not a picture: suffix .txt",
    }


def test_linked_folders_are_followed_and_each_picture_is_given_once(tmp_path):
    lay(tmp_path, "in/own/1.png", "out/2.png", "out/deep/3.png")
    (tmp_path / "in" / "a link").symlink_to(tmp_path / "out")
    (tmp_path / "in" / "again").symlink_to(tmp_path / "out" / "deep")
    (tmp_path / "in" / "1.png").symlink_to(tmp_path / "in" / "own" / "1.png")
    (tmp_path / "in" / "2.png").symlink_to(tmp_path / "out" / "2.png")
    (tmp_path / "out" / "deep" / "round").symlink_to(tmp_path / "out")
    found = walk(tmp_path / "in")
    assert told(tmp_path, found.pictures) == ["in/2.png", "in/a link/deep/3.png", "in/own/1.png"]
    assert told(tmp_path, found.repeated) == [
        "in/1.png", "in/again", "in/a link/2.png", "in/a link/deep/round",
    ]  # fmt: skip
    assert found.skipped.keys() == set(found.repeated)


def test_a_link_that_leads_up_ends(tmp_path):
    lay(tmp_path, "cat/1.png", "dog/2.png", "far/3.png")
    (tmp_path / "cat" / "up").symlink_to(tmp_path)
    (tmp_path / "cat" / "self").symlink_to(tmp_path / "cat")
    (tmp_path / "cat" / "far").symlink_to(tmp_path / "far")
    (tmp_path / "far" / "back").symlink_to(tmp_path)
    found = walk(tmp_path / "cat")
    assert told(tmp_path, found.pictures) == ["cat/far/3.png", "cat/1.png"][::-1]
    assert told(tmp_path, found.repeated) == ["cat/self", "cat/up", "cat/far/back"]
    assert level(tmp_path / "cat").back == ["self", "up"]


def test_a_folder_that_cannot_be_read_is_named(unprivileged):
    lay(unprivileged, "a/1.png", "b/2.png")
    (unprivileged / "b").chmod(0)
    with pytest.raises(InputError, match="folder .*/b cannot be read: permission denied"):
        walk(unprivileged)
    (unprivileged / "b").chmod(0o700)


def test_names_that_are_no_utf_8_are_names(tmp_path):
    with open(os.path.join(os.fsencode(tmp_path), b"caf\xe9.png"), "wb"):
        pass
    [path] = walk(tmp_path).pictures
    assert os.fsencode(path).endswith(b"caf\xe9.png")


def test_suffixes_in_words():
    assert (named(".txt"), named("")) == ("suffix .txt", "no suffix")
