"""A connection to a Ray cluster: opened, listened to for as long as it is there, and closed again.

How much of a cluster's cores and GPUs each worker gets is decided here too.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, wait
from typing import Any, TypeVar

from kerastl.errors import InputError
from kerastl.terminal import quiet


def shares(
    nodes: Sequence[Mapping[str, Any]], workers: int | None = None
) -> tuple[int, dict[str, float]]:
    """How many workers a cluster gets, and what each asks Ray for.

    TensorFlow uses all cores of its node, however many Ray counts for it. More than
    half the cores of the smallest node are asked for: no two workers share such a
    node, and somebody's small task on it does not keep the worker waiting. More workers
    than nodes divide the cores among them.

    Args:
        nodes: As `ray.nodes()` gives them.
        workers: So many in all; None: one on each node, or for each GPU.

    Raises:
        InputError: For a cluster without cores.

    Example:
        >>> shares([{"Alive": True, "Resources": {"CPU": 8}}] * 3)
        (3, {'num_cpus': 5})
        >>> shares([{"Alive": True, "Resources": {"CPU": 8}}], 3)
        (3, {'num_cpus': 2})
    """
    cores, gpus = _cores(nodes), int(sum(has.get("GPU", 0) for has in _alive(nodes)))
    if gpus:
        count = workers or gpus
        return count, {"num_cpus": 1, "num_gpus": 1 if count <= gpus else _part(gpus, count)}
    if not cores:
        raise InputError("Expected a Ray cluster with at least one core. Received: one with none.")
    if workers is None:
        each = min(cores) // 2 + 1
        return sum(n // each for n in cores), {"num_cpus": each}
    return workers, {"num_cpus": _divided(cores, workers)}


def threads(nodes: Sequence[Mapping[str, Any]], workers: int | None = None) -> int | None:
    """TensorFlow's threads in a worker; None, all, unless workers share a machine.

    Example:
        >>> threads([{"Alive": True, "Resources": {"CPU": 8}}], 3)
        2
    """
    cores, (count, _) = _cores(nodes), shares(nodes, workers)
    return None if count <= len(cores) else max(1, sum(cores) // count)


def _alive(nodes: Sequence[Mapping[str, Any]]) -> list[Mapping[str, float]]:
    return [node["Resources"] for node in nodes if node["Alive"]]


def _cores(nodes: Sequence[Mapping[str, Any]]) -> list[int]:
    return [int(has["CPU"]) for has in _alive(nodes) if has.get("CPU", 0) >= 1]


def _divided(cores: Sequence[int], workers: int) -> float:
    """The most cores that each of so many workers can have."""
    if workers <= len(cores):
        return sorted(cores)[-workers] // 2 + 1
    whole = (each for each in range(max(cores), 0, -1) if sum(n // each for n in cores) >= workers)
    return next(whole, None) or _part(sum(cores), workers)


def _part(wholes: int, workers: int) -> float:
    """The part of one that each worker gets, in Ray's ten thousandths."""
    return (10_000 // -(-workers // wholes)) / 10_000


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


Answer = TypeVar("Answer")

LOOK = 10.0
"""Seconds between looks at whether the cluster is there; it is lost at the third in vain."""


def answer(ask: Callable[[], Answer]) -> Answer:
    """Ask Ray something, and look for its cluster while it is silent.

    Of a cluster that is lost, Ray waits a minute for an answer and then ends this process
    without a word. So the question is put in a thread that the program does not wait for.

    Args:
        ask: A call to Ray, which is connected as a part of the cluster, not as a client.

    Returns:
        What `ask` returns; what it raises is raised.

    Raises:
        ConnectionError: Where nothing listens any more at the cluster's address.
    """
    import ray

    host, _, port = ray.get_runtime_context().gcs_address.rpartition(":")
    asked, silent = _beside(ask), 0
    while not wait([asked], timeout=LOOK).done:
        why = refusal(host, int(port))
        silent = silent + 1 if why else 0
        if silent == 3:
            raise ConnectionError(why)
    return asked.result()


def _beside(call: Callable[[], Answer]) -> Future[Answer]:
    """What a call returns or raises, made in a thread of its own."""
    future: Future[Answer] = Future()

    def settle() -> None:
        try:
            future.set_result(call())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=settle, daemon=True).start()
    return future
