"""A connection to a Ray cluster: opened and closed again, in kerastl's own words."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
from collections.abc import Iterator, Mapping
from typing import Any

from kerastl.errors import InputError
from kerastl.streams import quiet

ANSWER = 10.0
"""Seconds that a machine has to answer at an address."""

CLIENT_TRIES = 3
"""Times that a client asks a cluster for the process that serves it."""

_START = "On the first machine run: ray start --head; on the others: ray start --address=HOST:6379."
_FORMS = '"auto", "local", "HOST:PORT" or "ray://HOST:PORT"'
_STILL = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_BACKEND_LOG_LEVEL": "fatal",
    # What Ray reports of its nodes goes to stdout otherwise, whatever log_to_driver says.
    "RAY_DEDUP_LOGS_SKIP_REGEX": "^",
}


@contextlib.contextmanager
def connection(address: str) -> Iterator[bool]:
    """Ray, connected to a cluster; a connection that is open already is used and left open.

    Args:
        address: "auto", "local", "HOST:PORT" or "ray://HOST:PORT".

    Yields:
        Whether this process is a client outside the cluster.

    Raises:
        InputError: Where Ray is not installed, nobody answers at the address, or a
            node lacks a package.
        RuntimeError: For any other failure of Ray's own.

    Example:
        >>> with connection("somewhere"):
        ...     pass
        Traceback (most recent call last):
        kerastl.errors.InputError: Expected the address of a Ray cluster: ...
    """
    with _environment(_STILL):
        ray = _imported()
        opened = not ray.is_initialized()
        if opened:
            _open(ray, address)
    try:
        with _worded():
            yield ray.util.client.ray.is_connected()
    finally:
        if opened:
            ray.shutdown()


@contextlib.contextmanager
def silence() -> Iterator[None]:
    """Keep Ray Data's notes and bars away from the terminal."""
    from ray.data import DataContext

    context, log = DataContext.get_current(), logging.getLogger("ray.data")
    kept = context.enable_progress_bars, log.level
    context.enable_progress_bars = False
    log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        context.enable_progress_bars = kept[0]
        log.setLevel(kept[1])


def _imported() -> Any:
    try:
        import ray
        import ray.data
        import ray.util.client
    except ImportError as error:
        raise InputError(f"{error}. ray= needs Ray: pip install 'kerastl[ray]'.") from error
    return ray


def _open(ray: Any, address: str) -> None:
    _check_answers(address)
    try:
        with quiet():
            _init(ray, address)
    except (ConnectionError, RuntimeError, ValueError) as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise InputError(f"No Ray cluster answers at {address!r}. {_START}", lines[:1]) from error


def _init(ray: Any, address: str) -> None:
    """Connect; as a client again where the process that the cluster forks for it died at birth."""
    here = {"include_dashboard": False} if address == "local" else {}
    for left in reversed(range(CLIENT_TRIES)):
        try:
            ray.init(address, log_to_driver=False, logging_level=logging.CRITICAL, **here)
            return
        except ConnectionAbortedError:
            if not left:
                raise


def _check_answers(address: str) -> None:
    """Raise unless something listens there; Ray would try for minutes or end the process."""
    if address == "auto":
        address = os.environ.get("RAY_ADDRESS") or address
    if address in ("auto", "local"):
        return
    host, _, port = str(address).removeprefix("ray://").rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise InputError(f"Expected the address of a Ray cluster: {_FORMS}. Received: {address!r}.")
    if why := refusal(host, int(port)):
        raise InputError(f"No Ray cluster answers at {address!r}. {_START}", [why])


def refusal(host: str, port: int) -> str:
    """Why nothing answers at an address; empty where something does.

    Example:
        >>> bool(refusal("127.0.0.1", 1))
        True
    """
    try:
        socket.create_connection((host.strip("[]"), port), timeout=ANSWER).close()
    except OSError as error:
        return (error.strerror or str(error)).lower()
    return ""


@contextlib.contextmanager
def _worded() -> Iterator[None]:
    """What fails in Ray itself, without the traces of its own processes."""
    from ray.exceptions import RayError

    try:
        yield
    except RayError as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        if lacking := {line for line in lines if line.startswith("ModuleNotFoundError: ")}:
            raise InputError(
                "Expected the same packages on every node of the Ray cluster. On each one run: "
                "pip install 'kerastl[ray]'.",
                sorted(lacking),
            ) from error
        raise RuntimeError(f"Ray failed: {lines[0]}") from error


@contextlib.contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """Variables for as long as the block takes, but for those that the user has set."""
    new = {name: value for name, value in values.items() if name not in os.environ}
    os.environ.update(new)
    try:
        yield
    finally:
        for name in new:
            del os.environ[name]
