"""A run's folder is one process's at a time: it is claimed for as long as the process lives.

The claim is a lock that the system holds and ends with the process, however that ends. So what a
killed process leaves behind is in nobody's way.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections.abc import Sequence
from pathlib import Path

from kerastl.errors import InputError

try:
    import fcntl
except ImportError:  # Windows, where only the numbers of runs are kept apart
    fcntl = None

CLAIM = ".running"
"""A file in the folder that is locked meanwhile; its text says by whom."""

_held: dict[Path, tuple[int, list[Path]]] = {}


def claim(path: str | Path, made: Sequence[Path] = ()) -> Path:
    """Have a folder for this process alone, until the verb or the process ends.

    Args:
        path: The folder; it is made.
        made: Folders that were made for it, which go again where nothing is written to it.

    Raises:
        InputError: Where another process is at work in it, or a file is in its place.
        DiskError: Where nothing can be written there.

    Example:
        >>> import tempfile
        >>> folder = claim(Path(tempfile.mkdtemp()) / "run")
        >>> [p.name for p in folder.iterdir()]
        ['.running']
        >>> release_all()
        >>> folder.exists()
        False
    """
    from kerastl.files import as_folder, writing

    folder = as_folder(path)
    with writing(folder):
        place = folder.absolute()
        made = [*made, *_missing(place)]
        folder.mkdir(parents=True, exist_ok=True)
        if place not in _held:
            _held[place] = _locked(place / CLAIM), made
    return folder


def claim_next(home: Path, number: int) -> Path:
    """Claim the first free number from `number` on: of two processes at once each has its own.

    Args:
        home: The folder of numbered folders; it is made.
        number: The first to try.

    Raises:
        DiskError: Where nothing can be written there.

    Example:
        >>> import tempfile
        >>> home = Path(tempfile.mkdtemp())
        >>> (home / "3").mkdir()
        >>> claim_next(home, 3).name
        '4'
        >>> release_all()
    """
    from kerastl.files import as_folder, writing

    with writing(home):
        made = _missing(as_folder(home).absolute())
        while True:
            try:
                (home / str(number)).mkdir(parents=True)
                break
            except FileExistsError:
                number += 1
    return claim(home / str(number), [(home / str(number)).absolute(), *made])


def _missing(folder: Path) -> list[Path]:
    """The folders that would have to be made, the lowest first."""
    return [part for part in (folder, *folder.parents) if not part.exists()]


def release_all() -> None:
    """Give all folders free; those that were made for nothing go."""
    while _held:
        folder, (handle, made) = _held.popitem()
        with contextlib.suppress(OSError):
            (folder / CLAIM).unlink()
        os.close(handle)
        with contextlib.suppress(OSError):  # one that holds something ends it
            for empty in made:
                empty.rmdir()


def _locked(file: Path) -> int:
    """An open file with the lock."""
    while True:
        handle = os.open(file, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            if fcntl:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            who = os.read(handle, 200).decode("utf-8", "replace")
            if error.errno in (errno.EAGAIN, errno.EACCES):
                os.close(handle)
                raise InputError(
                    f"{who or 'Another process'} is at work in {file.parent}. Wait until it is "
                    "done, or give another folder (--out)."
                ) from None
            # A disk without locks keeps nobody apart.
        if _is_there(file, handle):
            try:
                os.truncate(handle, 0)
                os.write(handle, f"Process {os.getpid()} on {socket.gethostname()}".encode())
            except OSError:
                os.close(handle)
                raise
            return handle
        os.close(handle)  # it was removed by who had it before


def _is_there(file: Path, handle: int) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), os.stat(file))
    except FileNotFoundError:
        return False
