"""LiteRT.js from npm: only the pinned packages, whole or not at all, and no npm is no error."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import tarfile

import pytest

from kerastl.deploy.preview.litert_js import PACKAGES, VERSION, fetch_litert_js, unpack, user_cache
from kerastl.errors import InputError


def packed(path, *members):
    """An archive of (name, bytes) or of ready TarInfos, and its checksum."""
    with tarfile.open(path, "w:gz") as tar:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                tar.addfile(member)
                continue
            name, data = member
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return base64.b64encode(hashlib.sha512(path.read_bytes()).digest()).decode()


def link(name, kind):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, "/etc/passwd"
    return info


def test_an_archive_is_unpacked_without_its_top_folder(tmp_path):
    sha = packed(tmp_path / "a.tgz", ("package/x.js", b"1"), ("package/dist/y.wasm", b"2"))
    unpack(tmp_path / "a.tgz", tmp_path / "out", sha)
    assert (tmp_path / "out" / "x.js").read_bytes() == b"1"
    assert (tmp_path / "out" / "dist" / "y.wasm").read_bytes() == b"2"


def test_a_tampered_archive_is_refused(tmp_path):
    sha = packed(tmp_path / "a.tgz", ("package/x.js", b"1"))
    packed(tmp_path / "a.tgz", ("package/x.js", b"something else"))
    with pytest.raises(InputError, match="it is not what was published"):
        unpack(tmp_path / "a.tgz", tmp_path / "out", sha)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "odd",
    [
        ("package/../../x.js", b""),
        ("/etc/x.js", b""),
        ("elsewhere/x.js", b""),
        ("package", b""),
        ("package/..\\x.js", b""),
        ("package/C:x.js", b""),
        link("package/x.js", tarfile.SYMTYPE),
        link("package/x.js", tarfile.LNKTYPE),
        link("package/x.js", tarfile.FIFOTYPE),
    ],
    ids=range(9),
)
def test_a_member_that_lies_elsewhere_or_is_no_file_is_refused(tmp_path, odd):
    sha = packed(tmp_path / "a.tgz", ("package/good.js", b"1"), odd)
    with pytest.raises(InputError, match="holds what a package does not") as caught:
        unpack(tmp_path / "a.tgz", tmp_path / "out", sha)
    assert len(caught.value.faults) == 1
    assert not (tmp_path / "out").exists()


def test_too_large_an_archive_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("kerastl.deploy.preview.litert_js.LARGEST", 10)
    sha = packed(tmp_path / "a.tgz", ("package/x.js", b"1" * 6), ("package/y.js", b"1" * 5))
    with pytest.raises(InputError, match="more than 10 bytes"):
        unpack(tmp_path / "a.tgz", tmp_path / "out", sha)


def test_without_npm_there_is_none_and_the_log_says_why(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert fetch_litert_js(tmp_path / "cache") is None
    assert "npm is not installed" in caplog.text


def npm_that(folder, does):
    """A command npm of a few lines, in front of all others."""
    folder.mkdir()
    (folder / "npm").write_text(f"#!/bin/sh\n{does}\n")
    (folder / "npm").chmod(0o755)
    return f"{folder}{os.pathsep}{os.environ['PATH']}"


@pytest.mark.skipif(os.name == "nt", reason="writes a shell script")
def test_an_npm_that_fails_gives_none_with_its_first_line(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("PATH", npm_that(tmp_path / "bin", "echo 'no network' >&2; exit 1"))
    assert fetch_litert_js(tmp_path / "cache") is None
    assert f"could not fetch @litertjs/core {VERSION} (no network)" in caplog.text
    assert list((tmp_path / "cache").iterdir()) == []


@pytest.mark.skipif(os.name == "nt", reason="writes a shell script")
def test_an_npm_that_gives_another_package_is_refused_and_leaves_nothing(tmp_path, monkeypatch):
    packed(tmp_path / "other.tgz", ("package/dist/index.js", b"steal()"))
    copy = f'cp "{tmp_path}/other.tgz" "$4/litertjs-core-{VERSION}.tgz"'
    monkeypatch.setenv("PATH", npm_that(tmp_path / "bin", copy))
    with pytest.raises(InputError, match="it is not what was published"):
        fetch_litert_js(tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_what_was_fetched_is_not_fetched_again(tmp_path, monkeypatch):
    (tmp_path / VERSION).mkdir()
    monkeypatch.setenv("PATH", "")
    assert fetch_litert_js(tmp_path) == tmp_path / VERSION


def test_the_users_cache_follows_xdg(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert user_cache() == tmp_path / "kerastl" / "litert-js"
    monkeypatch.setenv("XDG_CACHE_HOME", "not/absolute")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert user_cache() == tmp_path / "home" / ".cache" / "kerastl" / "litert-js"


@pytest.mark.slow
def test_npm_gives_the_pinned_packages(tmp_path, monkeypatch):
    folder = fetch_litert_js(tmp_path)
    assert folder == tmp_path / VERSION
    assert sorted(p.name for p in folder.iterdir()) == sorted(p.folder for p in PACKAGES)
    assert "@litertjs/wasm-utils" in (folder / "core" / "dist" / "index.js").read_text()
    assert (folder / "wasm-utils" / "dist" / "index.js").is_file()
    assert (folder / "core" / "wasm" / "litert_wasm_internal.wasm").read_bytes()[:4] == b"\0asm"
    assert [p.name for p in tmp_path.iterdir()] == [VERSION]
    monkeypatch.setenv("PATH", "")
    assert fetch_litert_js(tmp_path) == folder
