"""What Ray answers, for as long as its cluster is there."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import TypeVar

from kerastl.ray_connection import refusal

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
