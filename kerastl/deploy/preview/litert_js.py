"""LiteRT.js, which runs a `.tflite` file in a browser, fetched once through npm.

Where things lie in the folder, and so below `/litert/` on the page's server:

    core/dist/index.js         the module to import; it imports "@litertjs/wasm-utils"
    core/wasm/                 the folder to give to its `loadLiteRt`
    wasm-utils/dist/index.js   what an import map gives for "@litertjs/wasm-utils"
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import logging
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from kerastl.errors import InputError

logger = logging.getLogger("kerastl")

VERSION = "2.5.3"
PATIENCE = 300
"""Seconds that npm may take for one package of 12 MB."""

LARGEST = 64 * 1024 * 1024
"""Bytes that a package may hold unpacked; LiteRT.js has 39 MB."""

TOP = "package"
"""The folder that everything in an archive of npm lies in."""


@dataclass(frozen=True)
class Package:
    """A package at one version: what npm gives has this checksum, or it is refused."""

    name: str
    folder: str
    sha512: str


PACKAGES = (
    Package(
        "@litertjs/core",
        "core",
        "PlGmbMOq9WitX7FO0jhbdJw9GthatsyuCQXjTt/wJZo0FLaw48q4tz8IwqgqCIkviYGr9OFDL1kCnN4nzWoyJQ==",
    ),
    Package(
        "@litertjs/wasm-utils",
        "wasm-utils",
        "4fJiw6tBQnIs+0jH/OQ16nYOiSl8/+zZnn5h2ul8aTKHi05sVqZW580Tmk78pC2kT39A9OYBVdFawteZ/sI1kQ==",
    ),
)


class _Unavailable(Exception):
    """npm is missing, or could not fetch."""


def fetch_litert_js(cache: Path | None = None) -> Path | None:
    """The folder of LiteRT.js, fetched by `npm pack` the first time.

    No script of a package is run, and an archive is opened only where it has the
    checksum that is written here.

    Args:
        cache: Where it is kept; by default `kerastl/litert-js` in the user's cache
            folder (XDG_CACHE_HOME, else ~/.cache).

    Returns:
        The folder, with `core/` and `wasm-utils/` in it; None where npm is missing or
        cannot fetch, or the folder cannot be written. The log says which.

    Raises:
        InputError: If npm gives another package than the one that is expected.
    """
    try:
        folder = (user_cache() if cache is None else Path(cache)) / VERSION
        return folder if folder.is_dir() else _fetch(folder)
    except (_Unavailable, OSError, RuntimeError) as error:
        logger.warning("LiteRT.js could not be fetched: %s", error)
        return None


def user_cache() -> Path:
    """Where LiteRT.js is kept for this user."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    home = Path(base) if os.path.isabs(base) else Path.home() / ".cache"
    return home / "kerastl" / "litert-js"


def unpack(archive: Path, folder: Path, sha512: str) -> None:
    """Unpack an archive of npm, if it is the one that is expected.

    Args:
        archive: The `.tgz` file.
        folder: Where its files go, without their common folder `package`.
        sha512: The checksum in base64, as npm shows it.

    Raises:
        InputError: For another checksum, for a member that is no file or lies
            elsewhere (an absolute path, "..", a link), and for too much of it.
    """
    found = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    if found != sha512:
        raise InputError(
            f"Expected {archive.name} with the sha512 {sha512}. Received one with {found}: it "
            "is not what was published. Look at npm's settings (npm config list)."
        )
    with tarfile.open(archive, "r:gz") as tar:
        members = tar.getmembers()
        if faults := list(_faults(members)):
            raise InputError(f"{archive.name} holds what a package does not.", faults)
        for member in members:
            file = folder.joinpath(*PurePosixPath(member.name).parts[1:])
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(tar.extractfile(member).read())


def _faults(members: list[tarfile.TarInfo]) -> Iterator[str]:
    for member in members:
        top, *rest = PurePosixPath(member.name).parts or ("",)
        if not member.isreg():
            yield f"{member.name!r} is no plain file"
        elif top != TOP or not rest or ".." in rest or set("\\:") & set(member.name):
            yield f"{member.name!r} is no path below {TOP}/"
    if sum(member.size for member in members) > LARGEST:
        yield f"more than {LARGEST} bytes"


def _fetch(folder: Path) -> Path:
    """Make the folder whole or not at all; another process may make it at the same time."""
    npm = shutil.which("npm")
    if npm is None:
        raise _Unavailable("npm is not installed. It comes with Node.js.")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".unfinished-") as made:
        whole = Path(made) / VERSION
        for package in PACKAGES:
            unpack(_pack(npm, package, Path(made)), whole / package.folder, package.sha512)
        with contextlib.suppress(OSError):
            os.replace(whole, folder)
    if not folder.is_dir():
        raise _Unavailable(f"{folder} cannot be written.")
    return folder


def _pack(npm: str, package: Package, folder: Path) -> Path:
    archive = folder / f"{package.name[1:].replace('/', '-')}-{VERSION}.tgz"
    command = [
        npm, "pack", f"{package.name}@{VERSION}", "--pack-destination", str(folder),
        "--ignore-scripts", "--loglevel=error",
    ]  # fmt: skip
    try:
        ran = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=PATIENCE,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise _Unavailable(f"npm took over {PATIENCE} s for {package.name}.") from error
    if ran.returncode or not archive.is_file():
        said = (ran.stderr.strip().splitlines() or ["it wrote no archive"])[0]
        raise _Unavailable(f"npm could not fetch {package.name} {VERSION} ({said[:200]}).")
    return archive
