"""The OpenVINO runtime, with one Core for the whole process.

A Core that compiles sets, for the thread that asks, the stack on which its signals are handled,
and takes it away at its end. Where the lives of two Cores overlap, the stack that stays is one
that is gone, and the next Ctrl-C is a segmentation fault. One Core, which lives as long as its
process does, takes nothing away.
"""

from __future__ import annotations

import threading
from functools import cache
from typing import Any

from kerastl.errors import InputError

_once = threading.Lock()


def runtime() -> Any:
    """The openvino package.

    Raises:
        InputError: Where it is not installed.
    """
    try:
        import openvino
    except ImportError as error:
        raise InputError(
            "OpenVINO's files are made and run by openvino, which is not installed. "
            "Run: pip install 'kerastl[fast]'."
        ) from error
    return openvino


def core() -> Any:
    """The process's `openvino.Core`, which any thread may use.

    Raises:
        InputError: Where openvino is not installed.
    """
    with _once:
        return _made(runtime())


@cache
def _made(openvino: Any) -> Any:
    return openvino.Core()
